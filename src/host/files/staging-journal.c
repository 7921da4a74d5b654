/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/staging-private.h"
#include "host/files/staging-seal.h"

/*
 * A head, which says whether the changes may lead into folders of git's own; a record for each change; an empty one; and a
 * seal on all of it. Each ends with a NUL.
 */
#define MAX_JOURNAL (1024 * 1024 * 1024)
#define HEAD "ramet-apply-journal 1 "
#define HEAD_WITH_GIT HEAD "with-git"
#define HEAD_WITHOUT_GIT HEAD "without-git"
#define SEAL_LENGTH 64
#define U64 "%" G_GUINT64_FORMAT " "
#define I64 "%" G_GINT64_FORMAT " "
#define RECORD "%c %u %o " U64 U64 I64 U64 I64 I64

void
staging_op_free (gpointer data)
{
  StagingOp *op = data;

  g_free (op->path);
  g_free (op);
}

/* As what comes from a guest is checked, whoever wrote it. */
static gboolean
is_allowed (const StagingFolder *folder, const char *path)
{
  return ramet_upper_check_path (path) && !ramet_upper_is_staging (path) &&
         (folder->with_git || !ramet_upper_is_git (path));
}

/** staging_journal_end: from now on nothing is to be taken back */
gboolean
staging_journal_end (const StagingFolder *folder, GError **error)
{
  if (unlinkat (folder->fd, STAGING_JOURNAL, 0) == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot delete the journal '%s/" STAGING_JOURNAL "': %s", folder->path,
                   g_strerror (errno));
  return FALSE;
}

static gboolean
add_records (const StagingFolder *folder, GPtrArray *ops, GString *text, GError **error)
{
  g_string_append_len (text, folder->with_git ? HEAD_WITH_GIT : HEAD_WITHOUT_GIT,
                       folder->with_git ? sizeof HEAD_WITH_GIT : sizeof HEAD_WITHOUT_GIT);
  for (guint i = 0; i < ops->len; i++)
    {
      const StagingOp *op = g_ptr_array_index (ops, i);

      if (!is_allowed (folder, op->path))
        {
          g_autofree char *safe = ramet_text_escape (op->path, -1);

          ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is not for a guest to change", safe);
          return FALSE;
        }
      g_string_append_printf (text, RECORD "%s", op->kind, op->number, (guint) op->mode, op->staged.inode, op->staged.size,
                              op->staged.mtime_ns, op->expected.size, op->expected.mtime_ns, op->expected.ctime_ns, op->path);
      g_string_append_c (text, '\0');
    }
  g_string_append_c (text, '\0');
  return TRUE;
}

/** staging_journal_write: whole or not at all; @error is RAMET_ERROR_REFUSED if a change is none that a guest may make */
gboolean
staging_journal_write (const StagingFolder *folder, GPtrArray *ops, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);
  g_autofree char *seal = NULL;
  gboolean written;
  FILE *file;
  int why;
  int fd;

  if (!add_records (folder, ops, text, error) || !(seal = staging_seal (folder, text->str, text->len, error)))
    return FALSE;
  g_string_append_len (text, seal, SEAL_LENGTH + 1);
  fd = openat (folder->fd, STAGING_JOURNAL_PART, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  file = fd >= 0 ? fdopen (fd, "w") : NULL;
  written = file && fwrite (text->str, 1, text->len, file) == text->len && fflush (file) == 0 && fsync (fd) == 0;
  why = errno;
  if (file && fclose (file) != 0 && written)
    {
      written = FALSE;
      why = errno;
    }
  if (written && renameat (folder->fd, STAGING_JOURNAL_PART, folder->fd, STAGING_JOURNAL) == 0)
    return TRUE;
  if (written)
    why = errno;
  unlinkat (folder->fd, STAGING_JOURNAL_PART, 0);
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write the journal '%s/" STAGING_JOURNAL "': %s", folder->path,
                   g_strerror (why));
  return FALSE;
}

static StagingOp *
parse_record (const StagingFolder *folder, const char *record)
{
  g_autofree StagingOp *op = g_new0 (StagingOp, 1);
  char kind;
  guint mode;
  int at = 0;

  if (sscanf (record, RECORD "%n", &kind, &op->number, &mode, &op->staged.inode, &op->staged.size, &op->staged.mtime_ns,
              &op->expected.size, &op->expected.mtime_ns, &op->expected.ctime_ns, &at) != 9 || at == 0 ||
      !strchr ("PDMR", kind) || !is_allowed (folder, record + at))
    return NULL;
  op->kind = (StagingKind) kind;
  op->mode = mode & 0777;
  op->path = g_strdup (record + at);
  return g_steal_pointer (&op);
}

static gboolean
cannot_read (const StagingFolder *folder, const char *why, GError **error)
{
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read the journal '%s/" STAGING_JOURNAL "': %s", folder->path, why);
  ramet_error_hint (error, "a 'ramet apply' was cut off, and what it has to put back is in 'old' and 'new' beside it");
  return FALSE;
}

/* Gives where the seal begins. */
static gboolean
check_seal (const StagingFolder *folder, const char *text, gsize length, gsize *ret_body, GError **error)
{
  g_autofree char *seal = NULL;

  if (length <= SEAL_LENGTH + 1 || text[length - 1] != '\0')
    return cannot_read (folder, "it is not whole", error);
  *ret_body = length - SEAL_LENGTH - 1;
  seal = staging_seal (folder, text, *ret_body, error);
  if (seal == NULL)
    return FALSE;
  if (strcmp (seal, text + *ret_body) == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s/" STAGING_JOURNAL "' is not of ramet's making", folder->path);
  ramet_error_hint (error, "nothing in '%s' was touched; look into it and remove it, then try again", folder->path);
  return FALSE;
}

/**
 * staging_journal_read:
 * @ret_ops: (out): %NULL if there is no journal: nothing was moved then
 * @error: RAMET_ERROR_REFUSED if somebody else wrote it
 */
gboolean
staging_journal_read (StagingFolder *folder, GPtrArray **ret_ops, GError **error)
{
  gsize length = 0;
  g_autofree char *text = staging_read_file (folder->fd, STAGING_JOURNAL, MAX_JOURNAL, &length);
  g_autoptr (GPtrArray) ops = g_ptr_array_new_with_free_func (staging_op_free);
  gsize body = 0;

  *ret_ops = NULL;
  if (text == NULL)
    return errno == ENOENT || cannot_read (folder, g_strerror (errno), error);
  if (!check_seal (folder, text, length, &body, error))
    return FALSE;
  folder->with_git = g_str_equal (text, HEAD_WITH_GIT);
  if (!folder->with_git && !g_str_equal (text, HEAD_WITHOUT_GIT))
    return cannot_read (folder, "another version of ramet wrote it", error);
  for (const char *at = text + strlen (text) + 1; at < text + body && *at; at += strlen (at) + 1)
    {
      StagingOp *op = parse_record (folder, at);

      if (op == NULL)
        return cannot_read (folder, "a bad record", error);
      g_ptr_array_add (ops, op);
    }
  *ret_ops = g_steal_pointer (&ops);
  return TRUE;
}
