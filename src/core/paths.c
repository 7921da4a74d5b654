/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/paths.h"

#include <string.h>

/**
 * ramet_paths_beside:
 * @program: where a program lies: "/opt/x/usr/bin/ramet"
 * @installed: where it was meant to: "/usr/bin/ramet"
 * @data: where its data was meant to: "/usr/share/ramet"
 *
 * Returns: (transfer full) (nullable): where the data is if both were moved together: "/opt/x/usr/share/ramet"; %NULL if the
 * program's place has nothing to do with what was meant
 */
char *
ramet_paths_beside (const char *program, const char *installed, const char *data)
{
  const char *start = installed;

  /* what both have in common need not be there any more: a prefix of another name will do */
  for (const char *at = installed; *at == data[at - installed] && *at; at++)
    if (*at == '/')
      start = at;
  if (!g_str_has_suffix (program, start))
    return NULL;
  return g_strdup_printf ("%.*s%s", (int) (strlen (program) - strlen (start)), program, data + (start - installed));
}

/* (transfer full): where ramet's own data is */
static char *
find_data (void)
{
  const char *dir = g_getenv ("RAMET_DATADIR");
  g_autofree char *program = ramet_paths_program ();
  g_autofree char *beside = NULL;

  if (dir && *dir)
    return g_strdup (dir);
  beside = ramet_paths_beside (program, RAMET_DEFAULT_PROGRAM, RAMET_DEFAULT_DATADIR);
  if (beside && g_file_test (beside, G_FILE_TEST_IS_DIR))
    return g_steal_pointer (&beside);
  return g_strdup (RAMET_DEFAULT_DATADIR);
}

/**
 * ramet_paths_data:
 * @name: a path below ramet's own data: "templates/base-domain.xml", "bootstrap/guest"
 *
 * That is where it was installed to, seen from the program, so that a tree that was moved or put elsewhere by DESTDIR is whole.
 * RAMET_DATADIR names another place, such as a source tree.
 *
 * Returns: (transfer full)
 */
char *
ramet_paths_data (const char *name)
{
  g_autofree char *dir = find_data ();

  return g_build_filename (dir, name, NULL);
}

/** ramet_paths_log: (transfer full): where the bootstrap log of @vm goes; its folder need not be there yet */
char *
ramet_paths_log (const char *vm)
{
  g_autofree char *file = g_strconcat (vm, ".log", NULL);

  return g_build_filename (g_get_user_state_dir (), "ramet", "log", file, NULL);
}

/** ramet_paths_ssh_key: (transfer full): the private key that ramet makes for users who have none */
char *
ramet_paths_ssh_key (void)
{
  return g_build_filename (g_get_user_data_dir (), "ramet", "id_ed25519", NULL);
}

/** ramet_paths_program: (transfer full): this very program, to be called again by ssh */
char *
ramet_paths_program (void)
{
  g_autofree char *self = g_file_read_link ("/proc/self/exe", NULL);

  return self ? g_steal_pointer (&self) : g_strdup ("ramet");
}

/** ramet_paths_put_back: (transfer full): notes of what `ramet apply` moved away and put back */
char *
ramet_paths_put_back (void)
{
  return g_build_filename (g_get_user_state_dir (), "ramet", "put-back", NULL);
}

/** ramet_paths_apply_key: (transfer full): by which `ramet apply` knows what it wrote to a shared folder itself */
char *
ramet_paths_apply_key (void)
{
  return g_build_filename (g_get_user_state_dir (), "ramet", "apply-key", NULL);
}

/** ramet_paths_turns: (transfer full): the folder of locks by which clones of this user begin one after the other */
char *
ramet_paths_turns (void)
{
  return g_build_filename (g_get_user_runtime_dir (), "ramet", NULL);
}
