/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/beneath.h"
#include "host/files/put-back.h"
#include "host/files/staging-private.h"

#define MAX_TOLD 20
#define HINT "put the one you want at its place, and delete the other; then try again"

static const char *
half_of (const StagingFolder *folder, int fd)
{
  return fd == folder->old_fd ? "old" : "new";
}

static gboolean
cannot_put_back (const StagingFolder *folder, int from_fd, const StagingOp *op, GError **error)
{
  int why = errno;
  g_autofree char *safe = ramet_text_escape (op->path, -1);

  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot put '%s' back: %s; what it was is '%s/%s/%u'", safe,
                   g_strerror (why), folder->path, half_of (folder, from_fd), op->number);
  ramet_error_hint (error, HINT);
  return FALSE;
}

static gboolean
changed_since (const StagingFolder *folder, int from_fd, const StagingOp *op, GError **error)
{
  g_autofree char *safe = ramet_text_escape (op->path, -1);

  ramet_error_set (error, RAMET_ERROR_STATE,
                   "'%s' was changed since 'ramet apply' put it there, and stays; what it was before is '%s/%s/%u'", safe,
                   folder->path, half_of (folder, from_fd), op->number);
  ramet_error_hint (error, HINT);
  return FALSE;
}

static gboolean
move_back (const StagingFolder *folder, int from_fd, int parent_fd, const StagingOp *op, const char *name, guint flags,
           GError **error)
{
  g_autofree char *number = g_strdup_printf ("%u", op->number);

  if (renameat2 (from_fd, number, parent_fd, name, flags) == 0 ||
      (flags && errno == EINVAL && faccessat (parent_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
       renameat (from_fd, number, parent_fd, name) == 0))
    return TRUE;
  return cannot_put_back (folder, from_fd, op, error);
}

/* Whether it is still the very file that was staged: who writes to it in place leaves it its inode. */
static gboolean
is_untouched (const RametStagingExpected *found, const StagingOp *op)
{
  return found->exists && found->inode == op->staged.inode && found->size == op->staged.size &&
         found->mtime_ns == op->staged.mtime_ns;
}

/* Where what was there before is now: in old/ or, exchanged, in new/; -1 if nothing was there, or it is there again. */
static int
find_original (const StagingFolder *folder, const StagingOp *op)
{
  g_autofree char *number = g_strdup_printf ("%u", op->number);
  RametStagingExpected found;

  if (staging_look (folder->old_fd, number, &found))
    return folder->old_fd;
  if (op->kind == STAGING_PUT && staging_look (folder->new_fd, number, &found) && found.inode != op->staged.inode)
    return folder->new_fd;
  return -1;
}

/* What lies in new/ is going to be deleted: not so what somebody wrote to until it was moved there. */
static gboolean
check_withdrawn (const StagingFolder *folder, const StagingOp *op, GError **error)
{
  g_autofree char *number = g_strdup_printf ("%u", op->number);
  g_autofree char *safe = NULL;
  RametStagingExpected found;

  if (!staging_look (folder->new_fd, number, &found) || is_untouched (&found, op))
    return TRUE;
  safe = ramet_text_escape (op->path, -1);
  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' was changed just when it was put back; what was written is '%s/new/%s'",
                   safe, folder->path, number);
  ramet_error_hint (error, HINT);
  return FALSE;
}

/* Where nothing was before. */
static gboolean
withdraw (const StagingFolder *folder, int parent_fd, const char *name, const StagingOp *op,
          const RametStagingExpected *there, GError **error)
{
  g_autofree char *number = g_strdup_printf ("%u", op->number);
  g_autofree char *safe = ramet_text_escape (op->path, -1);
  RametStagingExpected staged;

  /* not put there yet, or taken back already */
  if (staging_look (folder->new_fd, number, &staged))
    return check_withdrawn (folder, op, error);
  if (!there->exists)
    return TRUE;
  if (!is_untouched (there, op))
    {
      g_warning ("'%s' was changed since 'ramet apply' put it there, and stays", safe);
      return TRUE;
    }
  if (renameat (parent_fd, name, folder->new_fd, number) == 0)
    return check_withdrawn (folder, op, error);
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot take '%s' away again: %s", safe, g_strerror (errno));
  return FALSE;
}

