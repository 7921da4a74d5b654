/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define RAMET_AGENT_MAX_ANSWER_BYTES (1024 * 1024)
#define RAMET_AGENT_MAX_OUTPUT_BYTES (64 * 1024) /* that are kept of each stream of a command */
#define RAMET_AGENT_MAX_INPUT_BYTES (48 * 1024)  /* the agent stalls on requests above 64 KiB */

/* How a command in the guest ended, and what it printed: untrusted. */
typedef struct
{
  gboolean ended;
  int status;   /* as a shell tells it: 128 and the signal's number for what a signal ended */
  char *output; /* of its stdout, ended by a NUL that is not counted; may hold others */
  gsize output_length;
  char *errors; /* of its stderr, likewise */
  gsize errors_length;
  gboolean cut; /* it printed more */
} RametAgentOutcome;

void ramet_agent_outcome_clear (RametAgentOutcome *outcome);

char *ramet_agent_command_plain (const char *name);
char *ramet_agent_command_set_time (gint64 since_1970_us);
char *ramet_agent_command_exec (const char *const *argv, const char *input);
char *ramet_agent_command_exec_status (gint64 pid);

gboolean ramet_agent_parse_nothing (const char *answer, GError **error);
gboolean ramet_agent_parse_pid (const char *answer, gint64 *ret_pid, GError **error);
gboolean ramet_agent_parse_outcome (const char *answer, RametAgentOutcome *ret_outcome, GError **error);
char *ramet_agent_parse_ipv4 (const char *answer, GHashTable *macs);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametAgentOutcome, ramet_agent_outcome_clear)
