/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/archive.h"
#include "model/upper.h"

static const struct
{
  const char *path;
  gboolean fine;
} path_rows[] = {
  { "a", TRUE },
  { "a/b", TRUE },
  { "...", TRUE },
  { "..a/.b", TRUE },
  { "new\nline/\033[31m", TRUE },
  { "\xff", TRUE },
  { "", FALSE },
  { "/", FALSE },
  { "/etc/passwd", FALSE },
  { "a/", FALSE },
  { "a//b", FALSE },
  { ".", FALSE },
  { "..", FALSE },
  { "../a", FALSE },
  { "a/..", FALSE },
  { "a/../b", FALSE },
  { "a/./b", FALSE },
};

static void
test_paths (void)
{
  g_autofree char *long_name = g_strnfill (256, 'a');
  g_autofree char *long_path = g_strnfill (8000, 'a');

  for (gsize i = 0; i < G_N_ELEMENTS (path_rows); i++)
    if (ramet_upper_check_path (path_rows[i].path) != path_rows[i].fine)
      g_error ("'%s' should be %s", path_rows[i].path, path_rows[i].fine ? "taken" : "refused");
  g_assert_false (ramet_upper_check_path (long_name));
  for (gsize i = 100; i < 8000; i += 100)
    long_path[i] = '/';
  g_assert_false (ramet_upper_check_path (long_path));
}

static void
test_staging (void)
{
  static const struct { const char *path; gboolean is_staging; } rows[] = {
    { ".ramet-apply.", TRUE },
    { ".ramet-apply.0/journal", TRUE },
    { "docs/.ramet-apply.0", TRUE },
    { "a/b/.ramet-apply.0/old/1", TRUE },
    { "docs/.RAMET-Apply.0/journal", TRUE },
    { ".ramet-apply", FALSE },
    { "x.ramet-apply.0/journal", FALSE },
    { "docs/ramet-apply.0", FALSE },
    { "", FALSE },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    if (ramet_upper_is_staging (rows[i].path) != rows[i].is_staging)
      g_error ("'%s' should %s", rows[i].path, rows[i].is_staging ? "be ramet's own" : "not be ramet's own");
}

static void
test_git (void)
{
  static const char *const inside[] = { ".git", ".git/config", "a/.git/hooks/x", ".GIT/config", "a/.git" };
  static const char *const outside[] = { ".gitignore", "a/.github/x", "git", "a.git/x", "x/.git-blame" };

  for (gsize i = 0; i < G_N_ELEMENTS (inside); i++)
    g_assert_true (ramet_upper_is_git (inside[i]));
  for (gsize i = 0; i < G_N_ELEMENTS (outside); i++)
    g_assert_false (ramet_upper_is_git (outside[i]));
}

static const struct
{
  const char *path, *target;
  gboolean stays;
} link_rows[] = {
  { "l", "a", TRUE },
  { "l", "./a/b", TRUE },
  { "d/l", "../a", TRUE },
  { "d/e/l", "../../a", TRUE },
  { "d/l", "..", TRUE },
  { "l", "a//b", TRUE },
  { "l", "..", FALSE },
  { "l", "../a", FALSE },
  { "d/l", "../../a", FALSE },
  { "l", "/etc/passwd", FALSE },
  { "l", "", FALSE },
  { "d/l", "a/../../..", FALSE },
  /* through another symlink it could lead out */
  { "l", "a/b/../..", FALSE },
  { "l", "a/..", FALSE },
  { "d/l", "./.././../x", FALSE },
};

static void
test_links (void)
{
  for (gsize i = 0; i < G_N_ELEMENTS (link_rows); i++)
    if (ramet_upper_link_stays (link_rows[i].path, link_rows[i].target) != link_rows[i].stays)
      g_error ("'%s' -> '%s' should %s", link_rows[i].path, link_rows[i].target,
               link_rows[i].stays ? "stay" : "lead out");
}

#define HEAD "ramet-overlay 1 100.000000000 50.000000000\0"
#define END "\0"

static const struct
{
  const char *title, *text;
  gsize length;
  int code;
} list_rows[] = {
#define ROW(title, text, code) { title, text, sizeof (text) - 1, code }
  ROW ("nothing", "", RAMET_ERROR_LOST),
  ROW ("no head", "hello\0", RAMET_ERROR_FORGED),
  ROW ("a later version", "ramet-overlay 2 1 1\0", RAMET_ERROR_FORGED),
  ROW ("a bad clock", "ramet-overlay 1 x 1\0", RAMET_ERROR_FORGED),
  ROW ("a clock of too few digits", HEAD "81a4 3 10.5 1 1 7 0:0 ./a\0", RAMET_ERROR_FORGED),
  ROW ("a path that is none", HEAD "81a4 3 10 1 1 7 0:0 a\0", RAMET_ERROR_FORGED),
  ROW ("a negative size", HEAD "81a4 -3 10 1 1 7 0:0 ./a\0", RAMET_ERROR_FORGED),
  ROW ("too large a mode", HEAD "ff81a4 3 10 1 1 7 0:0 ./a\0", RAMET_ERROR_FORGED),
  ROW ("too few fields", HEAD "81a4 3 10 1 1 7 ./a\0", RAMET_ERROR_FORGED),
  ROW ("a path twice", HEAD "81a4 3 10 1 1 7 0:0 ./a\0" "81a4 3 10 1 1 7 0:0 ./a\0", RAMET_ERROR_FORGED),
  ROW ("cut off", HEAD "81a4 3 10 1 1 7 0:0 ./a\0" END, RAMET_ERROR_LOST),
  ROW ("no archive but text", HEAD "81a4 3 10 1 1 7 0:0 ./a\0" END "nothing of the kind", RAMET_ERROR_LOST),
#undef ROW
};

static void
test_list (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametUpperReader) reader = ramet_upper_reader_new ();
  g_autoptr (GError) error = NULL;
  g_autoptr (RametUpper) upper = NULL;

  if (ramet_upper_reader_push (reader, (const guint8 *) list_rows[i].text, list_rows[i].length, &error))
    upper = ramet_upper_reader_finish (reader, &error);
  g_assert_null (upper);
  g_assert_error (error, RAMET_ERROR, list_rows[i].code);
}

