/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "model/firewall.h"

/* What libvirt itself puts in front of all. */
#define LIBVIRT ":LIBVIRT_INP - [0:0]\n-A INPUT -j LIBVIRT_INP\n" \
                "-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 53 -j ACCEPT\n" \
                "-A LIBVIRT_INP -i virbr0 -p udp -m udp --dport 67 -j ACCEPT\n"
#define OPEN "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n"
#define CLOSED "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"

static const struct
{
  const char *name;
  const char *rules;
  const char *rule; /* part of the one that drops, or NULL if there surely is none */
} iptables_rows[] = {
  { "no rules", "", NULL },
  { "libvirt's own", OPEN LIBVIRT "COMMIT\n", NULL },
  { "junk", "*filter\n:\n-A\n-A INPUT\n-A INPUT -j\n-A NOWHERE -j DROP\n-A INPUT \"\n", NULL },
  { "the port is dropped", OPEN LIBVIRT "-A INPUT -p udp -m udp --dport 5353 -j DROP\n", "--dport 5353 -j DROP" },
  { "the port is rejected", OPEN "-A INPUT -p udp --dport 5353 -j REJECT --reject-with icmp-port-unreachable\n", "REJECT" },
  { "another port", OPEN "-A INPUT -p udp -m udp --dport 5355 -j DROP\n", NULL },
  { "a range of ports", OPEN "-A INPUT -p udp -m udp --dport 5000:6000 -j DROP\n", "5000:6000" },
  { "a list of ports", OPEN "-A INPUT -p udp -m multiport --dports 53,5353 -j DROP\n", "53,5353" },
  { "a list without it", OPEN "-A INPUT -p udp -m multiport --dports 53,5354 -j DROP\n", NULL },
  { "of TCP", OPEN "-A INPUT -p tcp -m tcp --dport 5353 -j DROP\n", NULL },
  { "not of TCP", OPEN "-A INPUT ! -p tcp -j DROP\n", "! -p tcp" },
  { "another interface", OPEN "-A INPUT -i eth0 -j DROP\n", NULL },
  { "all but another interface", OPEN "-A INPUT ! -i eth0 -j DROP\n", "! -i eth0" },
  { "all but ours", OPEN "-A INPUT ! -i virbr0 -j DROP\n", NULL },
  { "interfaces by their start", OPEN "-A INPUT -i virbr+ -j DROP\n", "virbr+" },
  { "accepted before", OPEN "-A INPUT -i virbr0 -j ACCEPT\n-A INPUT -p udp --dport 5353 -j DROP\n", NULL },
  { "perhaps accepted before", OPEN "-A INPUT -m set --match-set good src -j ACCEPT\n-A INPUT -j DROP\n", NULL },
  { "perhaps dropped", OPEN "-A INPUT -s 192.168.122.0/24 -j DROP\n", NULL },
  { "dropped beyond a rate", OPEN "-A INPUT -p udp -m limit --limit 5/sec -j DROP\n", NULL },
  { "only what belongs to a flow is accepted", CLOSED "-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
    "policy of INPUT" },
  { "a policy, and nothing else", CLOSED, "policy of INPUT" },
  { "a policy, and an exception", CLOSED "-A INPUT -d 224.0.0.251/32 -p udp -j ACCEPT\n", NULL },
  { "an exception for another group", CLOSED "-A INPUT -d 239.0.0.0/8 -j ACCEPT\n", "policy of INPUT" },
  { "multicast is accepted", CLOSED "-A INPUT -m addrtype --dst-type MULTICAST -j ACCEPT\n", NULL },
  { "multicast is dropped", OPEN "-A INPUT -m pkttype --pkt-type multicast -j DROP\n", "multicast" },
  { "in a chain", OPEN ":guests - [0:0]\n-A INPUT -i virbr0 -j guests\n-A guests -m comment --comment \"no noise\" -j DROP\n",
    "no noise" },
  { "in a chain that returns", OPEN ":guests - [0:0]\n-A INPUT -j guests\n-A guests -i virbr0 -j RETURN\n-A guests -j DROP\n",
    NULL },
  { "in a chain that perhaps returns",
    OPEN ":guests - [0:0]\n-A INPUT -j guests\n-A guests -m mark --mark 1 -j RETURN\n-A guests -j DROP\n", NULL },
  { "in a chain that is perhaps gone to",
    OPEN ":guests - [0:0]\n-A INPUT -m mark --mark 1 -j guests\n-A guests -j DROP\n", NULL },
  { "gone to, and not back", OPEN ":guests - [0:0]\n-A INPUT -g guests\n-A INPUT -j DROP\n-A guests -p tcp -j DROP\n", NULL },
  { "a target that is no chain", OPEN "-A INPUT -j LOG --log-prefix \"-j DROP\"\n", NULL },
  { "a circle", OPEN ":a - [0:0]\n:b - [0:0]\n-A INPUT -j a\n-A a -j b\n-A b -j a\n", NULL },
  { "what goes out", OPEN "-A OUTPUT -o virbr0 -p udp -m udp --sport 5353 -j DROP\n", "OUTPUT" },
  { "another table", "*nat\n:INPUT DROP [0:0]\nCOMMIT\n" OPEN, NULL },
};

