/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/guest-ssh.h"

#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/text.h"
#include "host/guest/ssh.h"
#include "operations/vm/reach.h"

#define SILENCE_S 120
#define WORK_S 900 /* how long a script may work without a word, that is not to be broken off */
#define SSH_FAILED 255 /* what ssh itself ends with if it cannot get in, or the connection is lost */

/* Who is root already needs no sudo, which need not be there then. */
#define AS_ROOT "if [ \"$(id -u)\" = 0 ]; then exec sh -c \"$@\"; else exec sudo -n sh -c \"$@\"; fi"

/** ramet_guest_ssh_check: @error is RAMET_ERROR_STATE if the VM is not set up for ssh */
gboolean
ramet_guest_ssh_check (const RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (ramet_vm_get_state (vm) == RAMET_STATE_READY && vm->metadata->host_keys && vm->metadata->user)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is not set up for ssh: its state is '%s'", name,
                   ramet_state_name (ramet_vm_get_state (vm)));
  ramet_error_hint (error, "'virsh console %s' reaches its root console, if it has one", name);
  return FALSE;
}

/** ramet_guest_ssh_key: (transfer full) (nullable): ramet's own private key, if one was ever made */
char *
ramet_guest_ssh_key (void)
{
  g_autofree char *path = ramet_paths_ssh_key ();

  return access (path, R_OK) == 0 ? g_steal_pointer (&path) : NULL;
}

/** ramet_guest_ssh_wait: until an ssh server answers; @error as of ramet_reach_find() */
gboolean
ramet_guest_ssh_wait (RametVm *vm, RametTask *task, guint patience_s, GError **error)
{
  gint64 deadline_us = g_get_monotonic_time () + (gint64) patience_s * G_USEC_PER_SEC;
  g_autofree char *address = NULL;
  RametReachBy by;

  return ramet_reach_find (vm, task, deadline_us, &address, &by, error) &&
         ramet_ssh_banner (task, address, RAMET_SSH_PORT, deadline_us, error);
}

/**
 * ramet_guest_ssh_argv:
 * @script: below bootstrap/overlay
 *
 * Returns: (transfer full): a command line that runs @script in the guest as root
 */
char **
ramet_guest_ssh_argv (RametVm *vm, const char *script, const char *const *args, GError **error)
{
  g_autofree char *relative = g_build_filename ("bootstrap/overlay", script, NULL);
  g_autofree char *path = ramet_paths_data (relative);
  g_autofree char *program = ramet_paths_program ();
  g_autofree char *key = ramet_guest_ssh_key ();
  g_autofree char *text = NULL;
  g_autoptr (GError) why = NULL;
  g_autoptr (GPtrArray) command = g_ptr_array_new ();
  RametSshTarget target = { .program = program, .name = ramet_vm_get_name (vm), .user = vm->metadata->user,
                            .uri = ramet_connection_get_uri (ramet_domain_get_connection (vm->domain)),
                            .private_key = key };

  if (!g_file_get_contents (path, &text, NULL, &why))
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read '%s': %s", path, why->message);
      ramet_error_hint (error, "install ramet again, or set RAMET_DATADIR");
      return NULL;
    }
  for (const char *const *word = (const char *const[]) { "sh", "-c", AS_ROOT, "ramet", text, "ramet", NULL }; *word; word++)
    g_ptr_array_add (command, (gpointer) *word);
  for (; args && *args; args++)
    g_ptr_array_add (command, (gpointer) *args);
  g_ptr_array_add (command, NULL);
  return ramet_ssh_argv (&target, (char **) command->pdata);
}

/** ramet_guest_ssh_fail: sets @error for a script that ended with @status, which it has no meaning for; gives %FALSE */
gboolean
ramet_guest_ssh_fail (const RametVm *vm, int status, const char *errors, GError **error)
{
  g_auto (GStrv) lines = g_strsplit (errors, "\n", -1);
  g_autofree char *last = NULL;

  for (char **line = lines; *line; line++)
    if (*g_strstrip (*line) != '\0')
      {
        g_free (last);
        last = ramet_text_escape (*line, -1);
      }
  if (status == SSH_FAILED)
    {
      ramet_error_set (error, RAMET_ERROR_LOST, "the ssh connection to '%s' failed%s%s", ramet_vm_get_name (vm),
                       last ? ": " : "", last ? last : "");
      ramet_error_hint (error, "try 'ramet ssh %s -- true'", ramet_vm_get_name (vm));
    }
  else
    ramet_error_set (error, RAMET_ERROR_FAILED, "a command in '%s' failed with status %d%s%s", ramet_vm_get_name (vm),
                     status, last ? ": " : "", last ? last : "");
  return FALSE;
}

/**
 * ramet_guest_ssh_run:
 * @ret_status: (out): the script's own exit status
 * @ret_errors: (out): what it said on stderr, unescaped
 * @error: as of ramet_pipe_run()
 */
gboolean
ramet_guest_ssh_run (RametVm *vm, RametTask *task, const RametGuestScript *script, int *ret_status, char **ret_errors,
                     GError **error)
{
  g_auto (GStrv) argv = ramet_guest_ssh_argv (vm, script->name, script->args, error);
  RametPipe pipe = { .argv = (const char *const *) argv, .input = script->input, .to_the_end = script->to_the_end,
                     .silence_s = script->to_the_end ? WORK_S : SILENCE_S, .func = script->func, .data = script->data };

  return argv && ramet_pipe_run (task, &pipe, ret_status, ret_errors, error);
}
