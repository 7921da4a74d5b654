/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Several VMs at a time, each worked on by a process of its own: an operation has the main loop, Ctrl-C and its undo stack
 * for itself. What they tell comes through a pipe and is shown here, a live line for each.
 */
#include "host/children.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/error.h"

#define TALK_FD 3
#define MAX_LINE_BYTES (64 * 1024)

/* A child while it runs, or waits for others. */
typedef struct
{
  RametChild *child;
  RametTask *task;
  GSubprocess *process;    /* once it was begun */
  RametFindings *findings; /* what it told as errors; all have the code that its exit status means */
  GString *pending;        /* of a line that is not whole yet */
  guint source;            /* GSource id of the pipe, or 0 */
  const RametChild *obstacle; /* what it was last seen to wait for */
  gboolean ended;
  gboolean told_to_end;
} Running;

RametChild *
ramet_child_new (const char *name)
{
  RametChild *child = g_new0 (RametChild, 1);

  child->name = g_strdup (name);
  child->waits_for = g_ptr_array_new ();
  return child;
}

void
ramet_child_free (RametChild *child)
{
  g_free (child->name);
  g_strfreev (child->argv);
  g_free (child->input);
  g_ptr_array_unref (child->waits_for);
  g_clear_error (&child->error);
  g_free (child);
}

static void
running_free (Running *running)
{
  g_clear_handle_id (&running->source, g_source_remove);
  g_clear_object (&running->process);
  g_clear_pointer (&running->task, ramet_task_free);
  g_ptr_array_unref (running->findings);
  g_string_free (running->pending, TRUE);
  g_free (running);
}

static void
take_line (Running *running, const char *line)
{
  const char *blank = strchr (line, ' ');
  g_autofree char *kind = blank ? g_strndup (line, (gsize) (blank - line)) : NULL;
  g_autofree char *text = blank ? g_strcompress (blank + 1) : NULL;

  if (kind == NULL)
    return;
  if (g_str_equal (kind, "step"))
    ramet_task_step (running->task, "%s", text);
  else if (g_str_equal (kind, "status"))
    ramet_task_status (running->task, *text ? text : NULL);
  else if (g_str_equal (kind, "note"))
    ramet_task_note (running->task, "%s", text);
  else if (g_str_equal (kind, "warning"))
    ramet_task_warn (running->task, "%s", text);
  else if (g_str_equal (kind, "error"))
    ramet_findings_take (running->findings, g_error_new_literal (RAMET_ERROR, RAMET_ERROR_FAILED, text));
  else if (g_str_equal (kind, "hint") && running->findings->len > 0)
    ramet_error_hint ((GError **) &g_ptr_array_index (running->findings, running->findings->len - 1), "%s", text);
}

static void
take_bytes (Running *running, const char *bytes, gsize length)
{
  char *end;

  g_string_append_len (running->pending, bytes, (gssize) length);
  while ((end = memchr (running->pending->str, '\n', running->pending->len)))
    {
      *end = '\0';
      take_line (running, running->pending->str);
      g_string_erase (running->pending, 0, end + 1 - running->pending->str);
    }
  if (running->pending->len > MAX_LINE_BYTES)
    g_string_truncate (running->pending, 0);
}

static gboolean
on_talk (int fd, GIOCondition condition, gpointer data)
{
  Running *running = data;
  char bytes[4096];
  gssize got = read (fd, bytes, sizeof bytes);

  if (got > 0)
    take_bytes (running, bytes, (gsize) got);
  if (got > 0 || (got < 0 && (errno == EINTR || errno == EAGAIN)))
    return G_SOURCE_CONTINUE;
  running->source = 0;
  close (fd);
  return G_SOURCE_REMOVE;
}

static void
on_end (GObject *process, GAsyncResult *result, gpointer data)
{
  Running *running = data;

  g_subprocess_wait_finish (G_SUBPROCESS (process), result, NULL);
  running->ended = TRUE;
}

