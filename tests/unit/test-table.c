/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "cli/table.h"
#include "core/text.h"

/* Like those of `ramet list`: a name, a state that may be clipped, an address, a size, a base that is clipped first. */
static const RametColumn columns[] = {
  { "NAME", 0, 0, FALSE }, { "STATE", 0, 4, FALSE }, { "ADDRESS", 1, 0, FALSE },
  { "DISK", 2, 0, TRUE },  { "BASE", 3, 3, FALSE },
};
#define N G_N_ELEMENTS (columns)

static const struct
{
  const char *title;
  guint natural[N];
  guint width;
  guint widths[N];
} fit_rows[] = {
  { "no limit", { 8, 7, 15, 8, 9 }, 0, { 8, 7, 15, 8, 9 } },
  { "just enough", { 8, 7, 15, 8, 9 }, 55, { 8, 7, 15, 8, 9 } },
  { "one too few: the base is clipped", { 8, 7, 15, 8, 9 }, 54, { 8, 7, 15, 8, 8 } },
  { "the base as short as it goes", { 8, 7, 15, 8, 9 }, 49, { 8, 7, 15, 8, 3 } },
  { "then it is left out", { 8, 7, 15, 8, 9 }, 48, { 8, 7, 15, 8, 0 } },
  { "then the size", { 8, 7, 15, 8, 9 }, 40, { 8, 7, 15, 0, 0 } },
  { "then the address", { 8, 7, 15, 8, 9 }, 33, { 8, 7, 0, 0, 0 } },
  { "then the state is clipped", { 8, 7, 15, 8, 9 }, 15, { 8, 5, 0, 0, 0 } },
  { "the name never is", { 8, 7, 15, 8, 9 }, 5, { 8, 4, 0, 0, 0 } },
  { "one that is left out already", { 8, 7, 0, 8, 9 }, 33, { 8, 7, 0, 8, 4 } },
};

static void
test_fit (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  guint widths[N];

  ramet_table_fit (columns, N, fit_rows[i].natural, fit_rows[i].width, widths);
  for (gsize j = 0; j < N; j++)
    g_assert_cmpuint (widths[j], ==, fit_rows[i].widths[j]);
}

static const struct
{
  const char *title;
  guint width;
  gboolean colour;
  const char *cells[2 * N];
  const char *text;
} render_rows[] = {
  { "aligned, numbers to the right, nothing behind the last cell", 0, FALSE,
    { "web", "running", "10.0.0.7", "9 MiB", "debian", "db", "off", NULL, "10 MiB", "" },
    "NAME  STATE    ADDRESS     DISK  BASE\n"
    "web   running  10.0.0.7   9 MiB  debian\n"
    "db    off      -         10 MiB  -\n" },
  { "a column with nothing to say goes first where there is no room", 33, FALSE,
    { "web", "running", NULL, "9 MiB", "debian", "db", "off", NULL, "10 MiB", "debian" },
    "NAME  STATE      DISK  BASE\n"
    "web   running   9 MiB  debian\n"
    "db    off      10 MiB  debian\n" },
  { "a state goes before an address", 30, FALSE,
    { "web", "running", "10.0.0.7", "9 MiB", "debian", "db", "paused (creating)", "10.0.0.8", "10 MiB", "" },
    "NAME  STATE\n"
    "web   running\n"
    "db    paused (creating)\n" },
  { "what is clipped says so", 20, FALSE,
    { "web", "running", "10.0.0.7", "9 MiB", "debian", "db", "paused (creating)", "10.0.0.8", "10 MiB", "" },
    "NAME  STATE\n"
    "web   running\n"
    "db    paused (creat…\n" },
  { "characters of two columns and of none", 0, FALSE,
    { "日本", "off", NULL, "1 MiB", NULL, "cafe\u0301", "off", NULL, "1 MiB", NULL },
    "NAME  STATE  ADDRESS   DISK  BASE\n"
    "日本  off    -        1 MiB  -\n"
    "cafe\u0301  off    -        1 MiB  -\n" },
  { "a name that is too long has a line of its own, uncut", 40, FALSE,
    { "a-name-that-is-longer-than-others", "running", "10.0.0.7", "9 MiB", NULL, "db", "off", NULL, "1 MiB", NULL },
    "NAME  STATE    ADDRESS    DISK\n"
    "a-name-that-is-longer-than-others\n"
    "      running  10.0.0.7  9 MiB\n"
    "db    off      -         1 MiB\n" },
  { "where there is room it has not", 80, FALSE,
    { "a-name-that-is-longer-than-others", "running", "10.0.0.7", "9 MiB", NULL, "db", "off", NULL, "1 MiB", NULL },
    "NAME                               STATE    ADDRESS    DISK  BASE\n"
    "a-name-that-is-longer-than-others  running  10.0.0.7  9 MiB  -\n"
    "db                                 off      -         1 MiB  -\n" },
  { "what would move the cursor does not", 0, FALSE,
    { "a\033[2J", "off", "\n", NULL, NULL, "b", "off", NULL, NULL, NULL },
    "NAME      STATE  ADDRESS  DISK  BASE\n"
    "a\\x1b[2J  off    \\x0a        -  -\n"
    "b         off    -           -  -\n" },
  { "colours do not count as width", 0, TRUE,
    { "web", "running", NULL, NULL, NULL, "db", "off", NULL, NULL, NULL },
    "\033[2mNAME\033[0m  \033[2mSTATE\033[0m    \033[2mADDRESS\033[0m  \033[2mDISK\033[0m  \033[2mBASE\033[0m\n"
    "web   \033[32mrunning\033[0m  -           -  -\n"
    "db    \033[32moff\033[0m      -           -  -\n" },
};

