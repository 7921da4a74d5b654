/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/names.h"
#include "core/error.h"
#include "operations/vm/group.h"
#include "operations/vm/pause.h"

static gboolean opt_to_disk;
static gboolean opt_stop_users;
static gboolean opt_kill_users;
static int opt_timeout = RAMET_TIMEOUT_NOT_GIVEN;

const GOptionEntry ramet_options_pause[] = {
  { "to-disk", 0, 0, G_OPTION_ARG_NONE, &opt_to_disk,
    "Save their memory to disk and free it; this outlasts a reboot of the host", NULL },
  { "stop-users", 0, 0, G_OPTION_ARG_NONE, &opt_stop_users,
    "With --to-disk: stop services that use a share, and start them again on resuming", NULL },
  { "kill-users", 0, 0, G_OPTION_ARG_NONE, &opt_kill_users, "With --to-disk: end other processes that use a share", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt_timeout,
    "With --to-disk: how long to wait for guests to let go of their shares, in seconds; else 60", "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

static gboolean
is_wanted (const RametVm *vm, gboolean to_resume)
{
  return vm->run != RAMET_RUN_OFF && vm->run != RAMET_RUN_CRASHED &&
         (to_resume || opt_to_disk || vm->run != RAMET_RUN_SAVED);
}

/* One that was named must be fit for it, as the operation will tell; of a project, those that are off stay so. */
static void
take_one (RametInvocation *invocation, char **args, const char *name, gboolean to_resume, GPtrArray *vms,
          RametFindings *findings)
{
  gboolean named = g_strv_contains ((const char *const *) args, name);
  GError *why = NULL;
  RametVm *vm = ramet_open_named (invocation, name, &why);

  if (vm == NULL && !named && g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
    g_clear_error (&why);
  if (vm && (named || is_wanted (vm, to_resume)))
    g_ptr_array_add (vms, vm);
  else if (vm)
    ramet_vm_free (vm);
  ramet_findings_take (findings, why);
}

static GPtrArray *
open_all (RametInvocation *invocation, char **args, gboolean to_resume, GError **error)
{
  g_autoptr (GPtrArray) names = ramet_expand_names (invocation, args, RAMET_NAMES_FIRST_FIRST, error);
  g_autoptr (GPtrArray) vms = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_vm_free);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; names && i < names->len; i++)
    take_one (invocation, args, g_ptr_array_index (names, i), to_resume, vms, findings);
  if (names == NULL || !ramet_findings_raise (findings, error))
    return NULL;
  if (vms->len > 0)
    return g_steal_pointer (&vms);
  ramet_error_set (error, RAMET_ERROR_STATE, to_resume ? "none of these VMs is paused" : "none of these VMs runs");
  ramet_error_hint (error, "'ramet list' shows their states");
  return NULL;
}

static RametTask *
task_for (RametInvocation *invocation, GPtrArray *vms)
{
  g_autofree char *subject = ramet_vms_describe (vms);

  return ramet_task_new (subject, invocation->cancellable);
}

/* Takes @errors; @did: in one word, for those without one. */
static gboolean
tell (RametInvocation *invocation, GPtrArray *vms, RametErrors *errors, const char *did, GError **error)
{
  g_autoptr (RametResults) results = ramet_results_new ();

  for (guint i = 0; i < vms->len; i++)
    ramet_results_add (results, ramet_vm_get_name (g_ptr_array_index (vms, i)), g_ptr_array_index (errors, i) ? NULL : did,
                       g_steal_pointer (&g_ptr_array_index (errors, i)));
  g_ptr_array_unref (errors);
  return ramet_results_tell (results, invocation, error);
}

static gboolean
pause_all (GPtrArray *vms, RametInvocation *invocation, const RametPauseOptions *options, GError **error)
{
  g_autoptr (RametTask) task = task_for (invocation, vms);

  if (opt_to_disk)
    return ramet_pause_to_disk (vms, task, options, error);
  ramet_task_step (task, "pausing");
  return ramet_group_suspend (vms, task, error);
}

/* All or none: what kept one from it is what keeps all. */
gboolean
ramet_cmd_pause (RametInvocation *invocation, char **args, GError **error)
{
  RametPauseOptions options = { .stop_users = opt_stop_users, .kill_users = opt_kill_users };
  g_autoptr (GPtrArray) vms = NULL;
  g_autoptr (GError) why = NULL;
  RametErrors *errors;

  if (!opt_to_disk && (opt_stop_users || opt_kill_users || opt_timeout != RAMET_TIMEOUT_NOT_GIVEN))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--stop-users, --kill-users and --timeout go with --to-disk only");
      ramet_error_hint (error, "a pause that leaves the memory where it is disturbs nobody");
      return FALSE;
    }
  if (!ramet_parse_timeout (opt_timeout, RAMET_PAUSE_PATIENCE_S, &options.timeout_s, error) ||
      !(vms = open_all (invocation, args, FALSE, error)))
    return FALSE;
  if (pause_all (vms, invocation, &options, &why))
    return tell (invocation, vms, ramet_errors_new (vms->len), opt_to_disk ? "saved" : "paused", error);
  if (invocation->json)
    {
      errors = ramet_errors_new (vms->len);
      for (guint i = 0; i < vms->len; i++)
        ramet_errors_set (errors, i, g_error_copy (why));
      tell (invocation, vms, errors, NULL, NULL);
    }
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}

gboolean
ramet_cmd_resume (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) vms = open_all (invocation, args, TRUE, error);
  RametErrors *errors = NULL;

  if (vms)
    {
      g_autoptr (RametTask) task = task_for (invocation, vms);

      errors = ramet_resume (vms, task);
    }
  return vms && tell (invocation, vms, errors, "resumed", error);
}
