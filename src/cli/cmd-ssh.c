/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/paths.h"
#include "core/task.h"
#include "host/guest/ssh.h"
#include "operations/vm/guest-ssh.h"
#include "operations/vm/reach.h"

#define SSH_PATIENCE_S 120

static int opt_timeout = RAMET_TIMEOUT_NOT_GIVEN;
static gboolean opt_check;

const GOptionEntry ramet_options_ssh[] = {
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout, "How long to wait for a VM that boots, in seconds; else 120",
    "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_ssh_known_host[] = {
  { "check", 0, 0, G_OPTION_ARG_NONE, &opt_check, "Only tell by the exit status whether it is a VM of ramet's", NULL },
  G_OPTION_ENTRY_NULL,
};

/** name_of_host: (transfer full): "WEB.local", "web." or "[web.local]:22" as a VM's name */
static char *
name_of_host (const char *host)
{
  g_autofree char *name = g_ascii_strdown (*host == '[' ? host + 1 : host, -1);

  name[strcspn (name, "]:")] = '\0';
  if (g_str_has_suffix (name, "."))
    name[strlen (name) - 1] = '\0';
  if (g_str_has_suffix (name, ".local"))
    name[strlen (name) - strlen (".local")] = '\0';
  return g_steal_pointer (&name);
}

/* The last moment that ramet has its say: what comes out of here is ssh's. */
static gboolean
exec_ssh (RametInvocation *invocation, RametVm *vm, char **command, GError **error)
{
  g_autofree char *program = ramet_paths_program ();
  g_autofree char *key = ramet_guest_ssh_key ();
  RametSshTarget target = { .program = program, .uri = ramet_connection_get_uri (invocation->connection),
                            .name = ramet_vm_get_name (vm), .user = vm->metadata->user, .private_key = key };
  g_auto (GStrv) argv = ramet_ssh_argv (&target, command);

  execvp (argv[0], argv);
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run ssh: %s", g_strerror (errno));
  ramet_error_hint (error, "install OpenSSH's client: package openssh-client");
  return FALSE;
}

static gboolean
wait_for_ssh (RametInvocation *invocation, RametVm *vm, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (ramet_vm_get_name (vm), invocation->cancellable);
  guint patience_s = 0;

  return ramet_parse_timeout (opt_timeout, SSH_PATIENCE_S, &patience_s, error) &&
         ramet_guest_ssh_wait (vm, task, patience_s, error);
}

gboolean
ramet_cmd_ssh (RametInvocation *invocation, char **args, GError **error)
{
  gboolean named = args[0] && !g_str_equal (args[0], "--");
  g_autofree char *name = named ? g_strdup (args[0]) : ramet_only_name (invocation, error);
  g_autoptr (RametVm) vm = name ? ramet_open_named (invocation, name, error) : NULL;
  char **command = args + (named ? 1 : 0);

  if (vm == NULL || !ramet_guest_ssh_check (vm, error))
    return FALSE;
  if (*command && g_str_equal (*command, "--"))
    command++;
  return wait_for_ssh (invocation, vm, error) && exec_ssh (invocation, vm, command, error);
}

gboolean
ramet_cmd_ssh_known_host (RametInvocation *invocation, char **args, GError **error)
{
  g_autofree char *name = name_of_host (args[0]);
  g_autoptr (RametVm) vm = ramet_vm_open_ours (invocation->connection, name, error);
  g_auto (GStrv) keys = NULL;

  if (vm == NULL || !ramet_guest_ssh_check (vm, error))
    return FALSE;
  keys = g_strsplit (vm->metadata->host_keys, "\n", -1);
  for (char **key = keys; *key && !opt_check; key++)
    if (ramet_ssh_check_public_key (*key))
      g_print ("%s %s\n", args[0], *key);
  return TRUE;
}

gboolean
ramet_cmd_ssh_proxy (RametInvocation *invocation, char **args, GError **error)
{
  g_autofree char *name = name_of_host (args[0]);
  g_autoptr (RametVm) vm = ramet_vm_open_ours (invocation->connection, name, error);
  g_autoptr (RametTask) task = ramet_task_new (name, invocation->cancellable);
  gint64 deadline_us = g_get_monotonic_time () + SSH_PATIENCE_S * G_USEC_PER_SEC;
  g_autofree char *address = NULL;
  RametReachBy by;
  gboolean done;
  int fd;

  if (vm == NULL || !ramet_reach_find (vm, task, deadline_us, &address, &by, error) ||
      (fd = ramet_ssh_connect_fd (address, RAMET_SSH_PORT, error)) < 0)
    return FALSE;
  done = ramet_ssh_pass_fd (fd, error);
  close (fd);
  return done;
}

/* VMs whose login name is not the one here. */
static GPtrArray *
find_exceptions (GPtrArray *vms)
{
  GPtrArray *exceptions = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      RametSshTarget *target;

      if (ramet_vm_get_state (vm) != RAMET_STATE_READY || !vm->metadata->user ||
          g_str_equal (vm->metadata->user, g_get_user_name ()))
        continue;
      target = g_new0 (RametSshTarget, 1);
      target->name = ramet_vm_get_name (vm);
      target->user = vm->metadata->user;
      g_ptr_array_add (exceptions, target);
    }
  g_ptr_array_add (exceptions, NULL);
  return exceptions;
}

gboolean
ramet_cmd_ssh_config (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (invocation->connection, error);
  g_autoptr (GPtrArray) exceptions = vms ? find_exceptions (vms) : NULL;
  g_autofree char *program = ramet_paths_program ();
  g_autofree char *key = ramet_guest_ssh_key ();
  g_autofree char *text = NULL;

  if (vms == NULL ||
      !ramet_ssh_config (program, ramet_connection_get_uri (invocation->connection), key,
                         (const RametSshTarget *const *) exceptions->pdata, &text, error))
    return FALSE;
  g_print ("%s", text);
  return TRUE;
}

/* virsh has a terminal mode of its own that puts the terminal right on every way out. */
gboolean
ramet_cmd_console (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametVm) vm = ramet_vm_open (invocation->connection, args[0], error);
  const char *uri = ramet_connection_get_uri (invocation->connection);

  if (vm == NULL)
    return FALSE;
  if (vm->run != RAMET_RUN_RUNNING)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot open the console of '%s': it is %s", args[0],
                       ramet_run_name (vm->run));
      if (!ramet_vm_is_parent (vm))
        ramet_error_hint (error, "'ramet %s %s'", vm->run == RAMET_RUN_PAUSED ? "resume" : "start", args[0]);
      return FALSE;
    }
  execlp ("virsh", "virsh", "-c", uri, "console", args[0], "--safe", NULL);
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run virsh: %s", g_strerror (errno));
  ramet_error_hint (error, "install it: package libvirt-clients");
  return FALSE;
}
