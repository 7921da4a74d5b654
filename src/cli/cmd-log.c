/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "core/error.h"
#include "core/task.h"
#include "core/text.h"
#include "operations/vm/log.h"

#define LOOK_MS 1000

static gboolean opt_follow;

const GOptionEntry ramet_options_log[] = {
  { "follow", 'f', 0, G_OPTION_ARG_NONE, &opt_follow, "Go on with what comes over the console, until Ctrl-C or the VM is removed", NULL },
  G_OPTION_ENTRY_NULL,
};

/* It was escaped when it was written; who knows who wrote to it since. */
static void
print_lines (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line && (line[1] || **line); line++)
    {
      g_autofree char *safe = ramet_text_escape (*line, -1);

      g_print ("%s\n", safe);
    }
}

static gboolean
is_closed (void)
{
  struct pollfd out = { .fd = STDOUT_FILENO };

  return fflush (stdout) != 0 || ferror (stdout) || (poll (&out, 1, 0) == 1 && out.revents & POLLERR);
}

/* From @at on: until Ctrl-C, which is an error, the VM is gone, or nobody reads any more. That nothing is there yet is fine. */
static gboolean
follow (RametVm *vm, RametTask *task, const char *path, guint64 at, GError **error)
{
  while (!is_closed ())
    {
      g_autofree char *text = NULL;
      g_autoptr (GError) why = NULL;
      RametRun run;

      if (!ramet_task_sleep (task, LOOK_MS, error))
        return FALSE;
      if (ramet_domain_get_run (vm->domain, &run, &why))
        text = ramet_log_read_serial (vm, task, path, &at, TRUE, &why);
      else if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        return TRUE;
      if (text)
        g_print ("%s", text);
      else if (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  return TRUE;
}

/* Of a VM that could not be made nothing is left but how far it got. */
gboolean
ramet_cmd_log (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[0], invocation->cancellable);
  g_autoptr (GError) no_vm = NULL;
  g_autoptr (GError) no_serial = NULL;
  g_autoptr (RametVm) vm = ramet_vm_open (invocation->connection, args[0], &no_vm);
  g_autofree char *setup = ramet_log_read_setup (args[0], vm, no_vm ? NULL : &no_vm);
  g_autofree char *path = vm && !no_vm ? ramet_log_find_serial (vm, &no_serial) : NULL;
  guint64 at = 0;
  g_autofree char *serial = path ? ramet_log_read_serial (vm, task, path, &at, opt_follow, &no_serial) : NULL;
  GError **failed = no_vm ? &no_vm : &no_serial;

  if (setup)
    print_lines (setup);
  if (serial)
    g_print ("== serial console since\n%s", serial);
  if (opt_follow && path && (serial || g_error_matches (no_serial, RAMET_ERROR, RAMET_ERROR_NOT_FOUND)))
    return follow (vm, task, path, at, error);
  if (*failed && (setup == NULL || opt_follow || !g_error_matches (*failed, RAMET_ERROR, RAMET_ERROR_NOT_FOUND)))
    {
      g_propagate_error (error, g_steal_pointer (failed));
      return FALSE;
    }
  if (no_serial)
    {
      g_autofree char *safe = ramet_text_escape (no_serial->message, -1);

      ramet_task_warn (task, "%s", safe);
    }
  return TRUE;
}
