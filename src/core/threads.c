/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/threads.h"

#include "core/error.h"

#define ABORT_AGAIN_MS 250
#define AT_ONCE 4 /* libvirtd hears no more than 5 of one connection's calls at a time, and one of these is to abort them */

typedef struct
{
  RametThread *thread;
  RametThreadFunc func;
} Call;

static void
call_in_thread (GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Call *call = data;
  gint64 began_us = g_get_monotonic_time ();

  call->func (call->thread->data, &call->thread->error);
  call->thread->took_us = g_get_monotonic_time () - began_us;
}

static void
on_ended (GObject *source, GAsyncResult *result, gpointer data)
{
  ((RametThread *) data)->ended = TRUE;
}

static gboolean
all_ended (const RametThread *threads, guint n)
{
  for (guint i = 0; i < n; i++)
    if (!threads[i].ended)
      return FALSE;
  return TRUE;
}

/* Begins as many as there is room for. */
static void
begin_some (RametThread *threads, Call *calls, guint n)
{
  guint busy = 0;

  for (guint i = 0; i < n; i++)
    busy += threads[i].begun && !threads[i].ended;
  for (guint i = 0; i < n && busy < AT_ONCE; i++)
    {
      g_autoptr (GTask) thread = NULL;

      if (threads[i].begun)
        continue;
      thread = g_task_new (NULL, NULL, on_ended, &threads[i]);
      g_task_set_task_data (thread, &calls[i], NULL);
      g_task_run_in_thread (thread, call_in_thread);
      threads[i].begun = TRUE;
      busy++;
    }
}

/* After Ctrl-C: what has not begun never does. */
static void
give_up_the_rest (RametThread *threads, guint n)
{
  for (guint i = 0; i < n; i++)
    if (!threads[i].begun)
      {
        ramet_error_set (&threads[i].error, RAMET_ERROR_CANCELLED, "interrupted");
        threads[i].ended = TRUE;
      }
}

static gboolean
on_abort_again (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_CONTINUE;
}

/* A call that has not begun its work yet does not feel to be aborted, so it is told again. */
static void
abort_all (RametThread *threads, guint n, RametThreadAbortFunc abort_func)
{
  gboolean due = TRUE;
  guint timer = g_timeout_add (ABORT_AGAIN_MS, on_abort_again, &due);

  while (!all_ended (threads, n))
    {
      for (guint i = 0; due && abort_func && i < n; i++)
        if (!threads[i].ended)
          abort_func (threads[i].data);
      due = FALSE;
      g_main_context_iteration (NULL, TRUE);
    }
  g_source_remove (timer);
}

/**
 * ramet_threads_run:
 * @func: called once for each of @data, some at a time side by side, in threads
 * @abort_func: (nullable): called in this thread after Ctrl-C for each that is still at it, and again while it is
 * @ret_cancelled: (out): whether Ctrl-C came
 *
 * The main loop goes on meanwhile. Returns when the last has ended, whatever comes.
 *
 * Returns: (transfer full) (array length=n): how each went; free with ramet_threads_free()
 */
RametThread *
ramet_threads_run (RametTask *task, RametThreadFunc func, RametThreadAbortFunc abort_func, gpointer *data, guint n,
                   gboolean *ret_cancelled)
{
  RametThread *threads = g_new0 (RametThread, n);
  g_autofree Call *calls = g_new0 (Call, n);

  for (guint i = 0; i < n; i++)
    {
      threads[i].data = data[i];
      calls[i] = (Call){ &threads[i], func };
    }
  *ret_cancelled = FALSE;
  while (!all_ended (threads, n) && !*ret_cancelled)
    {
      begin_some (threads, calls, n);
      *ret_cancelled = !ramet_task_iterate (task, G_MAXINT64, "the threads", NULL);
    }
  if (*ret_cancelled)
    {
      give_up_the_rest (threads, n);
      abort_all (threads, n, abort_func);
    }
  return threads;
}

void
ramet_threads_free (RametThread *threads, guint n)
{
  for (guint i = 0; i < n; i++)
    g_clear_error (&threads[i].error);
  g_free (threads);
}
