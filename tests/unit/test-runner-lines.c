/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "model/frame.h"
#include "model/runner-lines.h"

#define NONCE "0123456789abcdef0123456789abcdef"

/* The lines that start and serve the runner, run as a guest agent runs them, by each shell that a guest may have. */
static const char *const shells[] = { "dash", "bash", "busybox" };

typedef struct
{
  const char *shell;
  char *top;
  char *folder;
  GString *answers;
} Guest;

/* Runs @line, and returns its exit status; what it prints is added to the answers. */
static int
call (Guest *guest, const char *line, const char *first, const char *second, const char *input)
{
  g_autoptr (GSubprocessLauncher) launcher
    = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_autofree char *path = g_strdup_printf ("%s:%s", guest->top, g_getenv ("PATH"));
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GBytes) given = g_bytes_new (input, strlen (input));
  g_autoptr (GBytes) output = NULL;

  g_subprocess_launcher_setenv (launcher, "PATH", path, TRUE);
  process = g_str_equal (guest->shell, "busybox")
              ? g_subprocess_launcher_spawn (launcher, NULL, "busybox", "sh", "-c", line, "sh", guest->folder, first, second, NULL)
              : g_subprocess_launcher_spawn (launcher, NULL, guest->shell, "-c", line, "sh", guest->folder, first, second, NULL);
  g_assert_nonnull (process);
  g_assert_true (g_subprocess_communicate (process, given, NULL, &output, NULL, NULL));
  g_string_append_len (guest->answers, g_bytes_get_data (output, NULL), (gssize) g_bytes_get_size (output));
  g_assert_true (g_subprocess_get_if_exited (process));
  return g_subprocess_get_exit_status (process);
}

/* Asks for more until the answers hold @text; fails after a while. */
static void
await (Guest *guest, const char *text)
{
  gint64 deadline_us = g_get_monotonic_time () + 30 * G_USEC_PER_SEC;

  while (g_strstr_len (guest->answers->str, (gssize) guest->answers->len, text) == NULL)
    {
      g_autofree char *known = g_strdup_printf ("%" G_GSIZE_FORMAT, guest->answers->len);

      g_assert_cmpint (call (guest, ramet_runner_line_turn, known, "", ""), ==, 0);
      g_assert_cmpint (g_get_monotonic_time (), <, deadline_us);
    }
}

static void
request (Guest *guest, const char *line)
{
  g_autofree char *known = g_strdup_printf ("%" G_GSIZE_FORMAT, guest->answers->len);

  g_assert_cmpint (call (guest, ramet_runner_line_turn, known, line, ""), ==, 0);
}

static void
put (Guest *guest, const char *text)
{
  g_autofree char *coded = g_base64_encode ((const guchar *) text, strlen (text));

  g_assert_cmpint (call (guest, ramet_runner_line_put, "", "", coded), ==, 0);
}

static void
guest_start (Guest *guest, const char *shell)
{
  g_autofree char *source = g_build_filename (g_getenv ("RAMET_DATADIR"), "bootstrap/console/runner.sh", NULL);
  g_autofree char *stand_in = NULL;
  g_autofree char *runner = NULL;

  guest->shell = shell;
  guest->top = g_dir_make_tmp ("ramet-lines-XXXXXX", NULL);
  guest->folder = g_build_filename (guest->top, "run it's here", NULL);
  guest->answers = g_string_new (NULL);
  /* the machine that the test runs on gets no service of ours */
  stand_in = g_build_filename (guest->top, "systemd-run", NULL);
  g_assert_true (g_file_set_contents (stand_in, "#!/bin/sh\nshift 2\nsetsid \"$@\" </dev/null >/dev/null 2>&1 &\n", -1, NULL));
  g_assert_cmpint (g_chmod (stand_in, 0755), ==, 0);
  g_assert_true (g_file_get_contents (source, &runner, NULL, NULL));
  g_assert_cmpint (call (guest, ramet_runner_line_start, NONCE, "", runner), ==, 0);
}

static void
guest_clear (Guest *guest)
{
  g_autofree char *stand_in = g_build_filename (guest->top, "systemd-run", NULL);

  g_unlink (stand_in);
  g_rmdir (guest->top);
  g_free (guest->top);
  g_free (guest->folder);
  g_string_free (guest->answers, TRUE);
}