static RametUpper *
read_list (const char *text, gsize length)
{
  g_autoptr (RametUpperReader) reader = ramet_upper_reader_new ();
  g_autoptr (GError) error = NULL;
  guint8 zeros[1024] = { 0 };
  RametUpper *upper;

  ramet_upper_reader_push (reader, (const guint8 *) text, length, &error);
  g_assert_no_error (error);
  ramet_upper_reader_push (reader, zeros, sizeof zeros, &error);
  g_assert_no_error (error);
  upper = ramet_upper_reader_finish (reader, &error);
  g_assert_no_error (error);
  return upper;
}

static void
test_entries (void)
{
  static const char text[] = HEAD
    "81a4 3 10.000000005 1 1 7 0:0 ./d/x\0"
    "41ed 4096 10 1 1 8 0:0 ./d\0"
    "2000 0 - 1 2.000000001 9 0:0 ./gone\0"
    "2190 0 10 1 1 10 1:3 ./null\0"
    "a1ff 5 10 1 1 11 0:0 ./d-link\0"
    "81a4 0 10 1 1 12 0:0 ./../up\0"
    "81a4 0 10 1 1 13 0:0 ./.ramet-apply.1/journal\0"
    "81a4 0 10 1 1 15 0:0 ./d/.ramet-apply.1/journal\0"
    "81a4 0 10 1 1 16 0:0 ./d/.ramet-apply.1\0"
    "89ed 0 10 1 1 14 0:0 ./a b  c\0" END;
  g_autoptr (RametUpper) upper = read_list (text, sizeof text - 1);
  const RametUpperEntry *entry;

  g_assert_cmpint (upper->now_ns, ==, 100 * G_GINT64_CONSTANT (1000000000));
  g_assert_cmpuint (upper->entries->len, ==, 6);
  g_assert_cmpuint (upper->n_refused, ==, 4);
  g_assert_cmpstr (((RametUpperEntry *) g_ptr_array_index (upper->entries, 1))->path, ==, "d");
  g_assert_cmpstr (((RametUpperEntry *) g_ptr_array_index (upper->entries, 2))->path, ==, "d/x");
  entry = ramet_upper_find (upper, "d/x");
  g_assert_cmpint (entry->birth_ns, ==, G_GINT64_CONSTANT (10000000005));
  g_assert_cmpint (entry->type, ==, RAMET_UPPER_FILE);
  entry = ramet_upper_find (upper, "gone");
  g_assert_cmpint (entry->type, ==, RAMET_UPPER_WHITEOUT);
  g_assert_cmpint (entry->birth_ns, ==, 0);
  g_assert_cmpstr (entry->stamp, ==, "9 2.000000001");
  g_assert_cmpint (ramet_upper_find (upper, "null")->type, ==, RAMET_UPPER_SPECIAL);
  g_assert_cmpint (ramet_upper_find (upper, "d-link")->type, ==, RAMET_UPPER_SYMLINK);
  g_assert_cmpuint (ramet_upper_find (upper, "a b  c")->mode, ==, 04755);
}

