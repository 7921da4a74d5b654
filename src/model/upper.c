/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/upper.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "model/archive.h"

#define MAX_ENTRIES 1000000
#define MAX_PATH_BYTES (256 * 1024 * 1024) /* of all paths together */
#define MAX_RECORD (PATH_MAX + 256)
#define HEAD "ramet-overlay 1 "
#define N_FIELDS 8 /* in front of a path */

struct _RametUpperReader
{
  RametUpper *overlay;
  GString *record;
  gsize path_bytes;
  gboolean has_head;
  RametArchive *archive; /* of the folders, once the list itself is through */
};

static void
entry_free (gpointer data)
{
  RametUpperEntry *entry = data;

  g_free (entry->path);
  g_free (entry->stamp);
  g_free (entry);
}

void
ramet_upper_free (RametUpper *overlay)
{
  g_hash_table_unref (overlay->by_path);
  g_ptr_array_unref (overlay->entries);
  g_free (overlay);
}

/** ramet_upper_find: (transfer none) (nullable) */
const RametUpperEntry *
ramet_upper_find (const RametUpper *overlay, const char *path)
{
  return g_hash_table_lookup (overlay->by_path, path);
}

/** ramet_upper_check_path: whether @path is relative, without an empty, "." or ".." part, and no longer than a path may be */
gboolean
ramet_upper_check_path (const char *path)
{
  const char *part = path;

  if (strlen (path) >= PATH_MAX)
    return FALSE;
  for (;;)
    {
      gsize length = strcspn (part, "/");

      if (length == 0 || length > NAME_MAX || (length == 1 && *part == '.') ||
          (length == 2 && part[0] == '.' && part[1] == '.'))
        return FALSE;
      if (part[length] == '\0')
        return TRUE;
      part += length + 1;
    }
}

/** ramet_upper_is_git: whether @path lies in a folder of git's own, in which a file can be a program to run */
gboolean
ramet_upper_is_git (const char *path)
{
  for (const char *part = path; part; part = strchr (part, '/'))
    {
      part += *part == '/';
      if (g_ascii_strncasecmp (part, ".git", 4) == 0 && (part[4] == '\0' || part[4] == '/'))
        return TRUE;
    }
  return FALSE;
}

/** ramet_upper_is_staging: whether @path lies in a folder that `ramet apply` works in, of this share or of one in it */
gboolean
ramet_upper_is_staging (const char *path)
{
  for (const char *part = path; part; part = strchr (part, '/'))
    {
      part += *part == '/';
      if (g_ascii_strncasecmp (part, RAMET_UPPER_STAGING, strlen (RAMET_UPPER_STAGING)) == 0)
        return TRUE;
    }
  return FALSE;
}

/** ramet_upper_is_beneath: whether @path is @folder or lies in it; "" is the folder of all */
gboolean
ramet_upper_is_beneath (const char *path, const char *folder)
{
  gsize length = strlen (folder);

  return length == 0 || (strncmp (path, folder, length) == 0 && (path[length] == '/' || path[length] == '\0'));
}

/**
 * ramet_upper_link_stays:
 * @path: of a symlink, relative to the tree
 * @target: what it points to
 *
 * Whether it points into the tree whatever other symlinks there are that stay in it too: upwards goes only its start,
 * through folders that are known to be none.
 */
gboolean
ramet_upper_link_stays (const char *path, const char *target)
{
  gsize depth = 0;
  gboolean down = FALSE;
  g_auto (GStrv) parts = NULL;

  if (*target == '/' || *target == '\0')
    return FALSE;
  for (const char *p = path; *p; p++)
    depth += *p == '/';
  parts = g_strsplit (target, "/", -1);
  for (char **part = parts; *part; part++)
    {
      if (g_str_equal (*part, "..") && (down || depth-- == 0))
        return FALSE;
      if (!g_str_equal (*part, "..") && !g_str_equal (*part, ".") && **part != '\0')
        down = TRUE;
    }
  return TRUE;
}

