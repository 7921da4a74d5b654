/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/overlay/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/beneath.h"

#define CHUNK (128 * 1024)
#define LINK_MODE 0120000
#define MAX_PATCHED_BYTES (G_GUINT64_CONSTANT (512) * 1024 * 1024)
#define SPARE_BYTES (64 * 1024 * 1024) /* what has to be left where temporary files go */

/* Both sides on their way into git. */
typedef struct
{
  RametGit *git;
  GHashTable *new_marks; /* (element-type RametChange guint) */
} Import;

static gboolean
begin_new (RametChange *change, guint64 size, gpointer data, GError **error)
{
  Import *import = data;
  guint mark = 0;

  if (!ramet_git_begin_blob (import->git, size, &mark, error))
    return FALSE;
  g_hash_table_insert (import->new_marks, change, GUINT_TO_POINTER (mark));
  return TRUE;
}

static gboolean
write_new (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  return ramet_git_write (((Import *) data)->git, bytes, length, error);
}

static gboolean
end_new (gpointer data, GError **error)
{
  return ramet_git_end_blob (((Import *) data)->git, error);
}

static const RametContentsFuncs new_funcs = { begin_new, write_new, end_new };

static gboolean
cannot_read (const char *path, const char *why, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);

  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read '%s' in the shared folder: %s", safe, why);
  return FALSE;
}

/* Just @size bytes, for that many were announced. */
static gboolean
copy_file (RametGit *git, int fd, const char *path, guint64 size, GError **error)
{
  g_autofree guint8 *chunk = g_malloc (CHUNK);

  while (size > 0)
    {
      ssize_t n = read (fd, chunk, (gsize) MIN (size, CHUNK));

      if (n < 0 && errno == EINTR)
        continue;
      if (n <= 0)
        return cannot_read (path, n < 0 ? g_strerror (errno) : "it changed meanwhile", error);
      if (!ramet_git_write (git, chunk, (gsize) n, error))
        return FALSE;
      size -= (guint64) n;
    }
  return TRUE;
}

static gboolean
import_old_file (const RametOverlayView *view, RametGit *git, const RametChange *change, guint *ret_mark,
                 GError **error)
{
  int fd = ramet_beneath_open (view->root_fd, change->path, O_RDONLY | O_NONBLOCK, 0);
  struct stat st;
  gboolean done;

  if (fd < 0)
    return cannot_read (change->path, g_strerror (errno), error);
  if (fstat (fd, &st) < 0 || !S_ISREG (st.st_mode))
    done = cannot_read (change->path, "it changed meanwhile", error);
  else
    done = ramet_git_begin_blob (git, (guint64) st.st_size, ret_mark, error) &&
           copy_file (git, fd, change->path, (guint64) st.st_size, error) && ramet_git_end_blob (git, error);
  close (fd);
  return done;
}

/* @ret_mark stays 0 for what git does not know: sockets and the like. */
static gboolean
import_old (const RametOverlayView *view, RametGit *git, const RametChange *change, guint *ret_mark, GError **error)
{
  g_autofree char *target = NULL;

  if (S_ISREG (change->host.mode))
    return import_old_file (view, git, change, ret_mark, error);
  if (!change->host.is_link)
    return TRUE;
  target = ramet_beneath_read_link (view->root_fd, change->path);
  if (target == NULL)
    return cannot_read (change->path, g_strerror (errno), error);
  return ramet_git_begin_blob (git, strlen (target), ret_mark, error) &&
         ramet_git_write (git, (const guint8 *) target, strlen (target), error) && ramet_git_end_blob (git, error);
}

static mode_t
mode_for_git (mode_t mode, gboolean is_link)
{
  return is_link ? LINK_MODE : mode & 0100 ? 0100755 : 0100644;
}

static gboolean
import_trees (const RametChanges *changes, Import *import, const GArray *old_marks, GError **error)
{
  if (!ramet_git_begin_tree (import->git, RAMET_GIT_OLD, error))
    return FALSE;
  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);
      guint mark = g_array_index (old_marks, guint, i);

      if (mark && !ramet_git_add (import->git, mark, mode_for_git (change->host.mode, change->host.is_link),
                                  change->path, error))
        return FALSE;
    }
  if (!ramet_git_begin_tree (import->git, RAMET_GIT_NEW, error))
    return FALSE;
  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);
      guint mark = GPOINTER_TO_UINT (g_hash_table_lookup (import->new_marks, change));

      if (mark && !ramet_git_add (import->git, mark, mode_for_git (change->entry->mode, change->entry->type ==
                                                                    RAMET_UPPER_SYMLINK), change->path, error))
        return FALSE;
    }
  return TRUE;
}

