/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/agent.h"
#include "model/share-users.h"

static void
test_commands (void)
{
  static const char *const argv[] = { "/bin/sh", "-c", "echo \"$1\"\n", "\\", "é", NULL };
  g_autofree char *plain = ramet_agent_command_plain ("guest-ping");
  g_autofree char *set_time = ramet_agent_command_set_time (1700000000123456);
  g_autofree char *exec = ramet_agent_command_exec (argv, "in");
  g_autofree char *alone = ramet_agent_command_exec (argv + 3, NULL);
  g_autofree char *status = ramet_agent_command_exec_status (4711);

  g_assert_cmpstr (plain, ==, "{\"execute\":\"guest-ping\"}");
  g_assert_cmpstr (set_time, ==, "{\"execute\":\"guest-set-time\",\"arguments\":{\"time\":1700000000123456000}}");
  g_assert_cmpstr (exec, ==, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/sh\",\"arg\":[\"-c\","
                             "\"echo \\\"$1\\\"\\n\",\"\\\\\",\"é\"],\"input-data\":\"aW4=\",\"capture-output\":true}}");
  g_assert_cmpstr (alone, ==, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"\\\\\",\"arg\":[\"é\"],"
                              "\"capture-output\":true}}");
  g_assert_cmpstr (status, ==, "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":4711}}");
}

static const struct
{
  const char *name, *answer;
  gboolean ended;
  int status; /* -1: the answer is refused */
  const char *output, *errors;
} outcomes[] = {
  { "ended well", "{\"return\":{\"exited\":true,\"exitcode\":0}}", TRUE, 0, "", "" },
  { "ended with 4, both streams",
    "{\"return\":{\"exited\":true,\"exitcode\":4,\"out-data\":\"YQpi\",\"err-data\":\"Yw==\"}}", TRUE, 4, "a\nb", "c" },
  { "ended by SIGKILL", "{\"return\":{\"exited\":true,\"signal\":9}}", TRUE, 137, "", "" },
  { "runs", "{\"return\":{\"exited\":false}}", FALSE, 0, "", "" },
  { "no base64", "{\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"\\u0001*?\"}}", TRUE, 0, "", "" },
  { "members of other types", "{\"return\":{\"exited\":\"yes\",\"out-data\":[1],\"err-data\":{}}}", FALSE, 0, "", "" },
  { "ended somehow", "{\"return\":{\"exited\":true}}", FALSE, -1, NULL, NULL },
  { "status beyond a byte", "{\"return\":{\"exited\":true,\"exitcode\":256}}", FALSE, -1, NULL, NULL },
  { "status below 0", "{\"return\":{\"exited\":true,\"exitcode\":-1}}", FALSE, -1, NULL, NULL },
  { "status as text", "{\"return\":{\"exited\":true,\"exitcode\":\"0\"}}", FALSE, -1, NULL, NULL },
  { "signal beyond all", "{\"return\":{\"exited\":true,\"signal\":1000}}", FALSE, -1, NULL, NULL },
  { "an error", "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no\"}}", FALSE, -1, NULL, NULL },
  { "a list", "{\"return\":[]}", FALSE, -1, NULL, NULL },
  { "null", "{\"return\":null}", FALSE, -1, NULL, NULL },
  { "no object", "[1]", FALSE, -1, NULL, NULL },
  { "empty", "", FALSE, -1, NULL, NULL },
  { "cut", "{\"return\":{\"exited\":tr", FALSE, -1, NULL, NULL },
  { "no UTF-8", "{\"return\":{\"exited\":false,\"a\":\"\xff\"}}", FALSE, -1, NULL, NULL },
  { "brackets in a text", "{\"return\":{\"exited\":false,\"a\":\"[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[\"}}", FALSE, 0, "", "" },
};

