/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/patch.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/text.h"
#include "operations/overlay/apply.h"
#include "operations/overlay/diff.h"
#include "operations/overlay/drop.h"

#define MAX_LINE 8192 /* bytes of a line that are kept; a terminal is shown less */
#define MAX_TOLD 5    /* names of what is left out */

static char *opt_share;
static gboolean opt_stat;
static gboolean opt_name_only;
static gboolean opt_nul;
static gboolean opt_force;
static gboolean opt_with_git;
static gboolean opt_yes;
static RametDropOptions opt_drop;

#define SHARE_OPTION { "share", 0, 0, G_OPTION_ARG_STRING, &opt_share, "Which shared folder, if there are several", "SHARE" }

const GOptionEntry ramet_options_diff[] = {
  SHARE_OPTION,
  { "stat", 0, 0, G_OPTION_ARG_NONE, &opt_stat, "Show how much changed in which files", NULL },
  { "name-only", 0, 0, G_OPTION_ARG_NONE, &opt_name_only, "Show the names of changed files", NULL },
  { "null", 'z', 0, G_OPTION_ARG_NONE, &opt_nul, "End names by NULs and do not quote them, with --name-only", NULL },
  G_OPTION_ENTRY_NULL,
};

#define USERS_OPTIONS                                                                                                       \
  { "stop-users", 0, 0, G_OPTION_ARG_NONE, &opt_drop.stop_users,                                                           \
    "Stop services in the guest that hold the folder, and start them again afterwards", NULL },                            \
  { "kill-users", 0, 0, G_OPTION_ARG_NONE, &opt_drop.kill_users, "End other processes in the guest that hold it", NULL }

const GOptionEntry ramet_options_apply[] = {
  SHARE_OPTION,
  { "force", 'f', 0, G_OPTION_ARG_NONE, &opt_force,
    "Take the guest's side where both changed a file, and symlinks that point out of the folder", NULL },
  { "with-git", 0, 0, G_OPTION_ARG_NONE, &opt_with_git, "Take over what is in .git folders too, hooks among it", NULL },
  USERS_OPTIONS,
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_discard[] = {
  SHARE_OPTION,
  { "yes", 'y', 0, G_OPTION_ARG_NONE, &opt_yes, "Do not ask", NULL },
  USERS_OPTIONS,
  G_OPTION_ENTRY_NULL,
};

/* What is shown, line by line: a guest wrote the text, so a terminal gets it escaped. */
typedef struct
{
  gboolean terminal;
  RametPatchLines lines;
  GString *line;
} Shown;

static void
show_line (Shown *shown)
{
  ramet_patch_print_line (&shown->lines, shown->line->str, shown->line->len);
  g_string_truncate (shown->line, 0);
}

static gboolean
show (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Shown *shown = data;

  if (shown->line->len == 0)
    ramet_talk_lock ();
  for (gsize i = 0; shown->terminal && i < length; i++)
    if (bytes[i] == '\n')
      show_line (shown);
    else if (shown->line->len <= MAX_LINE)
      g_string_append_c (shown->line, (char) bytes[i]);
  if (!shown->terminal)
    fwrite (bytes, 1, length, stdout);
  if (!ferror (stdout))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write the output");
  return FALSE;
}

/* What is not among the changes, and why. */
static void
tell_left_out (const RametOverlayView *view, const RametChanges *changes)
{
  for (guint i = 0; i < MIN (changes->specials->len, MAX_TOLD); i++)
    {
      const RametUpperEntry *entry = g_ptr_array_index (changes->specials, i);
      g_autofree char *text = g_strdup_printf ("'%s' is left out: it is a device, fifo or socket", entry->path);

      ramet_print_warning (text);
    }
  if (changes->specials->len > MAX_TOLD)
    {
      g_autofree char *text = g_strdup_printf ("%u more devices, fifos and sockets are left out",
                                               changes->specials->len - MAX_TOLD);

      ramet_print_warning (text);
    }
  if (changes->n_git > 0)
    {
      g_autofree char *text = g_strdup_printf ("%u changed files in .git folders are left out", changes->n_git);

      ramet_print_warning (text);
    }
  if (view->overlay->n_refused > 0)
    {
      g_autofree char *text = g_strdup_printf ("%u paths that cannot be are left out", view->overlay->n_refused);

      ramet_print_warning (text);
    }
}

static gboolean
check_diff_options (GError **error)
{
  if (!opt_nul || opt_name_only)
    {
      if (!opt_stat || !opt_name_only)
        return TRUE;
      ramet_error_set (error, RAMET_ERROR_USAGE, "--stat and --name-only do not go together");
    }
  else
    ramet_error_set (error, RAMET_ERROR_USAGE, "-z goes with --name-only");
  ramet_error_hint (error, "'ramet diff --help'");
  return FALSE;
}

gboolean
ramet_cmd_diff (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametVm) vm = check_diff_options (error) ? ramet_open_named (invocation, args[0], error) : NULL;
  g_autoptr (RametTask) task = vm ? ramet_task_new (args[0], invocation->cancellable) : NULL;
  g_autoptr (RametOverlayView) view = vm ? ramet_overlay_view_open (vm, opt_share, args + 1, error) : NULL;
  g_autoptr (RametChanges) changes = NULL;
  g_autoptr (GString) line = g_string_new (NULL);
  Shown shown = { .terminal = isatty (STDOUT_FILENO) && !opt_nul, .line = line,
                  .lines.colour = ramet_talk_colour (STDOUT_FILENO) && !opt_stat && !opt_name_only };
  RametGitForm form = opt_stat ? RAMET_GIT_STAT : opt_name_only ? RAMET_GIT_NAMES : RAMET_GIT_PATCH;
  gboolean done;

  if (view == NULL || !ramet_overlay_view_load (view, task, error) ||
      !(changes = ramet_changes_find (view, FALSE, error)))
    return FALSE;
  done = ramet_overlay_diff (view, task, changes, form, opt_nul, ramet_terminal_columns (STDOUT_FILENO), show, &shown, error);
  ramet_talk_unlock ();
  if (done)
    tell_left_out (view, changes);
  return done;
}

