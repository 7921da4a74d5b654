/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest/way-private.h"

#include <string.h>

#include "core/text.h"

#define MAX_OUTPUT_BYTES (2 * 1024 * 1024) /* the runner keeps 1 MiB of a step's output */

static void
show_status (RametWay *way, const char *bytes, gsize length)
{
  g_autofree char *plain = ramet_text_strip_sequences (bytes, length);

  ramet_task_status (way->task, g_strstrip (plain));
}

static void
on_line (const char *bytes, gsize length, gpointer data)
{
  RametWay *way = data;
  g_autofree char *safe = ramet_text_escape (bytes, (gssize) length);

  /* the echo of what was typed is no news, and the nonce nobody's business */
  if (g_strstr_len (bytes, (gssize) length, way->half_nonce))
    return;
  ramet_task_log (way->task, "%s", safe);
  if (*safe && way->shows)
    show_status (way, bytes, length);
  if (way->class->on_line)
    way->class->on_line (way, safe);
  if (way->output->len + length < MAX_OUTPUT_BYTES)
    {
      g_string_append_len (way->output, bytes, (gssize) length);
      g_string_append_c (way->output, '\n');
    }
}

static void
on_frame (const RametFrame *frame, gpointer data)
{
  RametWay *way = data;

  if (way->class->is_stale && way->class->is_stale (way, frame))
    return;
  way->answer = *frame;
  way->answered = TRUE;
}

/* Before the runner is there, a console's echo and the kernel share the line: what they damage is asked for again. */
static void
on_forged (gpointer data)
{
  RametWay *way = data;

  way->forged = way->loaded;
}

static char *
make_nonce (void)
{
  g_autofree char *uuid = g_uuid_string_random ();
  g_auto (GStrv) parts = g_strsplit (uuid, "-", -1);

  return g_strjoinv ("", parts);
}

/** ramet_way_init: for implementations; @task's log gets all that the guest prints, escaped */
void
ramet_way_init (RametWay *way, const RametWayClass *class, RametTask *task)
{
  static const RametFrameHandlers handlers = { on_frame, on_line, on_forged };

  way->class = class;
  way->task = task;
  way->nonce = make_nonce ();
  g_strlcpy (way->half_nonce, way->nonce, sizeof way->half_nonce);
  way->output = g_string_new (NULL);
  way->sequence = RAMET_WAY_RUNNER_SEQUENCE;
  way->parser = ramet_frame_parser_new (way->nonce, &handlers, way);
}

/** ramet_way_clear: for implementations: frees what ramet_way_init() made */
void
ramet_way_clear (RametWay *way)
{
  ramet_frame_parser_free (way->parser);
  g_string_free (way->output, TRUE);
  g_free (way->nonce);
}

void
ramet_way_free (RametWay *way)
{
  way->class->free (way);
}

/** ramet_way_feed: for implementations: what the guest has sent, untrusted */
void
ramet_way_feed (RametWay *way, const char *bytes, gsize length)
{
  ramet_frame_parser_feed (way->parser, bytes, length);
}

/** ramet_way_await: for implementations: waits for an answer to request @sequence; answers to others are passed over */
gboolean
ramet_way_await (RametWay *way, guint sequence, gint64 deadline_us, const char *what, GError **error)
{
  for (;;)
    {
      if (way->answered)
        {
          way->answered = FALSE;
          if (way->answer.sequence == sequence)
            return TRUE;
        }
      if (!way->class->wait (way, deadline_us, what, error))
        return FALSE;
    }
}

/**
 * ramet_way_meet:
 * @runner: the text of bootstrap/console/runner.sh
 * @error: RAMET_ERROR_TIMEOUT if the guest does not answer, RAMET_ERROR_LOST if it ends or panics
 *
 * Waits for the guest to be ready while it boots, and starts the runner in it.
 */
