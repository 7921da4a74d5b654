/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"
#include "host/files/lock.h"

static char *file;

/* A process that has locked the file, and ends only by force. */
static pid_t
lock_elsewhere (void)
{
  int ready[2];
  char byte;
  pid_t pid;

  g_assert_cmpint (pipe (ready), ==, 0);
  pid = fork ();
  if (pid == 0)
    {
      int fd = open (file, O_RDONLY);

      if (flock (fd, LOCK_EX) == 0 && write (ready[1], "x", 1) == 1)
        for (;;)
          pause ();
      _exit (1);
    }
  g_assert_cmpint (read (ready[0], &byte, 1), ==, 1);
  close (ready[0]);
  close (ready[1]);
  return pid;
}

static gboolean
on_kill (gpointer data)
{
  kill (*(pid_t *) data, SIGKILL);
  return G_SOURCE_REMOVE;
}

static gboolean
on_cancel (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

/* Puts another file in its place, as editors do. */
static void
replace_file (void)
{
  g_autofree char *other = g_strconcat (file, "~", NULL);

  g_assert_true (g_file_set_contents (other, "", 0, NULL));
  g_assert_cmpint (g_rename (other, file), ==, 0);
}

static gboolean
on_replace (gpointer data)
{
  replace_file ();
  return G_SOURCE_REMOVE;
}

static gboolean
is_locked (void)
{
  int fd = open (file, O_RDONLY);
  gboolean locked = flock (fd, LOCK_EX | LOCK_NB) < 0;

  g_assert_cmpint (fd, >=, 0);
  close (fd);
  return locked;
}

static void
test_free (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;
  RametLock *lock = ramet_lock_file (task, file, &error);

  g_assert_no_error (error);
  g_assert_nonnull (lock);
  g_assert_true (is_locked ());
  ramet_lock_free (lock);
  g_assert_false (is_locked ());
}

static void
test_killed (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametLock) lock = NULL;
  pid_t pid = lock_elsewhere ();
  gint64 since_us = g_get_monotonic_time ();

  g_timeout_add (300, on_kill, &pid);
  lock = ramet_lock_file (task, file, &error);
  g_assert_no_error (error);
  g_assert_nonnull (lock);
  g_assert_cmpint (g_get_monotonic_time () - since_us, >=, 250000);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static void
test_replaced_while_waiting (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametLock) lock = NULL;
  pid_t pid = lock_elsewhere ();

  g_timeout_add (100, on_replace, NULL);
  g_timeout_add (600, on_kill, &pid);
  lock = ramet_lock_file (task, file, &error);
  g_assert_no_error (error);
  g_assert_nonnull (lock);
  g_assert_true (is_locked ());
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static void
test_replaced_while_held (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametLock) lock = ramet_lock_file (task, file, &error);
  gint64 deadline_us = g_get_monotonic_time () + 10 * G_USEC_PER_SEC;

  g_assert_no_error (error);
  g_assert_nonnull (lock);
  replace_file ();
  while (!is_locked () && g_get_monotonic_time () < deadline_us)
    g_main_context_iteration (NULL, TRUE);
  g_assert_true (is_locked ());
}

static void
test_folder_stays_free (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autofree char *folder = g_path_get_dirname (file);
  g_autoptr (RametLock) lock = ramet_lock_file (task, file, NULL);
  int fd = open (folder, O_RDONLY | O_DIRECTORY);

  g_assert_nonnull (lock);
  g_assert_cmpint (flock (fd, LOCK_EX | LOCK_NB), ==, 0);
  close (fd);
}

static void
test_cancelled (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (RametTask) task = ramet_task_new ("shop", cancellable);
  g_autoptr (GError) error = NULL;
  pid_t pid = lock_elsewhere ();

  g_timeout_add (100, on_cancel, cancellable);
  g_assert_null (ramet_lock_file (task, file, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  kill (pid, SIGKILL);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
}

static void
test_gone (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_null (ramet_lock_file (task, "/nonexistent", &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
}

static gboolean
on_free (gpointer data)
{
  RametLock **turn = data;

  g_clear_pointer (turn, ramet_lock_free);
  return G_SOURCE_REMOVE;
}

static void
test_turns (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;
  RametLock *first = NULL;
  g_autoptr (RametLock) second = NULL;
  g_autoptr (RametLock) third = NULL;
  gint64 since_us = g_get_monotonic_time ();

  g_assert_true (ramet_lock_turn (task, 2, &first, &error));
  g_assert_true (ramet_lock_turn (task, 2, &second, &error));
  g_assert_true (first != NULL && second != NULL);
  g_timeout_add (300, on_free, &first);
  g_assert_true (ramet_lock_turn (task, 2, &third, &error));
  g_assert_no_error (error);
  g_assert_nonnull (third);
  g_assert_null (first);
  g_assert_cmpint (g_get_monotonic_time () - since_us, >=, 250000);
}

static void
test_turn_cancelled (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (RametTask) task = ramet_task_new ("shop", cancellable);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametLock) first = NULL;
  g_autoptr (RametLock) second = NULL;

  g_assert_true (ramet_lock_turn (task, 1, &first, &error));
  g_timeout_add (100, on_cancel, cancellable);
  g_assert_false (ramet_lock_turn (task, 1, &second, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_assert_null (second);
}

/* Where there are none, nobody waits. */
static void
test_no_turns (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("shop", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametLock) turn = NULL;
  g_autofree char *folder = ramet_paths_turns ();
  g_autofree char *aside = g_strconcat (folder, "~", NULL);

  g_assert_cmpint (g_rename (folder, aside), ==, 0);
  g_assert_true (g_file_set_contents (folder, "", 0, NULL));
  g_assert_true (ramet_lock_turn (task, 1, &turn, &error));
  g_assert_no_error (error);
  g_assert_null (turn);
  g_assert_cmpint (g_unlink (folder), ==, 0);
  g_assert_cmpint (g_rename (aside, folder), ==, 0);
}

static void
remove_turns (void)
{
  g_autofree char *folder = ramet_paths_turns ();

  for (guint i = 0; i < 2; i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/turn-%u", folder, i);

      g_unlink (path);
    }
  g_rmdir (folder);
}

int
main (int argc, char **argv)
{
  g_autofree char *folder = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  ramet_talk_init (RAMET_TALK_QUIET);
  folder = g_dir_make_tmp ("ramet-lock-XXXXXX", NULL);
  g_setenv ("XDG_RUNTIME_DIR", folder, TRUE);
  file = g_build_filename (folder, "ramet.ini", NULL);
  g_assert_true (g_file_set_contents (file, "", 0, NULL));
  g_test_add_func ("/lock/free", test_free);
  g_test_add_func ("/lock/killed", test_killed);
  g_test_add_func ("/lock/replaced-while-waiting", test_replaced_while_waiting);
  g_test_add_func ("/lock/replaced-while-held", test_replaced_while_held);
  g_test_add_func ("/lock/folder-stays-free", test_folder_stays_free);
  g_test_add_func ("/lock/cancelled", test_cancelled);
  g_test_add_func ("/lock/gone", test_gone);
  g_test_add_func ("/lock/turns", test_turns);
  g_test_add_func ("/lock/turn-cancelled", test_turn_cancelled);
  g_test_add_func ("/lock/no-turns", test_no_turns);
  status = g_test_run ();
  remove_turns ();
  g_unlink (file);
  g_rmdir (folder);
  g_free (file);
  return status;
}
