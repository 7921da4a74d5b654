/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/overlay/apply.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/error.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/files/beneath.h"
#include "host/files/staging.h"

#define CHUNK (64 * 1024)
#define MAX_TOLD 20       /* findings of one kind */
#define SPARE_BYTES (16 * 1024 * 1024)
#define ACL_XATTR "system.posix_acl_access"
#define MAX_ACL 65536

/* Files on their way to the host. */
typedef struct
{
  const RametOverlayView *view;
  RametStaging *staging;
  GHashTable *numbers; /* (element-type RametChange guint): staged, for they are not what the host has */
  RametChange *current;
  guint number;
  int fd;              /* of a file */
  GString *target;     /* of a symlink */
  GHashTable *leading_out; /* (element-type RametChange): symlinks that point out of the tree */
} Stager;

/**
 * ramet_overlay_recover:
 *
 * To be done before the view is loaded: keeps others out of the folder, and puts back what one that was killed left there.
 */
gboolean
ramet_overlay_recover (RametOverlayView *view, RametTask *task, GError **error)
{
  guint n_taken_back = 0;

  if (flock (view->root_fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "another 'ramet apply' works in '%s'", view->share->source);
      return FALSE;
    }
  if (!ramet_staging_recover (view->root_fd, view->share->source, &n_taken_back, error))
    return FALSE;
  if (n_taken_back > 0)
    ramet_task_warn (task, "an earlier 'ramet apply' was cut off: what it had changed in '%s' was put back",
                     view->share->source);
  return TRUE;
}

static gboolean
write_all (int fd, const guint8 *bytes, gsize length)
{
  while (length > 0)
    {
      ssize_t n = write (fd, bytes, length);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return FALSE;
      bytes += n;
      length -= (gsize) n;
    }
  return TRUE;
}

static gboolean
begin_file (RametChange *change, guint64 size, gpointer data, GError **error)
{
  Stager *stager = data;

  stager->current = change;
  g_string_truncate (stager->target, 0);
  if (change->entry->type == RAMET_UPPER_SYMLINK)
    return TRUE;
  stager->fd = ramet_staging_create (stager->staging, &stager->number, error);
  return stager->fd >= 0;
}

static gboolean
take_contents (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Stager *stager = data;

  if (stager->fd < 0)
    g_string_append_len (stager->target, (const char *) bytes, (gssize) length);
  else if (!write_all (stager->fd, bytes, length))
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write to '%s': %s", stager->view->share->source,
                       g_strerror (errno));
      return FALSE;
    }
  return TRUE;
}

static gboolean
same_contents (int a_fd, int b_fd)
{
  g_autofree char *a = g_malloc (CHUNK);
  g_autofree char *b = g_malloc (CHUNK);
  off_t at = 0;

  for (;;)
    {
      ssize_t n = pread (a_fd, a, CHUNK, at);
      ssize_t m = pread (b_fd, b, CHUNK, at);

      /* a short read is taken for a difference, which does no harm */
      if (n < 0 || n != m || memcmp (a, b, (gsize) n) != 0)
        return FALSE;
      if (n == 0)
        return TRUE;
      at += n;
    }
}

/* git knows of a mode whether the owner may run the file; all else is the host's own. */
static mode_t
mode_for (const RametChange *change)
{
  mode_t mask = umask (0);
  gboolean executable = (change->entry->mode & 0100) != 0;
  mode_t mode;

  umask (mask);
  if (!change->host.exists || !S_ISREG (change->host.mode))
    return (executable ? 0777 : 0666) & ~mask;
  mode = change->host.mode & 0777;
  if (((mode & 0100) != 0) == executable)
    return mode;
  return executable ? mode | ((mode & 0444) >> 2) : mode & ~(mode_t) 0111;
}

/* What else the host's file had: who owns it, if that can be kept, and who has access beyond the mode. */
static void
take_attributes (int from_fd, int to_fd, const struct stat *st)
{
  g_autofree char *acl = g_malloc (MAX_ACL);
  ssize_t n = fgetxattr (from_fd, ACL_XATTR, acl, MAX_ACL);

  /* only root can give files away, and only root needs to */
  if (fchown (to_fd, st->st_uid, st->st_gid) < 0 && fchown (to_fd, (uid_t) -1, st->st_gid) < 0)
    errno = 0;
  if (n > 0)
    fsetxattr (to_fd, ACL_XATTR, acl, (gsize) n, 0);
}

