/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "model/recipe.h"

static const struct
{
  const char *name;
  gboolean is;
} names[] = {
  { "debian-12-20261121", TRUE },
  { "debian-12-20261121-2", TRUE },
  { "debian-12-20261121-10", TRUE },
  { "debian-12", FALSE },
  { "debian-12-", FALSE },
  { "debian-12-2026112", FALSE },
  { "debian-12-202611210", FALSE },
  { "debian-12-2026112x", FALSE },
  { "debian-12-20261121-", FALSE },
  { "debian-12-20261121-x", FALSE },
  { "debian-12-20261121x", FALSE },
  { "debian-1", FALSE },
  { "debian-122-20261121", FALSE },
  { "other-20261121", FALSE },
};

static void
test_is_version_name (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);

  g_assert_true (ramet_recipe_is_version_name (names[i].name, "debian-12") == names[i].is);
}

static void
test_names_made_are_names_known (void)
{
  for (guint nth = 1; nth < 12; nth++)
    {
      g_autofree char *name = ramet_recipe_version_name ("web", "20261121", nth);

      g_assert_true (ramet_recipe_is_version_name (name, "web"));
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/recipe/names made are names known", test_names_made_are_names_known);
  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      g_autofree char *path = g_strconcat ("/recipe/version name/", names[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_is_version_name);
    }
  return g_test_run ();
}
