/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "model/frame.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define FRAME(body) "\x1e" NONCE " " body " " NONCE "\n"

/* What a parser said, as text: "F5 end 0|" for a frame, "Ltext|" for a line, "!|" for a damaged frame. */
static void
on_frame (const RametFrame *frame, gpointer data)
{
  g_string_append_printf (data, "F%u %s %u|", frame->sequence, frame->verb, frame->status);
}

static void
on_line (const char *bytes, gsize length, gpointer data)
{
  g_string_append_printf (data, "L%.*s|", (int) length, bytes);
}

static void
on_forged (gpointer data)
{
  g_string_append (data, "!|");
}

static const RametFrameHandlers handlers = { on_frame, on_line, on_forged };

static const struct
{
  const char *name;
  const char *input;
  const char *expected;
} cases[] = {
  { "a line", "hello\n", "Lhello|" },
  { "a line with CR", "hello\r\n", "Lhello|" },
  { "an empty line", "\n", "L|" },
  { "a frame", FRAME ("5 end 0"), "F5 end 0|" },
  { "status 255", FRAME ("5 end 255"), "F5 end 255|" },
  { "a frame with CR", "\x1e" NONCE " 5 end 0 " NONCE "\r\n", "F5 end 0|" },
  { "output without a line end before a frame", "abc" FRAME ("7 end 3"), "Labc|F7 end 3|" },
  { "two frames", FRAME ("1 got 0") FRAME ("2 end 0"), "F1 got 0|F2 end 0|" },
  { "text behind a frame", FRAME ("1 got 0") "x\n", "F1 got 0|Lx|" },
  { "another nonce is text", "\x1e" "ffff6789abcdef0123456789abcdef01 5 end 0 ffff6789abcdef0123456789abcdef01\n",
    "L\x1e" "ffff6789abcdef0123456789abcdef01 5 end 0 ffff6789abcdef0123456789abcdef01|" },
  { "no nonce is text", "\x1e" "5 end 0\n", "L\x1e" "5 end 0|" },
  { "the second nonce is missing", "\x1e" NONCE " 5 end 0\n", "L\x1e" NONCE " 5 end 0|" },
  { "the second nonce is another", "\x1e" NONCE " 5 end 0 0123456789abcdef0123456789abcdee\n", "!|" },
  { "status 256", FRAME ("5 end 256"), "!|" },
  { "a negative status", FRAME ("5 end -1"), "!|" },
  { "a leading zero", FRAME ("05 end 0"), "!|" },
  { "no number", FRAME ("x end 0"), "!|" },
  { "a huge number", FRAME ("12345678901 end 0"), "!|" },
  { "a verb in capitals", FRAME ("5 END 0"), "!|" },
  { "a long verb", FRAME ("5 abcdefghij 0"), "!|" },
  { "a word too many", FRAME ("5 end 0 0"), "!|" },
  { "an RS inside a frame begins anew", "\x1e" "junk" FRAME ("5 end 0"), "L\x1e" "junk|F5 end 0|" },
  { "an RS alone", "\x1e\n", "L\x1e|" },
};

static void
check_in_pieces (const char *input, gsize piece, const char *expected)
{
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &handlers, said);
  gsize length = strlen (input);

  for (gsize at = 0; at < length; at += piece)
    ramet_frame_parser_feed (parser, input + at, MIN (piece, length - at));
  g_assert_cmpstr (said->str, ==, expected);
}

static void
test_parse (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);

  for (gsize piece = 1; piece <= strlen (cases[i].input); piece++)
    check_in_pieces (cases[i].input, piece, cases[i].expected);
}

static void
count_line (const char *bytes, gsize length, gpointer data)
{
  gsize *longest = data;

  *longest = MAX (*longest, length);
}

static void
test_long_line (void)
{
  static const RametFrameHandlers counting = { on_frame, count_line, on_forged };
  gsize longest = 0;
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &counting, &longest);

  for (int i = 0; i < 100000; i++)
    ramet_frame_parser_feed (parser, "xxxxxxxxxx", 10);
  g_assert_cmpuint (longest, ==, 4096);
}

/* What is typed comes back as an echo: it must be no frame. */
static void
test_echo (void)
{
  g_autofree char *sync = ramet_frame_sync_line (NONCE, 1000);
  g_autofree char *loader = ramet_frame_loader_line (NONCE, "0000000000000000000000000000000000000000000000000000000000000000");
  g_autofree char *typed = g_strconcat (sync, loader, NULL);
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &handlers, said);

  g_assert_null (strstr (typed, NONCE));
  g_assert_cmpuint (strlen (loader), <, 1024);
  ramet_frame_parser_feed (parser, typed, strlen (typed));
  g_assert_null (strchr (said->str, '!'));
  g_assert_false (g_str_has_prefix (said->str, "F") || strstr (said->str, "|F"));
}

/* A real shell must answer what the parser takes, also behind the rest of a line whose start was swallowed. */
static const char *const shells[] = { "dash", "bash", "busybox sh" };

static void
check_shell_answers (const char *shell, const char *before)
{
  g_autofree char *sync = ramet_frame_sync_line (NONCE, 1234);
  g_autofree char *typed = g_strconcat (before, sync, NULL);
  g_autofree char *command = g_strdup_printf ("printf '%%s' \"$1\" | %s 2>/dev/null", shell);
  const char *argv[] = { "sh", "-c", command, "sh", typed, NULL };
  g_autofree char *output = NULL;
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &handlers, said);

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, NULL, NULL, NULL));
  ramet_frame_parser_feed (parser, output, strlen (output));
  g_assert_true (g_str_has_suffix (said->str, "F1234 ready 0|"));
}

static void
test_shell_answers (gconstpointer shell)
{
  g_autofree char *line = ramet_frame_sync_line (NONCE, 1000);

  for (gsize lost = 0; lost <= strlen (line); lost++)
    check_shell_answers (shell, line + lost);
}

static void
test_base64 (void)
{
  g_autoptr (GString) out = g_string_new (NULL);
  g_autofree guint8 *decoded = NULL;
  guint8 bytes[1000];
  gsize length = 0;

  for (gsize i = 0; i < sizeof bytes; i++)
    bytes[i] = (guint8) (i * 7);
  ramet_frame_append_base64 (out, bytes, sizeof bytes);
  g_assert_cmpint (out->str[out->len - 1], ==, 0x04);
  g_assert_cmpint (out->str[out->len - 2], ==, '\n');
  g_string_truncate (out, out->len - 1);
  decoded = g_base64_decode (out->str, &length);
  g_assert_cmpmem (decoded, length, bytes, sizeof bytes);
}

static void
test_environment (void)
{
  const char *pairs[] = { "A", "x y", "B", "one\ntwo\n", "C", "", "D", NULL, NULL };
  g_autofree char *text = ramet_frame_environment (pairs);

  g_assert_cmpstr (text, ==, "A=x y\nB=one\nB+two\nB+\nC=\nD=\n");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/frame/", cases[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_parse);
    }
  g_test_add_func ("/frame/a line of a megabyte", test_long_line);
  g_test_add_func ("/frame/the echo is no frame", test_echo);
  for (gsize i = 0; i < G_N_ELEMENTS (shells); i++)
    {
      g_autofree char *path = g_strdup_printf ("/frame/a shell answers/%s", shells[i]);

      g_test_add_data_func (path, shells[i], test_shell_answers);
    }
  g_test_add_func ("/frame/base64", test_base64);
  g_test_add_func ("/frame/environment", test_environment);
  return g_test_run ();
}