static void
test_iptables (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *rule = NULL;
  gboolean blocks = ramet_firewall_iptables_blocks (iptables_rows[i].rules, "virbr0", &rule);

  g_assert_cmpint (blocks, ==, iptables_rows[i].rule != NULL);
  if (blocks)
    g_assert_nonnull (g_strstr_len (rule, -1, iptables_rows[i].rule));
  else
    g_assert_null (rule);
}

#define CHAIN(name, rest) "{\"chain\":{\"family\":\"inet\",\"table\":\"t\",\"name\":\"" name "\"" rest "}}"
#define INPUT(policy) CHAIN ("in", ",\"type\":\"filter\",\"hook\":\"input\",\"prio\":0,\"policy\":\"" policy "\"")
#define OUTPUT(policy) CHAIN ("out", ",\"type\":\"filter\",\"hook\":\"output\",\"prio\":0,\"policy\":\"" policy "\"")
#define RULE(chain, steps) "{\"rule\":{\"family\":\"inet\",\"table\":\"t\",\"chain\":\"" chain "\",\"expr\":[" steps "]}}"
#define MATCH(op, left, right) "{\"match\":{\"op\":\"" op "\",\"left\":" left ",\"right\":" right "}}"
#define META(key) "{\"meta\":{\"key\":\"" key "\"}}"
#define FIELD(protocol, field) "{\"payload\":{\"protocol\":\"" protocol "\",\"field\":\"" field "\"}}"
#define CT "{\"ct\":{\"key\":\"state\"}}"
#define DROP "{\"drop\":null}"
#define ACCEPT "{\"accept\":null}"
#define JUMP(target) "{\"jump\":{\"target\":\"" target "\"}}"
#define GOTO(target) "{\"goto\":{\"target\":\"" target "\"}}"
#define ALL(rest) "{\"nftables\":[{\"metainfo\":{\"json_schema_version\":1}}," rest "]}"

