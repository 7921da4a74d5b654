/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/names.h"
#include "core/error.h"
#include "operations/overlay/sync.h"

static char *opt_share;
static gboolean opt_remount;
static gboolean opt_watch;
static gboolean opt_with_git;
static RametDropOptions opt_users;

const GOptionEntry ramet_options_sync[] = {
  { "share", 0, 0, G_OPTION_ARG_STRING, &opt_share, "Which shared folder, if there are several", "SHARE" },
  { "remount", 0, 0, G_OPTION_ARG_NONE, &opt_remount, "Mount the folder anew in any case", NULL },
  { "watch", 'w', 0, G_OPTION_ARG_NONE, &opt_watch, "Go on until Ctrl-C, and wake up who watches folders in the guest", NULL },
  { "with-git", 0, 0, G_OPTION_ARG_NONE, &opt_with_git, "With --watch: .git folders too", NULL },
  { "stop-users", 0, 0, G_OPTION_ARG_NONE, &opt_users.stop_users,
    "Stop services in the guest that keep it from being mounted anew, and start them again afterwards", NULL },
  { "kill-users", 0, 0, G_OPTION_ARG_NONE, &opt_users.kill_users, "End other processes that do", NULL },
  G_OPTION_ENTRY_NULL,
};

gboolean
ramet_cmd_sync (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametVm) vm = ramet_open_named (invocation, args[0], error);
  g_autoptr (RametTask) task = vm ? ramet_task_new (args[0], invocation->cancellable) : NULL;
  g_autoptr (RametOverlayView) view = vm ? ramet_overlay_view_open (vm, opt_share, args + 1, error) : NULL;
  g_autoptr (GError) why = NULL;
  gboolean remounted = FALSE;
  guint n = 0;

  if (view == NULL || !ramet_overlay_view_load (view, task, error) ||
      !ramet_sync (view, task, opt_remount, &opt_users, &n, &remounted, error))
    return FALSE;
  if (!invocation->quiet)
    g_print ("'%s' sees '%s' as it is: %u paths looked at%s\n", args[0], view->share->source, n,
             remounted ? ", mounted anew" : "");
  if (!opt_watch)
    return TRUE;
  ramet_sync_watch (view, task, opt_with_git, &why);
  /* that is how it ends */
  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
    return TRUE;
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}