/* In the new process. Ctrl-C in the terminal is for the parent, which hands it on; if the parent dies, this one unwinds. */
static void
set_up_child (gpointer data)
{
  setpgid (0, 0);
  prctl (PR_SET_PDEATHSIG, SIGTERM);
}

/* A file that holds @text, to read from its start. */
static int
open_input (const char *text)
{
  int fd = text ? memfd_create ("ramet-input", MFD_CLOEXEC) : -1;

  if (fd < 0 || (write (fd, text, strlen (text)) == (gssize) strlen (text) && lseek (fd, 0, SEEK_SET) == 0))
    return fd;
  close (fd);
  return -1;
}

/* @error is set if it cannot be run at all. */
static gboolean
begin (Running *running, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (G_SUBPROCESS_FLAGS_STDOUT_SILENCE);
  g_autoptr (GError) why = NULL;
  RametChild *child = running->child;
  int input = open_input (child->input);
  int ends[2];

  if (!g_unix_open_pipe (ends, FD_CLOEXEC, &why))
    {
      if (input >= 0)
        close (input);
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot work on '%s': %s", child->name, why->message);
      return FALSE;
    }
  g_subprocess_launcher_take_fd (launcher, ends[1], TALK_FD);
  g_subprocess_launcher_setenv (launcher, RAMET_TALK_VARIABLE, G_STRINGIFY (TALK_FD), TRUE);
  g_subprocess_launcher_set_child_setup (launcher, set_up_child, NULL, NULL);
  if (input >= 0)
    g_subprocess_launcher_take_stdin_fd (launcher, input);
  running->process = g_subprocess_launcher_spawnv (launcher, (const char *const *) child->argv, &why);
  if (running->process == NULL)
    {
      close (ends[0]);
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run '%s': %s", child->argv[0], why->message);
      return FALSE;
    }
  g_unix_set_fd_nonblocking (ends[0], TRUE, NULL);
  running->source = g_unix_fd_add (ends[0], G_IO_IN | G_IO_HUP, on_talk, running);
  g_subprocess_wait_async (running->process, NULL, on_end, running);
  return TRUE;
}

/* What it told, each with the code that it ended with. */
static GError *
find_error (Running *running)
{
  int status = g_subprocess_get_if_exited (running->process) ? g_subprocess_get_exit_status (running->process) : 1;
  GError *error = NULL;

  if (status == 0)
    return NULL;
  /* it was told before it had anything to take back, and before it listened */
  if (running->told_to_end && g_subprocess_get_if_signaled (running->process) &&
      g_subprocess_get_term_sig (running->process) == SIGINT)
    {
      ramet_error_set (&error, RAMET_ERROR_CANCELLED, "interrupted");
      return error;
    }
  for (guint i = 0; i < running->findings->len; i++)
    ((GError *) g_ptr_array_index (running->findings, i))->code = ramet_error_code_of_status (status);
  if (ramet_findings_raise (running->findings, &error))
    {
      ramet_error_set (&error, RAMET_ERROR_FAILED, "the work on '%s' was cut off", running->child->name);
      ramet_error_hint (&error, "'ramet doctor --fix' clears what it may have left");
    }
  return error;
}

static void
finish (Running *running)
{
  RametChild *child = running->child;

  child->error = find_error (running);
  child->done = child->error == NULL;
  child->running = NULL;
  running_free (running);
}

/* One that has to come before and has failed, or else the first that is not done yet. */
static RametChild *
find_obstacle (const RametChild *child)
{
  RametChild *first = NULL;

  for (guint i = 0; i < child->waits_for->len; i++)
    {
      RametChild *other = g_ptr_array_index (child->waits_for, i);

      if (other->error)
        return other;
      if (!other->done && first == NULL)
        first = other;
    }
  return first;
}

