/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Rules in a form that iptables and nftables share, walked with one packet of multicast DNS in mind. */

#define RAMET_FIREWALL_PORT 5353
#define RAMET_FIREWALL_GROUP 0xe00000fbu /* 224.0.0.251 */

typedef enum
{
  RAMET_MATCH_NO,
  RAMET_MATCH_MAYBE, /* not understood, or it depends on what is not known here */
  RAMET_MATCH_YES,
} RametMatch;

typedef enum
{
  RAMET_VERDICT_NONE,
  RAMET_VERDICT_ACCEPT,
  RAMET_VERDICT_DROP,
  RAMET_VERDICT_RETURN,
  RAMET_VERDICT_JUMP,
  RAMET_VERDICT_GOTO,
} RametVerdict;

typedef struct
{
  RametMatch match;
  RametVerdict verdict;
  char *target; /* of a jump */
  char *text;   /* for people */
} RametFirewallRule;

typedef struct
{
  char *name;
  gboolean policy_drops;
  GPtrArray *rules; /* (element-type RametFirewallRule) */
} RametFirewallChain;

RametFirewallRule *ramet_firewall_rule_new (const char *text);
RametFirewallChain *ramet_firewall_chain_new (const char *name, gboolean policy_drops);
GHashTable *ramet_firewall_chains_new (void);
gboolean ramet_firewall_walk (GHashTable *chains, const char *base, char **ret_rule);

void ramet_firewall_rule_and (RametFirewallRule *rule, RametMatch match);
RametMatch ramet_firewall_not (RametMatch match, gboolean negated);
RametMatch ramet_firewall_yes_if (gboolean yes);
RametMatch ramet_firewall_group_in (const char *address_and_mask);
