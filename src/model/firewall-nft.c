/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <json-glib/json-glib.h>
#include <string.h>

#include "model/firewall.h"
#include "model/firewall-walk.h"

/* Which packet is asked about. */
typedef struct
{
  const char *bridge;
  gboolean out; /* from this host to the guests */
} Packet;

/* (transfer none) (nullable): @node's member @name, where @node is an object */
static JsonNode *
member (JsonNode *node, const char *name)
{
  return node && JSON_NODE_HOLDS_OBJECT (node) ? json_object_get_member (json_node_get_object (node), name) : NULL;
}

/* (transfer none) (nullable) */
static const char *
string_member (JsonNode *node, const char *name)
{
  JsonNode *found = member (node, name);

  return found && JSON_NODE_HOLDS_VALUE (found) ? json_node_get_string (found) : NULL;
}

static RametMatch
compare_name (const char *text, const char *wanted)
{
  gsize length = strlen (text);

  if (length > 0 && text[length - 1] == '*')
    return ramet_firewall_yes_if (strncmp (text, wanted, length - 1) == 0);
  return *text == '@' ? RAMET_MATCH_MAYBE : ramet_firewall_yes_if (g_str_equal (text, wanted));
}

typedef RametMatch (*Compare) (JsonNode *value, const char *wanted);

static RametMatch
compare_text (JsonNode *value, const char *wanted)
{
  const char *text = JSON_NODE_HOLDS_VALUE (value) ? json_node_get_string (value) : NULL;

  return text ? compare_name (text, wanted) : RAMET_MATCH_MAYBE;
}

static RametMatch
compare_port (JsonNode *value, const char *wanted)
{
  JsonNode *range = member (value, "range");

  if (range && JSON_NODE_HOLDS_ARRAY (range) && json_array_get_length (json_node_get_array (range)) == 2)
    return ramet_firewall_yes_if (json_array_get_int_element (json_node_get_array (range), 0) <= RAMET_FIREWALL_PORT &&
                                  json_array_get_int_element (json_node_get_array (range), 1) >= RAMET_FIREWALL_PORT);
  if (JSON_NODE_HOLDS_VALUE (value) && json_node_get_value_type (value) == G_TYPE_INT64)
    return ramet_firewall_yes_if (json_node_get_int (value) == RAMET_FIREWALL_PORT);
  return compare_text (value, wanted);
}

static RametMatch
compare_group (JsonNode *value, const char *wanted)
{
  JsonNode *prefix = member (value, "prefix");
  JsonNode *length = member (prefix, "len");
  const char *address = prefix ? string_member (prefix, "addr")
                        : JSON_NODE_HOLDS_VALUE (value) ? json_node_get_string (value) : NULL;
  g_autofree char *mask = NULL;

  if (address == NULL || *address == '@')
    return RAMET_MATCH_MAYBE;
  mask = length ? g_strdup_printf ("%s/%" G_GINT64_FORMAT, address, json_node_get_int (length)) : g_strdup (address);
  return ramet_firewall_group_in (mask);
}

/* Any of what stands on the right: a value, a set or a list of them. */
static RametMatch
compare_any (JsonNode *right, Compare compare, const char *wanted)
{
  JsonNode *set = member (right, "set");
  JsonArray *list;
  RametMatch best = RAMET_MATCH_NO;

  if (right == NULL)
    return RAMET_MATCH_MAYBE;
  if (set)
    right = set;
  if (!JSON_NODE_HOLDS_ARRAY (right))
    return compare (right, wanted);
  list = json_node_get_array (right);
  for (guint i = 0; i < json_array_get_length (list); i++)
    best = MAX (best, compare (json_array_get_element (list, i), wanted));
  return best;
}

static RametMatch
match_meta (const Packet *packet, const char *key, JsonNode *right)
{
  gboolean in = g_strcmp0 (key, "iifname") == 0;

  if (in || g_strcmp0 (key, "oifname") == 0)
    return in == packet->out ? RAMET_MATCH_NO : compare_any (right, compare_text, packet->bridge);
  if (g_strcmp0 (key, "l4proto") == 0)
    return compare_any (right, compare_text, "udp");
  if (g_strcmp0 (key, "pkttype") == 0)
    return compare_any (right, compare_text, "multicast");
  if (g_strcmp0 (key, "nfproto") == 0)
    return compare_any (right, compare_text, "ipv4");
  return RAMET_MATCH_MAYBE;
}

static RametMatch
match_payload (JsonNode *payload, JsonNode *right)
{
  const char *protocol = string_member (payload, "protocol");
  const char *field = string_member (payload, "field");

  if (protocol == NULL || field == NULL)
    return RAMET_MATCH_MAYBE;
  if (g_str_equal (protocol, "ip6") || g_str_equal (protocol, "tcp") || g_str_equal (protocol, "icmp") ||
      g_str_equal (protocol, "icmpv6"))
    return RAMET_MATCH_NO;
  if ((g_str_equal (protocol, "udp") || g_str_equal (protocol, "th")) && strstr ("dport sport", field))
    return compare_any (right, compare_port, "mdns");
  if (g_str_equal (protocol, "ip") && g_str_equal (field, "daddr"))
    return compare_any (right, compare_group, "");
  if (g_str_equal (protocol, "ip") && g_str_equal (field, "protocol"))
    return compare_any (right, compare_text, "udp");
  return RAMET_MATCH_MAYBE;
}

