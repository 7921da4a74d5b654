/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/console.h"

#include <string.h>

#include "core/text.h"
#include "host/connection-private.h"
#include "host/domain-watch.h"
#include "model/frame.h"

#define SYNC_INTERVAL_US (400 * G_TIME_SPAN_MILLISECOND) /* while the guest prints something new */
#define QUIET_SYNC_INTERVAL_US (3 * G_TIME_SPAN_SECOND)  /* while it does not: a kernel takes no input yet */
/* What a guest does not read fills its pty, and then libvirtd keeps all that comes over the stream's connection waiting. */
#define MAX_QUIET_SYNCS 4
#define MAX_SYNCS 150
#define LOADER_PATIENCE_US (20 * G_TIME_SPAN_SECOND)
#define PUT_PATIENCE_US (120 * G_TIME_SPAN_SECOND)
#define PROBE_INTERVAL_MS 400
#define SILENCE_US (2500 * G_TIME_SPAN_MILLISECOND)
#define MAX_TRIES 3
#define CHUNK_BYTES 24576
#define MAX_OUTPUT_BYTES (2 * 1024 * 1024) /* the runner keeps 1 MiB of a step's output */
#define LOADER_SEQUENCE 1                  /* of the loader's own frames, see ramet_frame_loader_line() */
#define RUNNER_SEQUENCE 2
#define FIRST_SYNC_SEQUENCE 1000

struct _RametConsole
{
  RametDomain *domain;
  RametTask *task;
  RametDomainWatch *watch;
  RametConnection *connection; /* for the stream alone: libvirtd reads nothing more from it once the guest reads nothing */
  virStreamPtr stream;
  int events; /* of virStreamEventType, what the stream is watched for */
  RametFrameParser *parser;
  char *nonce;
  char half_nonce[RAMET_NONCE_CHARS / 2 + 1];
  GString *unsent;
  GString *output; /* lines since the last request */
  gint64 heard_us; /* when the guest last printed anything */
  RametFrame answer;
  gboolean answered;
  gboolean forged;
  gboolean lost;
  gboolean syncing;
  gboolean shows; /* what the guest prints is of interest now: it boots, or a step runs */
  gboolean loaded; /* the runner has answered: nobody else writes to the line now */
  gboolean met; /* a shell has answered: from now on a reboot is the end */
  char *panic;  /* the kernel's last words, escaped */
  guint sequence;
  guint probe_timer;     /* GSource id, or 0 */
  guint probe_sequence;
  gint64 answered_us;    /* when a probe was answered last; at first, when probing began */
};

static void
watch_stream (RametConsole *console)
{
  int events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR;

  if (console->unsent->len > 0)
    events |= VIR_STREAM_EVENT_WRITABLE;
  if (console->stream && events != console->events && virStreamEventUpdateCallback (console->stream, events) == 0)
    console->events = events;
}

static void
drop_stream (RametConsole *console)
{
  console->lost = TRUE;
  if (console->stream == NULL)
    return;
  virStreamEventRemoveCallback (console->stream);
  /* not aborted: that request would wait behind what the guest has not read; the stream ends with its connection */
  g_clear_pointer (&console->stream, virStreamFree);
}

static void
send_more (RametConsole *console)
{
  while (console->stream && console->unsent->len > 0)
    {
      int n = virStreamSend (console->stream, console->unsent->str, MIN (console->unsent->len, 65536));

      if (n == -2)
        break;
      if (n < 0)
        {
          drop_stream (console);
          return;
        }
      g_string_erase (console->unsent, 0, n);
    }
  watch_stream (console);
}

static void
receive_more (RametConsole *console)
{
  char buffer[65536];
  int n = virStreamRecv (console->stream, buffer, sizeof buffer);

  if (n > 0)
    {
      console->heard_us = g_get_monotonic_time ();
      ramet_frame_parser_feed (console->parser, buffer, (gsize) n);
    }
  else if (n != -2)
    drop_stream (console);
}

static void
on_stream_event (virStreamPtr stream, int events, void *data)
{
  RametConsole *console = data;

  if (events & VIR_STREAM_EVENT_READABLE)
    receive_more (console);
  if (console->stream && (events & VIR_STREAM_EVENT_WRITABLE))
    send_more (console);
  if (console->stream && (events & (VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR)))
    drop_stream (console);
}

