/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/firewall-walk.h"

#include <gio/gio.h>
#include <string.h>

#define MAX_DEPTH 32 /* jumps may go round in a circle in text that no kernel has accepted */

typedef enum
{
  WALK_ON,
  WALK_ACCEPTED,
  WALK_DROPPED,
} Walk;

static void
rule_free (gpointer data)
{
  RametFirewallRule *rule = data;

  g_free (rule->target);
  g_free (rule->text);
  g_free (rule);
}

static void
chain_free (gpointer data)
{
  RametFirewallChain *chain = data;

  g_free (chain->name);
  g_ptr_array_unref (chain->rules);
  g_free (chain);
}

/** ramet_firewall_rule_new: one that matches everything and does nothing, yet */
RametFirewallRule *
ramet_firewall_rule_new (const char *text)
{
  RametFirewallRule *rule = g_new0 (RametFirewallRule, 1);

  rule->match = RAMET_MATCH_YES;
  rule->text = g_strdup (text);
  return rule;
}

RametFirewallChain *
ramet_firewall_chain_new (const char *name, gboolean policy_drops)
{
  RametFirewallChain *chain = g_new0 (RametFirewallChain, 1);

  chain->name = g_strdup (name);
  chain->policy_drops = policy_drops;
  chain->rules = g_ptr_array_new_with_free_func (rule_free);
  return chain;
}

/** ramet_firewall_chains_new: (transfer full): name, owned by the chain → RametFirewallChain */
GHashTable *
ramet_firewall_chains_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, NULL, chain_free);
}

void
ramet_firewall_rule_and (RametFirewallRule *rule, RametMatch match)
{
  rule->match = MIN (rule->match, match);
}

RametMatch
ramet_firewall_not (RametMatch match, gboolean negated)
{
  return negated ? RAMET_MATCH_YES - match : match;
}

RametMatch
ramet_firewall_yes_if (gboolean yes)
{
  return yes ? RAMET_MATCH_YES : RAMET_MATCH_NO;
}

/** ramet_firewall_group_in: @address_and_mask: "224.0.0.0/4", "224.0.0.251" */
RametMatch
ramet_firewall_group_in (const char *address_and_mask)
{
  g_autoptr (GInetAddressMask) mask = g_inet_address_mask_new_from_string (address_and_mask, NULL);
  g_autoptr (GInetAddress) group = g_inet_address_new_from_string ("224.0.0.251");

  return mask ? ramet_firewall_yes_if (g_inet_address_mask_matches (mask, group)) : RAMET_MATCH_MAYBE;
}

static Walk walk_chain (GHashTable *chains, const RametFirewallChain *chain, gboolean *sure, guint depth,
                        char **ret_rule);

static Walk
walk_into (GHashTable *chains, const RametFirewallRule *rule, gboolean *sure, guint depth, char **ret_rule)
{
  const RametFirewallChain *target = rule->target ? g_hash_table_lookup (chains, rule->target) : NULL;

  /* a target that is no chain does what is not known here */
  return target && depth < MAX_DEPTH ? walk_chain (chains, target, sure, depth + 1, ret_rule) : WALK_ON;
}

/*
 * @sure: (inout): whether the packet comes here for certain. It is dropped only by what it meets for certain, and
 * accepted already by what it may meet.
 */
static Walk
walk_chain (GHashTable *chains, const RametFirewallChain *chain, gboolean *sure, guint depth, char **ret_rule)
{
  for (guint i = 0; i < chain->rules->len; i++)
    {
      const RametFirewallRule *rule = g_ptr_array_index (chain->rules, i);
      gboolean sure_here = *sure && rule->match == RAMET_MATCH_YES;
      Walk walk = WALK_ON;

      if (rule->match == RAMET_MATCH_NO || rule->verdict == RAMET_VERDICT_NONE)
        continue;
      if (rule->verdict == RAMET_VERDICT_ACCEPT)
        return WALK_ACCEPTED;
      if (rule->verdict == RAMET_VERDICT_DROP && sure_here)
        {
          *ret_rule = g_strdup (rule->text);
          return WALK_DROPPED;
        }
      if (rule->verdict == RAMET_VERDICT_JUMP || rule->verdict == RAMET_VERDICT_GOTO)
        walk = walk_into (chains, rule, &sure_here, depth, ret_rule);
      if (walk != WALK_ON)
        return walk;
      if (rule->verdict == RAMET_VERDICT_RETURN || rule->verdict == RAMET_VERDICT_GOTO)
        {
          if (rule->match == RAMET_MATCH_YES)
            return WALK_ON;
          *sure = FALSE;
        }
    }
  return WALK_ON;
}

/** ramet_firewall_walk: @ret_rule: (out): what drops the packet, if it is dropped for certain */
gboolean
ramet_firewall_walk (GHashTable *chains, const char *base, char **ret_rule)
{
  const RametFirewallChain *chain = g_hash_table_lookup (chains, base);
  gboolean sure = TRUE;
  Walk walk = chain ? walk_chain (chains, chain, &sure, 0, ret_rule) : WALK_ACCEPTED;

  if (walk == WALK_ON && chain->policy_drops && sure)
    {
      *ret_rule = g_strdup_printf ("the policy of %s drops what no rule accepts", chain->name);
      walk = WALK_DROPPED;
    }
  return walk == WALK_DROPPED;
}
