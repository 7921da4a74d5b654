/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

/*
 * usage: fuzz-TARGET FILE|FOLDER…
 *
 * A target without libFuzzer: gives it each file, and each in a folder and below. For the quick suite, and to look at
 * what was found.
 */

static void
replay_file (const char *path, guint *n_files)
{
  g_autofree char *bytes = NULL;
  g_autofree guint8 *exact = NULL;
  g_autoptr (GError) error = NULL;
  gsize length;

  if (!g_file_get_contents (path, &bytes, &length, &error))
    g_error ("%s", error->message);
  exact = g_memdup2 (bytes, length); /* without the NUL that GLib puts behind: a sanitizer shall see reads beyond */
  if (g_getenv ("FUZZ_VERBOSE"))
    g_printerr ("%s\n", path);
  LLVMFuzzerTestOneInput (exact ? exact : (const guint8 *) "", length);
  (*n_files)++;
}

static void
replay (const char *path, guint *n_files)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  const char *name;

  if (folder == NULL)
    {
      replay_file (path, n_files);
      return;
    }
  while ((name = g_dir_read_name (folder)) != NULL)
    {
      g_autofree char *child = g_build_filename (path, name, NULL);

      replay (child, n_files);
    }
}

int
main (int argc, char **argv)
{
  guint n_files = 0;

  for (int i = 1; i < argc; i++)
    replay (argv[i], &n_files);
  g_print ("%u inputs\n", n_files);
  return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