static void
test_steps (gconstpointer shell)
{
  Guest guest;

  guest_start (&guest, shell);
  await (&guest, NONCE " 2 ready 0 " NONCE "\n");
  put (&guest, "RAMET_A=it's $(id) \"x\"\n");
  request (&guest, "3 env");
  await (&guest, " 3 end 0 ");
  put (&guest, NONCE " one.sh\necho \"<$RAMET_A>\"\n" NONCE " two.sh\n");
  put (&guest, "exit 9\n");
  request (&guest, "4 files");
  await (&guest, " 4 end 0 ");
  request (&guest, "5 run one.sh");
  await (&guest, " 5 end 0 ");
  g_assert_nonnull (strstr (guest.answers->str, "\n<it's $(id) \"x\">\n"));
  request (&guest, "6 run two.sh");
  await (&guest, " 6 end 9 ");
  g_assert_cmpint (call (&guest, ramet_runner_line_end, "", "", ""), ==, 0);
  g_assert_false (g_file_test (guest.folder, G_FILE_TEST_EXISTS));
  guest_clear (&guest);
}

/* More than one call passes on comes in pieces, and nothing of it twice. */
static void
test_pieces (gconstpointer shell)
{
  Guest guest;
  guint lines = 0;

  guest_start (&guest, shell);
  await (&guest, " 2 ready 0 ");
  put (&guest, "i=0; while [ $i -lt 20000 ]; do i=$((i + 1)); echo line $i; done\n");
  request (&guest, "3 run");
  await (&guest, " 3 end 0 ");
  for (const char *at = guest.answers->str; (at = strstr (at, "line ")); at++)
    g_assert_cmpuint (strtoul (at + 5, NULL, 10), ==, ++lines);
  g_assert_cmpuint (lines, ==, 20000);
  g_assert_cmpint (call (&guest, ramet_runner_line_end, "", "", ""), ==, 0);
  guest_clear (&guest);
}

/* Whoever does not know whether a request came through sends it again. */
static void
test_once (gconstpointer shell)
{
  Guest guest;

  guest_start (&guest, shell);
  await (&guest, " 2 ready 0 ");
  put (&guest, "echo counted\n");
  request (&guest, "3 run");
  request (&guest, "3 run");
  await (&guest, " 3 end 0 ");
  request (&guest, "3 run");
  request (&guest, "4 run");
  await (&guest, " 4 end 0 ");
  g_assert_nonnull (strstr (guest.answers->str, "counted\n"));
  g_assert_null (strstr (strstr (guest.answers->str, "counted\n") + 1, "counted\n"));
  g_assert_cmpint (call (&guest, ramet_runner_line_end, "", "", ""), ==, 0);
  guest_clear (&guest);
}

/* It is noticed when the runner has gone, or all of its folder; nobody is kept waiting. */
static void
test_gone (gconstpointer shell)
{
  g_autofree char *known = NULL;
  g_autofree char *file = NULL;
  g_autofree char *pid = NULL;
  Guest guest;

  guest_start (&guest, shell);
  await (&guest, " 2 ready 0 ");
  file = g_build_filename (guest.folder, "pid", NULL);
  g_assert_true (g_file_get_contents (file, &pid, NULL, NULL));
  g_assert_cmpint (kill ((pid_t) strtol (pid, NULL, 10), SIGKILL), ==, 0);
  known = g_strdup_printf ("%" G_GSIZE_FORMAT, guest.answers->len);
  for (guint i = 0; call (&guest, ramet_runner_line_turn, known, "", "") != RAMET_RUNNER_GONE; i++)
    g_assert_cmpuint (i, <, 5);
  g_assert_cmpint (call (&guest, ramet_runner_line_turn, known, "3 run", ""), ==, RAMET_RUNNER_GONE);
  g_assert_cmpint (call (&guest, ramet_runner_line_end, "", "", ""), ==, 0);
  g_assert_cmpint (call (&guest, ramet_runner_line_turn, known, "3 run", ""), ==, RAMET_RUNNER_GONE);
  guest_clear (&guest);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (shells); i++)
    {
      g_autofree char *steps = g_strdup_printf ("/runner-lines/steps/%s", shells[i]);
      g_autofree char *pieces = g_strdup_printf ("/runner-lines/pieces/%s", shells[i]);
      g_autofree char *once = g_strdup_printf ("/runner-lines/once/%s", shells[i]);
      g_autofree char *gone = g_strdup_printf ("/runner-lines/gone/%s", shells[i]);

      g_test_add_data_func (steps, shells[i], test_steps);
      g_test_add_data_func (pieces, shells[i], test_pieces);
      g_test_add_data_func (once, shells[i], test_once);
      g_test_add_data_func (gone, shells[i], test_gone);
    }
  return g_test_run ();
}
