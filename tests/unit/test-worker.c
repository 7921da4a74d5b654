/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/libvirt/worker.h"

/* The record of a child that does nothing until it is killed. */
static char *
start_worker (pid_t *ret_pid)
{
  char record[256] = "";
  int pipe_fds[2];

  g_assert_cmpint (pipe (pipe_fds), ==, 0);
  *ret_pid = fork ();
  if (*ret_pid == 0)
    {
      g_autofree char *self = ramet_worker_self ();

      if (write (pipe_fds[1], self, strlen (self)) < 0)
        _exit (1);
      close (pipe_fds[1]);
      pause ();
      _exit (0);
    }
  close (pipe_fds[1]);
  g_assert_cmpint (read (pipe_fds[0], record, sizeof record - 1), >, 0);
  close (pipe_fds[0]);
  return g_strdup (record);
}

static void
test_self (void)
{
  g_autofree char *self = ramet_worker_self ();

  g_assert_nonnull (self);
  g_assert_true (g_regex_match_simple ("^[0-9a-z-]+$", self, 0, 0));
  g_assert_cmpint (ramet_worker_look (self), ==, RAMET_WORKER_AT_WORK);
  g_assert_true (ramet_worker_is_self (self));
  g_assert_false (ramet_worker_is_self (NULL));
  g_assert_false (ramet_worker_is_self (RAMET_WORKER_KEPT_RECORD));
}

static void
test_killed (void)
{
  pid_t pid;
  g_autofree char *record = start_worker (&pid);
  siginfo_t info;

  g_assert_cmpint (ramet_worker_look (record), ==, RAMET_WORKER_AT_WORK);
  g_assert_false (ramet_worker_is_self (record));
  kill (pid, SIGKILL);
  /* dead, and not yet reaped: its number is still taken */
  g_assert_cmpint (waitid (P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), ==, 0);
  g_assert_cmpint (ramet_worker_look (record), ==, RAMET_WORKER_GONE);
  g_assert_cmpint (waitpid (pid, NULL, 0), ==, pid);
  g_assert_cmpint (ramet_worker_look (record), ==, RAMET_WORKER_GONE);
}

/* A record like this process's own, but for one field. */
static char *
change (guint field, const char *value)
{
  g_autofree char *self = ramet_worker_self ();
  g_auto (GStrv) fields = g_strsplit (self, "-", -1);

  g_assert_cmpuint (g_strv_length (fields), ==, 6);
  g_free (fields[field]);
  fields[field] = g_strdup (value);
  return g_strjoinv ("-", fields);
}

static const struct
{
  const char *name;
  guint field;
  const char *value;
  RametWorkerState state;
} cases[] = {
  { "the number given anew", 4, "1", RAMET_WORKER_GONE },
  { "another container", 2, "1", RAMET_WORKER_UNKNOWN },
  { "another machine of that boot id: no such thing", 0, "0123456789ab", RAMET_WORKER_AT_WORK },
  { "no number at all", 3, "x", RAMET_WORKER_UNKNOWN },
  { "a number that would mean all processes", 3, "-1", RAMET_WORKER_UNKNOWN },
  { "something behind it", 5, "1-more", RAMET_WORKER_UNKNOWN },
  { "another boot, begun later than ours", 1, "00000000", RAMET_WORKER_UNKNOWN },
};

static void
test_changed (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *record = change (cases[i].field, cases[i].value);

  g_assert_cmpint (ramet_worker_look (record), ==, (int) cases[i].state);
}

static void
test_restarted (void)
{
  g_autofree char *other_boot = change (1, "00000000");
  g_auto (GStrv) fields = g_strsplit (other_boot, "-", -1);
  g_autofree char *record = NULL;
  RametWorkerState wanted = g_str_equal (fields[0], "000000000000") ? RAMET_WORKER_UNKNOWN : RAMET_WORKER_GONE;

  g_free (fields[5]);
  fields[5] = g_strdup ("1000000000");
  record = g_strjoinv ("-", fields);
  g_assert_cmpint (ramet_worker_look (record), ==, (int) wanted);
}

static void
test_odd (void)
{
  g_assert_cmpint (ramet_worker_look (NULL), ==, RAMET_WORKER_UNKNOWN);
  g_assert_cmpint (ramet_worker_look (""), ==, RAMET_WORKER_UNKNOWN);
  g_assert_cmpint (ramet_worker_look ("0"), ==, RAMET_WORKER_UNKNOWN);
  g_assert_cmpint (ramet_worker_look (RAMET_WORKER_KEPT_RECORD), ==, RAMET_WORKER_KEPT);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/worker/self", test_self);
  g_test_add_func ("/worker/killed", test_killed);
  g_test_add_func ("/worker/restarted", test_restarted);
  g_test_add_func ("/worker/odd", test_odd);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/worker/", cases[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_changed);
    }
  return g_test_run ();
}
