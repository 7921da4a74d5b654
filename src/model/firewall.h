/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Whether multicast DNS over @bridge is kept out for sure; where a rule is not understood, it is taken for harmless. */
gboolean ramet_firewall_iptables_blocks (const char *iptables_save, const char *bridge, char **ret_rule);
gboolean ramet_firewall_nft_blocks (const char *nft_json, const char *bridge, char **ret_rule);
