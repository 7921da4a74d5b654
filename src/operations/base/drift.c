/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/base/drift.h"

#include "core/text.h"

/** ramet_drift_remember: adds the fingerprint of @image, a layer under the clone's disk @target, to @metadata */
void
ramet_drift_remember (RametMetadata *metadata, const char *target, const RametImage *image)
{
  ramet_drift_fill (ramet_metadata_add_fingerprint (metadata, target, image->path, image->format), image);
}

/** ramet_drift_fill: @print is of @image from now on, which has its path */
void
ramet_drift_fill (RametFingerprint *print, const RametImage *image)
{
  print->inode = image->inode;
  print->size = image->file_size;
  print->mtime_ns = image->mtime_ns;
  print->capacity = image->capacity;
  g_free (print->header);
  print->header = g_strdup (image->header);
}

static char *
time_text (gint64 ns)
{
  g_autoptr (GDateTime) at = g_date_time_new_from_unix_local (ns / 1000000000);

  return at ? g_date_time_format (at, "%Y-%m-%d %H:%M:%S") : g_strdup ("another time");
}

/**
 * ramet_drift_describe:
 * @moved: @image may be another file with the same content
 *
 * Returns: (transfer full) (nullable): what of @print, as far as it is known, does not hold of @image: "it was written to at
 * …, its header is another"; %NULL if all holds
 */
char *
ramet_drift_describe (const RametFingerprint *print, const RametImage *image, gboolean moved)
{
  g_autoptr (GString) what = g_string_new (NULL);

  if (print->capacity && print->capacity != image->capacity)
    {
      g_autofree char *was = ramet_text_size (print->capacity);
      g_autofree char *is = ramet_text_size (image->capacity);

      g_string_append_printf (what, ", its disk has %s and had %s", is, was);
    }
  if (print->size && image->file_size && print->size != image->file_size)
    g_string_append_printf (what, ", it has %" G_GUINT64_FORMAT " bytes and had %" G_GUINT64_FORMAT, image->file_size,
                            print->size);
  if (print->mtime_ns && image->mtime_ns && print->mtime_ns != image->mtime_ns)
    {
      g_autofree char *at = time_text (image->mtime_ns);

      g_string_append_printf (what, ", it was written to at %s", at);
    }
  if (print->header && image->header && !g_str_equal (print->header, image->header))
    g_string_append (what, ", its header is another");
  if (!moved && print->inode && image->inode && print->inode != image->inode)
    g_string_append (what, ", it was replaced by another file");
  return what->len ? g_strdup (what->str + 2) : NULL;
}

/** ramet_drift_compare: (transfer full) (nullable): what ramet_drift_describe() finds of a file that a clone stands on */
char *
ramet_drift_compare (const RametFingerprint *print, const RametImage *image, gboolean moved)
{
  g_autofree char *what = ramet_drift_describe (print, image, moved);

  return what ? g_strdup_printf ("'%s' is not what it was when the clone was made: %s", image->path, what) : NULL;
}

/**
 * ramet_drift_find:
 * @error: only if libvirt could not be asked; a file that is gone or not what it was is a finding
 *
 * Looks at each file that a clone with @metadata stands on.
 *
 * Returns: (transfer full) (element-type utf8): a sentence for each that has changed
 */
GPtrArray *
ramet_drift_find (RametConnection *connection, const RametMetadata *metadata, GError **error)
{
  g_autoptr (GPtrArray) changes = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->fingerprints, i);
      g_autoptr (GError) why = NULL;
      g_autoptr (RametImage) image = ramet_image_look (connection, print->path, print->format, &why);
      char *change = image ? ramet_drift_compare (print, image, FALSE) : NULL;

      if (image == NULL && !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND) &&
          !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_REFUSED))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return NULL;
        }
      if (image == NULL)
        change = g_strdup (why->message);
      if (change)
        g_ptr_array_add (changes, change);
    }
  return g_steal_pointer (&changes);
}

/** ramet_drift_tell: (transfer full) (nullable): what ramet_drift_find() finds as one text, "" for nothing */
char *
ramet_drift_tell (RametConnection *connection, const RametMetadata *metadata, GError **error)
{
  g_autoptr (GPtrArray) changes = ramet_drift_find (connection, metadata, error);

  if (changes == NULL)
    return NULL;
  g_ptr_array_add (changes, NULL);
  return g_strjoinv ("; ", (char **) changes->pdata);
}

/** ramet_drift_check: RAMET_ERROR_REFUSED if a file that the clone @vm stands on has changed: it may see garbage */
gboolean
ramet_drift_check (const RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autofree char *all = ramet_drift_tell (ramet_domain_get_connection (vm->domain), vm->metadata, error);

  if (all == NULL)
    return FALSE;
  if (*all == '\0')
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot start '%s', whose base has changed: %s", name, all);
  ramet_error_hint (error, "put the base back as it was; if it was only moved: 'ramet rebase %s'; 'ramet start --force "
                           "%s' starts it all the same, with what its disk then holds", name, name);
  return FALSE;
}
