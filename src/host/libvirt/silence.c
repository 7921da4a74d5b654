/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/silence.h"

#include <string.h>

#include "host/libvirt/connection-private.h"

/* Whether anybody answers is asked by a connection of its own that only looks: however much the process' other calls ask for,
 * and whoever they wait for, is nothing to it. */
typedef struct
{
  gatomicrefcount references;
  const char *uri;
  gint answered; /* atomic */
} Question;

static const char *watched_uri; /* interned; atomic: the process' connections are all to one libvirtd */

/* Of the one thread that measures. */
static struct
{
  RametCalls calls;
  gint64 since_us; /* when something was last seen to go on */
  gint64 asked_us;
  Question *question; /* or NULL */
} seen;

/** ramet_silence_watch: calls from now on are to @uri; of other hosts than this it is not asked whether they answer */
void
ramet_silence_watch (const char *uri)
{
  const char *authority = strstr (uri, "://");
  gboolean is_local = authority && authority[3] == '/' && !memchr (uri, '+', (gsize) (authority - uri));

  g_atomic_pointer_set (&watched_uri, is_local ? g_intern_string (uri) : NULL);
}

static void
question_unref (Question *question)
{
  if (g_atomic_ref_count_dec (&question->references))
    g_free (question);
}

/* In a thread of its own, which stays where nobody answers. That nobody is let in is an answer, too. The brackets: neither
 * of these counts as a call under way. */
static gpointer
ask (gpointer data)
{
  Question *question = data;
  virConnectPtr conn = (virConnectOpenReadOnly) (question->uri);

  if (conn)
    (virConnectClose) (conn);
  g_atomic_int_set (&question->answered, TRUE);
  question_unref (question);
  return NULL;
}

static Question *
question_new (const char *uri)
{
  Question *question = g_new0 (Question, 1);

  g_atomic_ref_count_init (&question->references);
  g_atomic_ref_count_inc (&question->references);
  question->uri = uri;
  g_thread_unref (g_thread_new ("silence", ask, question));
  return question;
}

/**
 * ramet_silence_measure:
 * @quiet_us: for how long no call may have begun or ended before it is asked whether anybody is there
 *
 * To be called again and again, always in the same thread.
 *
 * Returns: for how many microseconds nobody has answered, while calls of libvirt are under way; 0: all is well
 */
gint64
ramet_silence_measure (gint64 quiet_us)
{
  const char *uri = g_atomic_pointer_get (&watched_uri);
  RametCalls calls = ramet_trace_count ();
  gint64 now_us = g_get_monotonic_time ();

  if (uri == NULL || calls.begun == calls.ended || calls.begun != seen.calls.begun || calls.ended != seen.calls.ended ||
      (seen.question && g_atomic_int_get (&seen.question->answered)))
    {
      seen.calls = calls;
      seen.since_us = now_us;
      g_clear_pointer (&seen.question, question_unref);
    }
  else if (seen.question)
    return now_us - seen.asked_us;
  else if (now_us - seen.since_us >= quiet_us)
    {
      seen.question = question_new (uri);
      seen.asked_us = now_us;
    }
  return 0;
}

/** ramet_silence_set_error: RAMET_ERROR_LOST */
void
ramet_silence_set_error (GError **error)
{
  ramet_error_set (error, RAMET_ERROR_LOST, "libvirtd at '%s' does not answer", (const char *) g_atomic_pointer_get (&watched_uri));
  ramet_error_hint (error, "see 'systemctl status libvirtd', and what the host is busy with; 'sudo systemctl restart libvirtd' ends "
                           "no VM; 'ramet doctor' then tells what is left half done");
}
