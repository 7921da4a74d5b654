/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest/console.h"

#include <string.h>

#include "host/guest/way-private.h"
#include "host/libvirt/connection-private.h"
#include "host/libvirt/domain-watch.h"

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
#define LOADER_SEQUENCE 1 /* of the loader's own frames, see ramet_frame_loader_line() */
#define FIRST_SYNC_SEQUENCE 1000

struct _RametConsole
{
  RametWay way; /* must be first */
  RametDomain *domain;
  RametDomainWatch *watch;
  RametConnection *connection; /* for the stream alone: libvirtd reads nothing more from it once the guest reads nothing */
  virStreamPtr stream;
  int events; /* of virStreamEventType, what the stream is watched for */
  GString *unsent;
  gint64 heard_us; /* when the guest last printed anything */
  gint64 login_us; /* when it first asked for a login, or 0 */
  gboolean lost;
  gboolean syncing;
  gboolean met; /* a shell has answered: from now on a reboot is the end */
  char *panic;  /* the kernel's last words, escaped */
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

/* A getty's prompt has no line end. */
static void
look_for_login (RametConsole *console)
{
  static const char prompt[] = "login: ";
  gsize length = 0;
  const char *line = ramet_frame_parser_peek (console->way.parser, &length);

  if (console->login_us == 0 && length >= strlen (prompt) &&
      memcmp (line + length - strlen (prompt), prompt, strlen (prompt)) == 0)
    console->login_us = console->heard_us;
}

static void
receive_more (RametConsole *console)
{
  char buffer[65536];
  int n = virStreamRecv (console->stream, buffer, sizeof buffer);

  if (n > 0)
    {
      console->heard_us = g_get_monotonic_time ();
      ramet_way_feed (&console->way, buffer, (gsize) n);
      look_for_login (console);
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
on_line (RametWay *way, const char *safe)
{
  RametConsole *console = (RametConsole *) way;

  if (strstr (safe, "Kernel panic - not syncing"))
    {
      g_free (console->panic);
      console->panic = g_strdup (safe);
    }
}

/* Answers to sync lines that were typed before the shell was there come late, and are of no use then. */
static gboolean
is_stale (RametWay *way, const RametFrame *frame)
{
  return frame->sequence >= FIRST_SYNC_SEQUENCE && !((RametConsole *) way)->syncing;
}

static void
console_free (RametWay *way)
{
  RametConsole *console = (RametConsole *) way;

  g_clear_handle_id (&console->probe_timer, g_source_remove);
  drop_stream (console);
  g_clear_pointer (&console->watch, ramet_domain_watch_free);
  g_clear_pointer (&console->connection, ramet_connection_unref);
  ramet_domain_unref (console->domain);
  g_string_free (console->unsent, TRUE);
  g_free (console->panic);
  ramet_way_clear (way);
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
  else if (console->way.forged)
    ramet_error_set (error, RAMET_ERROR_FORGED, "the guest '%s' sent a damaged or forged frame over its console", name);
  else
    return TRUE;
  return FALSE;
}

/** ramet_console_check_alive: %FALSE if the guest has ended, panicked or is not to be reached any more */
gboolean
ramet_console_check_alive (RametConsole *console, GError **error)
{
  return check_alive (console, error);
}

/** ramet_console_listen: @shows: from now on what the guest prints is shown as it comes, and not only logged */
void
ramet_console_listen (RametConsole *console, gboolean shows)
{
  console->way.shows = shows;
}

/** ramet_console_heard_us: when the guest printed something last, in monotonic microseconds; 0 if it never has */
gint64
ramet_console_heard_us (RametConsole *console)
{
  return console->heard_us;
}

/** ramet_console_login_us: when the guest first asked for a login, so that it has booted, likewise */
gint64
ramet_console_login_us (RametConsole *console)
{
  return console->login_us;
}

static gboolean
wait_round (RametWay *way, gint64 deadline_us, const char *what, GError **error)
{
  return check_alive ((RametConsole *) way, error) && ramet_task_iterate (way->task, deadline_us, what, error);
}

static gboolean
send_line (RametWay *way, const char *line, gint64 deadline_us, GError **error)
{
  send_text ((RametConsole *) way, line);
  return TRUE;
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
  g_autofree char *awaited = g_strdup_printf ("a root shell on the console of '%s'", ramet_domain_get_name (console->domain));
  guint sequence = FIRST_SYNC_SEQUENCE;
  guint n_quiet = 0;
  gint64 last_us = 0;

  console->way.answered = FALSE;
  console->syncing = TRUE;
  console->way.shows = TRUE;
  while (!console->way.answered || console->way.answer.sequence < FIRST_SYNC_SEQUENCE)
    {
      g_autoptr (GError) why = NULL;

      if (wants_sync (console, last_us, sequence - FIRST_SYNC_SEQUENCE, &n_quiet))
        {
          g_autofree char *line = ramet_frame_sync_line (console->way.nonce, sequence++);

          send_text (console, line);
          last_us = g_get_monotonic_time ();
        }
      if (!check_alive (console, error))
        return FALSE;
      if (!ramet_task_iterate (console->way.task, MIN (deadline_us, g_get_monotonic_time () + SYNC_INTERVAL_US), awaited, &why) &&
          (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT) || g_get_monotonic_time () >= deadline_us))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  console->way.answered = FALSE;
  console->syncing = FALSE;
  console->way.shows = FALSE;
  console->met = TRUE;
  return TRUE;
}

/* Sends the runner through a shell that has answered; @ret_started is %FALSE if it did not arrive whole. */
static gboolean
load_runner (RametConsole *console, const char *runner, gboolean *ret_started, GError **error)
{
  g_autofree char *sum = g_compute_checksum_for_string (G_CHECKSUM_SHA256, runner, -1);
  g_autofree char *line = ramet_frame_loader_line (console->way.nonce, sum);
  g_autoptr (GString) payload = g_string_new (NULL);
  gint64 deadline_us = g_get_monotonic_time () + LOADER_PATIENCE_US;

  send_text (console, line);
  if (!ramet_way_await (&console->way, LOADER_SEQUENCE, deadline_us, "the shell to take the runner", error))
    return FALSE;
  if (!g_str_equal (console->way.answer.verb, "go"))
    {
      *ret_started = FALSE;
      return TRUE;
    }
  ramet_frame_append_base64 (payload, (const guint8 *) runner, strlen (runner));
  send (console, payload->str, payload->len);
  while (!console->way.answered)
    if (!check_alive (console, error) ||
        !ramet_task_iterate (console->way.task, deadline_us, "the runner to start", error))
      return FALSE;
  *ret_started = console->way.answer.sequence == RAMET_WAY_RUNNER_SEQUENCE;
  console->way.answered = FALSE;
  return TRUE;
}

static gboolean
meet (RametWay *way, const char *runner, gint64 deadline_us, GError **error)
{
  RametConsole *console = (RametConsole *) way;
  g_autoptr (GError) why = NULL;

  for (guint i = 0; i < MAX_TRIES; i++)
    {
      gboolean started = FALSE;

      g_clear_error (&why);
      if (!synchronise (console, deadline_us, &why))
        break;
      if (load_runner (console, runner, &started, &why) && started)
        {
          console->way.loaded = TRUE;
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
put_chunk (RametWay *way, const guint8 *bytes, gsize length, gint64 deadline_us, GError **error)
{
  RametConsole *console = (RametConsole *) way;
  g_autofree char *sum = g_compute_checksum_for_data (G_CHECKSUM_SHA256, bytes, length);

  for (guint i = 0; i < MAX_TRIES; i++)
    {
      guint sequence = ++console->way.sequence;
      g_autoptr (GString) text = g_string_new (NULL);

      g_string_append_printf (text, "%u put %s\n", sequence, sum);
      ramet_frame_append_base64 (text, bytes, length);
      send (console, text->str, text->len);
      if (!ramet_way_await (&console->way, sequence, MIN (deadline_us, g_get_monotonic_time () + PUT_PATIENCE_US),
                         "the guest to take a script", error))
        return FALSE;
      if (console->way.answer.status == 0)
        return TRUE;
    }
  ramet_error_set (error, RAMET_ERROR_FAILED, "a script did not arrive whole at '%s' in %d tries",
                   ramet_domain_get_name (console->domain), MAX_TRIES);
  return FALSE;
}

static void
leave (RametWay *way, gint64 deadline_us)
{
  RametConsole *console = (RametConsole *) way;

  send_text (console, "0 quit\n");
  way->loaded = FALSE;
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
  static const RametWayClass class
    = { .chunk_bytes = CHUNK_BYTES, .free = console_free, .meet = meet, .put_chunk = put_chunk, .send = send_line,
        .wait = wait_round, .leave = leave, .on_line = on_line, .is_stale = is_stale };
  g_autoptr (RametConsole) console = g_new0 (RametConsole, 1);
  const char *uri = ramet_connection_get_uri (ramet_domain_get_connection (domain));
  g_autoptr (RametDomain) there = NULL;

  ramet_way_init (&console->way, &class, task);
  console->domain = ramet_domain_ref (domain);
  console->unsent = g_string_new (NULL);
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

/** ramet_console_get_way: (transfer none): to run steps by */
RametWay *
ramet_console_get_way (RametConsole *console)
{
  return &console->way;
}

void
ramet_console_free (RametConsole *console)
{
  ramet_way_free (&console->way);
}

static gboolean
on_probe (gpointer data)
{
  RametConsole *console = data;

  if (console->way.answered)
    console->answered_us = g_get_monotonic_time ();
  console->way.answered = FALSE;
  if (console->unsent->len == 0 && console->probe_sequence < FIRST_SYNC_SEQUENCE + MAX_SYNCS)
    {
      g_autofree char *line = ramet_frame_sync_line (console->way.nonce, console->probe_sequence++);

      send_text (console, line);
    }
  return G_SOURCE_CONTINUE;
}

/** ramet_console_watch_silence: from now on, while the main loop runs, it is tried whether a shell answers */
void
ramet_console_watch_silence (RametConsole *console)
{
  console->syncing = TRUE;
  console->way.answered = FALSE;
  console->answered_us = g_get_monotonic_time ();
  console->probe_sequence = FIRST_SYNC_SEQUENCE;
  console->probe_timer = g_timeout_add (PROBE_INTERVAL_MS, on_probe, console);
}

/**
 * ramet_console_check_silent:
 * @deadline_us: monotonic time in microseconds; a shell that is being ended may answer until then
 * @ret_silent: (out): whether nothing has answered for two seconds and more, in which several sync lines were typed
 *
 * To be called some time after ramet_console_watch_silence(): a shell runs what is typed on this console without a login, or
 * none does.
 */
gboolean
ramet_console_check_silent (RametConsole *console, gint64 deadline_us, gboolean *ret_silent, GError **error)
{
  /* after a long wait nothing is typed any more, and what nobody asks nobody answers */
  if (console->probe_sequence >= FIRST_SYNC_SEQUENCE + MAX_SYNCS)
    {
      console->probe_sequence = FIRST_SYNC_SEQUENCE;
      console->answered_us = g_get_monotonic_time ();
    }
  while (g_get_monotonic_time () < console->answered_us + SILENCE_US)
    {
      if (g_get_monotonic_time () >= deadline_us)
        {
          *ret_silent = FALSE;
          return TRUE;
        }
      if (!check_alive (console, error) || !ramet_task_sleep (console->way.task, PROBE_INTERVAL_MS, error))
        return FALSE;
    }
  *ret_silent = TRUE;
  return check_alive (console, error);
}