static void
show_status (RametConsole *console, const char *bytes, gsize length)
{
  g_autofree char *plain = ramet_text_strip_sequences (bytes, length);

  ramet_task_status (console->task, g_strstrip (plain));
}

static void
on_line (const char *bytes, gsize length, gpointer data)
{
  RametConsole *console = data;
  g_autofree char *safe = ramet_text_escape (bytes, (gssize) length);

  /* the echo of what was typed is no news, and the nonce nobody's business */
  if (g_strstr_len (bytes, (gssize) length, console->half_nonce))
    return;
  ramet_task_log (console->task, "%s", safe);
  if (*safe && console->shows)
    show_status (console, bytes, length);
  if (strstr (safe, "Kernel panic - not syncing"))
    {
      g_free (console->panic);
      console->panic = g_strdup (safe);
    }
  if (console->output->len + length < MAX_OUTPUT_BYTES)
    {
      g_string_append_len (console->output, bytes, (gssize) length);
      g_string_append_c (console->output, '\n');
    }
}

static void
on_frame (const RametFrame *frame, gpointer data)
{
  RametConsole *console = data;

  /* answers to sync lines that were typed before the shell was there come late, and are of no use then */
  if (frame->sequence >= FIRST_SYNC_SEQUENCE && !console->syncing)
    return;
  console->answer = *frame;
  console->answered = TRUE;
}

/* Before the runner is there, the echo and the kernel share the line: what they damage is asked for again. */
static void
on_forged (gpointer data)
{
  RametConsole *console = data;

  console->forged = console->loaded;
}

static char *
make_nonce (void)
{
  g_autofree char *uuid = g_uuid_string_random ();
  g_auto (GStrv) parts = g_strsplit (uuid, "-", -1);

  return g_strjoinv ("", parts);
}

/**
 * ramet_console_open:
 * @task: its log gets all that the guest prints, escaped
 * @error: RAMET_ERROR_STATE if somebody else has the console open
 *
 * Returns: (transfer full)
 */
RametConsole *
ramet_console_open (RametDomain *domain, RametTask *task, GError **error)
{
  static const RametFrameHandlers handlers = { on_frame, on_line, on_forged };
  g_autoptr (RametConsole) console = g_new0 (RametConsole, 1);
  const char *uri = ramet_connection_get_uri (ramet_domain_get_connection (domain));
  g_autoptr (RametDomain) there = NULL;

  console->domain = ramet_domain_ref (domain);
  console->task = task;
  console->nonce = make_nonce ();
  g_strlcpy (console->half_nonce, console->nonce, sizeof console->half_nonce);
  console->unsent = g_string_new (NULL);
  console->output = g_string_new (NULL);
  console->sequence = RUNNER_SEQUENCE;
  console->parser = ramet_frame_parser_new (console->nonce, &handlers, console);
  console->watch = ramet_domain_watch_new (domain, error);
  if (console->watch == NULL)
    return NULL;
  console->connection = ramet_connection_open (uri, error);
  there = console->connection ? ramet_domain_lookup (console->connection, ramet_domain_get_name (domain), error) : NULL;
  if (there == NULL)
    return NULL;
  console->stream = virStreamNew (ramet_connection_get (console->connection), VIR_STREAM_NONBLOCK);
  console->events = VIR_STREAM_EVENT_READABLE | VIR_STREAM_EVENT_HANGUP | VIR_STREAM_EVENT_ERROR;
  if (console->stream == NULL ||
      virDomainOpenConsole (ramet_domain_get (there), NULL, console->stream, VIR_DOMAIN_CONSOLE_SAFE) < 0 ||
      virStreamEventAddCallback (console->stream, console->events, on_stream_event, console, NULL) < 0)
    {
      ramet_libvirt_error (error, "cannot open the console of '%s'", ramet_domain_get_name (domain));
      ramet_error_hint (error, "is a 'virsh console' open on it?");
      g_clear_pointer (&console->stream, virStreamFree);
      return NULL;
    }
  return g_steal_pointer (&console);
}

