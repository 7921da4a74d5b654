/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest/agent.h"

#include <libvirt/libvirt-qemu.h>
#include <stdlib.h>
#include <string.h>

#include "host/libvirt/connection-private.h"

#define ASK_AGAIN_US (100 * G_TIME_SPAN_MILLISECOND)
#define MAX_ASK_S 5     /* for what can be asked again */
#define MAX_ANSWER_S 20 /* for what cannot: no command takes its time, not even the one that starts a program */
#define POLL_SHARE 8 /* what ended is known at most an eighth too late */
#define MIN_POLL_US (10 * G_TIME_SPAN_MILLISECOND)
#define MAX_POLL_US (200 * G_TIME_SPAN_MILLISECOND)

typedef enum
{
  WORK_ASK,      /* one command, which does no harm if it is sent twice */
  WORK_ASK_ONCE, /* one that does */
  WORK_SET_TIME, /* likewise; written anew each time that it is sent */
  WORK_RUN,      /* a program, until it has ended */
} Work;

/*
 * libvirt's call blocks until the guest answers, so it is made in a thread of its own, and Ctrl-C need not wait for it.
 * The thread outlives a caller that gives up, but not for long: see MAX_ANSWER_S.
 */
struct _RametAgentJob
{
  gatomicrefcount references; /* the caller's and the thread's */
  virDomainPtr domain;
  char *name;
  Work work;
  char *command; /* JSON, with WORK_ASK and WORK_ASK_ONCE */
  char **argv;   /* with WORK_RUN */
  char *input;   /* likewise, or NULL */
  gint64 deadline_us;
  gint64 alive_by_us; /* with WORK_RUN: the same, or sooner */
  gint64 ask_until_us; /* the thread's own: one of these */
  gint dropped; /* atomic: nobody waits for it any more */
  gint done;    /* atomic: what follows is written, and the thread touches nothing more */
  char *answer;
  RametAgentOutcome outcome;
  GError *error;
};

static void
job_unref (RametAgentJob *job)
{
  if (!g_atomic_ref_count_dec (&job->references))
    return;
  virDomainFree (job->domain);
  g_free (job->name);
  g_free (job->command);
  g_strfreev (job->argv);
  g_free (job->input);
  g_free (job->answer);
  ramet_agent_outcome_clear (&job->outcome);
  g_clear_error (&job->error);
  g_free (job);
}

static void
set_unanswered (const char *name, GError **error)
{
  ramet_error_set (error, RAMET_ERROR_TIMEOUT, "the guest agent of '%s' does not answer", name);
  ramet_error_hint (error, "see whether the guest still does: 'ramet ssh %s -- sudo systemctl restart qemu-guest-agent'",
                    name);
}

/* libvirt's last error of this thread as one of ours; %TRUE if asking again may help. */
static gboolean
translate (const RametAgentJob *job, GError **error)
{
  const virError *why = virGetLastError ();
  const char *message = why && why->message ? why->message : "";

  if (why && (why->code == VIR_ERR_AGENT_UNRESPONSIVE || why->code == VIR_ERR_AGENT_UNSYNCED))
    {
      set_unanswered (job->name, error);
      return TRUE;
    }
  if (why && why->code == VIR_ERR_OPERATION_INVALID)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot ask the guest agent of '%s': the VM does not run", job->name);
      ramet_error_hint (error, "'ramet list' shows its state");
      return FALSE;
    }
  if (why && why->domain == VIR_FROM_RPC)
    {
      ramet_error_set (error, RAMET_ERROR_LOST, "the connection to libvirt was lost while the guest agent of '%s' was asked",
                       job->name);
      return FALSE;
    }
  ramet_libvirt_error (error, "the guest agent of '%s' does not do it", job->name);
  if (strstr (message, "has been disabled") || strstr (message, "has not been found"))
    {
      if (error && *error)
        (*error)->code = RAMET_ERROR_REFUSED;
      ramet_error_hint (error, "allow it in the guest, in /etc/sysconfig/qemu-ga or /etc/qemu/qemu-ga.conf");
    }
  else if (strstr (message, "is not configured"))
    {
      if (error && *error)
        (*error)->code = RAMET_ERROR_REFUSED;
      ramet_error_hint (error, "the VM has no channel for one: clone it from a base that has");
    }
  return FALSE;
}

