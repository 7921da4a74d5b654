/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/identity.h"
#include "model/xml.h"

gboolean ramet_chain_put (xmlNode *domain, const RametOverlay *overlay, GError **error);
char *ramet_chain_rewrite (const char *domain_xml, GPtrArray *overlays, const char *metadata_xml, GError **error);
