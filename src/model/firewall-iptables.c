/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "model/firewall.h"
#include "model/firewall-walk.h"

/* Which packet is asked about. */
typedef struct
{
  const char *bridge;
  gboolean out; /* from this host to the guests */
} Packet;

static RametMatch
match_interface (const char *pattern, const char *name)
{
  gsize length = strlen (pattern);

  if (length > 0 && pattern[length - 1] == '+')
    return ramet_firewall_yes_if (strncmp (pattern, name, length - 1) == 0);
  return ramet_firewall_yes_if (g_str_equal (pattern, name));
}

/* "5353", "5000:6000", and lists of such */
static RametMatch
match_ports (const char *list)
{
  g_auto (GStrv) parts = g_strsplit (list, ",", -1);

  for (char **part = parts; *part; part++)
    {
      char *end;
      gulong low = strtoul (*part, &end, 10);
      gulong high = *end == ':' ? strtoul (end + 1, NULL, 10) : low;

      if (low <= RAMET_FIREWALL_PORT && RAMET_FIREWALL_PORT <= high)
        return RAMET_MATCH_YES;
    }
  return RAMET_MATCH_NO;
}

static RametMatch
match_one (const Packet *packet, const char *option, const char *value)
{
  if (g_str_equal (option, "-i"))
    return packet->out ? RAMET_MATCH_NO : match_interface (value, packet->bridge);
  if (g_str_equal (option, "-o"))
    return packet->out ? match_interface (value, packet->bridge) : RAMET_MATCH_NO;
  if (g_str_equal (option, "-p"))
    return ramet_firewall_yes_if (g_str_equal (value, "udp") || g_str_equal (value, "all") || g_str_equal (value, "17"));
  if (g_str_equal (option, "-d"))
    return ramet_firewall_group_in (value);
  if (g_str_equal (option, "--dport") || g_str_equal (option, "--dports") || g_str_equal (option, "--sport") ||
      g_str_equal (option, "--sports") || g_str_equal (option, "--ports"))
    return match_ports (value);
  if (g_str_equal (option, "--ctstate") || g_str_equal (option, "--state"))
    return ramet_firewall_yes_if (strstr (value, "NEW") != NULL);
  if (g_str_equal (option, "--dst-type") || g_str_equal (option, "--pkt-type"))
    return ramet_firewall_yes_if (g_ascii_strcasecmp (value, "multicast") == 0);
  if (g_str_equal (option, "-m") || g_str_equal (option, "--comment"))
    return RAMET_MATCH_YES; /* says nothing by itself */
  return RAMET_MATCH_MAYBE;
}

static void
set_target (RametFirewallRule *rule, const char *option, const char *target)
{
  if (g_str_equal (target, "ACCEPT"))
    rule->verdict = RAMET_VERDICT_ACCEPT;
  else if (g_str_equal (target, "DROP") || g_str_equal (target, "REJECT"))
    rule->verdict = RAMET_VERDICT_DROP;
  else if (g_str_equal (target, "RETURN"))
    rule->verdict = RAMET_VERDICT_RETURN;
  else
    rule->verdict = g_str_equal (option, "-g") ? RAMET_VERDICT_GOTO : RAMET_VERDICT_JUMP;
  rule->target = g_strdup (target);
}

/* @words: what stands behind "-A CHAIN" */
static RametFirewallRule *
parse_rule (const Packet *packet, const char *text, char **words)
{
  RametFirewallRule *rule = ramet_firewall_rule_new (text);

  while (*words)
    {
      gboolean negated = g_str_equal (*words, "!");
      const char *option = negated && words[1] ? *++words : *words;
      const char *value = words[1] ? words[1] : "";

      if (g_str_equal (option, "-j") || g_str_equal (option, "-g"))
        {
          set_target (rule, option, value); /* what follows is the target's */
          break;
        }
      ramet_firewall_rule_and (rule, ramet_firewall_not (match_one (packet, option, value), negated));
      for (words++; *words && **words != '-' && **words != '!'; words++)
        ;
    }
  return rule;
}

static void
parse_line (const Packet *packet, GHashTable *chains, const char *line)
{
  g_auto (GStrv) words = NULL;
  RametFirewallChain *chain;

  if (*line == ':')
    {
      words = g_strsplit (line + 1, " ", 3);
      if (words[0] && words[1])
        {
          chain = ramet_firewall_chain_new (words[0], g_str_equal (words[1], "DROP"));
          g_hash_table_replace (chains, chain->name, chain);
        }
    }
  else if (g_str_has_prefix (line, "-A ") && g_shell_parse_argv (line, NULL, &words, NULL) && words[1] &&
           (chain = g_hash_table_lookup (chains, words[1])) != NULL)
    g_ptr_array_add (chain->rules, parse_rule (packet, line, words + 2));
}

/**
 * ramet_firewall_iptables_blocks:
 * @iptables_save: what iptables-save prints
 * @bridge: the guests' bridge: "virbr0"
 * @ret_rule: (out): the rule that drops multicast DNS to or from it, if there surely is one
 */
gboolean
ramet_firewall_iptables_blocks (const char *iptables_save, const char *bridge, char **ret_rule)
{
  g_auto (GStrv) lines = g_strsplit (iptables_save, "\n", -1);

  for (guint out = 0; out < 2; out++)
    {
      Packet packet = { bridge, out == 1 };
      g_autoptr (GHashTable) chains = ramet_firewall_chains_new ();
      gboolean in_filter = FALSE;

      for (char **line = lines; *line; line++)
        if (**line == '*')
          in_filter = g_str_equal (*line, "*filter");
        else if (in_filter)
          parse_line (&packet, chains, *line);
      if (ramet_firewall_walk (chains, packet.out ? "OUTPUT" : "INPUT", ret_rule))
        return TRUE;
    }
  return FALSE;
}
