/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/staging.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/files/beneath.h"
#include "host/files/staging-private.h"

#define CHECK_EVERY 64

struct _RametStaging
{
  StagingFolder folder;
  char *root_path;
  guint n_files;
  GPtrArray *ops;     /* (element-type StagingOp) in the order in which they are done */
  gboolean kept;      /* what could not be put back is still in the folder */
};

static gboolean
cannot_stage (const char *root_path, int why, GError **error)
{
  ramet_error_set (error, why == EACCES || why == EPERM || why == EROFS ? RAMET_ERROR_REFUSED : RAMET_ERROR_FAILED,
                   "cannot write to the shared folder '%s': %s", root_path, g_strerror (why));
  return FALSE;
}

/** ramet_staging_new: makes a folder in the folder, which only the caller can read */
RametStaging *
ramet_staging_new (int root_fd, const char *root_path, GError **error)
{
  StagingFolder folder;
  RametStaging *staging;

  if (!staging_folder_make (root_fd, root_path, &folder, error))
    return NULL;
  staging = g_new0 (RametStaging, 1);
  staging->folder = folder;
  staging->root_path = g_strdup (root_path);
  staging->ops = g_ptr_array_new_with_free_func (staging_op_free);
  return staging;
}

/** ramet_staging_allow_git: changes may lead into folders of git's own, in which a file can be a program to run */
void
ramet_staging_allow_git (RametStaging *staging)
{
  staging->folder.with_git = TRUE;
}

/** ramet_staging_free: what was staged goes too */
void
ramet_staging_free (RametStaging *staging)
{
  if (!staging->kept)
    staging_folder_delete (&staging->folder);
  staging_folder_close (&staging->folder);
  g_ptr_array_unref (staging->ops);
  g_free (staging->root_path);
  g_free (staging);
}

