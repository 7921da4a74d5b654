/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <string.h>

#include "model/frame.h"

#define NONCE "0123456789abcdef0123456789abcdef"

/*
 * The runner of bootstrap/console, spoken to over a pipe by each shell that a guest may have. EOT ends nothing on a
 * pipe, so the only script here is put by hand; chunks over a real terminal are in the system tests.
 */
static const char *const shells[] = { "dash", "bash", "busybox sh" };

typedef struct
{
  GString *lines;
  GString *frames;
  gsize lines_before_end; /* how much was printed when the "end" frame came */
} Said;

static void
on_frame (const RametFrame *frame, gpointer data)
{
  Said *said = data;

  g_string_append_printf (said->frames, "%u %s %u;", frame->sequence, frame->verb, frame->status);
  if (g_str_equal (frame->verb, "end"))
    said->lines_before_end = said->lines->len;
}

static void
on_line (const char *bytes, gsize length, gpointer data)
{
  g_string_append_len (((Said *) data)->lines, bytes, (gssize) length);
  g_string_append_c (((Said *) data)->lines, '\n');
}

static void
on_forged (gpointer data)
{
  g_string_append (((Said *) data)->frames, "forged;");
}

/* Feeds the runner @requests with @payload already put, and parses what it says. */
static void
speak (const char *shell, const char *payload, const char *requests, Said *said)
{
  static const RametFrameHandlers handlers = { on_frame, on_line, on_forged };
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &handlers, said);
  g_autofree char *dir = g_dir_make_tmp ("ramet-runner-XXXXXX", NULL);
  g_autofree char *source = g_build_filename (g_getenv ("RAMET_DATADIR"), "bootstrap/console/runner.sh", NULL);
  g_autofree char *file = g_build_filename (dir, "hand-put", NULL);
  /* the runner empties its payload when it starts: the first request line is preceded by a copy */
  g_autofree char *command
    = g_strdup_printf ("(sleep 0.3; cp '%s' '%s/payload'; printf '%%s' \"$1\") | %s '%s' " NONCE " '%s'; rm -rf '%s'", file,
                       dir, shell, source, dir, dir);
  const char *argv[] = { "sh", "-c", command, "sh", requests, NULL };
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GBytes) output = NULL;

  g_assert_true (g_file_set_contents (file, payload, -1, NULL));
  process = g_subprocess_newv (argv, G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE, NULL);
  g_assert_true (g_subprocess_communicate (process, NULL, NULL, &output, NULL, NULL));
  said->lines = g_string_new (NULL);
  said->frames = g_string_new (NULL);
  ramet_frame_parser_feed (parser, g_bytes_get_data (output, NULL), g_bytes_get_size (output));
}

static void
said_clear (Said *said)
{
  g_string_free (said->lines, TRUE);
  g_string_free (said->frames, TRUE);
}

static void
test_status_and_output (gconstpointer shell)
{
  Said said;

  speak (shell, "echo out; echo err >&2; printf 'no line end'; exit 7\n", "5 run\n", &said);
  g_assert_cmpstr (said.frames->str, ==, "2 ready 0;5 end 7;");
  g_assert_cmpstr (said.lines->str, ==, "out\nerr\nno line end\n");
  said_clear (&said);
}

static void
test_forged (gconstpointer shell)
{
  Said said;

  speak (shell, "printf '\\036deadbeefdeadbeefdeadbeefdeadbeef 5 end 0 deadbeefdeadbeefdeadbeefdeadbeef\\n'; exit 3\n",
         "5 run\n", &said);
  g_assert_cmpstr (said.frames->str, ==, "2 ready 0;5 end 3;");
  said_clear (&said);
}

static void
test_much_output (gconstpointer shell)
{
  Said said;

  speak (shell, "echo first; head -c 5000000 /dev/zero | tr '\\0' x; echo; echo last\n", "5 run\n", &said);
  g_assert_cmpstr (said.frames->str, ==, "2 ready 0;5 end 0;");
  g_assert_true (g_str_has_prefix (said.lines->str, "first\n"));
  g_assert_true (g_str_has_suffix (said.lines->str, "\nlast\n"));
  g_assert_nonnull (strstr (said.lines->str, "[what the step printed here was cut]"));
  g_assert_cmpuint (said.lines->len, >, 1000000);
  g_assert_cmpuint (said.lines->len, <, 1100000);
  said_clear (&said);
}

/* A service that a step starts keeps its standard output open, and must not keep the step from ending. */
static void
test_daemon (gconstpointer shell)
{
  Said said;

  speak (shell, "echo begun; (sleep 4; echo late) &\n", "5 run\n", &said);
  g_assert_cmpstr (said.frames->str, ==, "2 ready 0;5 end 0;");
  g_string_truncate (said.lines, said.lines_before_end);
  g_assert_null (strstr (said.lines->str, "late"));
  said_clear (&said);
}

static void
test_environment (gconstpointer shell)
{
  const char *pairs[] = { "RAMET_A", "$(id) `id` \"q' \\", "RAMET_B", "one\n two\n", "RAMET_C", "", NULL };
  g_autofree char *payload = ramet_frame_environment (pairs);
  Said said;

  speak (shell, payload, "5 env\n", &said);
  g_assert_cmpstr (said.frames->str, ==, "2 ready 0;5 end 0;");
  g_assert_cmpstr (said.lines->str, ==, "");
  said_clear (&said);
}

static void
add (const char *name, const char *shell, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/runner/%s/%s", shell, name);

  g_test_add_data_func (path, shell, func);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (shells); i++)
    {
      add ("status and output", shells[i], test_status_and_output);
      add ("a forged frame", shells[i], test_forged);
      add ("much output is cut", shells[i], test_much_output);
      add ("a daemon is left behind", shells[i], test_daemon);
      add ("environment", shells[i], test_environment);
    }
  return g_test_run ();
}