void
ramet_console_free (RametConsole *console)
{
  g_clear_handle_id (&console->probe_timer, g_source_remove);
  if (console->parser)
    {
      drop_stream (console);
      ramet_frame_parser_free (console->parser);
    }
  g_clear_pointer (&console->watch, ramet_domain_watch_free);
  g_clear_pointer (&console->connection, ramet_connection_unref);
  ramet_domain_unref (console->domain);
  g_string_free (console->unsent, TRUE);
  g_string_free (console->output, TRUE);
  g_free (console->nonce);
  g_free (console->panic);
  g_free (console);
}

static void
send (RametConsole *console, const char *bytes, gsize length)
{
  g_string_append_len (console->unsent, bytes, (gssize) length);
  send_more (console);
}

static void
send_text (RametConsole *console, const char *text)
{
  send (console, text, strlen (text));
}

/* Whether the guest is still one that could answer. */
static gboolean
check_alive (RametConsole *console, GError **error)
{
  const char *name = ramet_domain_get_name (console->domain);

  if (console->panic)
    ramet_error_set (error, RAMET_ERROR_LOST, "the kernel of '%s' panicked: %s", name, console->panic);
  else if (!ramet_domain_watch_check (console->watch, !console->met, error))
    return FALSE;
  else if (console->lost)
    ramet_error_set (error, RAMET_ERROR_LOST, "the console of '%s' was closed", name);
  else if (console->forged)
    ramet_error_set (error, RAMET_ERROR_FORGED, "the guest '%s' sent a damaged or forged frame over its console", name);
  else
    return TRUE;
  return FALSE;
}

/* Waits for an answer to request @sequence; answers to others are passed over. */
static gboolean
await_answer (RametConsole *console, guint sequence, gint64 deadline_us, const char *what, GError **error)
{
  for (;;)
    {
      if (console->answered)
        {
          console->answered = FALSE;
          if (console->answer.sequence == sequence)
            return TRUE;
        }
      if (!check_alive (console, error) || !ramet_task_iterate (console->task, deadline_us, what, error))
        return FALSE;
    }
}

/* Whether it is time for the next sync line: each time the guest has gone on, and now and then when it is silent. */
static gboolean
wants_sync (RametConsole *console, gint64 last_us, guint n_sent, guint *n_quiet)
{
  gboolean heard = console->heard_us > last_us;
  gint64 interval_us = heard ? SYNC_INTERVAL_US : QUIET_SYNC_INTERVAL_US;

  if (g_get_monotonic_time () < last_us + interval_us || console->unsent->len > 0 || n_sent >= MAX_SYNCS)
    return FALSE;
  *n_quiet = heard ? 0 : *n_quiet + 1;
  return *n_quiet <= MAX_QUIET_SYNCS;
}

/* Types sync lines until a shell answers one of them. */
static gboolean
synchronise (RametConsole *console, gint64 deadline_us, GError **error)
{
  guint sequence = FIRST_SYNC_SEQUENCE;
  guint n_quiet = 0;
  gint64 last_us = 0;

  console->answered = FALSE;
  console->syncing = TRUE;
  console->shows = TRUE;
  while (!console->answered || console->answer.sequence < FIRST_SYNC_SEQUENCE)
    {
      g_autoptr (GError) why = NULL;

      if (wants_sync (console, last_us, sequence - FIRST_SYNC_SEQUENCE, &n_quiet))
        {
          g_autofree char *line = ramet_frame_sync_line (console->nonce, sequence++);

          send_text (console, line);
          last_us = g_get_monotonic_time ();
        }
      if (!check_alive (console, error))
        return FALSE;
      if (!ramet_task_iterate (console->task, MIN (deadline_us, g_get_monotonic_time () + SYNC_INTERVAL_US),
                               "a root shell", &why) &&
          (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT) || g_get_monotonic_time () >= deadline_us))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  console->answered = FALSE;
  console->syncing = FALSE;
  console->shows = FALSE;
  console->met = TRUE;
  return TRUE;
}