/** ramet_staging_create: a new empty file, mode 0600; gives its descriptor for writing and reading, or -1 */
int
ramet_staging_create (RametStaging *staging, guint *ret_number, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%u", ++staging->n_files);
  int fd = openat (staging->folder.new_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

  if (fd < 0)
    cannot_stage (staging->root_path, errno, error);
  *ret_number = staging->n_files;
  return fd;
}

gboolean
ramet_staging_create_link (RametStaging *staging, const char *target, guint *ret_number, GError **error)
{
  g_autofree char *name = g_strdup_printf ("%u", ++staging->n_files);

  *ret_number = staging->n_files;
  return symlinkat (target, staging->folder.new_fd, name) == 0 || cannot_stage (staging->root_path, errno, error);
}

/** ramet_staging_forget: a file that is not needed after all */
void
ramet_staging_forget (RametStaging *staging, guint number)
{
  g_autofree char *name = g_strdup_printf ("%u", number);

  unlinkat (staging->folder.new_fd, name, 0);
}

static StagingOp *
plan (RametStaging *staging, StagingKind kind, guint number, const char *path, const RametStagingExpected *expected)
{
  StagingOp *op = g_new0 (StagingOp, 1);

  op->kind = kind;
  op->number = number;
  op->path = g_strdup (path);
  if (expected)
    op->expected = *expected;
  g_ptr_array_add (staging->ops, op);
  return op;
}

/** ramet_staging_plan_put: a file made by ramet_staging_create() in the place of what is at @path */
void
ramet_staging_plan_put (RametStaging *staging, guint number, const char *path, const RametStagingExpected *expected)
{
  plan (staging, STAGING_PUT, number, path, expected);
}

void
ramet_staging_plan_remove (RametStaging *staging, const char *path, const RametStagingExpected *expected)
{
  plan (staging, STAGING_REMOVE, ++staging->n_files, path, expected);
}

/** ramet_staging_plan_make_folder: if there is none then */
void
ramet_staging_plan_make_folder (RametStaging *staging, const char *path)
{
  plan (staging, STAGING_MAKE_FOLDER, 0, path, NULL);
}

/** ramet_staging_plan_remove_folder: which has to be empty then */
void
ramet_staging_plan_remove_folder (RametStaging *staging, const char *path)
{
  int fd = ramet_beneath_open (staging->folder.root_fd, path, O_RDONLY | O_DIRECTORY, 0);
  struct stat st = { .st_mode = 0755 };

  if (fd >= 0)
    {
      fstat (fd, &st);
      close (fd);
    }
  plan (staging, STAGING_REMOVE_FOLDER, 0, path, NULL)->mode = st.st_mode & 0777;
}

static gboolean
changed_meanwhile (const StagingOp *op, GError **error)
{
  g_autofree char *safe = ramet_text_escape (op->path, -1);

  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' was changed on the host meanwhile", safe);
  ramet_error_hint (error, "look at it with 'ramet diff', then try again");
  return FALSE;
}

static gboolean
cannot_do (const StagingOp *op, int why, GError **error)
{
  g_autofree char *safe = ramet_text_escape (op->path, -1);

  ramet_error_set (error, why == EACCES || why == EPERM ? RAMET_ERROR_REFUSED : RAMET_ERROR_FAILED,
                   "cannot change '%s' in the shared folder: %s", safe,
                   why == EXDEV ? "it is on another filesystem" : why == ELOOP ? "a symlink is on the way" : g_strerror (why));
  return FALSE;
}

/* Renames move a file's ctime. */
static gboolean
is_same (const RametStagingExpected *a, const RametStagingExpected *b, gboolean was_moved)
{
  return a->exists == b->exists &&
         (!a->exists || (a->device == b->device && a->inode == b->inode && a->size == b->size &&
                         a->mtime_ns == b->mtime_ns && (was_moved || a->ctime_ns == b->ctime_ns)));
}

static gboolean
lacks_flags (int why)
{
  return why == EINVAL || why == ENOSYS;
}

/* Exchanges the staged file with the one that is there; where the filesystem cannot, it is away for a moment. */
static gboolean
put_over (RametStaging *staging, int parent_fd, const char *name, const StagingOp *op, const char *number, GError **error)
{
  RametStagingExpected old;
  int aside_fd = staging->folder.new_fd;

  if (renameat2 (staging->folder.new_fd, number, parent_fd, name, RENAME_EXCHANGE) < 0)
    {
      aside_fd = staging->folder.old_fd;
      if (!lacks_flags (errno) || renameat (parent_fd, name, aside_fd, number) < 0 ||
          renameat (staging->folder.new_fd, number, parent_fd, name) < 0)
        return cannot_do (op, errno, error);
    }
  /* somebody may have saved it just now */
  staging_look (aside_fd, number, &old);
  return is_same (&old, &op->expected, TRUE) || changed_meanwhile (op, error);
}

static gboolean
put_new (RametStaging *staging, int parent_fd, const char *name, const StagingOp *op, const char *number, GError **error)
{
  if (renameat2 (staging->folder.new_fd, number, parent_fd, name, RENAME_NOREPLACE) == 0 ||
      (lacks_flags (errno) && renameat (staging->folder.new_fd, number, parent_fd, name) == 0))
    return TRUE;
  return errno == EEXIST ? changed_meanwhile (op, error) : cannot_do (op, errno, error);
}

static gboolean
remove_file (RametStaging *staging, int parent_fd, const char *name, const StagingOp *op, const char *number,
             GError **error)
{
  RametStagingExpected old;

  if (renameat (parent_fd, name, staging->folder.old_fd, number) < 0)
    return cannot_do (op, errno, error);
  staging_look (staging->folder.old_fd, number, &old);
  return is_same (&old, &op->expected, TRUE) || changed_meanwhile (op, error);
}

static gboolean
do_in (RametStaging *staging, int parent_fd, const char *name, const StagingOp *op, GError **error)
{
  g_autofree char *number = g_strdup_printf ("%u", op->number);
  RametStagingExpected found;

  switch (op->kind)
    {
    case STAGING_MAKE_FOLDER:
      return mkdirat (parent_fd, name, 0777) == 0 || errno == EEXIST || cannot_do (op, errno, error);
    case STAGING_REMOVE_FOLDER:
      return unlinkat (parent_fd, name, AT_REMOVEDIR) == 0 || cannot_do (op, errno, error);
    default:
      break;
    }
  staging_look (parent_fd, name, &found);
  if (!is_same (&found, &op->expected, FALSE))
    return changed_meanwhile (op, error);
  if (op->kind == STAGING_REMOVE)
    return remove_file (staging, parent_fd, name, op, number, error);
  return found.exists ? put_over (staging, parent_fd, name, op, number, error)
                      : put_new (staging, parent_fd, name, op, number, error);
}

static gboolean
do_one (RametStaging *staging, const StagingOp *op, GError **error)
{
  const char *name;
  int parent_fd = ramet_beneath_open_parent (staging->folder.root_fd, op->path, &name);
  gboolean done;

  if (parent_fd < 0)
    return cannot_do (op, errno, error);
  done = do_in (staging, parent_fd, name, op, error);
  close (parent_fd);
  return done;
}

static gboolean
do_all (RametStaging *staging, RametTask *task, GError **error)
{
  for (guint i = 0; i < staging->ops->len; i++)
    {
      if (i % CHECK_EVERY == 0 && !ramet_task_check (task, error))
        return FALSE;
      if (!do_one (staging, g_ptr_array_index (staging->ops, i), error))
        return FALSE;
      RAMET_STEP ("change-applied");
    }
  return ramet_task_check (task, error) && staging_journal_end (&staging->folder, error);
}

/* As it is once it is on the disk, by which it is told later on whether somebody changed it. */
static void
note_staged (RametStaging *staging)
{
  for (guint i = 0; i < staging->ops->len; i++)
    {
      StagingOp *op = g_ptr_array_index (staging->ops, i);
      g_autofree char *number = g_strdup_printf ("%u", op->number);

      if (op->kind == STAGING_PUT)
        staging_look (staging->folder.new_fd, number, &op->staged);
    }
}

/**
 * ramet_staging_commit:
 * @error: RAMET_ERROR_STATE if something is not as expected any more, RAMET_ERROR_CANCELLED; what was done is put back
 */
gboolean
ramet_staging_commit (RametStaging *staging, RametTask *task, GError **error)
{
  g_autoptr (GError) why = NULL;

  syncfs (staging->folder.fd);
  note_staged (staging);
  if (!staging_journal_write (&staging->folder, staging->ops, error))
    return FALSE;
  RAMET_STEP ("changes-journaled");
  if (do_all (staging, task, error))
    {
      RAMET_STEP ("changes-applied");
      return TRUE;
    }
  if (!staging_take_back (&staging->folder, staging->ops, &why))
    {
      staging->kept = TRUE;
      for (const GError *at = why; at; at = ramet_error_get_next (at))
        g_warning ("%s", at->message);
    }
  return FALSE;
}

static gboolean
recover_one (int root_fd, const char *root_path, const char *name, gboolean *ret_taken_back, GError **error)
{
  StagingFolder folder;
  g_autoptr (GPtrArray) ops = NULL;
  gboolean done;

  *ret_taken_back = FALSE;
  if (!staging_folder_open (root_fd, root_path, name, &folder, error))
    return FALSE;
  if (folder.fd < 0)
    return TRUE;
  done = staging_journal_read (&folder, &ops, error) && (ops == NULL || staging_take_back (&folder, ops, error));
  *ret_taken_back = done && ops != NULL;
  if (done)
    staging_folder_delete (&folder);
  staging_folder_close (&folder);
  return done;
}

/**
 * ramet_staging_recover:
 * @ret_n_taken_back: (out): how many were cut off while they changed files
 * @error: RAMET_ERROR_REFUSED if something is there that has such a name, and that this user's ramet did not make
 *
 * Puts back what others that were killed left half done in the folder.
 */
gboolean
ramet_staging_recover (int root_fd, const char *root_path, guint *ret_n_taken_back, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GDir) dir = g_dir_open (root_path, 0, &why);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  *ret_n_taken_back = 0;
  if (dir == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot look for what an earlier 'ramet apply' left: %s", why->message);
      return FALSE;
    }
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, RAMET_UPPER_STAGING))
      g_ptr_array_add (names, g_strdup (name));
  for (guint i = 0; i < names->len; i++)
    {
      gboolean taken_back;

      if (!recover_one (root_fd, root_path, g_ptr_array_index (names, i), &taken_back, error))
        return FALSE;
      *ret_n_taken_back += taken_back;
    }
  return TRUE;
}
