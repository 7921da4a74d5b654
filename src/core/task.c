/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/task.h"

#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"

#define REPAINT_MS 120

/* What is on stderr belongs to the process, not to one task. */
static struct
{
  RametTalkLevel level;
  gboolean live;      /* stderr is a terminal that can be repainted */
  gboolean locked;    /* somebody else (a shell, a question) has the terminal now */
  guint painted;      /* live lines standing on the screen */
  guint tick;         /* frame of the spinner */
  guint timer;        /* GSource id, or 0 */
  GThread *thread;    /* whose all this is */
  int parent;         /* where another ramet listens instead of a person, or -1 */
  GPtrArray *tasks;   /* (element-type RametTask), unowned, in order of creation */
} talk = { .parent = -1 };

struct _RametTask
{
  char *subject;
  GCancellable *cancellable;
  char *step;   /* what it is at, or NULL */
  char *status; /* the guest's own last line or the like, or NULL */
  gint64 step_since_us;
  char *log_path;
  FILE *log;
};

/* A ramet that others were started by tells them by a file descriptor where it listens; programs that these run in turn
 * are not to have it. */
static void
find_parent (void)
{
  const char *text = g_getenv (RAMET_TALK_VARIABLE);
  guint64 fd = 0;

  if (text && g_ascii_string_to_unsigned (text, 10, 3, 1023, &fd, NULL) && fcntl ((int) fd, F_SETFD, FD_CLOEXEC) == 0)
    talk.parent = (int) fd;
  g_unsetenv (RAMET_TALK_VARIABLE);
}

/** ramet_talk_init: once, before the first task */
void
ramet_talk_init (RametTalkLevel level)
{
  const char *term = g_getenv ("TERM");

  find_parent ();
  talk.level = level;
  talk.thread = g_thread_self ();
  talk.live = talk.parent < 0 && level >= RAMET_TALK_NORMAL && isatty (STDERR_FILENO) && term && !g_str_equal (term, "dumb");
  if (talk.tasks == NULL)
    talk.tasks = g_ptr_array_new ();
}

/**
 * ramet_talk_send:
 * @kind: "step", "status", "note", "warning", "error" or "hint"
 *
 * A line "KIND TEXT" to the ramet that listens, with the text escaped as in C.
 *
 * Returns: %FALSE if none does: then a person is to be told
 */
gboolean
ramet_talk_send (const char *kind, const char *text)
{
  g_autofree char *escaped = NULL;
  g_autofree char *line = NULL;
  const char *at;

  if (talk.parent < 0)
    return FALSE;
  escaped = g_strescape (text, NULL);
  line = g_strdup_printf ("%s %s\n", kind, escaped);
  for (at = line; *at;)
    {
      gssize written = write (talk.parent, at, strlen (at));

      if (written < 0 && errno != EINTR)
        break; /* nobody listens any more; this process was told to end, too */
      at += MAX (written, 0);
    }
  return TRUE;
}

/** ramet_talk_colour: whether colours are wanted on @fd (see https://no-color.org) */
gboolean
ramet_talk_colour (int fd)
{
  const char *no_colour = g_getenv ("NO_COLOR");
  const char *term = g_getenv ("TERM");

  return (!no_colour || !*no_colour) && isatty (fd) && term && !g_str_equal (term, "dumb");
}

