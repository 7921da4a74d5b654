/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"

typedef struct
{
  char *hint;   /* what to type next, or NULL */
  GError *next; /* a further finding of the same pass, or NULL */
} RametErrorPrivate;

static void
ramet_error_private_init (RametErrorPrivate *priv)
{
  priv->hint = NULL;
  priv->next = NULL;
}

static void
ramet_error_private_copy (const RametErrorPrivate *src, RametErrorPrivate *dest)
{
  dest->hint = g_strdup (src->hint);
  dest->next = src->next ? g_error_copy (src->next) : NULL;
}

static void
ramet_error_private_clear (RametErrorPrivate *priv)
{
  g_clear_pointer (&priv->hint, g_free);
  g_clear_error (&priv->next);
}

G_DEFINE_EXTENDED_ERROR (RametError, ramet_error)

/**
 * ramet_error_set:
 * @error: (out) (optional): where to put the error
 * @format: what failed, on which thing, why: lower case, names in single quotes, no full stop
 */
void
ramet_error_set (GError **error, RametErrorCode code, const char *format, ...)
{
  va_list args;

  if (error == NULL)
    return;
  va_start (args, format);
  g_propagate_error (error, g_error_new_valist (RAMET_ERROR, code, format, args));
  va_end (args);
}

/**
 * ramet_error_hint:
 * @error: an error that was just set, or %NULL (then nothing happens)
 * @format: what to type next
 *
 * An error of a foreign domain keeps its text and becomes one of ours, so that it can carry the hint.
 */
void
ramet_error_hint (GError **error, const char *format, ...)
{
  RametErrorPrivate *priv;
  va_list args;

  if (error == NULL || *error == NULL)
    return;
  if ((*error)->domain != RAMET_ERROR)
    {
      GError *ours = g_error_new_literal (RAMET_ERROR, RAMET_ERROR_FAILED, (*error)->message);

      g_error_free (*error);
      *error = ours;
    }
  priv = ramet_error_get_private (*error);
  g_free (priv->hint);
  va_start (args, format);
  priv->hint = g_strdup_vprintf (format, args);
  va_end (args);
}

/** ramet_error_get_hint: (transfer none) (nullable) */
const char *
ramet_error_get_hint (const GError *error)
{
  return error->domain == RAMET_ERROR ? ramet_error_get_private (error)->hint : NULL;
}

/* The one table of exit statuses; README and `ramet --help` tell the same. */
static const int exit_statuses[] = {
  [RAMET_ERROR_FAILED] = 1,  [RAMET_ERROR_USAGE] = 2,   [RAMET_ERROR_NOT_FOUND] = 3, [RAMET_ERROR_STATE] = 4,
  [RAMET_ERROR_REFUSED] = 5, [RAMET_ERROR_PARTLY] = 6,  [RAMET_ERROR_TIMEOUT] = 124, [RAMET_ERROR_CANCELLED] = 130,
  [RAMET_ERROR_LOST] = 1,    [RAMET_ERROR_FORGED] = 1,
};

/**
 * ramet_error_exit_status:
 *
 * Returns: what the process ends with for this error, 1–255
 */
int
ramet_error_exit_status (const GError *error)
{
  if (error->domain == RAMET_ERROR && error->code >= 0 && (gsize) error->code < G_N_ELEMENTS (exit_statuses))
    return exit_statuses[error->code];
  if (error->domain == G_OPTION_ERROR)
    return exit_statuses[RAMET_ERROR_USAGE];
  return exit_statuses[RAMET_ERROR_FAILED];
}

/** ramet_error_code_of_status: what a ramet meant that ended with @status, which is not 0 */
RametErrorCode
ramet_error_code_of_status (int status)
{
  for (gsize i = 0; i < G_N_ELEMENTS (exit_statuses); i++)
    if (exit_statuses[i] == status)
      return (RametErrorCode) i;
  return RAMET_ERROR_FAILED;
}

/** ramet_findings_new: free with g_ptr_array_unref() */
RametFindings *
ramet_findings_new (void)
{
  return g_ptr_array_new_with_free_func ((GDestroyNotify) g_error_free);
}

/** ramet_findings_take: takes @error, which may be %NULL (nothing found) */
void
ramet_findings_take (RametFindings *findings, GError *error)
{
  if (error != NULL)
    g_ptr_array_add (findings, error);
}

/**
 * ramet_findings_raise:
 *
 * Sets @error to the first finding with the others chained behind it, see ramet_error_get_next().
 *
 * Returns: %TRUE if nothing was found
 */
gboolean
ramet_findings_raise (RametFindings *findings, GError **error)
{
  g_autoptr (GError) chain = NULL;

  if (findings->len == 0)
    return TRUE;
  for (guint i = findings->len; i-- > 0;)
    {
      const GError *found = g_ptr_array_index (findings, i);
      g_autoptr (GError) link = NULL;

      if (found->domain == RAMET_ERROR)
        link = g_error_copy (found);
      else
        link = g_error_new_literal (RAMET_ERROR, RAMET_ERROR_FAILED, found->message);
      ramet_error_get_private (link)->next = g_steal_pointer (&chain);
      chain = g_steal_pointer (&link);
    }
  g_propagate_error (error, g_steal_pointer (&chain));
  return FALSE;
}

/** ramet_error_get_next: (transfer none) (nullable) */
const GError *
ramet_error_get_next (const GError *error)
{
  return error->domain == RAMET_ERROR ? ramet_error_get_private (error)->next : NULL;
}

static void
free_error (gpointer error)
{
  if (error)
    g_error_free (error);
}

/** ramet_errors_new: @n times none; free with g_ptr_array_unref() */
RametErrors *
ramet_errors_new (guint n)
{
  RametErrors *errors = g_ptr_array_new_with_free_func (free_error);

  g_ptr_array_set_size (errors, (gint) n);
  return errors;
}

/** ramet_errors_set: takes @error, which may be %NULL */
void
ramet_errors_set (RametErrors *errors, guint index, GError *error)
{
  free_error (g_ptr_array_index (errors, index));
  g_ptr_array_index (errors, index) = error;
}

/**
 * ramet_errors_raise:
 *
 * Sets @error to all of @errors as ramet_findings_raise() does; after Ctrl-C only to that.
 *
 * Returns: %TRUE if there is none
 */
gboolean
ramet_errors_raise (RametErrors *errors, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; i < errors->len; i++)
    {
      const GError *one = g_ptr_array_index (errors, i);

      if (one && g_error_matches (one, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        g_ptr_array_set_size (findings, 0);
      ramet_findings_take (findings, one ? g_error_copy (one) : NULL);
      if (one && g_error_matches (one, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        break;
    }
  return ramet_findings_raise (findings, error);
}
