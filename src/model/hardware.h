/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

#include "model/share.h"

/* What a VM is to have from its next start on. */
typedef struct
{
  guint vcpus;        /* 0: as it is */
  guint64 memory_kib; /* 0: as it is */
  GPtrArray *shares;  /* (element-type RametShare): all that it is to have; or NULL: as they are */
  GPtrArray *before;  /* (element-type RametShare): all that it had of ramet's; with @shares */
} RametHardware;

#define RAMET_HARDWARE_MAX_CPUS 4096

gboolean ramet_hardware_parse_cpus (const char *key, const char *text, guint *ret_cpus, GError **error);
gboolean ramet_hardware_parse_memory (const char *text, guint64 *ret_bytes, GError **error);
void ramet_hardware_add_share (xmlNode *devices, const RametShare *share);
char *ramet_hardware_rewrite (const char *domain_xml, const RametHardware *hardware, const char *metadata_xml,
                              GError **error);
