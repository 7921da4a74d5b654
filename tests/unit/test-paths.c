/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/paths.h"

static const struct
{
  const char *name, *program, *installed, *data, *found;
} cases[] = {
  { "where it was meant to be", "/usr/bin/ramet", "/usr/bin/ramet", "/usr/share/ramet", "/usr/share/ramet" },
  { "below a DESTDIR", "/tmp/x/usr/bin/ramet", "/usr/bin/ramet", "/usr/share/ramet", "/tmp/x/usr/share/ramet" },
  { "a prefix that was renamed", "/opt/new/bin/ramet", "/usr/local/bin/ramet", "/usr/local/share/ramet", "/opt/new/share/ramet" },
  { "nothing but the root in common", "/x/bin/ramet", "/bin/ramet", "/share/ramet", "/x/share/ramet" },
  { "folders that only begin alike", "/x/usr/lib-a/ramet", "/usr/lib-a/ramet", "/usr/lib-b/ramet", "/x/usr/lib-b/ramet" },
  { "a build folder", "/src/build/src/ramet", "/usr/bin/ramet", "/usr/share/ramet", NULL },
  { "a program of another name", "/usr/bin/ramet-old", "/usr/bin/ramet", "/usr/share/ramet", NULL },
  { "removed while it runs", "/usr/bin/ramet (deleted)", "/usr/bin/ramet", "/usr/share/ramet", NULL },
};

static void
test_beside (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *found = ramet_paths_beside (cases[i].program, cases[i].installed, cases[i].data);

  g_assert_cmpstr (found, ==, cases[i].found);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/paths/beside/", cases[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_beside);
    }
  return g_test_run ();
}