static void
test_outcome (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autoptr (GError) error = NULL;
  gboolean fine = ramet_agent_parse_outcome (outcomes[i].answer, &outcome, &error);

  if (outcomes[i].status < 0)
    {
      g_assert_false (fine);
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpint (outcome.ended, ==, outcomes[i].ended);
  g_assert_cmpint (outcome.status, ==, outcomes[i].status);
  g_assert_cmpstr (outcome.output, ==, outcomes[i].output);
  g_assert_cmpstr (outcome.errors, ==, outcomes[i].errors);
  g_assert_false (outcome.cut);
}

/* "{"return":{"exited":true,"exitcode":0,"out-data":BASE64}}" of @length bytes 'x' with a NUL as the second */
static char *
long_answer (gsize length)
{
  g_autofree char *bytes = g_strnfill (length, 'x');
  g_autofree char *coded = NULL;

  bytes[1] = '\0';
  coded = g_base64_encode ((const guchar *) bytes, length);
  return g_strdup_printf ("{\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"%s\"}}", coded);
}

static void
test_bounds (void)
{
  g_autofree char *most = long_answer (RAMET_AGENT_MAX_OUTPUT_BYTES);
  g_autofree char *more = long_answer (RAMET_AGENT_MAX_OUTPUT_BYTES + 1);
  g_autofree char *huge = long_answer (RAMET_AGENT_MAX_ANSWER_BYTES);
  g_autofree char *opening = g_strnfill (500000, '[');
  g_autofree char *deep = g_strdup_printf ("{\"return\":%s", opening);
  g_auto (RametAgentOutcome) first = { 0 };
  g_auto (RametAgentOutcome) second = { 0 };
  g_auto (RametAgentOutcome) none = { 0 };
  g_autoptr (GError) error = NULL;

  g_assert_true (ramet_agent_parse_outcome (most, &first, &error));
  g_assert_cmpuint (first.output_length, ==, RAMET_AGENT_MAX_OUTPUT_BYTES);
  g_assert_cmpint (first.output[2], ==, 'x');
  g_assert_cmpint (first.output[first.output_length], ==, '\0');
  g_assert_false (first.cut);
  g_assert_true (ramet_agent_parse_outcome (more, &second, &error));
  g_assert_cmpuint (second.output_length, ==, RAMET_AGENT_MAX_OUTPUT_BYTES);
  g_assert_true (second.cut);
  g_assert_false (ramet_agent_parse_outcome (huge, &none, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_clear_error (&error);
  g_assert_false (ramet_agent_parse_nothing (deep, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
}

static void
test_pid (void)
{
  static const char *const wrong[] = { "{\"return\":{\"pid\":0}}", "{\"return\":{\"pid\":-4}}", "{\"return\":{}}",
                                       "{\"return\":{\"pid\":\"1\"}}", "{\"return\":7}" };
  gint64 pid = 0;

  g_assert_true (ramet_agent_parse_pid ("{\"return\":{\"pid\":812}}", &pid, NULL));
  g_assert_cmpint (pid, ==, 812);
  for (gsize i = 0; i < G_N_ELEMENTS (wrong); i++)
    {
      g_autoptr (GError) error = NULL;

      g_assert_false (ramet_agent_parse_pid (wrong[i], &pid, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
    }
}

#define INTERFACE(mac, addresses) "{\"name\":\"eth0\",\"hardware-address\":\"" mac "\",\"ip-addresses\":[" addresses "]}"
#define ADDRESS(type, text) "{\"ip-address-type\":\"" type "\",\"ip-address\":\"" text "\",\"prefix\":24}"
#define ITS "52:54:00:AA:bb:01"
#define OTHER "02:42:ac:11:00:02"

static const struct
{
  const char *name, *answer, *address;
} interfaces[] = {
  { "its address", "{\"return\":[" INTERFACE (ITS, ADDRESS ("ipv4", "10.0.0.7")) "]}", "10.0.0.7" },
  { "behind another's, IPv6 and a link-local one",
    "{\"return\":[{\"name\":\"lo\"}," INTERFACE (OTHER, ADDRESS ("ipv4", "172.17.0.1")) ","
    INTERFACE (ITS, ADDRESS ("ipv6", "fe80::1") "," ADDRESS ("ipv4", "169.254.3.4") "," ADDRESS ("ipv4", "10.0.0.7")) "]}",
    "10.0.0.7" },
  { "of another card only", "{\"return\":[" INTERFACE (OTHER, ADDRESS ("ipv4", "172.17.0.1")) "]}", NULL },
  { "an option of ssh", "{\"return\":[" INTERFACE (ITS, ADDRESS ("ipv4", "-oProxyCommand=x")) "]}", NULL },
  { "an escape behind it", "{\"return\":[" INTERFACE (ITS, ADDRESS ("ipv4", "10.0.0.7\\u001b[31m")) "]}", NULL },
  { "a part beyond a byte", "{\"return\":[" INTERFACE (ITS, ADDRESS ("ipv4", "10.0.0.256")) "]}", NULL },
  { "a name", "{\"return\":[" INTERFACE (ITS, ADDRESS ("ipv4", "localhost")) "]}", NULL },
  { "no addresses", "{\"return\":[{\"hardware-address\":\"" ITS "\"}]}", NULL },
  { "addresses of other types", "{\"return\":[" INTERFACE (ITS, "1,[],\"10.0.0.7\",{\"ip-address\":7}") "]}", NULL },
  { "interfaces of other types", "{\"return\":[1,[],null,{\"hardware-address\":7,\"ip-addresses\":{}}]}", NULL },
  { "no list", "{\"return\":{}}", NULL },
  { "an error", "{\"error\":{\"class\":\"CommandNotFound\"}}", NULL },
  { "empty", "", NULL },
};

static void
test_interfaces (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GHashTable) macs = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree char *address = NULL;

  g_hash_table_add (macs, (gpointer) "52:54:00:aa:bb:01");
  address = ramet_agent_parse_ipv4 (interfaces[i].answer, macs);
  g_assert_cmpstr (address, ==, interfaces[i].address);
}

static const struct
{
  const char *name, *text, *told;
  guint services, processes;
} users[] = {
  { "none", "", "", 0, 0 },
  { "a service", "412\tweb.service\tnode\n", "node (412, web.service)", 1, 0 },
  { "a process", "730\t-\tbash\n", "bash (730)", 0, 1 },
  { "a user's service", "9\t1000/app@x\\x2dy.service\tnode\n", "node (9, app@x\\x2dy.service of user 1000)", 1, 0 },
  { "an init script", "9\tnginx\tnginx\n", "nginx (9, nginx)", 1, 0 },
  { "among other lines", "stopped\tweb.service\n412\tweb.service\tnode\n\n730\t-\tbash\nkilled\t4\tsh\n",
    "node (412, web.service), bash (730)", 1, 1 },
  { "without an end", "730\t-\tbash", "bash (730)", 0, 1 },
  { "escapes and tabs in the command", "7\t-\t\x1b[31mred\ttab\n", "\\x1b[31mred tab (7)", 0, 1 },
  { "a long command", "7\t-\tabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\n",
    "abcdefghijklmnopqrstuvwxyzabcde… (7)", 0, 1 },
  { "a service with a blank", "7\ta b.service\tx\n", "", 0, 0 },
  { "a service with an escape", "7\ta\x1b.service\tx\n", "", 0, 0 },
  { "a service with a path", "7\t/../x.service\tx\n", "", 0, 0 },
  { "no service", "7\t\tx\n", "", 0, 0 },
  { "no number", "x\t-\tx\n", "", 0, 0 },
  { "a number too big", "99999999999999999999\t-\tx\n", "", 0, 0 },
  { "a number below 1", "0\t-\tx\n-4\t-\tx\n", "", 0, 0 },
  { "too few fields", "7\t-\n", "", 0, 0 },
  { "many", "1\t-\ta\n2\t-\ta\n3\t-\ta\n4\t-\ta\n5\t-\ta\n6\t-\ta\n7\t-\ta\n8\t-\ta\n",
    "a (1), a (2), a (3), a (4), a (5), a (6) and 2 more", 0, 8 },
};

static void
test_users (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GPtrArray) found = ramet_share_users_parse (users[i].text);
  g_autofree char *told = ramet_share_users_describe (found);
  guint services;
  guint processes;

  ramet_share_users_count (found, &services, &processes);
  g_assert_cmpstr (told, ==, users[i].told);
  g_assert_cmpuint (services, ==, users[i].services);
  g_assert_cmpuint (processes, ==, users[i].processes);
}

static void
test_users_bounds (void)
{
  GString *text = g_string_new (NULL);
  g_autoptr (GPtrArray) found = NULL;

  for (guint i = 1; i <= 5000; i++)
    g_string_append_printf (text, "%u\t-\ta\n", i);
  found = ramet_share_users_parse (text->str);
  g_assert_cmpuint (found->len, ==, 1000);
  g_string_free (text, TRUE);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/agent/commands", test_commands);
  for (gsize i = 0; i < G_N_ELEMENTS (outcomes); i++)
    {
      g_autofree char *path = g_strdup_printf ("/agent/outcome/%s", outcomes[i].name);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_outcome);
    }
  g_test_add_func ("/agent/bounds", test_bounds);
  g_test_add_func ("/agent/pid", test_pid);
  for (gsize i = 0; i < G_N_ELEMENTS (interfaces); i++)
    {
      g_autofree char *path = g_strdup_printf ("/agent/interfaces/%s", interfaces[i].name);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_interfaces);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (users); i++)
    {
      g_autofree char *path = g_strdup_printf ("/share-users/%s", users[i].name);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_users);
    }
  g_test_add_func ("/share-users/bounds", test_users_bounds);
  return g_test_run ();
}