static void
test_render (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametTable) table = ramet_table_new_columns (columns, N);
  g_autofree char *text = NULL;

  for (gsize j = 0; j < 2 * N; j++)
    ramet_table_add_coloured (table, render_rows[i].cells[j], j % N == 1 ? RAMET_COLOUR_GREEN : RAMET_COLOUR_NONE);
  text = ramet_table_render (table, render_rows[i].width, render_rows[i].colour);
  g_assert_cmpstr (text, ==, render_rows[i].text);
}

static char *
random_cell (void)
{
  static const char *const parts[] = { "a", "-", "日", "e\u0301", "\033", "web", "\xff", "🐧", " ", "running" };
  GString *cell = g_string_new (NULL);

  for (gint i = g_test_rand_int_range (0, 12); i > 0; i--)
    g_string_append (cell, parts[g_test_rand_int_range (0, G_N_ELEMENTS (parts))]);
  return g_string_free (cell, FALSE);
}

/* However narrow: every name is there as a whole, and only names make a line wider than the terminal. */
static void
test_any (void)
{
  for (guint round = 0; round < 2000; round++)
    {
      g_autoptr (RametTable) table = ramet_table_new_columns (columns, N);
      g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
      guint width = (guint) g_test_rand_int_range (22, 60);
      g_autofree char *text = NULL;
      g_auto (GStrv) lines = NULL;

      for (gsize j = 0; j < 4 * N; j++)
        {
          g_autofree char *cell = random_cell ();

          if (j % N == 0)
            g_ptr_array_add (names, ramet_text_escape (cell, -1));
          ramet_table_add (table, cell);
        }
      text = ramet_table_render (table, width, FALSE);
      for (guint j = 0; j < names->len; j++)
        g_assert_nonnull (strstr (text, g_ptr_array_index (names, j)));
      lines = g_strsplit (text, "\n", -1);
      for (char **line = lines; *line; line++)
        {
          gboolean is_name = FALSE;

          for (guint j = 0; j < names->len; j++)
            is_name |= g_str_has_prefix (*line, g_ptr_array_index (names, j)) && *(char *) g_ptr_array_index (names, j);
          g_assert_true (is_name || ramet_text_columns (*line) <= width);
        }
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (fit_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/table/fit/%s", fit_rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_fit);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (render_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/table/render/%s", render_rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_render);
    }
  g_test_add_func ("/table/any", test_any);
  return g_test_run ();
}