static RametMatch
evaluate_match (const Packet *packet, JsonNode *match)
{
  JsonNode *left = member (match, "left");
  JsonNode *right = member (match, "right");
  const char *op = string_member (match, "op");
  RametMatch result = RAMET_MATCH_MAYBE;

  if (member (left, "meta"))
    result = match_meta (packet, string_member (member (left, "meta"), "key"), right);
  else if (member (left, "payload"))
    result = match_payload (member (left, "payload"), right);
  else if (g_strcmp0 (string_member (member (left, "ct"), "key"), "state") == 0)
    result = compare_any (right, compare_text, "new");
  if (g_strcmp0 (op, "==") == 0 || g_strcmp0 (op, "in") == 0)
    return result;
  return g_strcmp0 (op, "!=") == 0 ? ramet_firewall_not (result, TRUE) : RAMET_MATCH_MAYBE;
}

static char *
chain_key (JsonNode *of, const char *name)
{
  const char *family = string_member (of, "family");
  const char *table = string_member (of, "table");

  return g_strdup_printf ("%s %s %s", family ? family : "", table ? table : "", name ? name : "");
}

/* One step of a rule: a condition, or what is done. */
static void
add_step (const Packet *packet, JsonNode *of, JsonNode *step, RametFirewallRule *rule)
{
  static const struct
  {
    const char *word;
    RametVerdict verdict;
  } verdicts[] = { { "accept", RAMET_VERDICT_ACCEPT }, { "drop", RAMET_VERDICT_DROP }, { "reject", RAMET_VERDICT_DROP },
                   { "return", RAMET_VERDICT_RETURN }, { "jump", RAMET_VERDICT_JUMP }, { "goto", RAMET_VERDICT_GOTO },
                   { "vmap", RAMET_VERDICT_ACCEPT }, { "queue", RAMET_VERDICT_ACCEPT } };

  if (member (step, "match"))
    {
      ramet_firewall_rule_and (rule, evaluate_match (packet, member (step, "match")));
      return;
    }
  for (gsize i = 0; i < G_N_ELEMENTS (verdicts); i++)
    if (member (step, verdicts[i].word))
      {
        rule->verdict = verdicts[i].verdict;
        rule->target = chain_key (of, string_member (member (step, verdicts[i].word), "target"));
        return;
      }
  if (!member (step, "counter") && !member (step, "log"))
    ramet_firewall_rule_and (rule, RAMET_MATCH_MAYBE);
}

static void
add_rule (const Packet *packet, GHashTable *chains, JsonNode *of)
{
  g_autofree char *key = chain_key (of, string_member (of, "chain"));
  RametFirewallChain *chain = g_hash_table_lookup (chains, key);
  JsonNode *steps = member (of, "expr");
  g_autofree char *text = steps ? json_to_string (steps, FALSE) : NULL;
  g_autofree char *whole = g_strdup_printf ("%s: %s", key, text);
  RametFirewallRule *rule;

  if (chain == NULL || steps == NULL || !JSON_NODE_HOLDS_ARRAY (steps))
    return;
  rule = ramet_firewall_rule_new (whole);
  for (guint i = 0; i < json_array_get_length (json_node_get_array (steps)); i++)
    add_step (packet, of, json_array_get_element (json_node_get_array (steps), i), rule);
  g_ptr_array_add (chain->rules, rule);
}

/* Chains that packets enter by themselves go to @bases. */
static void
add_chain (const Packet *packet, GHashTable *chains, GPtrArray *bases, JsonNode *of)
{
  const char *family = string_member (of, "family");
  g_autofree char *key = chain_key (of, string_member (of, "name"));
  RametFirewallChain *chain = ramet_firewall_chain_new (key, g_strcmp0 (string_member (of, "policy"), "drop") == 0);

  g_hash_table_replace (chains, chain->name, chain);
  if ((g_strcmp0 (family, "ip") == 0 || g_strcmp0 (family, "inet") == 0) &&
      g_strcmp0 (string_member (of, "type"), "filter") == 0 &&
      g_strcmp0 (string_member (of, "hook"), packet->out ? "output" : "input") == 0)
    g_ptr_array_add (bases, chain->name);
}

static gboolean
drops (const Packet *packet, JsonArray *ruleset, char **ret_rule)
{
  g_autoptr (GHashTable) chains = ramet_firewall_chains_new ();
  g_autoptr (GPtrArray) bases = g_ptr_array_new ();

  for (guint i = 0; i < json_array_get_length (ruleset); i++)
    {
      JsonNode *chain = member (json_array_get_element (ruleset, i), "chain");

      if (chain)
        add_chain (packet, chains, bases, chain);
    }
  for (guint i = 0; i < json_array_get_length (ruleset); i++)
    {
      JsonNode *rule = member (json_array_get_element (ruleset, i), "rule");

      if (rule)
        add_rule (packet, chains, rule);
    }
  for (guint i = 0; i < bases->len; i++)
    if (ramet_firewall_walk (chains, g_ptr_array_index (bases, i), ret_rule))
      return TRUE;
  return FALSE;
}

/**
 * ramet_firewall_nft_blocks:
 * @nft_json: what `nft --json list ruleset` prints
 * @bridge: the guests' bridge: "virbr0"
 * @ret_rule: (out): the rule that drops multicast DNS to or from it, if there surely is one
 */
gboolean
ramet_firewall_nft_blocks (const char *nft_json, const char *bridge, char **ret_rule)
{
  g_autoptr (JsonNode) root = json_from_string (nft_json, NULL);
  JsonNode *ruleset = member (root, "nftables");

  if (ruleset == NULL || !JSON_NODE_HOLDS_ARRAY (ruleset))
    return FALSE;
  for (guint out = 0; out < 2; out++)
    {
      Packet packet = { bridge, out == 1 };

      if (drops (&packet, json_node_get_array (ruleset), ret_rule))
        return TRUE;
    }
  return FALSE;
}