/* Sends the runner through a shell that has answered; @ret_started is %FALSE if it did not arrive whole. */
static gboolean
load_runner (RametConsole *console, const char *runner, gboolean *ret_started, GError **error)
{
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, runner, -1);
  g_autofree char *line = ramet_frame_loader_line (console->nonce, sum);
  g_autoptr (GString) payload = g_string_new (NULL);
  gint64 deadline_us = g_get_monotonic_time () + LOADER_PATIENCE_US;

  send_text (console, line);
  if (!await_answer (console, LOADER_SEQUENCE, deadline_us, "the shell to take the runner", error))
    return FALSE;
  if (!g_str_equal (console->answer.verb, "go"))
    {
      *ret_started = FALSE;
      return TRUE;
    }
  ramet_frame_append_base64 (payload, (const guint8 *) runner, strlen (runner));
  send (console, payload->str, payload->len);
  while (!console->answered)
    if (!check_alive (console, error) ||
        !ramet_task_iterate (console->task, deadline_us, "the runner to start", error))
      return FALSE;
  *ret_started = console->answer.sequence == RUNNER_SEQUENCE;
  console->answered = FALSE;
  return TRUE;
}

/**
 * ramet_console_meet:
 * @runner: the text of bootstrap/console/runner.sh
 * @deadline_us: monotonic time in microseconds, see g_get_monotonic_time()
 * @error: RAMET_ERROR_TIMEOUT if no shell answers, RAMET_ERROR_LOST if the guest ends or panics
 *
 * Waits for the root shell while the guest boots, and starts the runner in it.
 */
