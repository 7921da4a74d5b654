/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "staging-fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>


void
put (const Fixture *f, const char *path, const char *text)
{
  g_autofree char *full = g_build_filename (f->dir, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_assert_true (g_file_set_contents (full, text, -1, NULL));
}

char *
get (const Fixture *f, const char *path)
{
  g_autofree char *full = g_build_filename (f->dir, path, NULL);
  char *text = NULL;

  g_file_get_contents (full, &text, NULL, NULL);
  return text;
}


void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = g_dir_make_tmp ("ramet-test.XXXXXX", NULL);
  put (f, "tree/a", "a");
  put (f, "tree/d/b", "b");
  put (f, "tree/old/c", "c");
  put (f, "outside/secret", "secret");
  f->tree = g_build_filename (f->dir, "tree", NULL);
  f->fd = open (f->tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  f->task = ramet_task_new ("test", NULL);
}

int
remove_one (const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  return remove (path);
}

void
tear_down (Fixture *f, gconstpointer data)
{
  close (f->fd);
  ramet_task_free (f->task);
  nftw (f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (f->tree);
  g_free (f->dir);
}

RametStagingExpected
look (const Fixture *f, const char *path)
{
  g_autofree char *full = g_build_filename (f->tree, path, NULL);
  RametStagingExpected expected = { 0 };
  struct stat st;

  if (lstat (full, &st) == 0)
    expected = (RametStagingExpected) {
      TRUE, st.st_dev, st.st_ino, (guint64) st.st_size,
      (gint64) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec,
      (gint64) st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec,
    };
  return expected;
}

static guint
stage (RametStaging *staging, const char *text)
{
  guint number = 0;
  int fd = ramet_staging_create (staging, &number, NULL);

  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (write (fd, text, strlen (text)), ==, (gssize) strlen (text));
  fchmod (fd, 0644);
  close (fd);
  return number;
}

void
plan_put (const Fixture *f, RametStaging *staging, const char *path, const char *text)
{
  RametStagingExpected expected = look (f, path);

  ramet_staging_plan_put (staging, stage (staging, text), path, &expected);
}

static void
plan_remove (const Fixture *f, RametStaging *staging, const char *path)
{
  RametStagingExpected expected = look (f, path);

  ramet_staging_plan_remove (staging, path, &expected);
}

/* One of each kind. */
void
plan_all (const Fixture *f, RametStaging *staging)
{
  plan_remove (f, staging, "old/c");
  ramet_staging_plan_remove_folder (staging, "old");
  ramet_staging_plan_make_folder (staging, "new");
  plan_put (f, staging, "new/n", "n");
  plan_put (f, staging, "a", "A");
  plan_put (f, staging, "d/b", "B");
}

guint
count_entries (const Fixture *f)
{
  g_autoptr (GDir) dir = g_dir_open (f->tree, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

void
assert_before (const Fixture *f)
{
  assert_text ("tree/a", "a");
  assert_text ("tree/d/b", "b");
  assert_text ("tree/old/c", "c");
  assert_text ("tree/new/n", NULL);
  /* nothing else is there: no folder for staging, no new one */
  g_assert_cmpuint (count_entries (f), ==, 3);
}

void
assert_after (const Fixture *f)
{
  assert_text ("tree/a", "A");
  assert_text ("tree/d/b", "B");
  assert_text ("tree/old/c", NULL);
  assert_text ("tree/new/n", "n");
  g_assert_cmpuint (count_entries (f), ==, 3);
}

int
run_staging_tests (int *argc, char ***argv, const StagingTest *tests, gsize n_tests)
{
  g_autofree char *state = g_dir_make_tmp ("ramet-state-XXXXXX", NULL);
  int status;

  /* notes of what was put back are the user's own; GLib's way to keep a test from them leaks */
  g_setenv ("XDG_STATE_HOME", state, TRUE);
  g_test_init (argc, argv, NULL);
  ramet_talk_init (RAMET_TALK_QUIET);
  for (gsize i = 0; i < n_tests; i++)
    g_test_add (tests[i].name, Fixture, tests[i].data, set_up, tests[i].func, tear_down);
  status = g_test_run ();
  nftw (state, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  return status;
}