/* An archive as it is fed, and what was told of it. */
static gboolean
on_begin (const RametArchiveMember *member, gpointer data, GError **error)
{
  g_string_append_printf (data, "%d %s|%s|%" G_GUINT64_FORMAT "|%d:", member->type, member->path, member->target,
                          member->size, member->opaque);
  return TRUE;
}

static gboolean
on_contents (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  g_string_append_len (data, (const char *) bytes, (gssize) length);
  return TRUE;
}

static gboolean
on_end (gpointer data, GError **error)
{
  g_string_append_c (data, ';');
  return TRUE;
}

static const RametArchiveFuncs funcs = { on_begin, on_contents, on_end };

static void
make_header (guint8 *block, const char *name, char type, guint size)
{
  guint sum = 0;

  memset (block, 0, 512);
  strcpy ((char *) block, name);
  g_snprintf ((char *) block + 124, 12, "%011o", size);
  memset (block + 148, ' ', 8);
  block[156] = (guint8) type;
  memcpy (block + 257, "ustar\00000", 8);
  for (guint i = 0; i < 512; i++)
    sum += block[i];
  g_snprintf ((char *) block + 148, 8, "%06o", sum);
}

static void
test_archive_good (void)
{
  guint8 bytes[512 * 7] = { 0 };

  make_header (bytes, "x", 'x', 50);
  memcpy (bytes + 512, "9 path=p\n" "41 SCHILY.xattr.trusted.overlay.opaque=y\n", 50);
  make_header (bytes + 1024, "ignored", '5', 0);
  make_header (bytes + 1536, "./f", '0', 5);
  memcpy (bytes + 2048, "hello", 5);
  for (gsize step = 1; step <= sizeof bytes; step += 97)
    {
      g_autoptr (GString) said = g_string_new (NULL);
      g_autoptr (RametArchive) archive = ramet_archive_new (&funcs, said);
      g_autoptr (GError) error = NULL;
      gsize used;

      for (gsize at = 0; at < sizeof bytes; at += step)
        g_assert_true (ramet_archive_push (archive, bytes + at, MIN (step, sizeof bytes - at), &used, &error));
      g_assert_true (ramet_archive_is_complete (archive));
      g_assert_cmpstr (said->str, ==, "2 p||0|1:;0 ./f||5|0:hello;");
    }
}

static void
expect_forged (const guint8 *bytes, gsize length)
{
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (RametArchive) archive = ramet_archive_new (&funcs, said);
  g_autoptr (GError) error = NULL;
  gsize used;

  g_assert_false (ramet_archive_push (archive, bytes, length, &used, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FORGED);
}

static void
test_archive_bad (void)
{
  static const char *const records[] = { "9 path=pp\n", "99 path=p\n", "x path=p\n", "9 path_p\n", " path=p\n",
                                         "9\npath=p\n", "10 size=x1\n", "1 a=b\n" };
  guint8 bytes[1024];

  make_header (bytes, "a", '0', 1);
  bytes[0] = 'b';
  expect_forged (bytes, 512); /* the checksum */
  make_header (bytes, "a", 'S', 1);
  expect_forged (bytes, 512); /* a sparse file of GNU's */
  make_header (bytes, "a", '5', 1);
  expect_forged (bytes, 512); /* a folder with contents */
  make_header (bytes, "a", 'x', 7 * 1024 * 1024);
  expect_forged (bytes, 512);
  memset (bytes, 0, 512);
  make_header (bytes + 512, "a", '0', 0);
  expect_forged (bytes, 1024); /* a member behind the end */
  for (gsize i = 0; i < G_N_ELEMENTS (records); i++)
    {
      make_header (bytes, "x", 'x', (guint) strlen (records[i]));
      memset (bytes + 512, 0, 512);
      memcpy (bytes + 512, records[i], strlen (records[i]));
      expect_forged (bytes, 1024);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/upper/paths", test_paths);
  g_test_add_func ("/upper/staging", test_staging);
  g_test_add_func ("/upper/git", test_git);
  g_test_add_func ("/upper/links", test_links);
  for (gsize i = 0; i < G_N_ELEMENTS (list_rows); i++)
    {
      g_autofree char *name = g_strconcat ("/upper/list/", list_rows[i].title, NULL);

      g_test_add_data_func (name, GSIZE_TO_POINTER (i), test_list);
    }
  g_test_add_func ("/upper/entries", test_entries);
  g_test_add_func ("/upper/archive/good", test_archive_good);
  g_test_add_func ("/upper/archive/bad", test_archive_bad);
  return g_test_run ();
}
