/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/guest/ssh.h"
#include "host/process.h"

#define EXPLAIN_AFTER_US (8 * G_TIME_SPAN_SECOND) /* of waiting */
#define RETRY_MS 200
#define PROBE_ALIAS "ramet-probe"
#define ATTEMPT_PATIENCE_S 5 /* a guest whose interface just came up may have lost the first packets */
#define MAX_PATIENCE_S 80
#define CHEAP_KEX "^curve25519-sha256" /* first: no secret passes, and what ssh likes better takes an emulated guest half a second */
#define MAX_BANNER_BYTES 1024

/* One connection, up to the server's first words unless that it is taken is enough. */
typedef struct
{
  gboolean connect_only;
  GCancellable *cancellable;
  GSocketConnection *connection;
  char words[MAX_BANNER_BYTES + 1];
  gsize n_words;
  gboolean done;
  gboolean greeted;
  const char *why_not; /* in words; or NULL */
} Attempt;

static void on_words (GObject *stream, GAsyncResult *result, gpointer data);

/* The server may say other lines before the one that starts with "SSH-". */
static gboolean
has_banner (const char *words)
{
  return g_str_has_prefix (words, "SSH-") || strstr (words, "\nSSH-") != NULL;
}

static void
read_more (Attempt *attempt)
{
  GInputStream *stream = g_io_stream_get_input_stream (G_IO_STREAM (attempt->connection));

  g_input_stream_read_async (stream, attempt->words + attempt->n_words, MAX_BANNER_BYTES - attempt->n_words,
                             G_PRIORITY_DEFAULT, attempt->cancellable, on_words, attempt);
}

static void
on_words (GObject *stream, GAsyncResult *result, gpointer data)
{
  Attempt *attempt = data;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (stream), result, NULL);

  if (n > 0)
    attempt->n_words += (gsize) n;
  attempt->words[attempt->n_words] = '\0';
  attempt->greeted = has_banner (attempt->words);
  attempt->why_not = "what listens there does not say that it is ssh";
  if (n > 0 && !attempt->greeted && attempt->n_words < MAX_BANNER_BYTES)
    read_more (attempt);
  else
    attempt->done = TRUE;
}

static void
on_connected (GObject *client, GAsyncResult *result, gpointer data)
{
  Attempt *attempt = data;
  g_autoptr (GError) why = NULL;

  attempt->connection = g_socket_client_connect_to_host_finish (G_SOCKET_CLIENT (client), result, &why);
  if (why)
    attempt->why_not = g_error_matches (why, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED)
                         ? "guest is there, and its ssh server is not started"
                         : "guest does not answer there";
  if (attempt->connection != NULL && !attempt->connect_only)
    read_more (attempt);
  else
    {
      attempt->greeted = attempt->connection != NULL;
      attempt->done = TRUE;
    }
}

/* Returns FALSE if there should be no further attempt. */
static gboolean
try_connect (RametTask *task, const char *address, guint port, gboolean connect_only, gint64 deadline_us,
             const char *awaited, gboolean *ret_greeted, const char **ret_why_not, GError **error)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree Attempt *attempt = g_new0 (Attempt, 1);
  gboolean wanted = TRUE;

  attempt->cancellable = cancellable;
  attempt->connect_only = connect_only;
  g_socket_client_set_enable_proxy (client, FALSE);
  g_socket_client_set_timeout (client, ATTEMPT_PATIENCE_S);
  g_socket_client_connect_to_host_async (client, address, (guint16) port, cancellable, on_connected, attempt);
  while (!attempt->done && wanted)
    wanted = ramet_task_iterate (task, deadline_us, awaited, error);
  /* the callbacks write to the attempt, so they are waited for even if nobody wants it any more */
  g_cancellable_cancel (cancellable);
  while (!attempt->done)
    g_main_context_iteration (NULL, TRUE);
  g_clear_object (&attempt->connection);
  if (!wanted)
    return FALSE;
  *ret_greeted = attempt->greeted;
  *ret_why_not = attempt->why_not;
  return TRUE;
}

static gboolean
wait_until_greeted (RametTask *task, const char *address, guint port, gboolean connect_only, gint64 deadline_us, GError **error)
{
  g_autofree char *awaited = g_strdup_printf ("an ssh server at '%s' port %u", address, port);
  gint64 explain_us = g_get_monotonic_time () + EXPLAIN_AFTER_US;
  gboolean greeted = FALSE;
  const char *why_not = NULL;

  while (TRUE)
    {
      if (!try_connect (task, address, port, connect_only, deadline_us, awaited, &greeted, &why_not, error))
        return FALSE;
      if (greeted)
        return TRUE;
      if (why_not && g_get_monotonic_time () >= explain_us)
        {
          ramet_task_step (task, "no ssh at %s yet: %s", address, why_not);
          explain_us = G_MAXINT64;
        }
      if (!ramet_task_sleep (task, RETRY_MS, error))
        return FALSE;
    }
}

/**
 * ramet_ssh_banner:
 * @address: numeric
 * @deadline_us: monotonic time in microseconds, see g_get_monotonic_time()
 * @error: RAMET_ERROR_TIMEOUT or RAMET_ERROR_CANCELLED
 *
 * Waits until something that calls itself an ssh server answers there.
 */
gboolean
ramet_ssh_banner (RametTask *task, const char *address, guint port, gint64 deadline_us, GError **error)
{
  return wait_until_greeted (task, address, port, FALSE, deadline_us, error);
}