/** ramet_terminal_columns: how wide the terminal at @fd is; 80 if it does not say */
guint
ramet_terminal_columns (int fd)
{
  struct winsize size;

  return ioctl (fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void
erase (void)
{
  for (; talk.painted > 0; talk.painted--)
    fputs ("\033[A", stderr);
  fputs ("\r\033[J", stderr); /* with the "^C" that the terminal itself wrote below */
}

static char *
live_line (RametTask *task, guint columns)
{
  static const char *const dots[] = { "⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏" };
  static const char *const ascii[] = { "-", "\\", "|", "/" };
  gboolean utf8 = g_get_charset (NULL);
  const char *spinner = utf8 ? dots[talk.tick % G_N_ELEMENTS (dots)] : ascii[talk.tick % G_N_ELEMENTS (ascii)];
  gint64 seconds = (g_get_monotonic_time () - task->step_since_us) / G_USEC_PER_SEC;
  g_autofree char *text = g_strdup_printf ("%s %s: %s %" G_GINT64_FORMAT " s%s%s",
                                           spinner, task->subject, task->step,
                                           seconds, task->status ? "  " : "", task->status ? task->status : "");

  return ramet_text_clip (text, columns - 1);
}

static void
paint (void)
{
  guint columns = ramet_terminal_columns (STDERR_FILENO);

  if (!talk.live || talk.locked)
    return;
  erase ();
  for (guint i = 0; i < talk.tasks->len; i++)
    {
      RametTask *task = g_ptr_array_index (talk.tasks, i);
      g_autofree char *line = task->step ? live_line (task, columns) : NULL;

      if (line == NULL)
        continue;
      fprintf (stderr, "%s\n", line);
      talk.painted++;
    }
  fflush (stderr);
}

static gboolean
on_tick (gpointer data)
{
  talk.tick++;
  paint ();
  return G_SOURCE_CONTINUE;
}

/** ramet_talk_lock: clears the live lines and keeps them away until ramet_talk_unlock() */
void
ramet_talk_lock (void)
{
  if (talk.live && !talk.locked)
    {
      erase ();
      fflush (stderr);
    }
  talk.locked = TRUE;
}

void
ramet_talk_unlock (void)
{
  talk.locked = FALSE;
}

static void
say (const char *format, ...) G_GNUC_PRINTF (1, 2);

/* One plain line on stderr, above the live ones. */
static void
say (const char *format, ...)
{
  gboolean locked = talk.locked;
  va_list args;

  ramet_talk_lock ();
  va_start (args, format);
  vfprintf (stderr, format, args);
  va_end (args);
  fputc ('\n', stderr);
  fflush (stderr);
  talk.locked = locked;
}

/** ramet_talk_is_verbose: whether ramet_talk_trace() says anything */
gboolean
ramet_talk_is_verbose (void)
{
  return talk.level >= RAMET_TALK_VERBOSE;
}

static void
tell_trace (gpointer text)
{
  if (!ramet_talk_send ("note", text))
    say ("%s", (const char *) text);
  g_free (text);
}

/** ramet_talk_trace: a line for the very curious (`-v`), of no task; from any thread: then it is said a little later */
void
ramet_talk_trace (const char *format, ...)
{
  g_autofree char *said = NULL;
  char *text;
  va_list args;

  va_start (args, format);
  said = g_strdup_vprintf (format, args);
  va_end (args);
  text = g_strconcat ("libvirt: ", said, NULL);
  if (talk.thread == g_thread_self ())
    tell_trace (text);
  else
    g_idle_add_once (tell_trace, text);
}

/**
 * ramet_task_new:
 * @subject: the name of the VM or base that it is about
 * @cancellable: (nullable): set when the work is no longer wanted
 */
RametTask *
ramet_task_new (const char *subject, GCancellable *cancellable)
{
  RametTask *task = g_new0 (RametTask, 1);

  if (talk.tasks == NULL)
    talk.tasks = g_ptr_array_new ();
  task->subject = ramet_text_escape (subject, -1);
  task->cancellable = cancellable ? g_object_ref (cancellable) : NULL;
  g_ptr_array_add (talk.tasks, task);
  return task;
}

/** ramet_task_free: its live line goes too */
void
ramet_task_free (RametTask *task)
{
  g_ptr_array_remove (talk.tasks, task);
  if (talk.tasks->len == 0)
    {
      g_clear_handle_id (&talk.timer, g_source_remove);
      if (talk.painted > 0)
        {
          erase ();
          fflush (stderr);
        }
    }
  if (task->log)
    fclose (task->log);
  g_free (task->log_path);
  g_free (task->subject);
  g_free (task->step);
  g_free (task->status);
  g_clear_object (&task->cancellable);
  g_free (task);
}

/** ramet_task_get_subject: (transfer none): escaped, safe to print */
const char *
ramet_task_get_subject (RametTask *task)
{
  return task->subject;
}

/** ramet_task_step: says what the work is at from now on, in the log too */
void
ramet_task_step (RametTask *task, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_free (task->step);
  task->step = g_strdup_vprintf (format, args);
  va_end (args);
  g_clear_pointer (&task->status, g_free);
  task->step_since_us = g_get_monotonic_time ();
  ramet_task_log (task, "== %s", task->step);
  if (ramet_talk_send ("step", task->step) || talk.level < RAMET_TALK_NORMAL)
    return;
  if (!talk.live)
    say ("%s: %s", task->subject, task->step);
  else
    {
      /* only a step that lasts long enough to wonder about is painted: quick commands stay silent */
      if (talk.timer == 0)
        talk.timer = g_timeout_add (REPAINT_MS, on_tick, NULL);
      if (talk.painted > 0)
        paint ();
    }
}

/**
 * ramet_task_status:
 * @status: (nullable): untrusted; a detail behind the step, such as the last line that the guest printed
 */
void
ramet_task_status (RametTask *task, const char *status)
{
  g_free (task->status);
  task->status = status ? ramet_text_escape (status, -1) : NULL;
  ramet_talk_send ("status", task->status ? task->status : "");
}

/** ramet_task_note: a line for the curious (`-v`), in the log always */
void
ramet_task_note (RametTask *task, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  ramet_task_log (task, "%s", text);
  if (!ramet_talk_send ("note", text) && talk.level >= RAMET_TALK_VERBOSE)
    say ("%s: %s", task->subject, text);
}

/** ramet_task_warn: a line that everybody should see */
void
ramet_task_warn (RametTask *task, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  ramet_task_log (task, "warning: %s", text);
  if (!ramet_talk_send ("warning", text) && talk.level >= RAMET_TALK_NORMAL)
    say ("ramet: warning: %s: %s", task->subject, text);
}

/**
 * ramet_task_check:
 * @error: RAMET_ERROR_CANCELLED after Ctrl-C
 *
 * To be called between steps that do not iterate the main loop themselves.
 */
gboolean
ramet_task_check (RametTask *task, GError **error)
{
  while (g_main_context_iteration (NULL, FALSE))
    ;
  if (task->cancellable && g_cancellable_is_cancelled (task->cancellable))
    {
      ramet_error_set (error, RAMET_ERROR_CANCELLED, "interrupted");
      return FALSE;
    }
  return TRUE;
}

static gboolean
on_wake (gpointer data)
{
  *(gboolean *) data = TRUE;
  return G_SOURCE_REMOVE;
}

/**
 * ramet_task_iterate:
 * @deadline_us: monotonic time in microseconds, see g_get_monotonic_time()
 * @awaited: what is being waited for, for the error: "the root console of 'web'"
 * @error: RAMET_ERROR_TIMEOUT or RAMET_ERROR_CANCELLED
 *
 * Lets the main loop do one round of work, asleep until there is some.
 */
gboolean
ramet_task_iterate (RametTask *task, gint64 deadline_us, const char *awaited, GError **error)
{
  gint64 left_us = deadline_us - g_get_monotonic_time ();
  gboolean woken = FALSE;
  guint timer;

  if (task->cancellable && g_cancellable_is_cancelled (task->cancellable))
    {
      ramet_error_set (error, RAMET_ERROR_CANCELLED, "interrupted");
      return FALSE;
    }
  if (left_us <= 0)
    {
      ramet_error_set (error, RAMET_ERROR_TIMEOUT, "waited in vain for %s", awaited);
      return FALSE;
    }
  timer = g_timeout_add (MIN (left_us / 1000 + 1, 1000), on_wake, &woken);
  g_main_context_iteration (NULL, TRUE);
  if (!woken)
    g_source_remove (timer);
  return ramet_task_check (task, error);
}

/** ramet_task_sleep: @error is RAMET_ERROR_CANCELLED if that came first */
gboolean
ramet_task_sleep (RametTask *task, guint milliseconds, GError **error)
{
  gint64 until_us = g_get_monotonic_time () + milliseconds * G_TIME_SPAN_MILLISECOND;
  g_autoptr (GError) end = NULL;

  while (ramet_task_iterate (task, until_us, "the clock", &end))
    ;
  if (g_error_matches (end, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&end));
  return FALSE;
}

/**
 * ramet_task_open_log:
 * @path: made with mode 0600, its folder with 0700; what an earlier run left there is replaced
 */
gboolean
ramet_task_open_log (RametTask *task, const char *path, GError **error)
{
  g_autofree char *dir = g_path_get_dirname (path);
  int fd = -1;

  if (g_mkdir_with_parents (dir, 0700) == 0)
    {
      g_unlink (path);
      fd = open (path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    }
  if (fd < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write the log '%s': %s", path, g_strerror (errno));
      return FALSE;
    }
  task->log = fdopen (fd, "w");
  setvbuf (task->log, NULL, _IOLBF, 0);
  task->log_path = g_strdup (path);
  return TRUE;
}

/** ramet_task_get_log: (transfer none) (nullable): the path of its log, if it has one */
const char *
ramet_task_get_log (RametTask *task)
{
  return task->log_path;
}

/** ramet_task_log: a line in the log; the text must be escaped already */
void
ramet_task_log (RametTask *task, const char *format, ...)
{
  va_list args;

  if (task->log == NULL)
    return;
  va_start (args, format);
  vfprintf (task->log, format, args);
  va_end (args);
  fputc ('\n', task->log);
}
