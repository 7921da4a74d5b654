/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/beneath.h"
#include "host/files/put-back.h"
#include "host/files/staging.h"
#include "staging-fixture.h"

static void
test_commit (Fixture *f, gconstpointer data)
{
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);
  g_autoptr (GError) error = NULL;

  plan_all (f, staging);
  ramet_staging_commit (staging, f->task, &error);
  g_assert_no_error (error);
  ramet_staging_free (staging);
  assert_after (f);
}

static void
test_abandoned (Fixture *f, gconstpointer data)
{
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);

  plan_all (f, staging);
  ramet_staging_free (staging);
  assert_before (f);
}

/* Somebody saves the last file while the others are changed already. */
static void
test_changed_meanwhile (Fixture *f, gconstpointer data)
{
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);
  g_autoptr (GHashTable) notes = NULL;
  RametStagingExpected saved;
  g_autoptr (GError) error = NULL;

  plan_all (f, staging);
  put (f, "tree/d/b", "saved");
  saved = look (f, "d/b");
  g_assert_false (ramet_staging_commit (staging, f->task, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_STATE);
  ramet_staging_free (staging);
  assert_text ("tree/d/b", "saved");
  notes = ramet_put_back_load ();
  g_assert_cmpint (ramet_put_back_ctime (notes, saved.device, saved.inode, saved.ctime_ns), ==, saved.ctime_ns);
  put (f, "tree/d/b", "b");
  assert_before (f);
}

static void
test_made_meanwhile (Fixture *f, gconstpointer data)
{
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);
  g_autoptr (GError) error = NULL;

  plan_put (f, staging, "a", "A");
  plan_put (f, staging, "fresh", "n");
  put (f, "tree/fresh", "mine");
  g_assert_false (ramet_staging_commit (staging, f->task, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_STATE);
  ramet_staging_free (staging);
  assert_text ("tree/fresh", "mine");
  assert_text ("tree/a", "a");
}

static void
test_cancelled (Fixture *f, gconstpointer data)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (RametTask) task = ramet_task_new ("test", cancellable);
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);
  g_autoptr (GError) error = NULL;

  plan_all (f, staging);
  g_cancellable_cancel (cancellable);
  g_assert_false (ramet_staging_commit (staging, task, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  ramet_staging_free (staging);
  assert_before (f);
}

/* The folder on the way becomes a symlink that leads out, at the worst moment. */
static void
test_symlink_race (Fixture *f, gconstpointer data)
{
  RametStaging *staging = ramet_staging_new (f->fd, f->tree, NULL);
  g_autofree char *folder = g_build_filename (f->tree, "d", NULL);
  g_autofree char *aside = g_build_filename (f->tree, "aside", NULL);
  g_autofree char *outside = g_build_filename (f->dir, "outside", NULL);
  g_autoptr (GError) error = NULL;

  ramet_beneath_step_by_step = data != NULL;
  plan_put (f, staging, "a", "A");
  plan_put (f, staging, "d/evil", "evil");
  g_assert_cmpint (rename (folder, aside), ==, 0);
  g_assert_cmpint (symlink (outside, folder), ==, 0);
  g_assert_false (ramet_staging_commit (staging, f->task, &error));
  g_assert_nonnull (error);
  ramet_staging_free (staging);
  assert_text ("outside/evil", NULL);
  assert_text ("tree/a", "a");
  ramet_beneath_step_by_step = FALSE;
}

static void
test_beneath (Fixture *f, gconstpointer data)
{
  static const char *const bad[] = { "../outside/secret", "/etc/passwd", "out/secret", "d/../a", "file-link", "d/up/a" };
  g_autofree char *outside = g_build_filename (f->dir, "outside", NULL);
  g_autofree char *out = g_build_filename (f->tree, "out", NULL);
  g_autofree char *file_link = g_build_filename (f->tree, "file-link", NULL);
  g_autofree char *up = g_build_filename (f->tree, "d/up", NULL);
  g_autofree char *target = NULL;
  int fd;

  ramet_beneath_step_by_step = data != NULL;
  g_assert_cmpint (symlink (outside, out), ==, 0);
  g_assert_cmpint (symlink ("a", file_link), ==, 0);
  g_assert_cmpint (symlink ("..", up), ==, 0);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    g_assert_cmpint (ramet_beneath_open (f->fd, bad[i], O_RDONLY, 0), ==, -1);
  g_assert_cmpint (ramet_beneath_open (f->fd, "out/secret", O_RDONLY, 0), ==, -1);
  g_assert_cmpint (errno, ==, ELOOP);
  fd = ramet_beneath_open (f->fd, "d/b", O_RDONLY, 0);
  g_assert_cmpint (fd, >=, 0);
  close (fd);
  target = ramet_beneath_read_link (f->fd, "d/up");
  g_assert_cmpstr (target, ==, "..");
  ramet_beneath_step_by_step = FALSE;
}

int
main (int argc, char **argv)
{
  static const StagingTest tests[] = {
    { "/staging/commit", test_commit, NULL },
    { "/staging/abandoned", test_abandoned, NULL },
    { "/staging/changed-meanwhile", test_changed_meanwhile, NULL },
    { "/staging/made-meanwhile", test_made_meanwhile, NULL },
    { "/staging/cancelled", test_cancelled, NULL },
    { "/staging/symlink-race", test_symlink_race, NULL },
    { "/staging/symlink-race/step-by-step", test_symlink_race, "" },
    { "/staging/beneath", test_beneath, NULL },
    { "/staging/beneath/step-by-step", test_beneath, "" },
  };

  return run_staging_tests (&argc, &argv, tests, G_N_ELEMENTS (tests));
}
