/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/text.h"

static const struct
{
  const char *title, *bytes;
  gssize length;
  const char *text;
} escape_rows[] = {
  { "plain", "hello", -1, "hello" },
  { "empty", "", -1, "" },
  { "beyond ASCII", "é 漢 🐧", -1, "é 漢 🐧" },
  { "a tab", "a\tb", -1, "a b" },
  { "a line end", "a\nb\r", -1, "a\\x0ab\\x0d" },
  { "an escape sequence", "\033[31m", -1, "\\x1b[31m" },
  { "DEL", "a\177", -1, "a\\x7f" },
  { "a C1 control", "\302\233" "1m", -1, "\\xc2\\x9b1m" },
  { "no UTF-8", "a\xff\xfe" "b", -1, "a\\xff\\xfeb" },
  { "cut UTF-8", "a\xe2\x82", -1, "a\\xe2\\x82" },
  { "an overlong form", "\xc0\xaf", -1, "\\xc0\\xaf" },
  { "NULs", "a\0b\0", 4, "a\\x00b\\x00" },
  { "less than there is", "abcdef", 3, "abc" },
  { "right-to-left override", "a\u202eb", -1, "a\\xe2\\x80\\xaeb" },
  { "zero width", "a\u200bb", -1, "a\\xe2\\x80\\x8bb" },
  { "byte order mark", "\ufeffa", -1, "\\xef\\xbb\\xbfa" },
};

static void
test_escape (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *text = ramet_text_escape (escape_rows[i].bytes, escape_rows[i].length);

  g_assert_cmpstr (text, ==, escape_rows[i].text);
}

/* Whatever the bytes: valid UTF-8 without a control character comes out. */
static void
test_escape_any (void)
{
  for (guint round = 0; round < 2000; round++)
    {
      char bytes[24];
      g_autofree char *text = NULL;

      for (gsize i = 0; i < sizeof bytes; i++)
        bytes[i] = (char) g_test_rand_int_range (0, 256);
      text = ramet_text_escape (bytes, sizeof bytes);
      g_assert_true (g_utf8_validate (text, -1, NULL));
      for (const char *p = text; *p; p = g_utf8_next_char (p))
        g_assert_false (g_unichar_iscntrl (g_utf8_get_char (p)));
    }
}

static const struct
{
  const char *title, *text;
  guint columns;
  const char *clipped;
} clip_rows[] = {
  { "fits", "hello", 5, "hello" },
  { "room to spare", "hello", 80, "hello" },
  { "one too many", "hello", 4, "hel…" },
  { "one column", "hello", 1, "…" },
  { "no room", "hello", 0, "" },
  { "nothing, no room", "", 0, "" },
  { "accents count once", "éééé", 4, "éééé" },
  { "wide ones count twice", "漢字漢字", 5, "漢字…" },
  { "half of a wide one does not fit", "漢字漢字", 4, "漢…" },
  { "combining ones count nothing", "e\u0301e\u0301e\u0301", 3, "e\u0301e\u0301e\u0301" },
};

static void
test_clip (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *clipped = ramet_text_clip (clip_rows[i].text, clip_rows[i].columns);

  g_assert_cmpstr (clipped, ==, clip_rows[i].clipped);
  g_assert_cmpuint (ramet_text_columns (clipped), <=, clip_rows[i].columns);
}

static const struct
{
  guint64 bytes;
  const char *text;
} size_rows[] = {
  { 0, "0 bytes" },           { 1, "1 byte" },          { 1024, "1.0 KiB" },
  { 196608, "192.0 KiB" },    { 1536 * 1024, "1.5 MiB" }, { G_GUINT64_CONSTANT (2) << 30, "2.0 GiB" },
};

static void
test_size (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *text = ramet_text_size (size_rows[i].bytes);

  g_assert_cmpstr (text, ==, size_rows[i].text);
}

static const struct
{
  const char *title;
  const char *bytes;
  const char *text;
} strip_rows[] = {
  { "nothing", "", "" },
  { "plain", "a b", "a b" },
  { "colours", "[\033[0;32m  OK  \033[0m] x", "[  OK  ] x" },
  { "cursor", "\033[2J\033[10;20Hx", "x" },
  { "a title", "\033]0;title\ax", "x" },
  { "a short one", "a\033cb", "ab" },
  { "ends in the middle", "a\033[12", "a" },
  { "ESC at the end", "a\033", "a" },
};

