/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "operations/overlay/drop.h"

/* A shared folder, and a view of it whose overlay a test fills in. */
typedef struct
{
  char *dir;
  RametOverlayView view;
} Fixture;

static void
put (const Fixture *f, const char *path)
{
  g_autofree char *full = g_build_filename (f->dir, path, NULL);
  g_autofree char *folder = g_path_get_dirname (full);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_assert_true (g_file_set_contents (full, path, -1, NULL));
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = g_dir_make_tmp ("ramet-test.XXXXXX", NULL);
  put (f, "a");
  put (f, "d/x");
  put (f, "d/y");
  put (f, "d/sub/z");
  put (f, "e/.git/config");
  put (f, "e/f");
  f->view.root_fd = open (f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  f->view.paths = g_ptr_array_new ();
  f->view.overlay = g_new0 (RametUpper, 1);
  f->view.overlay->entries = g_ptr_array_new ();
  f->view.overlay->by_path = g_hash_table_new (g_str_hash, g_str_equal);
  f->view.overlay->now_ns = (g_get_real_time () + G_USEC_PER_SEC) * 1000;
}

static int
remove_one (const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
  return remove (path);
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  close (f->view.root_fd);
  g_ptr_array_unref (f->view.paths);
  for (guint i = 0; i < f->view.overlay->entries->len; i++)
    {
      RametUpperEntry *entry = g_ptr_array_index (f->view.overlay->entries, i);

      g_free (entry->path);
      g_free (entry);
    }
  ramet_upper_free (f->view.overlay);
  nftw (f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_free (f->dir);
}

/* To be called in the order of paths. */
static RametUpperEntry *
add (Fixture *f, const char *path, RametUpperType type, gboolean opaque)
{
  RametUpperEntry *entry = g_new0 (RametUpperEntry, 1);

  entry->path = g_strdup (path);
  entry->type = type;
  entry->opaque = opaque;
  entry->birth_ns = g_get_real_time () * 1000;
  g_ptr_array_add (f->view.overlay->entries, entry);
  g_hash_table_insert (f->view.overlay->by_path, entry->path, entry);
  return entry;
}

/* "-PATH" for what is deleted, "+PATH" for what is there; then "r:", removed folders and "m:", made ones */
static char *
describe (const Fixture *f, gboolean with_git)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RametChanges) changes = ramet_changes_find (&f->view, with_git, &error);
  GString *text = g_string_new (NULL);

  g_assert_no_error (error);
  for (guint i = 0; i < changes->changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes->changes, i);

      g_string_append_printf (text, "%c%s ", change->deleted ? '-' : '+', change->path);
    }
  g_string_append (text, "r:");
  for (guint i = 0; i < changes->removed_folders->len; i++)
    g_string_append_printf (text, "%s ", (char *) g_ptr_array_index (changes->removed_folders, i));
  g_string_append (text, "m:");
  for (guint i = 0; i < changes->made_folders->len; i++)
    g_string_append_printf (text, "%s ", (char *) g_ptr_array_index (changes->made_folders, i));
  if (changes->n_git > 0)
    g_string_append_printf (text, "git:%u", changes->n_git);
  if (changes->specials->len > 0)
    g_string_append_printf (text, "special:%u", changes->specials->len);
  return g_string_free (text, FALSE);
}

#define assert_changes(wanted)                                                                                         \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    g_autofree char *text_ = describe (f, FALSE);                                                                      \
    g_assert_cmpstr (text_, ==, wanted);                                                                               \
  }                                                                                                                    \
  G_STMT_END

static void
test_plain (Fixture *f, gconstpointer data)
{
  add (f, "a", RAMET_UPPER_FILE, FALSE);
  add (f, "d", RAMET_UPPER_FOLDER, FALSE);
  add (f, "d/new", RAMET_UPPER_SYMLINK, FALSE);
  add (f, "d/null", RAMET_UPPER_SPECIAL, FALSE);
  add (f, "d/x", RAMET_UPPER_WHITEOUT, FALSE);
  add (f, "gone", RAMET_UPPER_WHITEOUT, FALSE); /* on the host too */
  add (f, "made", RAMET_UPPER_FOLDER, TRUE);
  add (f, "made/n", RAMET_UPPER_FILE, FALSE);
  assert_changes ("+a +d/new -d/x +made/n r:m:made special:1");
}