/* (transfer full): the answer to one command; @again: it may be sent more than once */
static char *
ask (RametAgentJob *job, const char *command, gboolean again, GError **error)
{
  for (;;)
    {
      g_autofree char *now = job->work == WORK_SET_TIME ? ramet_agent_command_set_time (g_get_real_time ()) : NULL;
      gint64 left_us = job->ask_until_us - g_get_monotonic_time ();
      gint64 left_s = (left_us + G_USEC_PER_SEC - 1) / G_USEC_PER_SEC;
      g_autoptr (GError) why = NULL;
      char *answer;

      if (left_us <= 0 || g_atomic_int_get (&job->dropped))
        {
          set_unanswered (job->name, error);
          return NULL;
        }
      answer = virDomainQemuAgentCommand (job->domain, now ? now : command,
                                          (int) CLAMP (left_s, 1, again ? MAX_ASK_S : MAX_ANSWER_S), 0);
      if (answer)
        {
          char *copy = g_strdup (answer);

          free (answer);
          return copy;
        }
      if (!translate (job, &why) || !again)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return NULL;
        }
      g_usleep (ASK_AGAIN_US);
    }
}

static gboolean
poll_outcome (RametAgentJob *job, gint64 pid, RametAgentOutcome *outcome, GError **error)
{
  g_autofree char *command = ramet_agent_command_exec_status (pid);
  gint64 since_us = g_get_monotonic_time ();

  while (TRUE)
    {
      g_autofree char *answer = NULL;
      gint64 waited_us = g_get_monotonic_time () - since_us;

      g_usleep ((gulong) CLAMP (waited_us / POLL_SHARE, MIN_POLL_US, MAX_POLL_US));
      ramet_agent_outcome_clear (outcome);
      answer = ask (job, command, FALSE, error);
      if (answer == NULL || !ramet_agent_parse_outcome (answer, outcome, error))
        return FALSE;
      if (outcome->ended)
        return TRUE;
    }
}

/* (transfer full): the command that starts the program now */
static char *
write_exec (RametAgentJob *job)
{
  for (char **argument = job->argv; *argument; argument++)
    if (g_str_equal (*argument, RAMET_AGENT_NOW))
      {
        gint64 now_us = g_get_real_time ();

        g_free (*argument);
        *argument = g_strdup_printf ("%" G_GINT64_FORMAT ".%06d", now_us / G_USEC_PER_SEC, (int) (now_us % G_USEC_PER_SEC));
      }
  return ramet_agent_command_exec ((const char *const *) job->argv, job->input);
}

/* A program must not be started twice, so the agent is first asked whether it is there. */
static gboolean
run (RametAgentJob *job, RametAgentOutcome *outcome, GError **error)
{
  g_autofree char *ping = ramet_agent_command_plain ("guest-ping");
  g_autofree char *pong = NULL;
  g_autofree char *exec = NULL;
  g_autofree char *answer = NULL;
  gint64 pid;

  job->ask_until_us = job->alive_by_us;
  pong = ask (job, ping, TRUE, error);
  if (pong == NULL)
    return FALSE;
  job->ask_until_us = job->deadline_us;
  exec = write_exec (job);
  answer = ask (job, exec, FALSE, error);
  return answer && ramet_agent_parse_pid (answer, &pid, error) && poll_outcome (job, pid, outcome, error);
}

static gpointer
job_main (gpointer data)
{
  RametAgentJob *job = data;

  if (job->work == WORK_RUN)
    run (job, &job->outcome, &job->error);
  else
    job->answer = ask (job, job->command, job->work != WORK_ASK_ONCE, &job->error);
  g_atomic_int_set (&job->done, TRUE);
  g_main_context_wakeup (NULL);
  job_unref (job);
  return NULL;
}

static RametAgentJob *
job_new (RametDomain *domain, Work work, gint64 deadline_us)
{
  RametAgentJob *job = g_new0 (RametAgentJob, 1);

  g_atomic_ref_count_init (&job->references);
  job->domain = ramet_domain_get (domain);
  virDomainRef (job->domain);
  job->name = g_strdup (ramet_domain_get_name (domain));
  job->work = work;
  job->deadline_us = deadline_us;
  job->ask_until_us = deadline_us;
  return job;
}

static RametAgentJob *
job_start (RametAgentJob *job)
{
  g_atomic_ref_count_inc (&job->references);
  g_thread_unref (g_thread_new ("agent", job_main, job));
  return job;
}

/** ramet_agent_begin_set_time: (transfer full): the guest's clock as the host's */
RametAgentJob *
ramet_agent_begin_set_time (RametDomain *domain, gint64 deadline_us)
{
  return job_start (job_new (domain, WORK_SET_TIME, deadline_us));
}

