/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define RAMET_CONFIG_FILE "config.ini"
#define RAMET_CONFIG_SECTION "defaults"
#define RAMET_CONFIG_MAX_BYTES (64 * 1024)

/* What a person may set once for all commands. */
typedef enum
{
  RAMET_CONFIG_CONNECTION,
  RAMET_CONFIG_BASE,
  RAMET_CONFIG_USER,
  RAMET_CONFIG_SSH_KEYS,
  RAMET_CONFIG_MEMORY,
  RAMET_CONFIG_CPUS,
  RAMET_CONFIG_POOL,
  RAMET_N_CONFIG_KEYS,
} RametConfigKey;

/* The values that were set, and by which file; NULL where none does. */
typedef struct
{
  char *values[RAMET_N_CONFIG_KEYS]; /* as written; but the escapes of a list, which ssh_keys has */
  char *files[RAMET_N_CONFIG_KEYS];
  char **ssh_keys; /* absolute paths or keys */
  char *ssh_keys_from; /* for messages: where these stand */
} RametConfig;

RametConfig *ramet_config_new (void);
void ramet_config_free (RametConfig *config);
gboolean ramet_config_parse (RametConfig *config, const char *text, gsize length, const char *path, const char *home,
                             GError **error);
const char *ramet_config_key_name (RametConfigKey key);
guint64 ramet_config_get_memory (const RametConfig *config);
guint ramet_config_get_cpus (const RametConfig *config);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametConfig, ramet_config_free)