static const struct
{
  const char *name;
  const char *json;
  const char *rule;
} nft_rows[] = {
  { "no JSON", "junk", NULL },
  { "no list", "{\"nftables\":3}", NULL },
  { "odd members", ALL ("{\"chain\":3},{\"rule\":{\"expr\":7}},4,null," INPUT ("accept") "," RULE ("in", "3,null,[]")), NULL },
  { "nothing", ALL (INPUT ("accept")), NULL },
  { "a policy", ALL (INPUT ("drop")), "policy" },
  { "a policy on the way out", ALL (OUTPUT ("drop")), "policy" },
  { "a chain that is no base", ALL (CHAIN ("other", ",\"policy\":\"drop\"")), NULL },
  { "the port", ALL (INPUT ("accept") "," RULE ("in", MATCH ("==", FIELD ("udp", "dport"), "5353") "," DROP)), "5353" },
  { "another port", ALL (INPUT ("accept") "," RULE ("in", MATCH ("==", FIELD ("udp", "dport"), "53") "," DROP)), NULL },
  { "a set with it", ALL (INPUT ("accept") "," RULE ("in", MATCH ("==", FIELD ("udp", "dport"), "{\"set\":[53,5353]}") "," DROP)),
    "5353" },
  { "a range with it",
    ALL (INPUT ("accept") "," RULE ("in", MATCH ("==", FIELD ("udp", "dport"), "{\"range\":[5000,6000]}") "," DROP)), "6000" },
  { "a named set", ALL (INPUT ("accept") "," RULE ("in", MATCH ("==", FIELD ("udp", "dport"), "\"@bad\"") "," DROP)), NULL },
  { "all but tcp", ALL (INPUT ("accept") "," RULE ("in", MATCH ("!=", META ("l4proto"), "\"tcp\"") "," DROP)), "tcp" },
  { "tcp", ALL (INPUT ("accept") "," RULE ("in", MATCH ("==", FIELD ("tcp", "dport"), "5353") "," DROP)), NULL },
  { "our bridge", ALL (INPUT ("drop") "," RULE ("in", MATCH ("==", META ("iifname"), "\"virbr0\"") "," ACCEPT)), NULL },
  { "bridges by their start", ALL (INPUT ("drop") "," RULE ("in", MATCH ("==", META ("iifname"), "\"virbr*\"") "," ACCEPT)), NULL },
  { "another bridge", ALL (INPUT ("drop") "," RULE ("in", MATCH ("==", META ("iifname"), "\"eth0\"") "," ACCEPT)), "policy" },
  { "a flow that is known",
    ALL (INPUT ("drop") "," RULE ("in", MATCH ("in", CT, "[\"established\",\"related\"]") "," ACCEPT)), "policy" },
  { "multicast addresses",
    ALL (INPUT ("drop") "," RULE ("in", MATCH ("==", FIELD ("ip", "daddr"), "{\"prefix\":{\"addr\":\"224.0.0.0\",\"len\":4}}") "," ACCEPT)),
    NULL },
  { "other addresses",
    ALL (INPUT ("drop") "," RULE ("in", MATCH ("==", FIELD ("ip", "daddr"), "{\"prefix\":{\"addr\":\"10.0.0.0\",\"len\":8}}") "," ACCEPT)),
    "policy" },
  { "what cannot be understood may accept", ALL (INPUT ("drop") "," RULE ("in", "{\"fib\":{}}," ACCEPT)), NULL },
  { "what cannot be understood drops nothing", ALL (INPUT ("accept") "," RULE ("in", "{\"xt\":null}," DROP)), NULL },
  { "a map may accept", ALL (INPUT ("drop") "," RULE ("in", "{\"vmap\":{\"key\":" CT ",\"data\":{}}}")), NULL },
  { "counted", ALL (INPUT ("accept") "," RULE ("in", "{\"counter\":{\"packets\":0,\"bytes\":0}},{\"log\":null}," DROP)), "drop" },
  /* firewalld's zone for libvirt, with the services that it comes with */
  { "firewalld",
    ALL (INPUT ("accept") "," CHAIN ("zones", "") "," CHAIN ("libvirt", "") ","
         RULE ("in", MATCH ("in", CT, "{\"set\":[\"established\",\"related\"]}") "," ACCEPT) "," RULE ("in", JUMP ("zones")) ","
         RULE ("in", "{\"reject\":{\"type\":\"icmpx\",\"expr\":\"admin-prohibited\"}}") ","
         RULE ("zones", MATCH ("==", META ("iifname"), "\"virbr0\"") "," GOTO ("libvirt")) ","
         RULE ("libvirt", MATCH ("==", FIELD ("udp", "dport"), "53") "," ACCEPT)), "reject" },
  { "firewalld with mdns",
    ALL (INPUT ("accept") "," CHAIN ("zones", "") "," CHAIN ("libvirt", "") ","
         RULE ("in", JUMP ("zones")) "," RULE ("in", "{\"reject\":null}") ","
         RULE ("zones", MATCH ("==", META ("iifname"), "\"virbr0\"") "," GOTO ("libvirt")) ","
         RULE ("libvirt", MATCH ("==", FIELD ("ip", "daddr"), "\"224.0.0.251\"") ","
               MATCH ("==", FIELD ("udp", "dport"), "5353") "," ACCEPT)), NULL },
};

static void
test_nft (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *rule = NULL;
  gboolean blocks = ramet_firewall_nft_blocks (nft_rows[i].json, "virbr0", &rule);

  g_assert_cmpint (blocks, ==, nft_rows[i].rule != NULL);
  if (blocks)
    g_assert_nonnull (g_strstr_len (rule, -1, nft_rows[i].rule));
  else
    g_assert_null (rule);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (iptables_rows); i++)
    {
      g_autofree char *path = g_strconcat ("/firewall/iptables/", iptables_rows[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_iptables);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (nft_rows); i++)
    {
      g_autofree char *path = g_strconcat ("/firewall/nft/", nft_rows[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_nft);
    }
  return g_test_run ();
}
