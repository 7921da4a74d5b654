/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/git.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib-unix.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"

#define BUFFER (128 * 1024)
#define PATIENCE_S 600
#define HUGE_BYTES "64m" /* files above this are compared as binary ones, which takes less memory */

struct _RametGit
{
  char *folder;         /* the repository */
  GSubprocess *import;
  int fd;               /* its stdin */
  GByteArray *buffer;
  guint n_marks;
};

static int
remove_one (const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  remove (path);
  return 0;
}

/* git without the user's settings, attributes and environment. */
static GSubprocessLauncher *
launcher_new (const RametGit *git, GSubprocessFlags flags)
{
  GSubprocessLauncher *launcher = g_subprocess_launcher_new (flags);
  g_auto (GStrv) names = g_listenv ();

  for (char **name = names; *name; name++)
    if (g_str_has_prefix (*name, "GIT_"))
      g_subprocess_launcher_unsetenv (launcher, *name);
  g_subprocess_launcher_setenv (launcher, "GIT_CONFIG_GLOBAL", "/dev/null", TRUE);
  g_subprocess_launcher_setenv (launcher, "GIT_CONFIG_SYSTEM", "/dev/null", TRUE);
  g_subprocess_launcher_setenv (launcher, "GIT_CONFIG_NOSYSTEM", "1", TRUE);
  g_subprocess_launcher_setenv (launcher, "GIT_ATTR_NOSYSTEM", "1", TRUE);
  g_subprocess_launcher_setenv (launcher, "HOME", git->folder, TRUE);
  g_subprocess_launcher_setenv (launcher, "XDG_CONFIG_HOME", git->folder, TRUE);
  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C", TRUE);
  return launcher;
}

static gboolean
cannot_run (const GError *why, GError **error)
{
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run git, which compares files: %s", why->message);
  ramet_error_hint (error, "install it: package git");
  return FALSE;
}

static gboolean
make_repository (RametGit *git, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher =
    launcher_new (git, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_autoptr (GError) why = NULL;
  g_autoptr (GSubprocess) process =
    g_subprocess_launcher_spawn (launcher, &why, "git", "init", "--quiet", "--bare", "--template=", git->folder, NULL);

  if (process == NULL || !g_subprocess_wait_check (process, NULL, &why))
    return cannot_run (why, error);
  return TRUE;
}

static gboolean
start_import (RametGit *git, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher =
    launcher_new (git, G_SUBPROCESS_FLAGS_STDOUT_SILENCE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);
  g_autofree char *dir = g_strconcat ("--git-dir=", git->folder, NULL);
  g_autoptr (GError) why = NULL;
  int ends[2];

  if (!g_unix_open_pipe (ends, FD_CLOEXEC, &why))
    return cannot_run (why, error);
  git->fd = ends[1];
  g_subprocess_launcher_take_stdin_fd (launcher, ends[0]);
  git->import = g_subprocess_launcher_spawn (launcher, &why, "git", dir, "-c", "core.compression=0", "-c",
                                             "fastimport.unpackLimit=0", "fast-import", "--quiet", "--done",
                                             "--big-file-threshold=" HUGE_BYTES, NULL);
  return git->import || cannot_run (why, error);
}

/** ramet_git_new: an empty repository in the folder for temporary files; @error if there is no git */
RametGit *
ramet_git_new (GError **error)
{
  g_autoptr (RametGit) git = g_new0 (RametGit, 1);
  g_autoptr (GError) why = NULL;

  git->fd = -1;
  git->buffer = g_byte_array_new ();
  git->folder = g_dir_make_tmp ("ramet-diff.XXXXXX", &why);
  if (git->folder == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make a folder for temporary files: %s", why->message);
      return NULL;
    }
  return make_repository (git, error) && start_import (git, error) ? g_steal_pointer (&git) : NULL;
}

/** ramet_git_free: the repository goes too */
void
ramet_git_free (RametGit *git)
{
  if (git->fd >= 0)
    close (git->fd);
  if (git->import)
    {
      g_subprocess_force_exit (git->import);
      g_subprocess_wait (git->import, NULL, NULL);
      g_object_unref (git->import);
    }
  if (git->folder)
    nftw (git->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (git->folder);
  g_byte_array_unref (git->buffer);
  g_free (git);
}

static gboolean
flush (RametGit *git, GError **error)
{
  const guint8 *at = git->buffer->data;
  gsize left = git->buffer->len;

  while (left > 0)
    {
      ssize_t n = write (git->fd, at, left);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          ramet_error_set (error, RAMET_ERROR_FAILED, "git cannot take the files in '%s': is the disk full?",
                           git->folder);
          ramet_error_hint (error, "set TMPDIR to a folder with more room");
          return FALSE;
        }
      at += n;
      left -= (gsize) n;
    }
  g_byte_array_set_size (git->buffer, 0);
  return TRUE;
}

/** ramet_git_write: as many bytes as the blob was said to have, in any pieces */
gboolean
ramet_git_write (RametGit *git, const guint8 *bytes, gsize length, GError **error)
{
  g_byte_array_append (git->buffer, bytes, (guint) length);
  return git->buffer->len < BUFFER || flush (git, error);
}

static gboolean
write_text (RametGit *git, GError **error, const char *format, ...) G_GNUC_PRINTF (3, 4);

static gboolean
write_text (RametGit *git, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  return ramet_git_write (git, (const guint8 *) text, strlen (text), error);
}

/** ramet_git_begin_blob: @ret_mark: (out): for ramet_git_add() */
gboolean
ramet_git_begin_blob (RametGit *git, guint64 size, guint *ret_mark, GError **error)
{
  *ret_mark = ++git->n_marks;
  return write_text (git, error, "blob\nmark :%u\ndata %" G_GUINT64_FORMAT "\n", *ret_mark, size);
}

gboolean
ramet_git_end_blob (RametGit *git, GError **error)
{
  return write_text (git, error, "\n");
}

/** ramet_git_begin_tree: what is added from now on is in this tree; to be done for both sides */
gboolean
ramet_git_begin_tree (RametGit *git, RametGitSide side, GError **error)
{
  return write_text (git, error, "commit refs/heads/%s\ncommitter ramet <ramet> 0 +0000\ndata 0\n",
                     side == RAMET_GIT_OLD ? "old" : "new");
}

/** ramet_git_add: @mode: what git knows: 0100644, 0100755 or 0120000; @path: any bytes */
gboolean
ramet_git_add (RametGit *git, guint mark, mode_t mode, const char *path, GError **error)
{
  g_autoptr (GString) quoted = g_string_new (NULL);

  for (const guchar *p = (const guchar *) path; *p; p++)
    if (g_ascii_isalnum (*p) || strchr ("/._- ", *p))
      g_string_append_c (quoted, (char) *p);
    else
      g_string_append_printf (quoted, "\\%03o", *p);
  return write_text (git, error, "M %o :%u \"%s\"\n", (guint) mode, mark, quoted->str);
}

/** ramet_git_finish: once both trees are whole */
gboolean
ramet_git_finish (RametGit *git, RametTask *task, GError **error)
{
  g_autoptr (GError) why = NULL;

  if (!write_text (git, error, "done\n") || !flush (git, error))
    return FALSE;
  close (git->fd);
  git->fd = -1;
  if (!g_subprocess_wait_check (git->import, NULL, &why))
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "git cannot take the files in '%s': %s", git->folder, why->message);
      return FALSE;
    }
  return ramet_task_check (task, error);
}

