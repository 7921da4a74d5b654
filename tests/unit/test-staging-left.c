/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/put-back.h"
#include "host/files/staging.h"
#include "staging-fixture.h"

static void
put_bytes (const Fixture *f, const char *path, const char *bytes, gsize length)
{
  g_autofree char *full = g_build_filename (f->dir, path, NULL);

  put (f, path, "");
  g_assert_true (g_file_set_contents (full, bytes, (gssize) length, NULL));
}

/* A folder as a branch of a guest's can hold it, but for what @mode says. */
static void
plant (const Fixture *f, mode_t mode)
{
  static const char journal[] = "D 1 0 0 0 0 0 .git/hooks/post-checkout\0";
  static const char newer[] = "ramet-apply-journal 1 with-git\0D 1 0 0 0 0 0 0 0 .git/hooks/post-checkout\0\0"
    "0000000000000000000000000000000000000000000000000000000000000000";
  g_autofree char *planted = g_build_filename (f->tree, ".ramet-apply.0", NULL);

  put (f, "tree/.git/hooks/sample", "");
  put (f, "tree/.ramet-apply.0/old/1", "#!/bin/sh\n");
  if (mode & 01000)
    put_bytes (f, "tree/.ramet-apply.0/journal", newer, sizeof newer);
  else
    put_bytes (f, "tree/.ramet-apply.0/journal", journal, sizeof journal);
  g_assert_cmpint (chmod (planted, mode & 0777), ==, 0);
}

static void
assert_refused (const Fixture *f)
{
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 0;

  g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_nonnull (strstr (error->message, "is not of ramet's making"));
  g_assert_nonnull (ramet_error_get_hint (error));
  g_assert_cmpuint (n_taken_back, ==, 0);
  assert_text ("tree/.git/hooks/post-checkout", NULL);
}

/* What a branch or an archive holds by that name moves nothing. */
static void
test_planted (Fixture *f, gconstpointer data)
{
  plant (f, (mode_t) GPOINTER_TO_UINT (data));
  assert_refused (f);
  assert_text ("tree/.ramet-apply.0/old/1", "#!/bin/sh\n");
}

/* Neither a file nor a link by that name is followed. */
static void
test_planted_no_folder (Fixture *f, gconstpointer data)
{
  g_autofree char *outside = g_build_filename (f->dir, "outside", NULL);
  g_autofree char *link = g_build_filename (f->tree, ".ramet-apply.1", NULL);

  put (f, "tree/.ramet-apply.0", "");
  assert_refused (f);
  g_assert_cmpint (unlinkat (f->fd, ".ramet-apply.0", 0), ==, 0);
  g_assert_cmpint (symlink (outside, link), ==, 0);
  assert_refused (f);
  assert_text ("outside/secret", "secret");
}

/* Leaves a folder behind as one does that is killed before it changes anything; gives its name. */
static char *
leave_one (const Fixture *f)
{
  g_autoptr (GDir) dir = NULL;
  const char *name;
  int status = 0;
  pid_t child = fork ();

  if (child == 0)
    {
      RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);

      plan_all (f, staging);
      _exit (0);
    }
  waitpid (child, &status, 0);
  dir = g_dir_open (f->tree, 0, NULL);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (name, ".ramet-apply."))
      return g_strdup (name);
  g_assert_not_reached ();
}

static void
test_left (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 1;

  g_free (leave_one (f));
  ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_taken_back, ==, 0);
  assert_before (f);
}

/* A mark holds for its own folder alone. */
static void
test_mark_copied (Fixture *f, gconstpointer data)
{
  g_autofree char *name = leave_one (f);
  g_autofree char *mark_path = g_build_filename ("tree", name, "mark", NULL);
  g_autofree char *mark = get (f, mark_path);
  g_autofree char *real = g_build_filename (f->tree, name, NULL);
  g_autofree char *moved = g_build_filename (f->dir, "moved", NULL);
  g_autofree char *planted_mark = g_strconcat ("tree/", name, "/mark", NULL);

  g_assert_nonnull (mark);
  g_assert_cmpint (rename (real, moved), ==, 0);
  plant (f, 0700);
  g_assert_cmpint (renameat (f->fd, ".ramet-apply.0", f->fd, name), ==, 0);
  put (f, planted_mark, mark);
  assert_refused (f);
}

/* Nor does one make a journal that somebody added, nor is one that cannot be read taken for none. */
static void
test_journal_planted (Fixture *f, gconstpointer data)
{
  g_autofree char *name = leave_one (f);
  g_autofree char *journal = g_build_filename ("tree", name, "journal", NULL);
  g_autofree char *full = g_build_filename (f->dir, journal, NULL);
  g_autofree char *old = g_build_filename ("tree", name, "old", "1", NULL);
  g_autofree char *long_text = g_strnfill (200, 'x');
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 0;

  put (f, "tree/.git/hooks/sample", "");
  put (f, old, "#!/bin/sh\n");
  put_bytes (f, journal, long_text, 201);
  assert_refused (f);
  g_assert_cmpint (g_unlink (full), ==, 0);
  g_assert_cmpint (symlink ("/dev/null", full), ==, 0);
  g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  assert_text (old, "#!/bin/sh\n");
}

