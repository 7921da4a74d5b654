/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <gio/gio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/tree-watch.h"
#include "operations/overlay/sync.h"
#include "operations/vm/guest-ssh.h"

#define SETTLE_US (100 * G_TIME_SPAN_MILLISECOND) /* what comes within that goes as one batch */
#define PATIENCE_US (60 * G_TIME_SPAN_SECOND)     /* for a batch to be answered */
#define MAX_FILES 500                             /* of a batch; of more, only the folders are told */
#define MAX_FOLDERS 500                           /* of a batch; more go with the next */
#define MAX_WAITING 100000                        /* folders that are still to be told of */
#define MAX_SAID 1024                             /* bytes kept of what ssh said last */

/* A watch while it runs. */
typedef struct
{
  RametOverlayView *view;
  gboolean with_git;
  GHashTable *folders; /* (element-type utf8): changed, and not told yet */
  GHashTable *files;
  gint64 first_us;     /* when the first of them came */
  GSubprocess *process;
  GCancellable *cancellable;
  guint n_calls;       /* that are under way, and call back */
  char answer[64];     /* what the guest prints is no more than counted: a line answers a batch */
  char words[256];
  GString *said;       /* the end of what came on stderr: untrusted */
  GString *sent;       /* the batch that is being written */
  gboolean pending;    /* an answer is awaited */
  gint64 sent_us;
  gboolean ended;
} Watch;

static gboolean
ignore (const char *folder, gpointer data)
{
  const Watch *watch = data;

  return (!watch->with_git && ramet_upper_is_git (folder)) || ramet_upper_is_staging (folder);
}

static void
on_change (const char *folder, const char *name, gpointer data)
{
  Watch *watch = data;

  if (watch->first_us == 0)
    watch->first_us = g_get_monotonic_time ();
  if (g_hash_table_size (watch->folders) < MAX_WAITING)
    g_hash_table_add (watch->folders, g_strdup (folder));
  if (name && g_hash_table_size (watch->files) < MAX_FILES)
    g_hash_table_add (watch->files, *folder ? g_strconcat (folder, "/", name, NULL) : g_strdup (name));
}

static void
append_line (GString *text, const char *kind, const char *path)
{
  g_string_append_printf (text, "%s ", kind);
  for (const guchar *p = (const guchar *) (*path ? path : "."); *p; p++)
    if (g_ascii_isalnum (*p) || strchr ("/._-", *p))
      g_string_append_c (text, (char) *p);
    else
      g_string_append_printf (text, "\\0%03o", *p);
  g_string_append_c (text, '\n');
}

/* Takes what goes into one batch out of what waits. */
static GString *
take_batch (Watch *watch)
{
  GString *text = g_string_new (NULL);
  GHashTableIter iter;
  gpointer path;
  guint n = 0;

  g_hash_table_iter_init (&iter, watch->files);
  while (g_hash_table_size (watch->files) < MAX_FILES && g_hash_table_iter_next (&iter, &path, NULL))
    append_line (text, "file", path);
  g_hash_table_remove_all (watch->files);
  g_hash_table_iter_init (&iter, watch->folders);
  while (n++ < MAX_FOLDERS && g_hash_table_iter_next (&iter, &path, NULL))
    {
      append_line (text, "folder", path);
      g_hash_table_iter_remove (&iter);
    }
  g_string_append (text, "go\n");
  return text;
}

static void read_answer (Watch *watch);
static void read_words (Watch *watch);

static void
on_answer (GObject *stream, GAsyncResult *result, gpointer data)
{
  Watch *watch = data;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (stream), result, NULL);

  watch->n_calls--;
  if (n > 0 && memchr (watch->answer, '\n', (gsize) n))
    watch->pending = FALSE;
  if (n > 0)
    read_answer (watch);
  else
    watch->ended = TRUE;
}

static void
read_answer (Watch *watch)
{
  watch->n_calls++;
  g_input_stream_read_async (g_subprocess_get_stdout_pipe (watch->process), watch->answer, sizeof watch->answer,
                             G_PRIORITY_DEFAULT, watch->cancellable, on_answer, watch);
}

static void
on_words (GObject *stream, GAsyncResult *result, gpointer data)
{
  Watch *watch = data;
  gssize n = g_input_stream_read_finish (G_INPUT_STREAM (stream), result, NULL);

  watch->n_calls--;
  if (n <= 0)
    return;
  g_string_append_len (watch->said, watch->words, n);
  if (watch->said->len > MAX_SAID)
    g_string_erase (watch->said, 0, (gssize) (watch->said->len - MAX_SAID));
  read_words (watch);
}

static void
read_words (Watch *watch)
{
  watch->n_calls++;
  g_input_stream_read_async (g_subprocess_get_stderr_pipe (watch->process), watch->words, sizeof watch->words,
                             G_PRIORITY_DEFAULT, watch->cancellable, on_words, watch);
}

static void
on_written (GObject *stream, GAsyncResult *result, gpointer data)
{
  Watch *watch = data;

  watch->n_calls--;
  if (!g_output_stream_write_all_finish (G_OUTPUT_STREAM (stream), result, NULL, NULL))
    watch->ended = TRUE;
}