/* The host has it all by now; what is left is only that the guest still has copies of its own. */
static void
drop_applied (const RametOverlayView *view, RametTask *task, const RametChanges *changes)
{
  g_autoptr (GPtrArray) entries = ramet_overlay_droppable (view, changes, opt_with_git);
  g_autoptr (GError) why = NULL;
  guint n_dropped = 0;

  if (entries->len == 0 || ramet_overlay_drop (view, task, entries, &opt_drop, &n_dropped, &why))
    return;
  ramet_task_warn (task, "the guest keeps its own copies of these files, and does not see what you change in them: %s",
                   why->message);
  ramet_print_warning (ramet_error_get_hint (why) ? ramet_error_get_hint (why)
                                                  : "'ramet discard' drops them once it can");
}

gboolean
ramet_cmd_apply (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametVm) vm = ramet_open_named (invocation, args[0], error);
  g_autoptr (RametTask) task = vm ? ramet_task_new (args[0], invocation->cancellable) : NULL;
  g_autoptr (RametOverlayView) view = vm ? ramet_overlay_view_open (vm, opt_share, args + 1, error) : NULL;
  g_autoptr (RametChanges) changes = NULL;
  RametApplyOptions options = { .with_git = opt_with_git, .force = opt_force };
  guint n_changed = 0;

  if (view == NULL || !ramet_overlay_recover (view, task, error) || !ramet_overlay_view_load (view, task, error) ||
      !(changes = ramet_changes_find (view, opt_with_git, error)) ||
      !ramet_overlay_apply (view, task, changes, &options, &n_changed, error))
    return FALSE;
  if (!invocation->quiet && n_changed == 0)
    g_print ("nothing to take over: '%s' is what '%s' sees\n", view->share->source, args[0]);
  else if (!invocation->quiet)
    g_print ("%u changes of '%s' are in '%s' now\n", n_changed, args[0], view->share->source);
  tell_left_out (view, changes);
  drop_applied (view, task, changes);
  return TRUE;
}