/**
 * ramet_git_compare:
 * @nul: end names by NULs, and do not quote them
 * @columns: how wide statistics may be
 * @func: told what git prints
 */
gboolean
ramet_git_compare (RametGit *git, RametTask *task, RametGitForm form, gboolean nul, guint columns, RametPipeFunc func,
                   gpointer data, GError **error)
{
  g_autofree char *dir = g_strconcat ("--git-dir=", git->folder, NULL);
  g_autofree char *stat = g_strdup_printf ("--stat=%u", columns);
  g_autofree char *home = g_strconcat ("HOME=", git->folder, NULL);
  g_autofree char *path = g_strconcat ("PATH=", g_getenv ("PATH") ? g_getenv ("PATH") : "/usr/bin:/bin", NULL);
  const char *const front[] = {
    "env", "-i", home, path, "GIT_CONFIG_NOSYSTEM=1", "GIT_ATTR_NOSYSTEM=1", "git", dir, "-c",
    "core.attributesFile=/dev/null", "-c", "core.bigFileThreshold=" HUGE_BYTES, "-c", "core.quotePath=true", "diff-tree",
    "-r", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--full-index", "--src-prefix=a/",
    "--dst-prefix=b/", form == RAMET_GIT_STAT ? stat : form == RAMET_GIT_NAMES ? "--name-only" : "--binary",
  };
  g_autoptr (GPtrArray) words = g_ptr_array_new ();
  RametPipe pipe = { .silence_s = PATIENCE_S, .func = func, .data = data };
  g_autofree char *errors = NULL;
  int status = 0;

  for (gsize i = 0; i < G_N_ELEMENTS (front); i++)
    g_ptr_array_add (words, (gpointer) front[i]);
  if (nul)
    g_ptr_array_add (words, (gpointer) "-z");
  g_ptr_array_add (words, (gpointer) "refs/heads/old");
  g_ptr_array_add (words, (gpointer) "refs/heads/new");
  g_ptr_array_add (words, NULL);
  pipe.argv = (const char *const *) words->pdata;
  if (!ramet_pipe_run (task, &pipe, &status, &errors, error))
    return FALSE;
  if (status != 0)
    {
      g_autofree char *safe = ramet_text_escape (errors, -1);

      ramet_error_set (error, RAMET_ERROR_FAILED, "git cannot compare the files: %s", safe);
      return FALSE;
    }
  return TRUE;
}