/* What is none of a guest's business is not even written to a journal. */
static void
test_not_allowed (Fixture *f, gconstpointer data)
{
  static const struct { const char *path; gboolean with_git, fine; } rows[] = {
    { "d/.git/hooks", FALSE, FALSE },
    { "d/.ramet-apply.0", TRUE, FALSE },
    { "d/.git", TRUE, TRUE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autoptr (RametStaging) staging = ramet_staging_new (f->fd, f->tree, NULL);
      g_autoptr (GError) error = NULL;

      if (rows[i].with_git)
        ramet_staging_allow_git (staging);
      ramet_staging_plan_make_folder (staging, rows[i].path);
      if (ramet_staging_commit (staging, f->task, &error) != rows[i].fine)
        g_error ("'%s' should be %s", rows[i].path, rows[i].fine ? "taken" : "refused");
      if (!rows[i].fine)
        g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
    }
}

/* One that cannot be opened is not taken for one that somebody works in. */
static void
test_closed (Fixture *f, gconstpointer data)
{
  g_autofree char *name = leave_one (f);
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 0;

  if (geteuid () == 0)
    g_assert_cmpint (fchownat (f->fd, name, 1, (gid_t) -1, 0), ==, 0);
  else
    g_assert_cmpint (fchmodat (f->fd, name, 0, 0), ==, 0);
  g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_nonnull (ramet_error_get_hint (error));
  g_assert_cmpint (fchownat (f->fd, name, geteuid (), (gid_t) -1, 0), ==, 0);
  g_assert_cmpint (fchmodat (f->fd, name, 0700, 0), ==, 0);
}

/* One that is alive is left alone. */
static void
test_alive (Fixture *f, gconstpointer data)
{
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 1;

  plan_all (f, staging);
  ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error);
  g_assert_no_error (error);
  g_assert_cmpuint (n_taken_back, ==, 0);
  ramet_staging_commit (staging, f->task, &error);
  g_assert_no_error (error);
  ramet_staging_free (staging);
  assert_after (f);
}

#ifndef NDEBUG
/* Gets as far as behind the change @step, and is killed there. */
static void
kill_at (const Fixture *f, guint step)
{
  g_autofree char *stop = g_strdup_printf ("change-applied:%u", step);
  int status = 0;
  pid_t child = fork ();

  if (child == 0)
    {
      RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);

      g_setenv ("RAMET_STOP_AT", stop, TRUE);
      g_setenv ("RAMET_STOP_SIGNAL", "KILL", TRUE);
      plan_all (f, staging);
      ramet_staging_commit (staging, f->task, NULL);
      _exit (1);
    }
  g_assert_cmpint (waitpid (child, &status, 0), ==, child);
  g_assert_true (WIFSIGNALED (status));
}

/* Moving a file away and back changes its ctime: that alone makes it no other file. */
static void
assert_noted (const Fixture *f, const char *path, const RametStagingExpected *before)
{
  g_autoptr (GHashTable) notes = ramet_put_back_load ();
  RametStagingExpected now = look (f, path);

  g_assert_cmpint (ramet_put_back_ctime (notes, now.device, now.inode, now.ctime_ns), ==, before->ctime_ns);
}

