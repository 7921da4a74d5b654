/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "model/point.h"

#define MAX_POINTS 6

/*
 * Each tree is a list of "POINT<PARENT"; the disk's file of a point is named by the letter of it, and a byte that only this
 * file holds by that letter, too. The VM writes to the file '*'.
 */
static const struct
{
  const char *name;
  const char *tree;
  const char *current; /* what the VM's own layer stands on */
  const char *held;    /* letters of files that a clone stands on */
  const char *left;    /* the points that are left when all are dropped */
} trees[] = {
  { "one", "a<", "a", "", "" },
  { "two in a row", "a< b<a", "b", "", "" },
  { "four in a row", "a< b<a c<b d<c", "d", "", "" },
  { "back to the first", "a< b<a", "a", "", "" },
  { "back and off again", "a< b<a c<a", "c", "", "" },
  { "back to the middle of a row", "a< b<a c<b d<c", "b", "", "" },
  { "a bush", "a< b<a c<a d<b e<b", "e", "", "" },
  { "roots side by side", "a< b<", "a", "", "" },
  { "standing on none of them", "a< b<a", "", "", "" },
  { "a clone on the last", "a< b<a c<b", "c", "abc", "abc" },
  { "a clone on the first", "a< b<a c<b", "c", "a", "a" },
  { "a clone on a twig", "a< b<a c<a", "c", "ab", "ab" },
};

/* What a disk holds: for each letter whether the byte of that file is seen. */
typedef struct
{
  GPtrArray *points;
  char *current;
  GHashTable *files; /* path -> string of letters that are in the file */
  GHashTable *held;
} World;

static void
world_clear (World *world)
{
  g_ptr_array_unref (world->points);
  g_free (world->current);
  g_hash_table_unref (world->files);
  g_hash_table_unref (world->held);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (World, world_clear)

static World
world_new (gsize row)
{
  World world = { g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_point_free), NULL,
                  g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free),
                  g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL) };
  g_auto (GStrv) words = g_strsplit (trees[row].tree, " ", -1);

  for (char **word = words; *word; word++)
    {
      g_autofree char *name = g_strndup (*word, 1);
      RametPoint *point = ramet_point_new (name);

      point->parent = (*word)[2] ? g_strdup (*word + 2) : NULL;
      g_ptr_array_add (point->layers, ramet_fingerprint_new ("vda", name, "qcow2"));
      g_ptr_array_add (world.points, point);
      g_hash_table_insert (world.files, g_strdup (name), g_strdup (name));
    }
  g_hash_table_insert (world.files, g_strdup ("*"), g_strdup ("*"));
  world.current = *trees[row].current ? g_strdup (trees[row].current) : NULL;
  for (const char *p = trees[row].held; *p; p++)
    g_hash_table_add (world.held, g_strndup (p, 1));
  return world;
}

static int
compare_letters (gconstpointer a, gconstpointer b)
{
  return *(const char *) a - *(const char *) b;
}

/* All that is seen in a file on the point @below, sorted. */
static char *
view (World *world, const char *file, const char *below)
{
  g_autoptr (GPtrArray) layers = ramet_points_below (world->points, below, "vda");
  GString *seen = g_string_new (g_hash_table_lookup (world->files, file));

  for (guint i = 0; i < layers->len; i++)
    {
      const char *content = g_hash_table_lookup (world->files, ((RametFingerprint *) g_ptr_array_index (layers, i))->path);

      g_assert_nonnull (content); /* a file that is needed still */
      g_string_append (seen, content);
    }
  qsort (seen->str, seen->len, 1, compare_letters);
  return g_string_free (seen, FALSE);
}

/* What is seen by the VM, by each point that is whole, and by clones, whose files are as they were. */
static char *
view_all (World *world, const char *dropped)
{
  g_autoptr (GString) all = g_string_new (NULL);
  g_autofree char *own = view (world, "*", world->current);
  GHashTableIter iter;
  gpointer path;

  g_string_append (all, own);
  for (guint i = 0; i < world->points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (world->points, i);
      const RametFingerprint *layer = g_ptr_array_index (point->layers, 0);
      g_autofree char *seen = NULL;

      if (strchr (dropped, *point->name))
        continue;
      seen = view (world, layer->path, point->parent);
      g_string_append_printf (all, " %s:%s", point->name, seen);
    }
  g_hash_table_iter_init (&iter, world->held);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    g_string_append_printf (all, " %s=%s", (char *) path, (char *) g_hash_table_lookup (world->files, path));
  return g_strdup (all->str);
}