static void
give_up (RametChild *child, const RametChild *obstacle, gboolean cancelled)
{
  if (cancelled)
    ramet_error_set (&child->error, RAMET_ERROR_CANCELLED, "interrupted before '%s' was begun", child->name);
  else
    ramet_error_set (&child->error, (RametErrorCode) obstacle->error->code,
                     "'%s' was left as it is, since '%s', which comes before it, failed", child->name, obstacle->name);
}

/* What is waited for stands in the live line. */
static void
show_obstacle (Running *running, const RametChild *obstacle)
{
  if (running->obstacle != obstacle && obstacle)
    ramet_task_step (running->task, "waiting for %s", obstacle->name);
  running->obstacle = obstacle;
}

/* Ctrl-C goes on to each, once. */
static void
pass_on_cancel (GPtrArray *children)
{
  for (guint i = 0; i < children->len; i++)
    {
      Running *running = ((RametChild *) g_ptr_array_index (children, i))->running;

      if (running == NULL || running->process == NULL || running->told_to_end)
        continue;
      running->told_to_end = TRUE;
      g_subprocess_send_signal (running->process, SIGINT);
    }
}

/* Takes what has ended; how many still run. */
static guint
take_ended (GPtrArray *children)
{
  guint n_running = 0;

  for (guint i = 0; i < children->len; i++)
    {
      RametChild *child = g_ptr_array_index (children, i);
      Running *running = child->running;

      /* the last words come through the pipe, which a process of the child's may hold open: its end is what counts */
      if (running && running->ended && (running->source == 0 || !g_main_context_pending (NULL)))
        finish (running);
      else
        n_running += running && running->process;
    }
  return n_running;
}

/* Begins @child if it may, or gives it up if it never will. */
static void
consider (RametChild *child, gboolean room, gboolean cancelled)
{
  RametChild *obstacle = find_obstacle (child);
  Running *running = child->running;

  if (cancelled || (obstacle && obstacle->error))
    give_up (child, obstacle, cancelled);
  else if (obstacle || !room)
    show_obstacle (running, obstacle);
  else
    begin (running, &child->error);
  if (child->error)
    {
      child->running = NULL;
      running_free (running);
    }
}

/* Takes what has ended, and begins what may begin. Returns: whether anything is left to wait for. */
static gboolean
advance (GPtrArray *children, guint at_once, GCancellable *cancellable)
{
  gboolean cancelled = g_cancellable_is_cancelled (cancellable);
  guint n_running = take_ended (children);
  gboolean again = TRUE;

  while (again)
    {
      again = FALSE;
      for (guint i = 0; i < children->len; i++)
        {
          RametChild *child = g_ptr_array_index (children, i);
          Running *running = child->running;

          if (running == NULL || running->process)
            continue;
          consider (child, n_running < at_once, cancelled);
          n_running += child->running && running->process;
          again |= child->error != NULL; /* others may wait for this one */
        }
    }
  return n_running > 0;
}

/**
 * ramet_children_run:
 * @children: (element-type RametChild): those that are done already are not run; no circle in what they wait for
 * @at_once: how many, at least 1
 *
 * Runs them all and waits until each has ended, after Ctrl-C too: then they take back what is half made. What became of
 * them stands in them.
 */
void
ramet_children_run (GPtrArray *children, guint at_once, GCancellable *cancellable)
{
  for (guint i = 0; i < children->len; i++)
    {
      RametChild *child = g_ptr_array_index (children, i);
      Running *running = child->done ? NULL : g_new0 (Running, 1);

      child->running = running;
      if (running == NULL)
        continue;
      running->child = child;
      running->findings = ramet_findings_new ();
      running->pending = g_string_new (NULL);
      running->task = ramet_task_new (child->name, cancellable);
    }
  while (advance (children, at_once, cancellable))
    {
      if (g_cancellable_is_cancelled (cancellable))
        pass_on_cancel (children);
      g_main_context_iteration (NULL, TRUE);
    }
}