/* Gives the staged file the attributes it is to have; tells whether it is what the host has already. */
static gboolean
finish_file (Stager *stager)
{
  const RametChange *change = stager->current;
  int host_fd = S_ISREG (change->host.mode)
                  ? ramet_beneath_open (stager->view->root_fd, change->path, O_RDONLY | O_NONBLOCK, 0) : -1;
  gboolean executable = (change->entry->mode & 0100) != 0;
  gboolean same = FALSE;
  struct stat st;

  if (host_fd >= 0)
    {
      if (fstat (host_fd, &st) == 0)
        {
          same = S_ISREG (st.st_mode) && ((st.st_mode & 0100) != 0) == executable &&
                 (guint64) st.st_size == change->entry->size && same_contents (host_fd, stager->fd);
          take_attributes (host_fd, stager->fd, &st);
        }
      close (host_fd);
    }
  fchmod (stager->fd, mode_for (change));
  return same;
}

static gboolean
end_link (Stager *stager, GError **error)
{
  const RametChange *change = stager->current;
  g_autofree char *there = change->host.is_link ? ramet_beneath_read_link (stager->view->root_fd, change->path) : NULL;

  if (g_strcmp0 (there, stager->target->str) == 0)
    return TRUE;
  if (!ramet_staging_create_link (stager->staging, stager->target->str, &stager->number, error))
    return FALSE;
  g_hash_table_insert (stager->numbers, stager->current, GUINT_TO_POINTER (stager->number));
  if (!ramet_upper_link_stays (change->path, stager->target->str))
    g_hash_table_add (stager->leading_out, stager->current);
  return TRUE;
}

static gboolean
end_file (gpointer data, GError **error)
{
  Stager *stager = data;
  gboolean same;

  if (stager->fd < 0)
    return end_link (stager, error);
  same = finish_file (stager);
  if (close (stager->fd) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write to '%s': %s", stager->view->share->source,
                       g_strerror (errno));
      stager->fd = -1;
      return FALSE;
    }
  stager->fd = -1;
  if (same)
    ramet_staging_forget (stager->staging, stager->number);
  else
    g_hash_table_insert (stager->numbers, stager->current, GUINT_TO_POINTER (stager->number));
  return TRUE;
}

static const RametContentsFuncs stager_funcs = { begin_file, take_contents, end_file };

static gboolean
check_room (const RametOverlayView *view, GPtrArray *wanted, GError **error)
{
  struct statvfs fs;
  guint64 needed = SPARE_BYTES;
  g_autofree char *needed_text = NULL;
  g_autofree char *free_text = NULL;

  for (guint i = 0; i < wanted->len; i++)
    needed += ((const RametChange *) g_ptr_array_index (wanted, i))->entry->size;
  if (fstatvfs (view->root_fd, &fs) < 0 || needed <= (guint64) fs.f_bavail * fs.f_frsize)
    return TRUE;
  needed_text = ramet_text_size (needed);
  free_text = ramet_text_size ((guint64) fs.f_bavail * fs.f_frsize);
  ramet_error_set (error, RAMET_ERROR_FAILED, "the changed files take %s, and '%s' has %s left", needed_text,
                   view->share->source, free_text);
  ramet_error_hint (error, "name the paths you want to take over");
  return FALSE;
}

static gboolean
stage (Stager *stager, RametTask *task, const RametChanges *changes, GError **error)
{
  g_autoptr (GPtrArray) wanted = g_ptr_array_new ();
  gboolean done;

  for (guint i = 0; i < changes->changes->len; i++)
    {
      RametChange *change = g_ptr_array_index (changes->changes, i);

      if (!change->deleted)
        g_ptr_array_add (wanted, change);
    }
  done = check_room (stager->view, wanted, error) &&
         ramet_overlay_read (stager->view, task, wanted, &stager_funcs, stager, error);
  if (stager->fd >= 0)
    close (stager->fd);
  stager->fd = -1;
  RAMET_STEP ("changes-staged");
  return done;
}

/* One finding a path, up to a number of them. */
static void
find (RametFindings *findings, guint n, RametErrorCode code, const char *path, const char *what, const char *hint)
{
  g_autofree char *safe = ramet_text_escape (path, -1);
  GError *finding = NULL;

  if (n > MAX_TOLD)
    return;
  if (n == MAX_TOLD)
    ramet_error_set (&finding, code, "and more of the kind");
  else
    ramet_error_set (&finding, code, "'%s' %s", safe, what);
  if (n == 0)
    ramet_error_hint (&finding, "%s", hint);
  ramet_findings_take (findings, finding);
}

