/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/put-back.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/paths.h"

#define MAX_BYTES (16 * 1024 * 1024) /* of all notes; then they begin anew */
#define MAX_CHAIN 64                 /* how often one file may have been put back */
#define LINE "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT

/** ramet_put_back_note: @notes: (element-type RametPutBack) */
void
ramet_put_back_note (const GArray *notes)
{
  g_autofree char *path = ramet_paths_put_back ();
  g_autofree char *folder = g_path_get_dirname (path);
  struct stat st;
  FILE *file;
  int fd;

  if (notes->len == 0 || g_mkdir_with_parents (folder, 0700) < 0)
    return;
  fd = open (path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return;
  if (fstat (fd, &st) == 0 && st.st_size > MAX_BYTES && ftruncate (fd, 0) < 0)
    {
      close (fd);
      return;
    }
  file = fdopen (fd, "a");
  for (guint i = 0; i < notes->len; i++)
    {
      const RametPutBack *note = &g_array_index (notes, RametPutBack, i);

      fprintf (file, LINE "\n", note->device, note->inode, note->after_ns, note->before_ns);
    }
  fclose (file);
}

static char *
key_of (guint64 device, guint64 inode, gint64 ctime_ns)
{
  return g_strdup_printf ("%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT, device, inode, ctime_ns);
}

/** ramet_put_back_load: (transfer full): for ramet_put_back_ctime(); empty if there are no notes */
GHashTable *
ramet_put_back_load (void)
{
  GHashTable *notes = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autofree char *path = ramet_paths_put_back ();
  g_autofree char *text = NULL;
  g_auto (GStrv) lines = NULL;

  if (!g_file_get_contents (path, &text, NULL, NULL))
    return notes;
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++)
    {
      RametPutBack note;

      if (sscanf (*line, LINE, &note.device, &note.inode, &note.after_ns, &note.before_ns) == 4)
        g_hash_table_insert (notes, key_of (note.device, note.inode, note.after_ns),
                             g_memdup2 (&note.before_ns, sizeof note.before_ns));
    }
  return notes;
}

/** ramet_put_back_ctime: what @ctime_ns would be, had the file never been moved away and put back */
gint64
ramet_put_back_ctime (GHashTable *notes, guint64 device, guint64 inode, gint64 ctime_ns)
{
  for (guint i = 0; notes && i < MAX_CHAIN; i++)
    {
      g_autofree char *key = key_of (device, inode, ctime_ns);
      const gint64 *before_ns = g_hash_table_lookup (notes, key);

      if (before_ns == NULL)
        break;
      ctime_ns = *before_ns;
    }
  return ctime_ns;
}
