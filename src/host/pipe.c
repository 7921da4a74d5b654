/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/pipe.h"

#include <gio/gio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

#define CHUNK (256 * 1024)
#define MAX_ERRORS 16384 /* of what it says on stderr; the rest is read and forgotten */

/* A program while it runs. The callbacks write into it, so it is left only once none of them is pending. */
typedef struct
{
  const RametPipe *pipe;
  GSubprocess *process;
  GCancellable *cancellable;
  guint pending;
  gint64 last_us; /* when it printed last */
  GByteArray *errors;
  GError *failure;
} Running;

static void read_output (Running *running);
static void read_errors (Running *running);

static void
fail (Running *running, GError *failure)
{
  if (running->failure == NULL)
    running->failure = failure;
  else
    g_error_free (failure);
  g_cancellable_cancel (running->cancellable);
}

static void
on_output (GObject *stream, GAsyncResult *result, gpointer data)
{
  Running *running = data;
  g_autoptr (GError) why = NULL;
  g_autoptr (GBytes) bytes = g_input_stream_read_bytes_finish (G_INPUT_STREAM (stream), result, &why);
  GError *failure = NULL;
  gsize length = 0;
  const guint8 *at = bytes ? g_bytes_get_data (bytes, &length) : NULL;

  running->pending--;
  running->last_us = g_get_monotonic_time ();
  if (length == 0)
    return;
  if (!running->pipe->func (at, length, running->pipe->data, &failure))
    fail (running, failure);
  else
    read_output (running);
}

static void
read_output (Running *running)
{
  running->pending++;
  g_input_stream_read_bytes_async (g_subprocess_get_stdout_pipe (running->process), CHUNK, G_PRIORITY_DEFAULT,
                                   running->cancellable, on_output, running);
}

static void
on_errors (GObject *stream, GAsyncResult *result, gpointer data)
{
  Running *running = data;
  g_autoptr (GBytes) bytes = g_input_stream_read_bytes_finish (G_INPUT_STREAM (stream), result, NULL);
  gsize length = 0;
  const guint8 *at = bytes ? g_bytes_get_data (bytes, &length) : NULL;

  running->pending--;
  if (length == 0)
    return;
  if (running->errors->len < MAX_ERRORS)
    g_byte_array_append (running->errors, at, (guint) MIN (length, MAX_ERRORS - running->errors->len));
  read_errors (running);
}

static void
read_errors (Running *running)
{
  running->pending++;
  g_input_stream_read_bytes_async (g_subprocess_get_stderr_pipe (running->process), 4096, G_PRIORITY_DEFAULT,
                                   running->cancellable, on_errors, running);
}

/* What it did not want to read is no error of ours: its exit status tells. */
static void
on_input (GObject *stream, GAsyncResult *result, gpointer data)
{
  Running *running = data;

  running->pending--;
  g_output_stream_write_all_finish (G_OUTPUT_STREAM (stream), result, NULL, NULL);
  g_output_stream_close (G_OUTPUT_STREAM (stream), NULL, NULL);
  running->last_us = g_get_monotonic_time ();
}

static void
on_end (GObject *process, GAsyncResult *result, gpointer data)
{
  Running *running = data;

  running->pending--;
  g_subprocess_wait_finish (G_SUBPROCESS (process), result, NULL);
}

static void
leave_terminal (gpointer data)
{
  setsid ();
}

static GSubprocess *
spawn (const RametPipe *pipe, GError **error)
{
  GSubprocessFlags flags = G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE;
  g_autoptr (GSubprocessLauncher) launcher =
    g_subprocess_launcher_new (pipe->input ? flags | G_SUBPROCESS_FLAGS_STDIN_PIPE : flags);

  if (pipe->to_the_end)
    g_subprocess_launcher_set_child_setup (launcher, leave_terminal, NULL, NULL);
  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C", TRUE);
  return g_subprocess_launcher_spawnv (launcher, pipe->argv, error);
}

/* Until nothing is pending; then it has ended, and all it printed was told. */
static void
attend (Running *running, RametTask *task)
{
  g_autoptr (RametTask) patient = running->pipe->to_the_end ? ramet_task_new (ramet_task_get_subject (task), NULL) : NULL;
  gboolean killed = FALSE;

  while (running->pending > 0)
    {
      gint64 until_us = running->last_us + (gint64) running->pipe->silence_s * G_USEC_PER_SEC;
      GError *failure = NULL;

      if (killed)
        g_main_context_iteration (NULL, TRUE);
      else if (!ramet_task_iterate (patient ? patient : task, until_us, "the guest to answer", &failure))
        fail (running, failure);
      if (running->failure && !killed)
        {
          g_subprocess_force_exit (running->process);
          killed = TRUE;
        }
    }
}

/**
 * ramet_pipe_run:
 * @ret_status: (out): exit status, or 128 and the signal that ended it
 * @ret_errors: (out): what it said on stderr, at most 16 KiB of it, unescaped
 * @error: RAMET_ERROR_TIMEOUT if it falls silent, RAMET_ERROR_CANCELLED, what the function says, or RAMET_ERROR_FAILED if
 *         it cannot be started
 *
 * Runs a program in the C locale while the main loop goes on, and hands over what it prints as it comes.
 */
gboolean
ramet_pipe_run (RametTask *task, const RametPipe *pipe, int *ret_status, char **ret_errors, GError **error)
{
  Running running = { .pipe = pipe, .last_us = g_get_monotonic_time () };
  g_autoptr (GError) failure = NULL;
  g_autoptr (GSubprocess) process = spawn (pipe, &failure);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GByteArray) errors = g_byte_array_new ();

  if (process == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run '%s': %s", pipe->argv[0], failure->message);
      return FALSE;
    }
  running.process = process;
  running.cancellable = cancellable;
  running.errors = errors;
  read_output (&running);
  read_errors (&running);
  running.pending++;
  g_subprocess_wait_async (process, NULL, on_end, &running);
  if (pipe->input)
    {
      gsize length;
      const void *bytes = g_bytes_get_data (pipe->input, &length);

      running.pending++;
      g_output_stream_write_all_async (g_subprocess_get_stdin_pipe (process), bytes, length, G_PRIORITY_DEFAULT,
                                       cancellable, on_input, &running);
    }
  attend (&running, task);
  if (running.failure)
    {
      g_propagate_error (error, running.failure);
      return FALSE;
    }
  *ret_status = g_subprocess_get_if_exited (process) ? g_subprocess_get_exit_status (process)
                                                     : 128 + g_subprocess_get_term_sig (process);
  g_byte_array_append (errors, (const guint8 *) "", 1);
  *ret_errors = g_strdup ((const char *) errors->data);
  return TRUE;
}