static gboolean
check (const Stager *stager, const RametChanges *changes, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  guint n_conflicts = 0;
  guint n_leading_out = 0;

  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);

      if (!change->deleted && !g_hash_table_contains (stager->numbers, change))
        continue;
      if (ramet_change_is_conflict (stager->view, change))
        find (findings, n_conflicts++, RAMET_ERROR_STATE, change->path,
              change->deleted ? "was deleted in the guest, and changed on the host" : "was changed in the guest and on the host",
              "'ramet diff' shows the difference; --force takes the guest's side, 'ramet discard' the host's");
      if (g_hash_table_contains (stager->leading_out, change))
        find (findings, n_leading_out++, RAMET_ERROR_REFUSED, change->path, "is a symlink that points out of the shared folder",
              "programs on the host would follow it; --force makes it all the same");
    }
  return ramet_findings_raise (findings, error);
}

static RametStagingExpected
expected_of (const RametOnHost *host)
{
  return (RametStagingExpected) { host->exists, host->device, host->inode, host->size, host->mtime_ns, host->ctime_ns };
}

/* Folders on the way to a new file that the overlay did not list: the host lost them meanwhile. */
static gboolean
plan_parents (const Stager *stager, GHashTable *known, const char *path, GError **error)
{
  for (const char *slash = strchr (path, '/'); slash; slash = strchr (slash + 1, '/'))
    {
      char *folder = g_strndup (path, slash - path);
      RametOnHost host;

      if (!g_hash_table_add (known, folder))
        continue;
      if (!ramet_on_host_look (stager->view->root_fd, folder, &host, error))
        return FALSE;
      if (!host.exists || !S_ISDIR (host.mode))
        ramet_staging_plan_make_folder (stager->staging, folder);
    }
  return TRUE;
}

/* What goes first, so that what comes finds room: a file can take a folder's place, and a folder a file's. */
static gboolean
plan (const Stager *stager, const RametChanges *changes, guint *ret_n_changed, GError **error)
{
  g_autoptr (GHashTable) known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n = 0;

  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);
      RametStagingExpected expected = expected_of (&change->host);

      if (change->deleted && ++n)
        ramet_staging_plan_remove (stager->staging, change->path, &expected);
    }
  for (guint i = changes->removed_folders->len; i-- > 0; n++)
    ramet_staging_plan_remove_folder (stager->staging, g_ptr_array_index (changes->removed_folders, i));
  for (guint i = 0; i < changes->made_folders->len; i++, n++)
    {
      const char *folder = g_ptr_array_index (changes->made_folders, i);

      if (!plan_parents (stager, known, folder, error))
        return FALSE;
      if (g_hash_table_add (known, g_strdup (folder)))
        ramet_staging_plan_make_folder (stager->staging, folder);
    }
  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);
      guint number = GPOINTER_TO_UINT (g_hash_table_lookup (stager->numbers, change));
      RametStagingExpected expected = expected_of (&change->host);

      if (number == 0)
        continue;
      if (!plan_parents (stager, known, change->path, error))
        return FALSE;
      ramet_staging_plan_put (stager->staging, number, change->path, &expected);
      n++;
    }
  *ret_n_changed = n;
  return TRUE;
}

/**
 * ramet_overlay_apply:
 * @changes: of @view
 * @ret_n_changed: (out): how many files and folders of the host were made, changed or removed
 * @error: RAMET_ERROR_STATE if files were changed on both sides, RAMET_ERROR_REFUSED if symlinks lead out of the tree; all
 *         such findings at once
 *
 * Takes the changes over into the shared folder, all or none.
 */
gboolean
ramet_overlay_apply (const RametOverlayView *view, RametTask *task, const RametChanges *changes,
                     const RametApplyOptions *options, guint *ret_n_changed, GError **error)
{
  g_autoptr (RametStaging) staging = NULL;
  g_autoptr (GHashTable) numbers = g_hash_table_new (NULL, NULL);
  g_autoptr (GHashTable) leading_out = g_hash_table_new (NULL, NULL);
  g_autoptr (GString) target = g_string_new (NULL);
  Stager stager = { .view = view, .numbers = numbers, .fd = -1, .target = target, .leading_out = leading_out };

  *ret_n_changed = 0;
  if (changes->changes->len == 0 && changes->removed_folders->len == 0 && changes->made_folders->len == 0)
    return TRUE;
  staging = stager.staging = ramet_staging_new (view->root_fd, view->share->source, error);
  if (staging == NULL)
    return FALSE;
  if (options->with_git)
    ramet_staging_allow_git (staging);
  if (!stage (&stager, task, changes, error) || (!options->force && !check (&stager, changes, error)) ||
      !plan (&stager, changes, ret_n_changed, error))
    return FALSE;
  ramet_task_step (task, "changing %u files", *ret_n_changed);
  return ramet_staging_commit (staging, task, error);
}
