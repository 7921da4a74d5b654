/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/undo.h"

#include "core/error.h"
#include "core/stop.h"

typedef struct
{
  char *what;
  RametUndoFunc func;
  gpointer data;
  GDestroyNotify destroy;
} Inverse;

struct _RametUndo
{
  GArray *inverses;
};

static void
inverse_clear (gpointer data)
{
  Inverse *inverse = data;

  g_free (inverse->what);
  if (inverse->destroy)
    inverse->destroy (inverse->data);
}

/** ramet_undo_new: an empty stack; leaving its scope uncommitted unwinds it */
RametUndo *
ramet_undo_new (void)
{
  RametUndo *undo = g_new0 (RametUndo, 1);

  undo->inverses = g_array_new (FALSE, FALSE, sizeof (Inverse));
  g_array_set_clear_func (undo->inverses, inverse_clear);
  return undo;
}

/**
 * ramet_undo_push:
 * @what: what @func does, for the message should it fail: "remove the volume 'web.qcow2'"
 * @data: (transfer full): freed by @destroy whether or not @func ran
 */
void
ramet_undo_push (RametUndo *undo, const char *what, RametUndoFunc func, gpointer data, GDestroyNotify destroy)
{
  Inverse inverse = { g_strdup (what), func, data, destroy };

  g_array_append_val (undo->inverses, inverse);
}

/** ramet_undo_commit: what was done stays; nothing is unwound any more */
void
ramet_undo_commit (RametUndo *undo)
{
  g_array_set_size (undo->inverses, 0);
}

/**
 * ramet_undo_unwind:
 *
 * Takes back what was not committed, the last step first; an inverse that fails is told, and the rest goes on.
 *
 * Returns: %TRUE if nothing is left
 */
gboolean
ramet_undo_unwind (RametUndo *undo)
{
  gboolean clean = TRUE;

  for (guint i = undo->inverses->len; i-- > 0;)
    {
      Inverse *inverse = &g_array_index (undo->inverses, Inverse, i);
      g_autoptr (GError) error = NULL;

      if (inverse->func (inverse->data, &error))
        {
          RAMET_STEP ("taken-back");
          continue;
        }
      if (error == NULL)
        g_warning ("could not %s: unknown error", inverse->what);
      for (const GError *one = error; one; one = ramet_error_get_next (one))
        g_warning ("could not %s: %s", inverse->what, one->message);
      clean = FALSE;
    }
  g_array_set_size (undo->inverses, 0);
  return clean;
}

/** ramet_undo_free: unwinds first */
void
ramet_undo_free (RametUndo *undo)
{
  ramet_undo_unwind (undo);
  g_array_unref (undo->inverses);
  g_free (undo);
}
