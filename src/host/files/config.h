/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/config.h"

#define RAMET_CONFIG_STEPS "guest"         /* first-boot steps, in a folder for ramet's configuration */
#define RAMET_CONFIG_TEMPLATES "templates" /* of domains, there */

/* A file of ramet's data, or one that a person put over it or added to it. */
typedef struct
{
  char *name;
  char *path;
  char *text;     /* ends in a line end; or NULL: it is switched off */
  char *replaces; /* path of what would hold without it, or NULL */
  gboolean is_own; /* it is in a folder for ramet's configuration */
} RametConfigFile;

void ramet_config_file_free (RametConfigFile *file);
GPtrArray *ramet_config_folders (void);
RametConfig *ramet_config_load (GError **error);
GPtrArray *ramet_config_list (const char *folder, const char *data, GError **error);
const RametConfigFile *ramet_config_find (GPtrArray *files, const char *name);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametConfigFile, ramet_config_file_free)
