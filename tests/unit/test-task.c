/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/task.h"

static gint64
now_ms (void)
{
  return g_get_monotonic_time () / 1000;
}

static gboolean
set_flag (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

static gboolean
cancel (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static void
test_deadline (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("web", NULL);
  g_autoptr (GError) error = NULL;
  gint64 start = now_ms ();
  gint64 deadline_us = g_get_monotonic_time () + 200 * 1000;

  while (ramet_task_iterate (task, deadline_us, "the root console of 'web'", &error))
    g_assert_cmpint (now_ms () - start, <, 5000);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
  g_assert_cmpstr (error->message, ==, "waited in vain for the root console of 'web'");
  g_assert_cmpint (now_ms () - start, >=, 199);
}

/* A deadline of the past is over at once, not "no deadline". */
static void
test_deadline_past (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("web", NULL);
  g_autoptr (GError) error = NULL;
  gint64 start = now_ms ();

  g_assert_false (ramet_task_iterate (task, 0, "anything", &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
  g_assert_cmpint (now_ms () - start, <, 100);
}

static void
test_event_wakes (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("web", NULL);
  g_autoptr (GError) error = NULL;
  gboolean happened = FALSE;
  gint64 start = now_ms ();

  g_timeout_add (50, set_flag, &happened);
  while (!happened)
    {
      g_assert_true (ramet_task_iterate (task, G_MAXINT64, "the event", &error));
      g_assert_no_error (error);
    }
  g_assert_cmpint (now_ms () - start, <, 900); /* the event itself woke it, not the heartbeat */
}

static void
test_cancel (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (RametTask) task = ramet_task_new ("web", cancellable);
  g_autoptr (GError) error = NULL;

  g_assert_true (ramet_task_check (task, &error));
  g_timeout_add (50, cancel, cancellable);
  while (ramet_task_iterate (task, g_get_monotonic_time () + 5 * G_USEC_PER_SEC, "nothing", &error))
    ;
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_clear_error (&error);
  g_assert_false (ramet_task_check (task, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_clear_error (&error);
  /* Ctrl-C is told even where the deadline has passed too */
  g_assert_false (ramet_task_iterate (task, 0, "nothing", &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
}

static void
test_sleep (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (RametTask) task = ramet_task_new ("web", cancellable);
  g_autoptr (GError) error = NULL;
  gint64 start = now_ms ();

  g_assert_true (ramet_task_sleep (task, 100, &error));
  g_assert_no_error (error);
  g_assert_cmpint (now_ms () - start, >=, 99);
  g_timeout_add (50, cancel, cancellable);
  g_assert_false (ramet_task_sleep (task, 5000, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  g_assert_cmpint (now_ms () - start, <, 4000);
}

static void
remove_tree (const char *path)
{
  const char *argv[] = { "rm", "-rf", "--", path, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void
test_log (void)
{
  g_autofree char *dir = g_dir_make_tmp ("ramet-task-XXXXXX", NULL);
  g_autofree char *path = g_build_filename (dir, "log", "web.log", NULL);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *victim = g_build_filename (dir, "victim", NULL);
  g_autofree char *text = NULL;
  g_autoptr (GError) error = NULL;
  struct stat st;

  /* a link left there is replaced, not followed */
  g_assert_cmpint (g_mkdir (folder, 0700), ==, 0);
  g_assert_true (g_file_set_contents (victim, "precious", -1, NULL));
  g_assert_cmpint (symlink (victim, path), ==, 0);
  for (guint round = 0; round < 2; round++)
    {
      g_autoptr (RametTask) task = ramet_task_new ("web", NULL);

      g_assert_null (ramet_task_get_log (task));
      ramet_task_log (task, "goes nowhere");
      g_assert_true (ramet_task_open_log (task, path, &error));
      g_assert_no_error (error);
      g_assert_cmpstr (ramet_task_get_log (task), ==, path);
      ramet_task_step (task, "starting %d", 1);
      ramet_task_note (task, "a note");
      ramet_task_warn (task, "a warning");
      ramet_task_log (task, "a line");
      ramet_task_status (task, "not for the log");
    }
  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "== starting 1\na note\nwarning: a warning\na line\n");
  g_assert_cmpint (g_lstat (path, &st), ==, 0);
  g_assert_cmpint (st.st_mode, ==, S_IFREG | 0600);
  g_clear_pointer (&text, g_free);
  g_assert_true (g_file_get_contents (victim, &text, NULL, NULL));
  g_assert_cmpstr (text, ==, "precious");
  remove_tree (dir);
}

static void
test_log_impossible (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("web", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (ramet_task_open_log (task, "/dev/null/x/web.log", &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_null (ramet_task_get_log (task));
}

static void
test_subject_is_safe (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("a\033[2Jb", NULL);

  g_assert_cmpstr (ramet_task_get_subject (task), ==, "a\\x1b[2Jb");
}

/* All that a task says, in a process of its own with stderr in a pipe. */
static void
test_talk_child (gconstpointer data)
{
  RametTalkLevel level = (RametTalkLevel) GPOINTER_TO_INT (data);
  g_autoptr (RametTask) task = NULL;

  ramet_talk_init (level);
  task = ramet_task_new ("web", NULL);
  ramet_task_step (task, "a step");
  ramet_task_status (task, "a status");
  ramet_task_note (task, "a note");
  ramet_task_warn (task, "a warning");
}

static const struct
{
  const char *title, *child;
  RametTalkLevel level;
  const char *says;
} talk_rows[] = {
  { "quiet", "/task/talk/quiet/subprocess", RAMET_TALK_QUIET, "" },
  { "normal", "/task/talk/normal/subprocess", RAMET_TALK_NORMAL,
    "web: a step\nramet: warning: web: a warning\n" },
  { "verbose", "/task/talk/verbose/subprocess", RAMET_TALK_VERBOSE,
    "web: a step\nweb: a note\nramet: warning: web: a warning\n" },
};

static void
test_talk (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);

  g_test_trap_subprocess (talk_rows[i].child, 0, 0);
  g_test_trap_assert_passed ();
  /* GLib matches patterns, of which an empty one matches only nothing */
  g_test_trap_assert_stderr (talk_rows[i].says);
}

static void
test_colour (void)
{
  int fd = open ("/dev/null", O_WRONLY | O_CLOEXEC);

  g_assert_false (ramet_talk_colour (fd)); /* no terminal */
  close (fd);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/task/deadline/passes", test_deadline);
  g_test_add_func ("/task/deadline/past", test_deadline_past);
  g_test_add_func ("/task/event wakes", test_event_wakes);
  g_test_add_func ("/task/cancel", test_cancel);
  g_test_add_func ("/task/sleep", test_sleep);
  g_test_add_func ("/task/log/written", test_log);
  g_test_add_func ("/task/log/impossible", test_log_impossible);
  g_test_add_func ("/task/subject is safe", test_subject_is_safe);
  g_test_add_func ("/task/no colour without a terminal", test_colour);
  for (gsize i = 0; i < G_N_ELEMENTS (talk_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/task/talk/%s", talk_rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_talk);
      g_test_add_data_func (talk_rows[i].child, GINT_TO_POINTER (talk_rows[i].level), test_talk_child);
    }
  return g_test_run ();
}
