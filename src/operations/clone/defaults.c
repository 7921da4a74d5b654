/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What was not typed is as the user has set it once for all commands. */
#include "operations/clone/defaults.h"

#include "core/error.h"
#include "model/names.h"

/** ramet_defaults_base: (transfer none): for a command that was given none */
const char *
ramet_defaults_base (const RametConfig *config, const char *command, GError **error)
{
  const char *base = config->values[RAMET_CONFIG_BASE];

  if (base)
    return base;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' wants a base, and none is set in " RAMET_CONFIG_FILE, command);
  ramet_error_hint (error, "'ramet base list' shows what there is; 'ramet config' says where 'base = NAME' may stand");
  return NULL;
}

/** ramet_defaults_fill: @options: what is in it already stays; it must not outlive @config */
void
ramet_defaults_fill (const RametConfig *config, RametCloneOptions *options)
{
  g_autofree char *vm = NULL;
  g_autofree char *point = NULL;

  if (options->pool == NULL)
    options->pool = config->values[RAMET_CONFIG_POOL];
  if (options->ssh_keys == NULL)
    {
      options->ssh_keys = (const char *const *) config->ssh_keys;
      options->ssh_keys_from = config->ssh_keys_from;
    }
  /* a VM as it was then has the user and the size of then */
  if (ramet_name_split_point (options->base, &vm, &point))
    return;
  if (options->user == NULL)
    options->user = config->values[RAMET_CONFIG_USER];
  if (options->vcpus == 0)
    options->vcpus = ramet_config_get_cpus (config);
  if (options->memory_bytes == 0)
    options->memory_bytes = ramet_config_get_memory (config);
}