/** ramet_upper_parse_time: "SECONDS.NANOSECONDS" as `stat` writes it, nine digits behind the dot; "-" and before 1970: 0 */
gboolean
ramet_upper_parse_time (const char *text, gint64 *ret_ns)
{
  const char *dot = strchr (text, '.');
  g_autofree char *whole = dot ? g_strndup (text, dot - text) : g_strdup (text);
  guint64 seconds;
  guint64 nanoseconds = 0;

  if (*text == '-')
    {
      *ret_ns = 0;
      return TRUE;
    }
  if (!g_ascii_string_to_unsigned (whole, 10, 0, G_MAXINT64 / G_GINT64_CONSTANT (1000000000) - 1, &seconds, NULL) ||
      (dot && (strlen (dot + 1) != 9 || !g_ascii_string_to_unsigned (dot + 1, 10, 0, 999999999, &nanoseconds, NULL))))
    return FALSE;
  *ret_ns = (gint64) seconds * 1000000000 + (gint64) nanoseconds;
  return TRUE;
}

static gboolean
malformed (GError **error, const char *what)
{
  ramet_error_set (error, RAMET_ERROR_FORGED, "the guest sent a malformed list of changes: %s", what);
  return FALSE;
}

static RametUpperType
type_of (guint64 mode, const char *device)
{
  switch (mode & S_IFMT)
    {
    case S_IFREG:
      return RAMET_UPPER_FILE;
    case S_IFLNK:
      return RAMET_UPPER_SYMLINK;
    case S_IFDIR:
      return RAMET_UPPER_FOLDER;
    case S_IFCHR:
      return g_str_equal (device, "0:0") ? RAMET_UPPER_WHITEOUT : RAMET_UPPER_SPECIAL;
    default:
      return RAMET_UPPER_SPECIAL;
    }
}

/* Fields in front of the path: mode (hexadecimal), size, birth, mtime, ctime, inode, device. */
static RametUpperEntry *
parse_fields (char **fields)
{
  g_autofree RametUpperEntry *entry = g_new0 (RametUpperEntry, 1);
  guint64 mode;

  if (!g_ascii_string_to_unsigned (fields[0], 16, 0, 0xffff, &mode, NULL) ||
      !g_ascii_string_to_unsigned (fields[1], 10, 0, G_MAXINT64, &entry->size, NULL) ||
      !ramet_upper_parse_time (fields[2], &entry->birth_ns) ||
      !ramet_upper_parse_time (fields[3], &entry->mtime_ns) ||
      !ramet_upper_parse_time (fields[4], &entry->ctime_ns) ||
      !g_ascii_string_to_unsigned (fields[5], 10, 0, G_MAXUINT64, &entry->inode, NULL))
    return NULL;
  entry->type = type_of (mode, fields[6]);
  entry->mode = mode & 07777;
  return g_steal_pointer (&entry);
}

static gboolean
take_entry (RametUpperReader *reader, const char *record, GError **error)
{
  RametUpper *overlay = reader->overlay;
  g_auto (GStrv) fields = g_strsplit (record, " ", N_FIELDS);
  RametUpperEntry *entry;

  if (g_strv_length (fields) != N_FIELDS || !g_str_has_prefix (fields[7], "./") ||
      !(entry = parse_fields (fields)))
    return malformed (error, "a bad record");
  entry->path = g_strdup (fields[7] + 2);
  entry->stamp = g_strdup_printf ("%s %s", fields[5], fields[4]);
  reader->path_bytes += strlen (entry->path);
  if (overlay->entries->len >= MAX_ENTRIES || reader->path_bytes > MAX_PATH_BYTES)
    {
      entry_free (entry);
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the guest has changed more than %u paths", overlay->entries->len);
      ramet_error_hint (error, "look in the guest for what wrote them; 'ramet discard' empties the overlay");
      return FALSE;
    }
  if (!ramet_upper_check_path (entry->path) || ramet_upper_is_staging (entry->path))
    {
      overlay->n_refused++;
      entry_free (entry);
    }
  else if (!g_hash_table_insert (overlay->by_path, entry->path, entry))
    {
      /* the older one was replaced in the table, and still belongs to the array */
      g_ptr_array_add (overlay->entries, entry);
      return malformed (error, "a path that comes twice");
    }
  else
    g_ptr_array_add (overlay->entries, entry);
  return TRUE;
}

/* "ramet-overlay 1 NOW MOUNTED" */
static gboolean
take_head (RametUpperReader *reader, const char *record, GError **error)
{
  g_auto (GStrv) fields = NULL;

  if (!g_str_has_prefix (record, HEAD))
    return malformed (error, "no head");
  fields = g_strsplit (record + strlen (HEAD), " ", 2);
  reader->has_head = TRUE;
  if (g_strv_length (fields) != 2 || !ramet_upper_parse_time (fields[0], &reader->overlay->now_ns) ||
      !ramet_upper_parse_time (fields[1], &reader->overlay->mounted_ns))
    return malformed (error, "a bad head");
  return TRUE;
}

