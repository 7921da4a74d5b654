/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/beneath.h"
#include "host/files/staging-private.h"
#include "host/files/staging-seal.h"

#define MARK "mark"
#define MARK_TEXT "ramet-apply 1\n" /* what the mark is a seal on */
#define MAX_MARK 128

static gint64
nanoseconds (struct timespec time)
{
  return (gint64) time.tv_sec * 1000000000 + time.tv_nsec;
}

/** staging_look: what is at @name; gives whether there is anything */
gboolean
staging_look (int dir_fd, const char *name, RametStagingExpected *ret_found)
{
  struct stat st;

  memset (ret_found, 0, sizeof *ret_found);
  if (fstatat (dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
    return FALSE;
  ret_found->exists = TRUE;
  ret_found->device = st.st_dev;
  ret_found->inode = st.st_ino;
  ret_found->size = (guint64) st.st_size;
  ret_found->mtime_ns = nanoseconds (st.st_mtim);
  ret_found->ctime_ns = nanoseconds (st.st_ctim);
  return TRUE;
}

/** staging_read_file: (transfer full) (nullable): sets errno; what is no file, or larger than @max, is not read */
char *
staging_read_file (int dir_fd, const char *name, gsize max, gsize *ret_length)
{
  /* what somebody planted can be a fifo */
  int fd = openat (dir_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  g_autofree char *text = NULL;
  gsize length = 0;
  struct stat st;
  ssize_t n = 0;
  int why;

  if (fd < 0)
    return NULL;
  why = fstat (fd, &st) < 0 ? errno : !S_ISREG (st.st_mode) ? EINVAL : (guint64) st.st_size > max ? EFBIG : 0;
  if (why == 0)
    {
      text = g_malloc ((gsize) st.st_size + 1);
      while (length < (gsize) st.st_size && (n = read (fd, text + length, (gsize) st.st_size - length)) > 0)
        length += (gsize) n;
      why = n < 0 ? errno : 0;
      text[length] = '\0';
    }
  close (fd);
  errno = why;
  if (why != 0)
    return NULL;
  *ret_length = length;
  return g_steal_pointer (&text);
}

void
staging_folder_close (StagingFolder *folder)
{
  if (folder->new_fd >= 0)
    close (folder->new_fd);
  if (folder->old_fd >= 0)
    close (folder->old_fd);
  if (folder->fd >= 0)
    close (folder->fd);
  folder->fd = folder->new_fd = folder->old_fd = -1;
  g_clear_pointer (&folder->name, g_free);
  g_clear_pointer (&folder->path, g_free);
}

static StagingFolder
folder_named (int root_fd, const char *root_path, const char *name)
{
  StagingFolder folder = { .root_fd = root_fd, .fd = -1, .new_fd = -1, .old_fd = -1 };
  g_autofree char *path = g_build_filename (root_path, name, NULL);

  folder.name = g_strdup (name);
  folder.path = ramet_text_escape (path, -1);
  return folder;
}

static gboolean
not_ours (const StagingFolder *folder, GError **error)
{
  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is not of ramet's making", folder->path);
  ramet_error_hint (error, "nothing in it was touched; look into it and remove it, then try again");
  return FALSE;
}

static gboolean
of_somebody_else (const StagingFolder *folder, uid_t uid, GError **error)
{
  const struct passwd *user = getpwuid (uid);
  g_autofree char *number = g_strdup_printf ("%u", (guint) uid);

  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' belongs to the user '%s'", folder->path, user ? user->pw_name : number);
  ramet_error_hint (error, "if a 'ramet apply' of that user was cut off, that user's next one puts back what was there; "
                    "otherwise look into it and remove it");
  return FALSE;
}

static gboolean
cannot_open (const StagingFolder *folder, int why, GError **error)
{
  struct stat st;

  if (fstatat (folder->root_fd, folder->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
    {
      if (st.st_uid != geteuid ())
        return of_somebody_else (folder, st.st_uid, error);
      if (!S_ISDIR (st.st_mode) || (st.st_mode & 0777) != 0700)
        return not_ours (folder, error);
    }
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot open '%s': %s", folder->path, g_strerror (why));
  ramet_error_hint (error, "a 'ramet apply' that was cut off may have left it; what it has to put back is in there");
  return FALSE;
}

static gboolean
check_owner_and_mode (const StagingFolder *folder, GError **error)
{
  struct stat st;

  if (fstat (folder->fd, &st) < 0)
    return cannot_open (folder, errno, error);
  if (st.st_uid != geteuid ())
    return of_somebody_else (folder, st.st_uid, error);
  return (st.st_mode & 0777) == 0700 || not_ours (folder, error);
}

static gboolean
is_empty (int fd)
{
  int copy = openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *dir = copy >= 0 ? fdopendir (copy) : NULL;
  struct dirent *entry;
  gboolean empty = dir != NULL;

  while (empty && (entry = readdir (dir)) != NULL)
    empty = g_str_equal (entry->d_name, ".") || g_str_equal (entry->d_name, "..");
  if (dir)
    closedir (dir);
  return empty;
}

/* One that was cut off right behind its first step, or before its last one, has nothing in it, and no mark. */
static gboolean
check_mark (const StagingFolder *folder, GError **error)
{
  gsize length = 0;
  g_autofree char *mark = staging_read_file (folder->fd, MARK, MAX_MARK, &length);
  g_autofree char *wanted = NULL;

  if (mark == NULL)
    return is_empty (folder->fd) || not_ours (folder, error);
  wanted = staging_seal (folder, MARK_TEXT, strlen (MARK_TEXT), error);
  if (wanted == NULL)
    return FALSE;
  return g_str_equal (mark, wanted) || not_ours (folder, error);
}

/**
 * staging_folder_open:
 * @ret_folder: (out): locked; its fd is -1 if somebody alive works in it, or it is gone
 * @error: RAMET_ERROR_REFUSED if it is not of this user's ramet's making
 */
gboolean
staging_folder_open (int root_fd, const char *root_path, const char *name, StagingFolder *ret_folder, GError **error)
{
  StagingFolder folder = folder_named (root_fd, root_path, name);
  gboolean fine;
  int why;

  folder.fd = ramet_beneath_open (root_fd, name, O_RDONLY | O_DIRECTORY, 0);
  why = folder.fd < 0 || flock (folder.fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
  if (why == 0)
    fine = check_owner_and_mode (&folder, error) && check_mark (&folder, error);
  else
    fine = (folder.fd < 0 ? why == ENOENT : why == EWOULDBLOCK) || cannot_open (&folder, why, error);
  if (why != 0 || !fine)
    staging_folder_close (&folder);
  else
    {
      folder.new_fd = ramet_beneath_open (folder.fd, "new", O_RDONLY | O_DIRECTORY, 0);
      folder.old_fd = ramet_beneath_open (folder.fd, "old", O_RDONLY | O_DIRECTORY, 0);
    }
  *ret_folder = folder;
  return fine;
}

static gboolean
cannot_make (const char *root_path, int why, GError **error)
{
  ramet_error_set (error, why == EACCES || why == EPERM || why == EROFS ? RAMET_ERROR_REFUSED : RAMET_ERROR_FAILED,
                   "cannot write to the shared folder '%s': %s", root_path, g_strerror (why));
  return FALSE;
}

/* The next one would not know it for ours, and put nothing back. */
static gboolean
check_kept (const StagingFolder *folder, const char *root_path, GError **error)
{
  struct stat st;

  if (fstat (folder->fd, &st) < 0)
    return cannot_make (root_path, errno, error);
  if (st.st_uid == geteuid () && (st.st_mode & 0777) == 0700)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "the filesystem of '%s' does not keep who owns a folder and its mode", root_path);
  return FALSE;
}

static gboolean
write_mark (const StagingFolder *folder, const char *root_path, GError **error)
{
  g_autofree char *mark = staging_seal (folder, MARK_TEXT, strlen (MARK_TEXT), error);
  gboolean written;
  int why;
  int fd;

  if (mark == NULL)
    return FALSE;
  fd = openat (folder->fd, MARK, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0)
    return cannot_make (root_path, errno, error);
  written = write (fd, mark, strlen (mark)) == (gssize) strlen (mark) && fsync (fd) == 0;
  why = errno;
  close (fd);
  return written || cannot_make (root_path, why, error);
}

/** staging_folder_make: and locks it; what was made before an error is deleted again */
gboolean
staging_folder_make (int root_fd, const char *root_path, StagingFolder *ret_folder, GError **error)
{
  g_autofree char *name = g_strdup_printf (RAMET_UPPER_STAGING "%08x%08x", g_random_int (), g_random_int ());
  StagingFolder folder = folder_named (root_fd, root_path, name);
  gboolean made;

  if (mkdirat (root_fd, name, 0700) < 0)
    {
      cannot_make (root_path, errno, error);
      staging_folder_close (&folder);
      return FALSE;
    }
  folder.fd = ramet_beneath_open (root_fd, name, O_RDONLY | O_DIRECTORY, 0);
  made = (folder.fd >= 0 && flock (folder.fd, LOCK_EX | LOCK_NB) == 0) || cannot_make (root_path, errno, error);
  made = made && check_kept (&folder, root_path, error) && write_mark (&folder, root_path, error);
  if (made && (mkdirat (folder.fd, "new", 0700) < 0 || mkdirat (folder.fd, "old", 0700) < 0 ||
               (folder.new_fd = ramet_beneath_open (folder.fd, "new", O_RDONLY | O_DIRECTORY, 0)) < 0 ||
               (folder.old_fd = ramet_beneath_open (folder.fd, "old", O_RDONLY | O_DIRECTORY, 0)) < 0))
    made = cannot_make (root_path, errno, error);
  if (!made)
    {
      staging_folder_delete (&folder);
      staging_folder_close (&folder);
      return FALSE;
    }
  *ret_folder = folder;
  return TRUE;
}

static void
delete_names_in (int fd)
{
  int copy = fd >= 0 ? openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  DIR *dir = copy >= 0 ? fdopendir (copy) : NULL;
  struct dirent *entry;

  if (dir == NULL)
    return;
  while ((entry = readdir (dir)) != NULL)
    unlinkat (fd, entry->d_name, 0);
  closedir (dir);
}

/** staging_folder_delete: with what is left in it; what cannot be deleted stays */
void
staging_folder_delete (StagingFolder *folder)
{
  /* the journal first: without it there is nothing to take back; the mark last: without it all in there would be refused */
  unlinkat (folder->fd, STAGING_JOURNAL, 0);
  unlinkat (folder->fd, STAGING_JOURNAL_PART, 0);
  delete_names_in (folder->new_fd);
  delete_names_in (folder->old_fd);
  if ((unlinkat (folder->fd, "new", AT_REMOVEDIR) == 0 || errno == ENOENT) &&
      (unlinkat (folder->fd, "old", AT_REMOVEDIR) == 0 || errno == ENOENT))
    unlinkat (folder->fd, MARK, 0);
  unlinkat (folder->root_fd, folder->name, AT_REMOVEDIR);
}