static void
test_strip (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *text = ramet_text_strip_sequences (strip_rows[i].bytes, strlen (strip_rows[i].bytes));

  g_assert_cmpstr (text, ==, strip_rows[i].text);
}

static const struct
{
  const char *typed, *nearest;
} nearest_rows[] = {
  { "memry", "memory" }, { "memroy", "memory" }, { "memmory", "memory" }, { "Memory", "memory" }, { "cpu", "cpus" },
  { "cpsu", "cpus" },    { "x", NULL },          { "potatoes", NULL },
};

static void
test_nearest (gconstpointer data)
{
  static const char *const words[] = { "cpus", "memory", "network", NULL };
  gsize i = GPOINTER_TO_SIZE (data);

  g_assert_cmpstr (ramet_text_nearest (nearest_rows[i].typed, words), ==, nearest_rows[i].nearest);
}

static const struct
{
  gint64 seconds;
  const char *text;
} age_rows[] = {
  { -5, "0 s" },           { 0, "0 s" },            { 119, "119 s" },        { 120, "2 min" },       { 7199, "119 min" },
  { 7200, "2 h" },         { 172799, "47 h" },      { 172800, "2 d" },       { 14 * 86400 - 1, "13 d" }, { 14 * 86400, "2 w" },
  { 60 * 86400, "2 mo" },  { 730 * 86400 - 1, "24 mo" }, { 730 * 86400, "2 y" },
};

static void
test_age (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *text = ramet_text_age (age_rows[i].seconds);

  g_assert_cmpstr (text, ==, age_rows[i].text);
}

static const struct
{
  const char *title, *text;
  guint columns;
  const char *wrapped;
} wrap_rows[] = {
  { "nothing", "", 5, "" },
  { "fits", "one two", 7, "one two" },
  { "one column less", "one two", 6, "one\n  two" },
  { "several lines", "a b c d e", 3, "a b\n  c d\n  e" },
  { "a word wider than all", "a potatoes b", 4, "a\n  potatoes\n  b" },
  { "columns are no bytes", "größe …", 7, "größe …" },
  { "no end of room", "one two", G_MAXUINT, "one two" },
};

static void
test_wrap (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *wrapped = ramet_text_wrap (wrap_rows[i].text, wrap_rows[i].columns, "  ");

  g_assert_cmpstr (wrapped, ==, wrap_rows[i].wrapped);
}

static void
add_row (const char *group, const char *title, gsize i, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/text/%s/%s", group, title);

  g_test_add_data_func (path, GSIZE_TO_POINTER (i), func);
}

int
main (int argc, char **argv)
{
  g_setenv ("LC_ALL", "C", TRUE);
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (escape_rows); i++)
    add_row ("escape", escape_rows[i].title, i, test_escape);
  for (gsize i = 0; i < G_N_ELEMENTS (clip_rows); i++)
    add_row ("clip", clip_rows[i].title, i, test_clip);
  for (gsize i = 0; i < G_N_ELEMENTS (size_rows); i++)
    add_row ("size", size_rows[i].text, i, test_size);
  for (gsize i = 0; i < G_N_ELEMENTS (age_rows); i++)
    {
      g_autofree char *seconds = g_strdup_printf ("%" G_GINT64_FORMAT, age_rows[i].seconds);

      add_row ("age", seconds, i, test_age);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (strip_rows); i++)
    add_row ("strip", strip_rows[i].title, i, test_strip);
  for (gsize i = 0; i < G_N_ELEMENTS (wrap_rows); i++)
    add_row ("wrap", wrap_rows[i].title, i, test_wrap);
  for (gsize i = 0; i < G_N_ELEMENTS (nearest_rows); i++)
    add_row ("nearest", nearest_rows[i].typed, i, test_nearest);
  g_test_add_func ("/text/escape/any bytes", test_escape_any);
  return g_test_run ();
}