static gboolean
begin_folder (const RametArchiveMember *member, gpointer data, GError **error)
{
  RametUpperReader *reader = data;
  g_autofree char *path = NULL;
  RametUpperEntry *entry;

  if (member->type != RAMET_ARCHIVE_FOLDER || !g_str_has_prefix (member->path, "./"))
    return malformed (error, "something else among the folders");
  path = g_strdup (member->path + 2);
  if (g_str_has_suffix (path, "/"))
    path[strlen (path) - 1] = '\0';
  entry = g_hash_table_lookup (reader->overlay->by_path, path);
  if (entry && member->opaque)
    entry->opaque = TRUE;
  return TRUE;
}

static gboolean
no_contents (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  return malformed (error, "contents of a folder");
}

static gboolean
end_folder (gpointer data, GError **error)
{
  return TRUE;
}

static const RametArchiveFuncs folder_funcs = { begin_folder, no_contents, end_folder };

RametUpperReader *
ramet_upper_reader_new (void)
{
  RametUpperReader *reader = g_new0 (RametUpperReader, 1);

  reader->overlay = g_new0 (RametUpper, 1);
  reader->overlay->entries = g_ptr_array_new_with_free_func (entry_free);
  reader->overlay->by_path = g_hash_table_new (g_str_hash, g_str_equal);
  reader->record = g_string_new (NULL);
  return reader;
}

void
ramet_upper_reader_free (RametUpperReader *reader)
{
  g_clear_pointer (&reader->overlay, ramet_upper_free);
  g_clear_pointer (&reader->archive, ramet_archive_free);
  g_string_free (reader->record, TRUE);
  g_free (reader);
}

/* An empty record ends the list; what follows is an archive. */
static gboolean
take_record (RametUpperReader *reader, GError **error)
{
  const char *record = reader->record->str;

  if (!reader->has_head)
    return take_head (reader, record, error);
  if (*record != '\0')
    return take_entry (reader, record, error);
  reader->archive = ramet_archive_new (&folder_funcs, reader);
  return TRUE;
}

/** ramet_upper_reader_push: @error: RAMET_ERROR_FORGED, or RAMET_ERROR_REFUSED if there is too much of it */
gboolean
ramet_upper_reader_push (RametUpperReader *reader, const guint8 *bytes, gsize length, GError **error)
{
  while (length > 0 && reader->archive == NULL)
    {
      const guint8 *nul = memchr (bytes, '\0', length);
      gsize n = nul ? (gsize) (nul - bytes) : length;

      if (reader->record->len + n > MAX_RECORD)
        return malformed (error, "a record that is too long");
      g_string_append_len (reader->record, (const char *) bytes, n);
      if (nul == NULL)
        return TRUE;
      if (!take_record (reader, error))
        return FALSE;
      g_string_truncate (reader->record, 0);
      bytes += n + 1;
      length -= n + 1;
    }
  /* tar fills its last block with zeros, which do not count */
  return length == 0 || ramet_archive_push (reader->archive, bytes, length, &length, error);
}

static int
compare_paths (gconstpointer a, gconstpointer b)
{
  const RametUpperEntry *const *one = a;
  const RametUpperEntry *const *two = b;
  const guchar *p = (const guchar *) (*one)->path;
  const guchar *q = (const guchar *) (*two)->path;

  for (; *p && *p == *q; p++, q++)
    ;
  /* '/' sorts before all other bytes, so that what is in a folder follows it at once */
  return (*p == '/' ? 1 : *p == '\0' ? 0 : *p + 1) - (*q == '/' ? 1 : *q == '\0' ? 0 : *q + 1);
}

/** ramet_upper_reader_finish: (transfer full): @error is RAMET_ERROR_LOST if the list is not whole */
RametUpper *
ramet_upper_reader_finish (RametUpperReader *reader, GError **error)
{
  if (reader->archive == NULL || !ramet_archive_is_complete (reader->archive))
    {
      ramet_error_set (error, RAMET_ERROR_LOST, "the guest's list of changes is not whole");
      return NULL;
    }
  g_ptr_array_sort (reader->overlay->entries, compare_paths);
  return g_steal_pointer (&reader->overlay);
}
