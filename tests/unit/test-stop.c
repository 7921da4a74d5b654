/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/stop.h"

#include <glib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef NDEBUG
#define HAS_STOPS FALSE
#else
#define HAS_STOPS TRUE
#endif

/* A process of "one", "two", "one", "one" and the end, looked at when it has stopped or ended. */
static const struct
{
  const char *title;
  const char *at;
  const char *signal;
  int steps; /* that it has done before it stopped by that signal; -1: it does not stop */
} rows[] = {
  { "not asked for", NULL, NULL, -1 },
  { "the first of that name", "one", NULL, 1 },
  { "another name", "two", NULL, 2 },
  { "the first by its number", "one:1", NULL, 1 },
  { "the third of that name", "one:3", NULL, 4 },
  { "killed", "one:2", "KILL", 3 },
  { "more often than it comes", "one:4", NULL, -1 },
  { "no such step", "three", NULL, -1 },
  { "half a name", "o", NULL, -1 },
  { "only told", "?", NULL, -1 },
};

static void
step_and_count (int *steps, const char *name)
{
  ++*steps;
  if (g_str_equal (name, "one"))
    RAMET_STEP ("one");
  else
    RAMET_STEP ("two");
}

static void
test_stop (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  int steps = 0;
  int pipe_fds[2];
  int status = 0;
  pid_t pid;

  g_assert_cmpint (pipe (pipe_fds), ==, 0);
  pid = fork ();
  if (pid == 0)
    {
      if (rows[i].at)
        g_setenv ("RAMET_STOP_AT", rows[i].at, TRUE);
      if (rows[i].signal)
        g_setenv ("RAMET_STOP_SIGNAL", rows[i].signal, TRUE);
      dup2 (pipe_fds[1], STDERR_FILENO);
      for (const char *const *name = (const char *const[]){ "one", "two", "one", "one", NULL }; *name; name++)
        {
          g_assert_cmpint (write (pipe_fds[1], ".", 1), ==, 1);
          step_and_count (&steps, *name);
        }
      _exit (0);
    }
  g_assert_cmpint (waitpid (pid, &status, WUNTRACED), ==, pid);
  if (HAS_STOPS && rows[i].steps >= 0)
    {
      char seen[16];

      g_assert_cmpint (read (pipe_fds[0], seen, sizeof seen), ==, rows[i].steps);
      g_assert_true (rows[i].signal ? WIFSIGNALED (status) : WIFSTOPPED (status));
      g_assert_cmpint (rows[i].signal ? WTERMSIG (status) : WSTOPSIG (status), ==, rows[i].signal ? SIGKILL : SIGSTOP);
      if (WIFSTOPPED (status))
        {
          kill (pid, SIGCONT);
          waitpid (pid, &status, 0);
        }
    }
  if (rows[i].signal == NULL || !HAS_STOPS)
    g_assert_true (WIFEXITED (status) && WEXITSTATUS (status) == 0);
  close (pipe_fds[0]);
  close (pipe_fds[1]);
}

static void
test_told (void)
{
  if (g_test_subprocess ())
    {
      int steps = 0;

      g_setenv ("RAMET_STOP_AT", "?", TRUE);
      step_and_count (&steps, "one");
      step_and_count (&steps, "two");
      step_and_count (&steps, "one");
      return;
    }
  g_test_trap_subprocess (NULL, 0, 0);
  g_test_trap_assert_passed ();
  g_test_trap_assert_stderr (HAS_STOPS ? "step one:1\nstep two:1\nstep one:2\n" : "");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *path = g_strconcat ("/stop/", rows[i].title, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_stop);
    }
  g_test_add_func ("/stop/told by name and number", test_told);
  return g_test_run ();
}