/* What operations/points/merge.c does with files. */
static void
take_step (World *world, RametPointStep *step)
{
  const char *file = ((RametFingerprint *) g_ptr_array_index (step->point->layers, 0))->path;
  const char *into = step->child ? ((RametFingerprint *) g_ptr_array_index (step->child->layers, 0))->path : "*";

  g_assert_false (g_hash_table_contains (world->held, file));
  if (step->kind == RAMET_POINT_STEP_MERGE)
    {
      char *both = g_strconcat (g_hash_table_lookup (world->files, into), g_hash_table_lookup (world->files, file), NULL);

      g_assert_false (g_hash_table_contains (world->held, into));
      g_hash_table_insert (world->files, g_strdup (into), both);
    }
  g_hash_table_remove (world->files, file);
  ramet_points_done (world->points, &world->current, step);
}

static void
drop_in_order (gsize row, const char *order)
{
  g_auto (World) world = world_new (row);
  g_autoptr (GString) left = g_string_new (NULL);

  for (guint n = 1; n <= strlen (order); n++)
    {
      g_autofree char *dropped = g_strndup (order, n);
      g_autofree char *name = g_strndup (order + n - 1, 1);
      g_autofree char *before = view_all (&world, dropped);
      g_autofree char *after = NULL;
      RametPointStep step;

      ramet_points_find (world.points, name)->dropped = TRUE;
      while ((step = ramet_points_next_step (world.points, world.current, world.held)).kind != RAMET_POINT_STEP_NONE)
        take_step (&world, &step);
      after = view_all (&world, dropped);
      g_assert_cmpstr (after, ==, before);
    }
  for (guint i = 0; i < world.points->len; i++)
    g_string_append (left, ((RametPoint *) g_ptr_array_index (world.points, i))->name);
  g_assert_cmpstr (left->str, ==, trees[row].left);
  g_assert_cmpuint (g_hash_table_size (world.files), ==, left->len + 1);
  if (left->len == 0)
    g_assert_null (world.current);
}

/* All orders of the @n letters at @letters, of which the first @fixed stand. */
static void
each_order (gsize row, char *letters, guint fixed)
{
  guint n = (guint) strlen (letters);

  if (fixed == n)
    {
      drop_in_order (row, letters);
      return;
    }
  for (guint i = fixed; i < n; i++)
    {
      char first = letters[fixed];

      letters[fixed] = letters[i];
      letters[i] = first;
      each_order (row, letters, fixed + 1);
      letters[i] = letters[fixed];
      letters[fixed] = first;
    }
}

static void
test_dropped_in_every_order (gconstpointer data)
{
  gsize row = GPOINTER_TO_SIZE (data);
  g_auto (GStrv) words = g_strsplit (trees[row].tree, " ", -1);
  char letters[MAX_POINTS + 1] = "";

  g_assert_cmpuint (g_strv_length (words), <=, MAX_POINTS);
  for (guint i = 0; words[i]; i++)
    letters[i] = *words[i];
  each_order (row, letters, 0);
}

/* A point that is whole is never touched, however few stand on it. */
static void
test_whole_ones_stay (void)
{
  for (gsize row = 0; row < G_N_ELEMENTS (trees); row++)
    {
      g_auto (World) world = world_new (row);

      g_assert_cmpint (ramet_points_next_step (world.points, world.current, world.held).kind, ==, RAMET_POINT_STEP_NONE);
    }
}

/* What two stand on stays until one of them is gone, whatever becomes of its own point. */
static void
test_shared_layer_stays (void)
{
  g_auto (World) world = world_new (4); /* back and off again: b and c stand on a */
  RametPointStep step;

  ramet_points_find (world.points, "a")->dropped = TRUE;
  g_assert_cmpint (ramet_points_next_step (world.points, world.current, world.held).kind, ==, RAMET_POINT_STEP_NONE);
  ramet_points_find (world.points, "b")->dropped = TRUE;
  step = ramet_points_next_step (world.points, world.current, world.held);
  g_assert_cmpint (step.kind, ==, RAMET_POINT_STEP_DELETE);
  g_assert_cmpstr (step.point->name, ==, "b");
  take_step (&world, &step);
  step = ramet_points_next_step (world.points, world.current, world.held);
  g_assert_cmpint (step.kind, ==, RAMET_POINT_STEP_MERGE);
  g_assert_cmpstr (step.point->name, ==, "a");
  g_assert_cmpstr (step.child->name, ==, "c");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (trees); i++)
    {
      g_autofree char *path = g_strconcat ("/point/dropped in every order/", trees[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_dropped_in_every_order);
    }
  g_test_add_func ("/point/whole ones stay", test_whole_ones_stay);
  g_test_add_func ("/point/a layer that two stand on stays", test_shared_layer_stays);
  return g_test_run ();
}
