/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The way over the guest agent, for guests whose root console is sealed. The runner reads requests from a fifo and writes
 * its answers to a file, both in a folder that is root's alone; the agent only starts it, adds to what it is handed, and
 * passes on what it has answered, in small pieces. So a step may even restart the agent.
 */
#include "host/guest/agent-way.h"

#include "core/error.h"
#include "host/guest/agent.h"
#include "host/guest/way-private.h"
#include "model/runner-lines.h"

#define CHUNK_BYTES (32 * 1024) /* base64 of it is less than RAMET_AGENT_MAX_INPUT_BYTES */
#define PING_PATIENCE_US (5 * G_TIME_SPAN_SECOND)
#define LOGIN_PATIENCE_US (60 * G_TIME_SPAN_SECOND) /* for an agent that comes up later than the login prompt */
#define SILENCE_PATIENCE_US (180 * G_TIME_SPAN_SECOND) /* for a guest that boots and prints nothing */
#define CALL_PATIENCE_US (60 * G_TIME_SPAN_SECOND) /* for one call of the agent, which does little */
#define AWAY_PATIENCE_US (30 * G_TIME_SPAN_SECOND) /* for an agent that is being restarted */
#define AWAY_PAUSE_MS 500
#define FOLDER "/run/ramet"     /* the guest's own memory */

typedef struct
{
  RametWay way; /* must be first */
  RametDomain *domain;
  RametConsole *console; /* tells how the guest is, and what it prints while booting */
  gsize n_read; /* bytes of the runner's answers */
} AgentWay;

static gint64
soon_us (gint64 patience_us, gint64 deadline_us)
{
  return MIN (deadline_us, g_get_monotonic_time () + patience_us);
}

/* Runs a line of shell as root. */
static gboolean
call (AgentWay *self, const char *line, const char *first, const char *second, const char *input, gint64 deadline_us,
      RametAgentOutcome *ret_outcome, GError **error)
{
  const char *argv[] = { "/bin/sh", "-c", line, "sh", FOLDER, first, second, NULL };

  return ramet_agent_run (self->domain, self->way.task, argv, input, soon_us (CALL_PATIENCE_US, deadline_us), ret_outcome,
                          error);
}

static gboolean
check_outcome (AgentWay *self, const RametAgentOutcome *outcome, const char *what, GError **error)
{
  if (outcome->status == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "the guest agent of '%s' could not %s: status %d",
                   ramet_domain_get_name (self->domain), what, outcome->status);
  return FALSE;
}

/* call() of what must end well */
static gboolean
call_well (AgentWay *self, const char *line, const char *argument, const char *input, gint64 deadline_us,
           const char *what, GError **error)
{
  g_auto (RametAgentOutcome) outcome = { 0 };

  return call (self, line, argument, "", input, deadline_us, &outcome, error) &&
         check_outcome (self, &outcome, what, error);
}

static gboolean
check_alive (AgentWay *self, GError **error)
{
  const char *name = ramet_domain_get_name (self->domain);

  if (!ramet_console_check_alive (self->console, error))
    return FALSE;
  if (self->way.forged)
    {
      ramet_error_set (error, RAMET_ERROR_FORGED, "the guest '%s' sent a damaged or forged frame through its agent", name);
      return FALSE;
    }
  return TRUE;
}

/* Sends @request, if there is one, and takes in what the runner has said since. */
static gboolean
take_turn (AgentWay *self, const char *request, gint64 deadline_us, GError **error)
{
  g_autofree char *known = g_strdup_printf ("%" G_GSIZE_FORMAT, self->n_read);
  g_auto (RametAgentOutcome) outcome = { 0 };

  if (!call (self, ramet_runner_line_turn, known, request, NULL, deadline_us, &outcome, error))
    return FALSE;
  if (outcome.status == RAMET_RUNNER_GONE)
    {
      ramet_error_set (error, RAMET_ERROR_LOST, "what ran the steps in the guest '%s' has gone",
                       ramet_domain_get_name (self->domain));
      return FALSE;
    }
  self->n_read += outcome.output_length;
  ramet_way_feed (&self->way, outcome.output, outcome.output_length);
  return check_outcome (self, &outcome, "read what a step printed", error);
}

