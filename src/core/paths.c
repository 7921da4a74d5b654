/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/paths.h"

/**
 * ramet_paths_data:
 * @name: a path below ramet's own data: "templates/base-domain.xml", "bootstrap/guest"
 *
 * RAMET_DATADIR names another place than the one ramet was installed to, such as a source tree.
 *
 * Returns: (transfer full)
 */
char *
ramet_paths_data (const char *name)
{
  const char *dir = g_getenv ("RAMET_DATADIR");

  return g_build_filename (dir && *dir ? dir : RAMET_DEFAULT_DATADIR, name, NULL);
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