/* Where the file that was there, and the one that was to come, are now, tells how far it got. */
static gboolean
take_back_put (const StagingFolder *folder, int parent_fd, const char *name, const StagingOp *op, gboolean *ret_moved,
               GError **error)
{
  int from_fd = find_original (folder, op);
  RametStagingExpected there;
  guint flags = RENAME_NOREPLACE;

  staging_look (parent_fd, name, &there);
  if (from_fd < 0)
    return withdraw (folder, parent_fd, name, op, &there, error);
  if (there.exists && !is_untouched (&there, op))
    return changed_since (folder, from_fd, op, error);
  if (there.exists)
    flags = from_fd == folder->new_fd ? RENAME_EXCHANGE : 0;
  *ret_moved = move_back (folder, from_fd, parent_fd, op, name, flags, error);
  return *ret_moved && check_withdrawn (folder, op, error);
}

/* What is where it was again has another ctime by that alone, unless somebody had changed it before it was moved. */
static void
note_moved (int parent_fd, const char *name, const StagingOp *op, GArray *notes)
{
  RametStagingExpected now;

  if (staging_look (parent_fd, name, &now) && now.ctime_ns != op->expected.ctime_ns &&
      now.mtime_ns == op->expected.mtime_ns && now.size == op->expected.size)
    {
      RametPutBack note = { now.device, now.inode, now.ctime_ns, op->expected.ctime_ns };

      g_array_append_val (notes, note);
    }
}

static gboolean
take_back_one (const StagingFolder *folder, const StagingOp *op, GArray *notes, GError **error)
{
  const char *name;
  int parent_fd = ramet_beneath_open_parent (folder->root_fd, op->path, &name);
  int why = errno;
  int from_fd = find_original (folder, op);
  gboolean moved = FALSE;
  gboolean done = TRUE;

  /* the folder may never have been made, or is gone since */
  if (parent_fd < 0)
    {
      errno = why;
      return from_fd < 0 ? check_withdrawn (folder, op, error) : cannot_put_back (folder, from_fd, op, error);
    }
  switch (op->kind)
    {
    case STAGING_PUT:
      done = take_back_put (folder, parent_fd, name, op, &moved, error);
      break;
    case STAGING_REMOVE:
      moved = from_fd >= 0;
      done = !moved || move_back (folder, from_fd, parent_fd, op, name, RENAME_NOREPLACE, error);
      break;
    case STAGING_MAKE_FOLDER:
      unlinkat (parent_fd, name, AT_REMOVEDIR);
      break;
    case STAGING_REMOVE_FOLDER:
      if (mkdirat (parent_fd, name, op->mode) == 0)
        fchmodat (parent_fd, name, op->mode, 0);
      break;
    }
  if (moved && done)
    note_moved (parent_fd, name, op, notes);
  close (parent_fd);
  return done;
}

/** staging_take_back: as far as they were made, the last one first; goes on where one fails, and gives all such errors */
gboolean
staging_take_back (const StagingFolder *folder, GPtrArray *ops, GError **error)
{
  g_autoptr (GArray) notes = g_array_new (FALSE, FALSE, sizeof (RametPutBack));
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  guint n_failed = 0;

  for (guint i = ops->len; i-- > 0;)
    {
      GError *why = NULL;

      if (take_back_one (folder, g_ptr_array_index (ops, i), notes, &why))
        continue;
      if (n_failed++ < MAX_TOLD)
        ramet_findings_take (findings, why);
      else
        g_error_free (why);
    }
  if (n_failed > MAX_TOLD)
    {
      GError *more = NULL;

      ramet_error_set (&more, RAMET_ERROR_STATE, "and %u more of the kind", n_failed - MAX_TOLD);
      ramet_findings_take (findings, more);
    }
  ramet_put_back_note (notes);
  return ramet_findings_raise (findings, error);
}