gboolean
ramet_way_meet (RametWay *way, const char *runner, gint64 deadline_us, GError **error)
{
  return way->class->meet (way, runner, deadline_us, error);
}

static gboolean
put (RametWay *way, const char *bytes, gsize length, gint64 deadline_us, GError **error)
{
  for (gsize at = 0; at < length; at += way->class->chunk_bytes)
    if (!way->class->put_chunk (way, (const guint8 *) bytes + at, MIN (way->class->chunk_bytes, length - at),
                                deadline_us, error))
      return FALSE;
  return TRUE;
}

static gboolean
request (RametWay *way, const char *verb, gint64 deadline_us, const char *what, GError **error)
{
  guint sequence = ++way->sequence;
  g_autofree char *line = g_strdup_printf ("%u %s\n", sequence, verb);

  g_string_truncate (way->output, 0);
  way->shows = TRUE;
  return way->class->send (way, line, deadline_us, error) && ramet_way_await (way, sequence, deadline_us, what, error);
}

/** ramet_way_set_environment: @pairs as for ramet_frame_environment(); they hold for every later step */
gboolean
ramet_way_set_environment (RametWay *way, const char *const *pairs, gint64 deadline_us, GError **error)
{
  g_autofree char *payload = ramet_frame_environment (pairs);

  return put (way, payload, strlen (payload), deadline_us, error) &&
         request (way, "env", deadline_us, "the guest to take the environment", error);
}

/**
 * ramet_way_put_files:
 * @pairs: names of letters, digits, '.' and '-', each followed by its text, which ends in a line end; %NULL-terminated
 */
gboolean
ramet_way_put_files (RametWay *way, const char *const *pairs, gint64 deadline_us, GError **error)
{
  g_autoptr (GString) payload = g_string_new (NULL);

  for (; pairs[0]; pairs += 2)
    g_string_append_printf (payload, "%s %s\n%s", way->nonce, pairs[0], pairs[1]);
  return put (way, payload->str, payload->len, deadline_us, error) &&
         request (way, "files", deadline_us, "the guest to take the steps", error);
}

static gboolean
run_request (RametWay *way, const char *verb, gint64 deadline_us, guint *ret_status, char **ret_output, GError **error)
{
  if (!request (way, verb, deadline_us, "a step in the guest to end", error))
    return FALSE;
  *ret_status = way->answer.status;
  if (ret_output)
    *ret_output = g_strndup (way->output->str, way->output->len);
  return TRUE;
}

/** ramet_way_run_file: runs what was put as @name before; else as ramet_way_run() */
gboolean
ramet_way_run_file (RametWay *way, const char *name, gint64 deadline_us, guint *ret_status, char **ret_output,
                    GError **error)
{
  g_autofree char *verb = g_strdup_printf ("run %s", name);

  return run_request (way, verb, deadline_us, ret_status, ret_output, error);
}

/**
 * ramet_way_run:
 * @script: run by the guest's sh as root, in /, with nothing on its standard input; @length in bytes
 * @ret_status: (out): the script's exit status, 0–255
 * @ret_output: (out) (optional): what it printed, raw and untrusted; at most 2 MiB, cut in the guest to 1 MiB
 * @error: RAMET_ERROR_TIMEOUT if it does not end in time, RAMET_ERROR_LOST if the way or the guest ends,
 *         RAMET_ERROR_FORGED if a frame is damaged
 *
 * Output goes to the task's log with control characters escaped.
 */
gboolean
ramet_way_run (RametWay *way, const char *script, gsize length, gint64 deadline_us, guint *ret_status,
               char **ret_output, GError **error)
{
  return put (way, script, length, deadline_us, error) &&
         run_request (way, "run", deadline_us, ret_status, ret_output, error);
}

/** ramet_way_leave: ends the runner; nothing more can be run */
void
ramet_way_leave (RametWay *way, gint64 deadline_us)
{
  way->class->leave (way, deadline_us);
}