gboolean
ramet_console_meet (RametConsole *console, const char *runner, gint64 deadline_us, GError **error)
{
  g_autoptr (GError) why = NULL;

  for (guint i = 0; i < MAX_TRIES; i++)
    {
      gboolean started = FALSE;

      g_clear_error (&why);
      if (!synchronise (console, deadline_us, &why))
        break;
      if (load_runner (console, runner, &started, &why) && started)
        {
          console->loaded = TRUE;
          return TRUE;
        }
      if (why && !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
        break;
    }
  if (why == NULL)
    ramet_error_set (&why, RAMET_ERROR_FAILED, "the runner did not arrive whole at '%s'",
                     ramet_domain_get_name (console->domain));
  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
    ramet_error_hint (&why, "does the base offer a root console on its first serial port? See "
                            "bootstrap/base/README.md");
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

static gboolean
put_chunk (RametConsole *console, const guint8 *bytes, gsize length, gint64 deadline_us, GError **error)
{
  g_autofree char *sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, bytes, length);

  for (guint i = 0; i < MAX_TRIES; i++)
    {
      guint sequence = ++console->sequence;
      g_autoptr (GString) text = g_string_new (NULL);

      g_string_append_printf (text, "%u put %s\n", sequence, sum);
      ramet_frame_append_base64 (text, bytes, length);
      send (console, text->str, text->len);
      if (!await_answer (console, sequence, MIN (deadline_us, g_get_monotonic_time () + PUT_PATIENCE_US),
                         "the guest to take a script", error))
        return FALSE;
      if (console->answer.status == 0)
        return TRUE;
    }
  ramet_error_set (error, RAMET_ERROR_FAILED, "a script did not arrive whole at '%s' in %d tries",
                   ramet_domain_get_name (console->domain), MAX_TRIES);
  return FALSE;
}

static gboolean
put (RametConsole *console, const char *bytes, gsize length, gint64 deadline_us, GError **error)
{
  for (gsize at = 0; at < length; at += CHUNK_BYTES)
    if (!put_chunk (console, (const guint8 *) bytes + at, MIN (CHUNK_BYTES, length - at), deadline_us, error))
      return FALSE;
  return TRUE;
}

static gboolean
request (RametConsole *console, const char *verb, gint64 deadline_us, const char *what, GError **error)
{
  guint sequence = ++console->sequence;
  g_autofree char *line = g_strdup_printf ("%u %s\n", sequence, verb);

  g_string_truncate (console->output, 0);
  console->shows = TRUE;
  send_text (console, line);
  return await_answer (console, sequence, deadline_us, what, error);
}

/** ramet_console_set_environment: @pairs as for ramet_frame_environment(); they hold for every later step */
gboolean
ramet_console_set_environment (RametConsole *console, const char *const *pairs, gint64 deadline_us, GError **error)
{
  g_autofree char *payload = ramet_frame_environment (pairs);

  return put (console, payload, strlen (payload), deadline_us, error) &&
         request (console, "env", deadline_us, "the guest to take the environment", error);
}

/**
 * ramet_console_put_files:
 * @pairs: names of letters, digits, '.' and '-', each followed by its text, which ends in a line end; %NULL-terminated
 */
gboolean
ramet_console_put_files (RametConsole *console, const char *const *pairs, gint64 deadline_us, GError **error)
{
  g_autoptr (GString) payload = g_string_new (NULL);

  for (; pairs[0]; pairs += 2)
    g_string_append_printf (payload, "%s %s\n%s", console->nonce, pairs[0], pairs[1]);
  return put (console, payload->str, payload->len, deadline_us, error) &&
         request (console, "files", deadline_us, "the guest to take the steps", error);
}

static gboolean
run_request (RametConsole *console, const char *verb, gint64 deadline_us, guint *ret_status, char **ret_output,
             GError **error)
{
  if (!request (console, verb, deadline_us, "a step in the guest to end", error))
    return FALSE;
  *ret_status = console->answer.status;
  if (ret_output)
    *ret_output = g_strndup (console->output->str, console->output->len);
  return TRUE;
}

/** ramet_console_run_file: runs what was put as @name before; else as ramet_console_run() */
gboolean
ramet_console_run_file (RametConsole *console, const char *name, gint64 deadline_us, guint *ret_status,
                        char **ret_output, GError **error)
{
  g_autofree char *verb = g_strdup_printf ("run %s", name);

  return run_request (console, verb, deadline_us, ret_status, ret_output, error);
}

/**
 * ramet_console_run:
 * @script: run by the guest's sh as root, in /, with nothing on its standard input; @length in bytes
 * @deadline_us: monotonic time in microseconds
 * @ret_status: (out): the script's exit status, 0–255
 * @ret_output: (out) (optional): what it printed, raw and untrusted; at most 2 MiB, cut in the guest to 1 MiB
 * @error: RAMET_ERROR_TIMEOUT if it does not end in time, RAMET_ERROR_LOST if the stream or guest ends,
 *         RAMET_ERROR_FORGED if a frame is damaged
 *
 * Output goes to the task's log with control characters escaped.
 */
gboolean
ramet_console_run (RametConsole *console, const char *script, gsize length, gint64 deadline_us, guint *ret_status,
                   char **ret_output, GError **error)
{
  return put (console, script, length, deadline_us, error) &&
         run_request (console, "run", deadline_us, ret_status, ret_output, error);
}

static gboolean
on_probe (gpointer data)
{
  RametConsole *console = data;

  if (console->answered)
    console->answered_us = g_get_monotonic_time ();
  console->answered = FALSE;
  if (console->unsent->len == 0 && console->probe_sequence < FIRST_SYNC_SEQUENCE + MAX_SYNCS)
    {
      g_autofree char *line = ramet_frame_sync_line (console->nonce, console->probe_sequence++);

      send_text (console, line);
    }
  return G_SOURCE_CONTINUE;
}

/**
 * ramet_console_leave:
 *
 * Ends the runner and, while the main loop runs, tries from then on whether a shell answers in its place.
 */
void
ramet_console_leave (RametConsole *console)
{
  send_text (console, "0 quit\n");
  console->loaded = FALSE;
  console->syncing = TRUE;
  console->answered = FALSE;
  console->answered_us = g_get_monotonic_time ();
  console->probe_sequence = FIRST_SYNC_SEQUENCE;
  console->probe_timer = g_timeout_add (PROBE_INTERVAL_MS, on_probe, console);
}

/**
 * ramet_console_check_silent:
 * @deadline_us: monotonic time in microseconds; a shell that is being ended may answer until then
 * @ret_silent: (out): whether nothing has answered for two seconds and more, in which several sync lines were typed
 *
 * To be called some time after ramet_console_leave(): a shell runs what is typed on this console without a login, or
 * none does.
 */
gboolean
ramet_console_check_silent (RametConsole *console, gint64 deadline_us, gboolean *ret_silent, GError **error)
{
  while (g_get_monotonic_time () < console->answered_us + SILENCE_US)
    {
      if (g_get_monotonic_time () >= deadline_us)
        {
          *ret_silent = FALSE;
          return TRUE;
        }
      if (!check_alive (console, error) || !ramet_task_sleep (console->task, PROBE_INTERVAL_MS, error))
        return FALSE;
    }
  *ret_silent = TRUE;
  return check_alive (console, error);
}