static void
test_removed_folder (Fixture *f, gconstpointer data)
{
  add (f, "d", RAMET_UPPER_WHITEOUT, FALSE);
  assert_changes ("-d/sub/z -d/x -d/y r:d d/sub m:");
}

/* Emptied, and filled anew: folders in it are opaque or not, it makes no difference. */
static void
test_replaced_folder (Fixture *f, gconstpointer data)
{
  add (f, "d", RAMET_UPPER_FOLDER, TRUE);
  add (f, "d/sub", RAMET_UPPER_FOLDER, TRUE);
  add (f, "d/sub/new", RAMET_UPPER_FILE, FALSE);
  add (f, "d/y", RAMET_UPPER_FILE, FALSE);
  assert_changes ("+d/sub/new -d/sub/z -d/x +d/y r:m:");
}

static void
test_file_for_folder (Fixture *f, gconstpointer data)
{
  add (f, "a", RAMET_UPPER_FOLDER, TRUE);
  add (f, "a/in", RAMET_UPPER_FILE, FALSE);
  add (f, "d", RAMET_UPPER_FILE, FALSE);
  assert_changes ("-a +a/in +d -d/sub/z -d/x -d/y r:d d/sub m:a ");
}

static void
test_git (Fixture *f, gconstpointer data)
{
  g_autofree char *all = NULL;

  add (f, ".git", RAMET_UPPER_FOLDER, FALSE);
  add (f, ".git/hooks", RAMET_UPPER_FOLDER, FALSE);
  add (f, ".git/hooks/pre-commit", RAMET_UPPER_FILE, FALSE);
  add (f, "e", RAMET_UPPER_WHITEOUT, FALSE);
  /* a folder that keeps something of git's is not removed */
  assert_changes ("-e/f r:m:git:2");
  all = describe (f, TRUE);
  g_assert_cmpstr (all, ==, "+.git/hooks/pre-commit -e/.git/config -e/f r:e e/.git m:.git .git/hooks ");
}

static void
test_paths (Fixture *f, gconstpointer data)
{
  add (f, "a", RAMET_UPPER_FILE, FALSE);
  add (f, "d", RAMET_UPPER_WHITEOUT, FALSE);
  g_ptr_array_add (f->view.paths, (gpointer) "d/sub");
  assert_changes ("-d/sub/z r:d/sub m:");
}

/* The host has put a symlink where a folder was: nothing is looked at behind it. */
static void
test_symlink (Fixture *f, gconstpointer data)
{
  g_autofree char *folder = g_build_filename (f->dir, "d", NULL);
  g_autofree char *aside = g_build_filename (f->dir, "aside", NULL);

  add (f, "d", RAMET_UPPER_FOLDER, FALSE);
  add (f, "d/x", RAMET_UPPER_FILE, FALSE);
  g_assert_cmpint (rename (folder, aside), ==, 0);
  g_assert_cmpint (symlink ("/etc", folder), ==, 0);
  assert_changes ("-d +d/x r:m:d ");
}

static gboolean
is_conflict (const Fixture *f)
{
  g_autoptr (RametChanges) changes = ramet_changes_find (&f->view, FALSE, NULL);

  g_assert_cmpuint (changes->changes->len, ==, 1);
  return ramet_change_is_conflict (&f->view, g_ptr_array_index (changes->changes, 0));
}

