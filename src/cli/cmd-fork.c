/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "core/error.h"
#include "core/task.h"
#include "operations/clone/fork.h"

static RametForkOptions opt;
static int opt_timeout = RAMET_TIMEOUT_NOT_GIVEN;

const GOptionEntry ramet_options_fork[] = {
  { "stop-users", 0, 0, G_OPTION_ARG_NONE, &opt.stop_users,
    "Stop services that use a shared folder, and start them again in both", NULL },
  { "kill-users", 0, 0, G_OPTION_ARG_NONE, &opt.kill_users, "End other processes that use a shared folder", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout, "How long to wait for the guest in all, in seconds; else 600",
    "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

gboolean
ramet_cmd_fork (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[1], invocation->cancellable);
  g_autofree char *address = NULL;

  opt.name = args[0];
  opt.new_name = args[1];
  if (!ramet_parse_timeout (opt_timeout, RAMET_DEFAULT_TIMEOUT_S, &opt.timeout_s, error) ||
      !ramet_fork (invocation->connection, task, &opt, &address, error))
    return FALSE;
  ramet_talk_lock ();
  if (!invocation->quiet)
    g_print ("%s goes on where '%s' was, at %s: ramet ssh %s\n", args[1], args[0], address, args[1]);
  return TRUE;
}