/**
 * ramet_agent_begin_run:
 * @argv: the program and its arguments, %NULL-terminated; RAMET_AGENT_NOW stands for the host's time when it is started
 * @input: (nullable): what it finds on stdin, at most RAMET_AGENT_MAX_INPUT_BYTES
 * @alive_by_us: when the agent must have shown that it is there
 *
 * Starts a program as root in the guest. It goes on there if nobody waits for it any more.
 *
 * Returns: (transfer full)
 */
RametAgentJob *
ramet_agent_begin_run (RametDomain *domain, const char *const *argv, const char *input, gint64 alive_by_us,
                       gint64 deadline_us)
{
  RametAgentJob *job = job_new (domain, WORK_RUN, deadline_us);

  g_assert (input == NULL || strlen (input) <= RAMET_AGENT_MAX_INPUT_BYTES);
  job->argv = g_strdupv ((char **) argv);
  job->input = g_strdup (input);
  job->alive_by_us = MIN (alive_by_us, deadline_us);
  return job_start (job);
}

/**
 * ramet_agent_wait:
 * @ret_outcome: (out) (optional): of a program, also of one that failed: untrusted
 *
 * Waits until @job is done, as long as its deadline allows. To be called once.
 */
gboolean
ramet_agent_wait (RametAgentJob *job, RametTask *task, RametAgentOutcome *ret_outcome, GError **error)
{
  while (!g_atomic_int_get (&job->done))
    {
      g_autoptr (GError) why = NULL;

      if (ramet_task_iterate (task, job->deadline_us, "the guest agent", &why) || g_atomic_int_get (&job->done))
        continue;
      if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
        set_unanswered (job->name, error);
      else
        g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (job->error)
    {
      g_propagate_error (error, g_steal_pointer (&job->error));
      return FALSE;
    }
  if (ret_outcome)
    {
      *ret_outcome = job->outcome;
      memset (&job->outcome, 0, sizeof job->outcome);
    }
  return TRUE;
}

/** ramet_agent_drop: done or not, nobody waits for it any more */
void
ramet_agent_drop (RametAgentJob *job)
{
  g_atomic_int_set (&job->dropped, TRUE);
  job_unref (job);
}

/**
 * ramet_agent_run:
 * @ret_outcome: (out): its exit status and output, untrusted; a status above 0 is no error
 *
 * See ramet_agent_begin_run().
 */
gboolean
ramet_agent_run (RametDomain *domain, RametTask *task, const char *const *argv, const char *input, gint64 deadline_us,
                 RametAgentOutcome *ret_outcome, GError **error)
{
  g_autoptr (RametAgentJob) job = ramet_agent_begin_run (domain, argv, input, deadline_us, deadline_us);

  return ramet_agent_wait (job, task, ret_outcome, error);
}

static char *
ask_in_thread (RametDomain *domain, Work work, RametTask *task, const char *command, gint64 deadline_us, GError **error)
{
  g_autoptr (RametAgentJob) job = job_new (domain, work, deadline_us);

  job->command = g_strdup (command);
  job_start (job);
  return ramet_agent_wait (job, task, NULL, error) ? g_steal_pointer (&job->answer) : NULL;
}

/** ramet_agent_ask: (transfer full): the answer to @command, JSON, untrusted; it may be sent more than once */
char *
ramet_agent_ask (RametDomain *domain, RametTask *task, const char *command, gint64 deadline_us, GError **error)
{
  return ask_in_thread (domain, WORK_ASK, task, command, deadline_us, error);
}

static gboolean
ask_plain (RametDomain *domain, Work work, RametTask *task, const char *name, gint64 deadline_us, GError **error)
{
  g_autofree char *command = ramet_agent_command_plain (name);
  g_autofree char *answer = ask_in_thread (domain, work, task, command, deadline_us, error);

  return answer && ramet_agent_parse_nothing (answer, error);
}

gboolean
ramet_agent_ping (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  return ask_plain (domain, WORK_ASK, task, "guest-ping", deadline_us, error);
}

/** ramet_agent_set_time: the guest's clock as the host's */
gboolean
ramet_agent_set_time (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autoptr (RametAgentJob) job = ramet_agent_begin_set_time (domain, deadline_us);

  return ramet_agent_wait (job, task, NULL, error);
}

/** ramet_agent_freeze: lets the guest's filesystems write out and take no more until ramet_agent_thaw() */
gboolean
ramet_agent_freeze (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  return ask_plain (domain, WORK_ASK_ONCE, task, "guest-fsfreeze-freeze", deadline_us, error);
}

/** ramet_agent_thaw: also fine if nothing is frozen */
gboolean
ramet_agent_thaw (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  return ask_plain (domain, WORK_ASK, task, "guest-fsfreeze-thaw", deadline_us, error);
}