static gboolean
is_away (const GError *error)
{
  return g_error_matches (error, RAMET_ERROR, RAMET_ERROR_FAILED) ||
         g_error_matches (error, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
}

/* An agent that is restarted loses what it was at; to ask once more does no harm. */
static gboolean
insist (AgentWay *self, const char *request, gint64 deadline_us, const char *what, GError **error)
{
  gint64 away_us = soon_us (AWAY_PATIENCE_US, deadline_us);

  for (;;)
    {
      g_autoptr (GError) why = NULL;

      if (!check_alive (self, error) || !ramet_task_check (self->way.task, error))
        return FALSE;
      if (g_get_monotonic_time () >= deadline_us)
        {
          ramet_error_set (error, RAMET_ERROR_TIMEOUT, "waited in vain for %s", what);
          return FALSE;
        }
      if (take_turn (self, request, deadline_us, &why))
        return TRUE;
      if (!is_away (why) || g_get_monotonic_time () >= away_us)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      if (!ramet_task_sleep (self->way.task, AWAY_PAUSE_MS, error))
        return FALSE;
    }
}

static gboolean
wait_round (RametWay *way, gint64 deadline_us, const char *what, GError **error)
{
  return insist ((AgentWay *) way, "", deadline_us, what, error);
}

static gboolean
put_chunk (RametWay *way, const guint8 *bytes, gsize length, gint64 deadline_us, GError **error)
{
  g_autofree char *text = g_base64_encode (bytes, length);

  return call_well ((AgentWay *) way, ramet_runner_line_put, "", text, deadline_us, "take a script", error);
}

static gboolean
send_line (RametWay *way, const char *line, gint64 deadline_us, GError **error)
{
  g_autofree char *bare = g_strchomp (g_strdup (line));

  return insist ((AgentWay *) way, bare, deadline_us, "the guest to take a request", error);
}

/* Waits for the agent while the guest boots, as long as that shows any sign of life. */
static gboolean
await_agent (AgentWay *self, gint64 deadline_us, GError **error)
{
  const char *name = ramet_domain_get_name (self->domain);
  gint64 since_us = g_get_monotonic_time ();
  RametErrorCode code = RAMET_ERROR_TIMEOUT;

  for (;;)
    {
      gint64 silent_us = MAX (since_us, ramet_console_heard_us (self->console)) + SILENCE_PATIENCE_US;
      gint64 login_us = ramet_console_login_us (self->console);
      g_autoptr (GError) why = NULL;

      if (!check_alive (self, error))
        return FALSE;
      if (ramet_agent_ping (self->domain, self->way.task, soon_us (PING_PATIENCE_US, deadline_us), &why))
        return TRUE;
      if (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      if (login_us && g_get_monotonic_time () >= login_us + LOGIN_PATIENCE_US)
        {
          code = RAMET_ERROR_REFUSED;
          break;
        }
      if (g_get_monotonic_time () >= MIN (silent_us, deadline_us))
        break;
    }
  ramet_error_set (error, code, "no guest agent answers in '%s', so it cannot get an identity of its own",
                   name);
  ramet_error_hint (error, "the snapshot must hold a guest whose qemu-guest-agent starts with it");
  return FALSE;
}

static gboolean
meet (RametWay *way, const char *runner, gint64 deadline_us, GError **error)
{
  AgentWay *self = (AgentWay *) way;
  gboolean met;

  ramet_console_listen (self->console, TRUE);
  met = await_agent (self, deadline_us, error);
  ramet_console_listen (self->console, FALSE);
  met = met &&
        call_well (self, ramet_runner_line_start, way->nonce, runner, deadline_us, "start the steps", error) &&
        ramet_way_await (way, RAMET_WAY_RUNNER_SEQUENCE, deadline_us, "the runner to start", error);
  way->loaded = met;
  return met;
}

static void
leave (RametWay *way, gint64 deadline_us)
{
  AgentWay *self = (AgentWay *) way;
  g_autoptr (GError) why = NULL;

  if (!call_well (self, ramet_runner_line_end, "", NULL, deadline_us, "clear up", &why))
    ramet_task_note (way->task, "%s", why->message);
}

static void
agent_way_free (RametWay *way)
{
  AgentWay *self = (AgentWay *) way;

  ramet_domain_unref (self->domain);
  ramet_way_clear (way);
  g_free (self);
}

/**
 * ramet_agent_way_new:
 * @domain: just started; its agent need not be there yet
 * @console: of it, where nobody answers; must outlive the way
 *
 * Returns: (transfer full)
 */
RametWay *
ramet_agent_way_new (RametDomain *domain, RametTask *task, RametConsole *console)
{
  static const RametWayClass class
    = { .chunk_bytes = CHUNK_BYTES, .free = agent_way_free, .meet = meet, .put_chunk = put_chunk, .send = send_line,
        .wait = wait_round, .leave = leave };
  AgentWay *self = g_new0 (AgentWay, 1);

  ramet_way_init (&self->way, &class, task);
  self->domain = ramet_domain_ref (domain);
  self->console = console;
  return &self->way;
}