/* Killed behind each step in turn, and put back by the next one. */
static void
test_killed (Fixture *f, gconstpointer data)
{
  RametStagingExpected a = look (f, "a");
  RametStagingExpected c = look (f, "old/c");
  RametStagingExpected now;

  for (guint step = 1; step <= 6; step++)
    {
      g_autoptr (GError) error = NULL;
      guint n_taken_back = 0;

      kill_at (f, step);
      g_assert_true (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (n_taken_back, ==, 1);
      assert_before (f);
      assert_noted (f, "a", &a);
      assert_noted (f, "old/c", &c);
    }
  now = look (f, "old/c");
  g_assert_cmpint (now.ctime_ns, !=, c.ctime_ns);
}

/* The path that a message tells as that of the original, which has to have @text. */
static void
assert_told (const GError *error, const char *text)
{
  const char *at = strstr (error->message, "is '/");
  g_autofree char *path = NULL;
  g_autofree char *contents = NULL;

  g_assert_nonnull (at);
  g_assert_nonnull (ramet_error_get_hint (error));
  path = g_strndup (at + 4, strlen (at + 4) - 1);
  g_assert_true (g_file_get_contents (path, &contents, NULL, NULL));
  g_assert_cmpstr (contents, ==, text);
}

/* What somebody made there since is not overwritten, and what was there is not lost. */
static void
test_killed_then_changed (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 0;

  kill_at (f, 1);
  put (f, "tree/old/c", "made since");
  g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  assert_text ("tree/old/c", "made since");
  assert_told (error, "c");
  g_assert_cmpuint (count_entries (f), ==, 4);
}

static void
append (const Fixture *f, const char *path, const char *text)
{
  int fd = openat (f->fd, path, O_WRONLY | O_APPEND | O_CLOEXEC);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
  close (fd);
}

/* An edit since is kept beside the original, which is told, until the user says which it is to be. */
static void
test_killed_then_edited (Fixture *f, gconstpointer data)
{
  gboolean in_place = data == NULL;
  guint n_taken_back = 0;

  kill_at (f, 6);
  if (in_place)
    append (f, "a", " edited");
  else
    put (f, "tree/a", "A edited");
  for (guint i = 0; i < 2; i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_STATE);
      assert_told (error, "a");
      g_assert_null (ramet_error_get_next (error));
      assert_text ("tree/a", "A edited");
      /* all else is as it was */
      assert_text ("tree/d/b", "b");
      assert_text ("tree/old/c", "c");
      assert_text ("tree/new/n", NULL);
      if (i == 1)
        {
          const char *at = strstr (error->message, "is '/") + 4;
          g_autofree char *original = g_strndup (at, strlen (at) - 1);
          g_autofree char *place = g_build_filename (f->tree, "a", NULL);

          g_assert_cmpint (rename (original, place), ==, 0);
        }
    }
  g_test_expect_message ("ramet", G_LOG_LEVEL_WARNING, "*'a' was changed since*");
  g_assert_true (ramet_staging_recover (f->fd, f->tree, &n_taken_back, NULL));
  g_test_assert_expected_messages ();
  assert_before (f);
}

/* Of the same size, where only the time tells. */
static void
test_killed_then_overwritten (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 0;
  int fd;

  kill_at (f, 6);
  fd = openat (f->fd, "d/b", O_WRONLY | O_CLOEXEC);
  g_assert_cmpint (write (fd, "X", 1), ==, 1);
  close (fd);
  g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_STATE);
  assert_text ("tree/d/b", "X");
  assert_told (error, "b");
}

/* What was not there before stays if somebody went on with it. */
static void
test_killed_then_new_edited (Fixture *f, gconstpointer data)
{
  guint n_taken_back = 0;

  kill_at (f, 6);
  append (f, "new/n", " edited");
  g_test_expect_message ("ramet", G_LOG_LEVEL_WARNING, "*'new/n' was changed since*");
  g_assert_true (ramet_staging_recover (f->fd, f->tree, &n_taken_back, NULL));
  g_test_assert_expected_messages ();
  g_assert_cmpuint (n_taken_back, ==, 1);
  assert_text ("tree/new/n", "n edited");
  assert_text ("tree/a", "a");
  assert_text ("tree/d/b", "b");
}

/* The folder is gone with the file in it, or the file alone: the original is there yet. */
static void
test_killed_then_removed (Fixture *f, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (f->tree, "d", NULL);
  g_autofree char *away = g_build_filename (f->dir, "away", NULL);
  g_autoptr (GError) error = NULL;
  guint n_taken_back = 0;

  kill_at (f, 6);
  g_assert_cmpint (unlinkat (f->fd, "a", 0), ==, 0);
  g_assert_cmpint (rename (folder, away), ==, 0);
  g_assert_false (ramet_staging_recover (f->fd, f->tree, &n_taken_back, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  assert_told (error, "b");
  assert_text ("tree/a", "a");
}

#endif

int
main (int argc, char **argv)
{
  static const StagingTest tests[] = {
    { "/staging-left/planted/as-checked-out", test_planted, GUINT_TO_POINTER (0755) },
    { "/staging-left/planted/private", test_planted, GUINT_TO_POINTER (0700) },
    { "/staging-left/planted/sealed", test_planted, GUINT_TO_POINTER (01700) },
    { "/staging-left/planted/no-folder", test_planted_no_folder, NULL },
    { "/staging-left/left", test_left, NULL },
    { "/staging-left/mark-copied", test_mark_copied, NULL },
    { "/staging-left/journal-planted", test_journal_planted, NULL },
    { "/staging-left/not-allowed", test_not_allowed, NULL },
    { "/staging-left/closed", test_closed, NULL },
    { "/staging-left/alive", test_alive, NULL },
#ifndef NDEBUG /* a release cannot be stopped at a step */
    { "/staging-left/killed", test_killed, NULL },
    { "/staging-left/killed-then-changed", test_killed_then_changed, NULL },
    { "/staging-left/killed-then-edited/in-place", test_killed_then_edited, NULL },
    { "/staging-left/killed-then-edited/replaced", test_killed_then_edited, "" },
    { "/staging-left/killed-then-overwritten", test_killed_then_overwritten, NULL },
    { "/staging-left/killed-then-new-edited", test_killed_then_new_edited, NULL },
    { "/staging-left/killed-then-removed", test_killed_then_removed, NULL },
#endif
  };

  return run_staging_tests (&argc, &argv, tests, G_N_ELEMENTS (tests));
}