/* git holds a file twice in memory to write its patch. */
static gboolean
check_sizes (const RametChanges *changes, RametGitForm form, GError **error)
{
  for (guint i = 0; i < changes->changes->len && form == RAMET_GIT_PATCH; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);
      guint64 size = MAX (change->deleted ? 0 : change->entry->size, change->host.size);
      g_autofree char *safe = NULL;
      g_autofree char *text = NULL;

      if (size <= MAX_PATCHED_BYTES)
        continue;
      safe = ramet_text_escape (change->path, -1);
      text = ramet_text_size (size);
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' has %s, which is too much for a diff", safe, text);
      ramet_error_hint (error, "'--stat' and '--name-only' show it, and 'ramet apply' takes it over; or name the paths you "
                               "want to see");
      return FALSE;
    }
  return TRUE;
}

/* A guest can claim files of any size; what does not fit is not fetched. */
static gboolean
check_room (const RametChanges *changes, GError **error)
{
  struct statvfs fs;
  guint64 needed = SPARE_BYTES;
  guint64 free_bytes;
  g_autofree char *needed_text = NULL;
  g_autofree char *free_text = NULL;

  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);

      needed += (change->deleted ? 0 : change->entry->size) + change->host.size;
    }
  if (statvfs (g_get_tmp_dir (), &fs) < 0)
    return TRUE;
  free_bytes = (guint64) fs.f_bavail * fs.f_frsize;
  if (needed <= free_bytes)
    return TRUE;
  needed_text = ramet_text_size (needed);
  free_text = ramet_text_size (free_bytes);
  ramet_error_set (error, RAMET_ERROR_FAILED, "the changed files take %s, and '%s' has %s left", needed_text,
                   g_get_tmp_dir (), free_text);
  ramet_error_hint (error, "name the paths you want to see, or set TMPDIR to a folder with more room");
  return FALSE;
}

static gboolean
import_all (const RametOverlayView *view, RametTask *task, const RametChanges *changes, Import *import, GError **error)
{
  g_autoptr (GPtrArray) wanted = g_ptr_array_new ();
  g_autoptr (GArray) old_marks = g_array_new (FALSE, TRUE, sizeof (guint));

  for (guint i = 0; i < changes->changes->len; i++)
    {
      RametChange *change = g_ptr_array_index (changes->changes, i);

      if (!change->deleted)
        g_ptr_array_add (wanted, change);
    }
  if (!ramet_overlay_read (view, task, wanted, &new_funcs, import, error))
    return FALSE;
  ramet_task_step (task, "comparing %u files", changes->changes->len);
  g_array_set_size (old_marks, changes->changes->len);
  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);

      if ((change->host.exists && !import_old (view, import->git, change, &g_array_index (old_marks, guint, i), error)) ||
          (i % 256 == 0 && !ramet_task_check (task, error)))
        return FALSE;
    }
  return import_trees (changes, import, old_marks, error) && ramet_git_finish (import->git, task, error);
}

/**
 * ramet_overlay_diff:
 * @changes: of @view
 * @func: told the text, in git's own words
 */
gboolean
ramet_overlay_diff (const RametOverlayView *view, RametTask *task, const RametChanges *changes, RametGitForm form,
                    gboolean nul, guint columns, RametPipeFunc func, gpointer data, GError **error)
{
  g_autoptr (GHashTable) new_marks = g_hash_table_new (NULL, NULL);
  g_autoptr (RametGit) git = NULL;
  Import import = { .new_marks = new_marks };

  if (changes->changes->len == 0)
    return TRUE;
  git = check_room (changes, error) && check_sizes (changes, form, error) ? ramet_git_new (error) : NULL;
  import.git = git;
  return git && import_all (view, task, changes, &import, error) &&
         ramet_git_compare (git, task, form, nul, columns, func, data, error);
}