static void
send_batch (Watch *watch, RametTask *task)
{
  guint n = g_hash_table_size (watch->folders);

  g_string_free (watch->sent, TRUE);
  watch->sent = take_batch (watch);
  n -= g_hash_table_size (watch->folders);
  if (g_hash_table_size (watch->folders) == 0)
    watch->first_us = 0;
  watch->pending = TRUE;
  watch->sent_us = g_get_monotonic_time ();
  ramet_task_note (task, "waking up watchers of %u folders", n);
  watch->n_calls++;
  g_output_stream_write_all_async (g_subprocess_get_stdin_pipe (watch->process), watch->sent->str, watch->sent->len,
                                   G_PRIORITY_DEFAULT, watch->cancellable, on_written, watch);
}

static void
set_lost (const Watch *watch, GError **error)
{
  g_autofree char *said = ramet_text_escape (g_strstrip (watch->said->str), -1);
  const char *name = ramet_vm_get_name (watch->view->vm);

  if (*said)
    ramet_error_set (error, RAMET_ERROR_LOST, "the ssh connection to '%s' ended: %s", name, said);
  else
    ramet_error_set (error, RAMET_ERROR_LOST, "the ssh connection to '%s' ended", name);
}

static gboolean
run_loop (Watch *watch, const RametTreeWatch *tree, RametTask *task, GError **error)
{
  while (!watch->ended)
    {
      gint64 now_us = g_get_monotonic_time ();
      gint64 due_us = watch->first_us + SETTLE_US;
      g_autoptr (GError) why = NULL;

      if (!ramet_tree_watch_check (tree, error))
        return FALSE;
      if (watch->pending && now_us - watch->sent_us > PATIENCE_US)
        {
          ramet_error_set (error, RAMET_ERROR_TIMEOUT, "'%s' does not answer", ramet_vm_get_name (watch->view->vm));
          return FALSE;
        }
      if (watch->first_us > 0 && !watch->pending && now_us >= due_us)
        send_batch (watch, task);
      if (!ramet_task_iterate (task, watch->first_us > 0 && !watch->pending && due_us > now_us ? due_us
                                                                                              : now_us + G_USEC_PER_SEC,
                               "changes", &why) &&
          !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  set_lost (watch, error);
  return FALSE;
}

/* Ctrl-C on the terminal is for us alone. */
static void
leave_terminal (gpointer data)
{
  setsid ();
}

static gboolean
start (Watch *watch, GError **error)
{
  const char *args[] = { watch->view->share->tag, watch->view->share->target, NULL };
  g_auto (GStrv) argv = ramet_guest_ssh_argv (watch->view->vm, "watch.sh", args, error);
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (
    G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE);
  g_autoptr (GError) why = NULL;

  if (argv == NULL)
    return FALSE;
  g_subprocess_launcher_set_child_setup (launcher, leave_terminal, NULL, NULL);
  watch->process = g_subprocess_launcher_spawnv (launcher, (const char *const *) argv, &why);
  if (watch->process == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run ssh: %s", why->message);
      return FALSE;
    }
  read_answer (watch);
  read_words (watch);
  return TRUE;
}

static void
stop (Watch *watch)
{
  g_cancellable_cancel (watch->cancellable);
  while (watch->n_calls > 0)
    g_main_context_iteration (NULL, TRUE);
  if (watch->process)
    {
      g_subprocess_send_signal (watch->process, SIGTERM);
      g_subprocess_wait (watch->process, NULL, NULL);
    }
  g_clear_object (&watch->process);
}

/**
 * ramet_sync_watch:
 * @with_git: folders of git's own too
 *
 * Until Ctrl-C: tells the guest what changes in the shared folder, which wakes up who watches folders there. A change of a
 * file on the host makes no event in the guest, and nothing in the guest makes one without copying the file up, for which
 * reason it is the folder that something happens in: a file is made and removed there.
 *
 * Returns: %FALSE; @error is RAMET_ERROR_CANCELLED for Ctrl-C
 */
gboolean
ramet_sync_watch (RametOverlayView *view, RametTask *task, gboolean with_git, GError **error)
{
  g_autoptr (GHashTable) folders = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) files = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (GString) said = g_string_new (NULL);
  Watch watch = { .view = view, .with_git = with_git, .folders = folders, .files = files, .cancellable = cancellable,
                  .said = said, .sent = g_string_new (NULL) };
  g_autoptr (RametTreeWatch) tree = ramet_tree_watch_new (view->root_fd, on_change, ignore, &watch, error);
  gboolean done = FALSE;

  if (tree == NULL)
    return FALSE;
  if (start (&watch, error))
    {
      /* who starts it wants to know when it watches */
      ramet_task_step (task, "watching %u folders", ramet_tree_watch_count (tree));
      done = run_loop (&watch, tree, task, error);
    }
  stop (&watch);
  g_string_free (watch.sent, TRUE);
  return done;
}