static gboolean
confirm_discard (const RametOverlayView *view, guint n, GError **error)
{
  g_autofree char *question = NULL;

  if (opt_yes)
    return TRUE;
  if (!isatty (STDIN_FILENO) || !isatty (STDERR_FILENO))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "cannot ask whether to discard %u changes of '%s': there is no terminal", n,
                       ramet_vm_get_name (view->vm));
      ramet_error_hint (error, "give --yes; 'ramet diff --stat %s' shows them", ramet_vm_get_name (view->vm));
      return FALSE;
    }
  question = g_strdup_printf ("Discard %u changes that '%s' made above '%s'?", n, ramet_vm_get_name (view->vm),
                              view->share->source);
  if (ramet_ask (question))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_CANCELLED, "nothing was discarded");
  return FALSE;
}

/* A path in a folder that the guest removed or replaced cannot come back alone. */
static gboolean
check_discardable (const RametOverlayView *view, GError **error)
{
  for (guint i = 0; i < view->paths->len; i++)
    for (guint j = 0; j < view->overlay->entries->len; j++)
      {
        const RametUpperEntry *entry = g_ptr_array_index (view->overlay->entries, j);
        const char *path = g_ptr_array_index (view->paths, i);
        g_autofree char *safe = NULL;

        if (g_str_equal (path, entry->path) || *path == '\0' || !ramet_upper_is_beneath (path, entry->path) ||
            (entry->type == RAMET_UPPER_FOLDER && !entry->opaque))
          continue;
        safe = ramet_text_escape (entry->path, -1);
        ramet_error_set (error, RAMET_ERROR_STATE, "cannot discard what is in '%s' alone: the guest %s it as a whole", safe,
                         entry->type == RAMET_UPPER_WHITEOUT ? "removed" : "replaced");
        ramet_error_hint (error, "discard '%s' itself", safe);
        return FALSE;
      }
  return TRUE;
}

static GPtrArray *
entries_to_discard (const RametOverlayView *view, guint *ret_n)
{
  GPtrArray *entries = g_ptr_array_new ();

  *ret_n = 0;
  for (guint i = 0; i < view->overlay->entries->len; i++)
    {
      RametUpperEntry *entry = g_ptr_array_index (view->overlay->entries, i);

      if (!ramet_overlay_view_wants (view, entry->path))
        continue;
      g_ptr_array_add (entries, entry);
      *ret_n += entry->type != RAMET_UPPER_FOLDER;
    }
  if (view->paths->len == 0)
    *ret_n += view->overlay->n_refused;
  return entries;
}

gboolean
ramet_cmd_discard (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametVm) vm = ramet_open_named (invocation, args[0], error);
  g_autoptr (RametTask) task = vm ? ramet_task_new (args[0], invocation->cancellable) : NULL;
  g_autoptr (RametOverlayView) view = vm ? ramet_overlay_view_open (vm, opt_share, args + 1, error) : NULL;
  g_autoptr (GPtrArray) entries = NULL;
  guint n = 0;
  gboolean done;

  if (view == NULL || !ramet_overlay_view_load (view, task, error) || !check_discardable (view, error))
    return FALSE;
  entries = entries_to_discard (view, &n);
  if (entries->len == 0 && n == 0)
    {
      if (!invocation->quiet)
        g_print ("nothing to discard: '%s' has changed nothing there\n", args[0]);
      return TRUE;
    }
  if (!confirm_discard (view, n, error))
    return FALSE;
  done = view->paths->len == 0 ? ramet_overlay_drop_all (view, task, &opt_drop, &n, error)
                               : ramet_overlay_drop (view, task, entries, &opt_drop, &n, error);
  if (done && !invocation->quiet)
    g_print ("%u changes of '%s' are gone\n", n, args[0]);
  return done;
}
