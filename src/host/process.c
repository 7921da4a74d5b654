/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/process.h"

#include <fcntl.h>
#include <string.h>

#include "core/error.h"

typedef struct
{
  gboolean done;
  GBytes *output;
  GBytes *errors;
  GError *error;
} Waiting;

static void
waiting_clear (Waiting *waiting)
{
  g_clear_pointer (&waiting->output, g_bytes_unref);
  g_clear_pointer (&waiting->errors, g_bytes_unref);
  g_clear_error (&waiting->error);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Waiting, waiting_clear)

/** ramet_process_result_clear: frees what is in @result and empties it */
void
ramet_process_result_clear (RametProcessResult *result)
{
  g_clear_pointer (&result->output, g_free);
  g_clear_pointer (&result->errors, g_free);
  result->status = 0;
}

static void
on_end (GObject *process, GAsyncResult *result, gpointer data)
{
  Waiting *waiting = data;

  g_subprocess_communicate_finish (G_SUBPROCESS (process), result, &waiting->output, &waiting->errors,
                                   &waiting->error);
  waiting->done = TRUE;
}

/* Up to the first NUL. */
static char *
to_string (GBytes *bytes)
{
  gsize length;
  const char *data = g_bytes_get_data (bytes, &length);

  return g_strndup (data ? data : "", length);
}

static GSubprocess *
spawn (const char *const *argv, int stdin_fd, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher =
    g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);

  if (stdin_fd >= 0)
    g_subprocess_launcher_take_stdin_fd (launcher, fcntl (stdin_fd, F_DUPFD_CLOEXEC, 0));
  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C", TRUE);
  return g_subprocess_launcher_spawnv (launcher, argv, error);
}

/**
 * ramet_process_run:
 * @argv: looked up in PATH
 * @stdin_fd: what it reads, or -1 for nothing
 * @deadline_us: monotonic time in microseconds; the program is killed then
 * @ret_result: (out): clear with ramet_process_result_clear()
 * @error: RAMET_ERROR_TIMEOUT, RAMET_ERROR_CANCELLED, or RAMET_ERROR_FAILED if it cannot be started
 *
 * Runs a program in the C locale while the main loop goes on. Any exit status counts as success here.
 */
gboolean
ramet_process_run (RametTask *task, const char *const *argv, int stdin_fd, gint64 deadline_us,
                   RametProcessResult *ret_result, GError **error)
{
  g_autoptr (GError) failure = NULL;
  g_autoptr (GSubprocess) process = spawn (argv, stdin_fd, &failure);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autofree char *awaited = g_strdup_printf ("'%s' to end", argv[0]);
  g_auto (Waiting) waiting = { 0 };
  gboolean in_time = TRUE;

  if (process == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run '%s': %s", argv[0], failure->message);
      return FALSE;
    }
  g_subprocess_communicate_async (process, NULL, cancellable, on_end, &waiting);
  while (!waiting.done && in_time)
    in_time = ramet_task_iterate (task, deadline_us, awaited, error);
  if (!in_time && !waiting.done)
    {
      g_subprocess_force_exit (process);
      g_cancellable_cancel (cancellable);
    }
  /* the callback writes to this frame, so there is no leaving before it came */
  while (!waiting.done)
    g_main_context_iteration (NULL, TRUE);
  if (!in_time)
    return FALSE;
  if (waiting.error != NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run '%s': %s", argv[0], waiting.error->message);
      return FALSE;
    }
  ret_result->status = g_subprocess_get_if_exited (process) ? g_subprocess_get_exit_status (process)
                                                            : 128 + g_subprocess_get_term_sig (process);
  ret_result->output = to_string (waiting.output);
  ret_result->errors = to_string (waiting.errors);
  return TRUE;
}