static void
test_conflicts (Fixture *f, gconstpointer data)
{
  RametUpperEntry *entry = add (f, "a", RAMET_UPPER_FILE, FALSE);
  g_autofree char *full = g_build_filename (f->dir, "a", NULL);
  struct timespec old[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
  gint64 now_ns = g_get_real_time () * 1000;
  gint64 second = G_GINT64_CONSTANT (1000000000);

  entry->birth_ns = now_ns + second / 2;
  g_assert_false (is_conflict (f));
  entry->birth_ns = now_ns - second;
  g_assert_true (is_conflict (f));
  /* a time that is set back fools nobody */
  g_assert_cmpint (utimensat (AT_FDCWD, full, old, 0), ==, 0);
  g_assert_true (is_conflict (f));
  /* a guest whose clock is an hour ahead */
  f->view.ahead_ns = 3600 * second;
  f->view.overlay->now_ns = now_ns + 3601 * second;
  entry->birth_ns = now_ns + 3600 * second + second / 2;
  g_assert_false (is_conflict (f));
  entry->birth_ns = now_ns + 3600 * second - second;
  g_assert_true (is_conflict (f));
  /* not known, or not to be believed */
  entry->birth_ns = 0;
  g_assert_true (is_conflict (f));
  entry->birth_ns = f->view.overlay->now_ns + 1;
  g_assert_true (is_conflict (f));
  g_assert_cmpint (unlink (full), ==, 0);
  g_assert_false (is_conflict (f));
}

/* An empty folder of git's is no less git's: without refs/ there is no repository. */
static void
test_git_empty (Fixture *f, gconstpointer data)
{
  g_autofree char *empty = g_build_filename (f->dir, "e", ".git", "refs", NULL);
  g_autofree char *without = NULL;
  g_autofree char *with = NULL;

  g_assert_cmpint (g_mkdir_with_parents (empty, 0755), ==, 0);
  add (f, "e", RAMET_UPPER_FOLDER, FALSE);
  add (f, "e/.git", RAMET_UPPER_FOLDER, FALSE);
  add (f, "e/.git/refs", RAMET_UPPER_WHITEOUT, FALSE);
  without = describe (f, FALSE);
  g_assert_null (strstr (without, "refs"));
  g_assert_nonnull (strstr (without, "git:1"));
  with = describe (f, TRUE);
  g_assert_nonnull (strstr (with, "r:e/.git/refs"));
}

/* Nothing goes out of a folder that hides the host's, as long as something has to stay in it. */
static void
test_droppable (Fixture *f, gconstpointer data)
{
  g_autoptr (RametChanges) changes = NULL;
  g_autoptr (GPtrArray) entries = NULL;
  g_autoptr (GString) text = g_string_new (NULL);

  add (f, "a", RAMET_UPPER_FILE, FALSE);
  add (f, "d", RAMET_UPPER_FOLDER, TRUE);
  add (f, "d/fifo", RAMET_UPPER_SPECIAL, FALSE);
  add (f, "d/x", RAMET_UPPER_FILE, FALSE);
  add (f, "e", RAMET_UPPER_FOLDER, TRUE);
  add (f, "e/f", RAMET_UPPER_FILE, FALSE);
  changes = ramet_changes_find (&f->view, FALSE, NULL);
  entries = ramet_overlay_droppable (&f->view, changes, FALSE);
  for (guint i = 0; i < entries->len; i++)
    g_string_append_printf (text, "%s ", ((RametUpperEntry *) g_ptr_array_index (entries, i))->path);
  g_assert_cmpstr (text->str, ==, "a e e/f ");
}

int
main (int argc, char **argv)
{
  static const struct
  {
    const char *name;
    void (*func) (Fixture *, gconstpointer);
  } tests[] = {
    { "/overlay/plain", test_plain },
    { "/overlay/removed-folder", test_removed_folder },
    { "/overlay/replaced-folder", test_replaced_folder },
    { "/overlay/file-for-folder", test_file_for_folder },
    { "/overlay/git", test_git },
    { "/overlay/git/empty", test_git_empty },
    { "/overlay/paths", test_paths },
    { "/overlay/symlink", test_symlink },
    { "/overlay/conflicts", test_conflicts },
    { "/overlay/droppable", test_droppable },
  };

  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (tests); i++)
    g_test_add (tests[i].name, Fixture, NULL, set_up, tests[i].func, tear_down);
  return g_test_run ();
}
