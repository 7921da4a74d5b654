/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/identity.h"
#include "model/xml.h"

void ramet_chain_leave_owner (xmlNode *source);
xmlNode *ramet_chain_add (xmlNode *disk, GPtrArray *layers);
char *ramet_chain_rewrite (const char *domain_xml, GPtrArray *overlays, const char *metadata_xml, GError **error);
GPtrArray *ramet_chain_read (const char *domain_xml, const char *target, GError **error);
