/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/stop.h"

#ifndef NDEBUG

#include <glib.h>
#include <signal.h>

/* How often @step has been done in this process, this time included. */
static guint
count_step (const char *step)
{
  static GHashTable *counts;
  guint n;

  if (counts == NULL)
    counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  n = GPOINTER_TO_UINT (g_hash_table_lookup (counts, step)) + 1;
  g_hash_table_insert (counts, g_strdup (step), GUINT_TO_POINTER (n));
  return n;
}

/** ramet_stop_at: by RAMET_STEP() only */
void
ramet_stop_at (const char *step)
{
  const char *wanted = g_getenv ("RAMET_STOP_AT");
  g_autofree char *name = NULL;

  if (wanted == NULL)
    return;
  name = g_strdup_printf ("%s:%u", step, count_step (step));
  if (g_str_equal (wanted, "?"))
    g_printerr ("step %s\n", name);
  else if (g_str_equal (wanted, name) || (g_str_equal (wanted, step) && g_str_has_suffix (name, ":1")))
    raise (g_strcmp0 (g_getenv ("RAMET_STOP_SIGNAL"), "KILL") == 0 ? SIGKILL : SIGSTOP);
}

#endif