/** ramet_ssh_listens: ramet_ssh_banner() that waits no longer than until a connection is taken */
gboolean
ramet_ssh_listens (RametTask *task, const char *address, guint port, gint64 deadline_us, GError **error)
{
  return wait_until_greeted (task, address, port, TRUE, deadline_us, error);
}

typedef enum
{
  PROBE_NOTHING, /* no answer, or none that tells */
  PROBE_SAME,
  PROBE_OTHER,
} Probe;

/* A known_hosts file without a name: ssh reads it, as often as it likes, through /proc/self/fd/0. */
static int
known_hosts_fd (const char *host_keys)
{
  g_auto (GStrv) keys = g_strsplit (host_keys, "\n", -1);
  g_autoptr (GString) text = g_string_new (NULL);
  int fd = memfd_create ("known_hosts", MFD_CLOEXEC);

  for (char **key = keys; *key; key++)
    if (**key != '\0')
      g_string_append_printf (text, PROBE_ALIAS " %s\n", *key);
  if (fd >= 0 && write (fd, text->str, text->len) != (gssize) text->len)
    {
      close (fd);
      return -1;
    }
  return fd;
}

/*
 * The user name holds random digits that the server learns only once it has proved its key, and the line is our own
 * ssh's; what the server may say before (a banner, a reason to disconnect) cannot look like that.
 */
static Probe
judge (const RametProcessResult *result, const char *user)
{
  g_auto (GStrv) lines = g_strsplit (result->errors, "\n", -1);
  g_autofree char *start = g_strconcat (user, "@", NULL);

  if (result->status == 0)
    return PROBE_SAME; /* it lets in anybody, but is the right one */
  for (char **line = lines; *line; line++)
    if (g_str_has_prefix (*line, start) && strstr (*line, ": Permission denied (") != NULL)
      return PROBE_SAME;
  return strstr (result->errors, "Host key verification failed") != NULL ? PROBE_OTHER : PROBE_NOTHING;
}

static gboolean
probe_key (RametTask *task, const char *address, guint port, const char *host_keys, guint patience_s, gint64 deadline_us,
           Probe *ret_probe, GError **error)
{
  g_autofree char *port_text = g_strdup_printf ("%u", port);
  g_autofree char *patience = g_strdup_printf ("ConnectTimeout=%u", patience_s);
  g_auto (RametProcessResult) result = { 0 };
  guint64 secret = 0;
  gboolean random = getrandom (&secret, sizeof secret, 0) == sizeof secret;
  g_autofree char *user = g_strdup_printf ("ramet-%016" G_GINT64_MODIFIER "x", secret);
  const char *argv[] = { "ssh", "-F", "none", "-T", "-p", port_text, "-l", user,
                         "-o", "BatchMode=yes", "-o", "PreferredAuthentications=none", "-o", "LogLevel=ERROR",
                         "-o", "StrictHostKeyChecking=yes", "-o", "UpdateHostKeys=no",
                         "-o", "HostKeyAlias=" PROBE_ALIAS, "-o", "KexAlgorithms=" CHEAP_KEX,
                         "-o", "UserKnownHostsFile=/proc/self/fd/0", "-o", "GlobalKnownHostsFile=/dev/null",
                         "-o", patience, "--", address, "true", NULL };
  int fd = random ? known_hosts_fd (host_keys) : -1;
  gboolean ran;

  if (fd < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot keep host keys in memory: %s", g_strerror (errno));
      return FALSE;
    }
  ran = ramet_process_run (task, argv, fd, deadline_us, &result, error);
  close (fd);
  if (ran)
    *ret_probe = judge (&result, user);
  return ran;
}

/**
 * ramet_ssh_has_key:
 * @address: numeric
 * @host_keys: "type base64" lines, see ramet_ssh_parse_host_keys()
 * @deadline_us: monotonic time in microseconds, see g_get_monotonic_time()
 * @error: RAMET_ERROR_REFUSED if another key answers, RAMET_ERROR_TIMEOUT, RAMET_ERROR_CANCELLED
 *
 * Lets the ssh server there prove that it holds one of @host_keys, by a connection that ends before any login. Keeps
 * trying while nothing answers.
 */
gboolean
ramet_ssh_has_key (RametTask *task, const char *address, guint port, const char *host_keys, gint64 deadline_us,
                   GError **error)
{
  guint patience_s = ATTEMPT_PATIENCE_S;

  while (TRUE)
    {
      g_autoptr (GError) failure = NULL;
      Probe probe = PROBE_NOTHING;

      if (!probe_key (task, address, port, host_keys, patience_s, deadline_us, &probe, &failure))
        {
          if (g_error_matches (failure, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
            ramet_error_set (error, RAMET_ERROR_TIMEOUT, "waited in vain for '%s' to prove its ssh host key", address);
          else
            g_propagate_error (error, g_steal_pointer (&failure));
          return FALSE;
        }
      if (probe == PROBE_SAME)
        return TRUE;
      if (probe == PROBE_OTHER)
        {
          ramet_error_set (error, RAMET_ERROR_REFUSED, "another machine answers at '%s': its ssh host key is not the "
                           "one read over the console", address);
          return FALSE;
        }
      /* ssh counts all up to the proof, which a guest on a busy host must not begin anew and anew */
      patience_s = MIN (2 * patience_s, MAX_PATIENCE_S);
      if (!ramet_task_sleep (task, RETRY_MS, error))
        return FALSE;
    }
}
