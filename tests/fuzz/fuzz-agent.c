/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/lsan_interface.h>
#define NO_LEAKS_BEGIN() __lsan_disable ()
#define NO_LEAKS_END() __lsan_enable ()
#endif
#endif
#ifndef NO_LEAKS_BEGIN
#define NO_LEAKS_BEGIN() ((void) 0)
#define NO_LEAKS_END() ((void) 0)
#endif

#include "core/error.h"
#include "fuzz.h"
#include "model/agent.h"
#include "model/share-users.h"

#define MAX_BYTES 4096
#define MAX_COLUMNS 200       /* of a message: nothing of the answer stands in it */
#define MAX_TOLD_COLUMNS 2500 /* six commands, clipped, with services of 255 characters */

static void
check_failure (const GError *error)
{
  g_assert_true (g_error_matches (error, RAMET_ERROR, RAMET_ERROR_FAILED));
  fuzz_check_message (error->message, MAX_COLUMNS);
}

static void
check_stream (const char *bytes, gsize length)
{
  g_assert_nonnull (bytes);
  g_assert_cmpuint (length, <=, RAMET_AGENT_MAX_OUTPUT_BYTES);
  g_assert_cmpint (bytes[length], ==, '\0');
}

static void
check_answer (const char *answer)
{
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autoptr (GError) no_outcome = NULL;
  g_autoptr (GError) no_pid = NULL;
  g_autoptr (GError) no_answer = NULL;
  gint64 pid = 0;

  if (!ramet_agent_parse_nothing (answer, &no_answer))
    check_failure (no_answer);
  if (!ramet_agent_parse_pid (answer, &pid, &no_pid))
    check_failure (no_pid);
  else
    g_assert_cmpint (pid, >, 0);
  if (!ramet_agent_parse_outcome (answer, &outcome, &no_outcome))
    {
      check_failure (no_outcome);
      g_assert_null (outcome.output);
      return;
    }
  g_assert_no_error (no_answer);
  g_assert_cmpint (outcome.status, >=, 0);
  g_assert_cmpint (outcome.status, <=, 255);
  g_assert_true (outcome.ended || outcome.status == 0);
  check_stream (outcome.output, outcome.output_length);
  check_stream (outcome.errors, outcome.errors_length);
}

/* Whatever it is, an address is nothing that a program or a terminal could take for something else. */
static void
check_address (const char *answer)
{
  g_autoptr (GHashTable) macs = g_hash_table_new (g_str_hash, g_str_equal);
  g_autofree char *address = NULL;

  g_hash_table_add (macs, (gpointer) "52:54:00:00:00:01");
  address = ramet_agent_parse_ipv4 (answer, macs);
  if (address)
    g_assert_true (fuzz_matches (address, "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$"));
}

/* json-glib leaks what it had of a text that it refuses, or that has more than one value. */
static void
check_answer_without_its_leaks (const char *answer)
{
  NO_LEAKS_BEGIN ();
  check_answer (answer);
  check_address (answer);
  NO_LEAKS_END ();
}

static void
check_users (const char *text)
{
  g_autoptr (GPtrArray) users = ramet_share_users_parse (text);
  g_autofree char *told = ramet_share_users_describe (users);
  guint services;
  guint processes;

  fuzz_check_message (told, MAX_TOLD_COLUMNS);
  ramet_share_users_count (users, &services, &processes);
  g_assert_cmpuint (services + processes, ==, users->len);
  for (guint i = 0; i < users->len; i++)
    {
      const RametShareUser *user = g_ptr_array_index (users, i);

      g_assert_cmpint (user->pid, >, 0);
      g_assert_null (strchr (user->command, '\n'));
      if (user->service)
        g_assert_true (fuzz_matches (user->service, "^([0-9]+/)?[A-Za-z0-9:_.\\\\@-]+$"));
    }
}

/* What a program prints in the guest comes back as it was. */
static void
check_again (const guint8 *data, size_t size)
{
  g_autofree char *coded = g_base64_encode (data, size);
  g_autofree char *answer =
    g_strdup_printf ("{\"return\":{\"exited\":true,\"exitcode\":0,\"out-data\":\"%s\"}}", coded);
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autoptr (GError) error = NULL;

  ramet_agent_parse_outcome (answer, &outcome, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (outcome.output, outcome.output_length, data, size);
}

/* Whatever a program is called and given, the agent reads it as it was; it takes UTF-8 only. */
static void
check_command (const char *text)
{
  const char *const argv[] = { text, text, "", NULL };
  g_autofree char *exec = NULL;
  g_autofree char *plain = ramet_agent_command_plain ("guest-ping");
  g_autofree char *status = ramet_agent_command_exec_status (1);
  g_autofree char *set_time = ramet_agent_command_set_time (1);

  g_assert_true (g_str_has_prefix (plain, "{\"execute\":") && g_str_has_prefix (status, "{\"execute\":") &&
                 g_str_has_prefix (set_time, "{\"execute\":"));
  if (!g_utf8_validate (text, -1, NULL))
    return;
  exec = ramet_agent_command_exec (argv, text);
  g_assert_true (g_utf8_validate (exec, -1, NULL));
  g_assert_null (strchr (exec, '\n'));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  gsize length = MIN (size, MAX_BYTES);
  g_autofree char *text = fuzz_text (data, length);

  check_answer_without_its_leaks (text);
  check_users (text);
  check_command (text);
  check_again (data, length);
  return 0;
}
