/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/lifecycle.h"

#include "core/stop.h"
#include "host/files/lock.h"
#include "host/guest/agent.h"
#include "host/libvirt/storage.h"
#include "host/libvirt/worker.h"
#include "operations/base/drift.h"
#include "operations/vm/grants.h"
#include "operations/vm/group.h"
#include "operations/vm/guest-update.h"
#include "operations/vm/log.h"

#define ASK_AGAIN_US (10 * G_TIME_SPAN_SECOND)
#define POLL_MS 200
#define AGENT_PATIENCE_US (2 * G_TIME_SPAN_SECOND)

/* (transfer full) (nullable): the names of @vm's clones, with a space between; "" if there are none */
static char *
name_clones (RametVm *vm, GError **error)
{
  g_autoptr (GPtrArray) clones = ramet_lifecycle_clones_of (vm, error);

  if (clones == NULL)
    return NULL;
  g_ptr_array_add (clones, NULL);
  return g_strjoinv (" ", (char **) clones->pdata);
}

/* What others stand on must not be written to; a VM that was set up is nobody's base. */
static gboolean
check_no_base (RametVm *vm, GError **error)
{
  RametState state = ramet_vm_get_state (vm);
  const char *name = ramet_vm_get_name (vm);
  g_autofree char *clones = NULL;

  if (state == RAMET_STATE_READY)
    return TRUE;
  clones = name_clones (vm, error);
  if (clones == NULL)
    return FALSE;
  if (state == RAMET_STATE_RAW && *clones == '\0')
    return TRUE;
  if (*clones)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot start '%s': it would break its clones: %s", name, clones);
  else
    ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a %s: to run it would break the clones made from it", name,
                     ramet_state_name (state));
  ramet_error_hint (error, "'ramet clone %s NAME' makes a VM to work in",
                    state == RAMET_STATE_TEMPLATE ? vm->metadata->base_name : name);
  return FALSE;
}

/* ramet starts nothing that is not whole. */
static gboolean
check_startable (RametVm *vm, GError **error)
{
  RametState state = ramet_vm_get_state (vm);
  const char *name = ramet_vm_get_name (vm);

  if (state == RAMET_STATE_READY || state == RAMET_STATE_RAW || ramet_vm_is_parent (vm))
    return check_no_base (vm, error);
  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is half made or half removed (%s)", name, ramet_state_name (state));
  ramet_error_hint (error, "'ramet remove %s' clears it", name);
  return FALSE;
}

/** ramet_lifecycle_check_start: what every start wants of a VM that is off, its memory saved or not */
gboolean
ramet_lifecycle_check_start (RametVm *vm, gboolean despite_drift, GError **error)
{
  return ramet_vm_check_free (vm, "start", error) && check_startable (vm, error) &&
         (despite_drift || ramet_drift_check (vm, error));
}

static gboolean
set_run_error (const RametVm *vm, const char *verb, const char *remedy, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': it is %s", verb, name, ramet_run_name (vm->run));
  ramet_error_hint (error, "'ramet %s %s'", remedy, name);
  return FALSE;
}

/** ramet_lifecycle_start: what runs already is fine; memory that was saved is taken up again */
gboolean
ramet_lifecycle_start (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  gboolean was_saved = vm->run == RAMET_RUN_SAVED;

  ramet_task_step (task, "starting");
  if (!check_startable (vm, error))
    return FALSE;
  if (vm->run == RAMET_RUN_RUNNING)
    {
      ramet_task_note (task, "is running already");
      return !ramet_guest_update_is_due (vm) || ramet_guest_update_after_start (vm, task, error);
    }
  if (!ramet_vm_check_free (vm, "start", error))
    return FALSE;
  if (vm->run == RAMET_RUN_PAUSED)
    return set_run_error (vm, "start", "resume", error);
  if ((!options->despite_drift && !ramet_drift_check (vm, error)) || !ramet_domain_start (vm->domain, error))
    return FALSE;
  /* saved memory goes on with the devices that it had */
  if (was_saved)
    return ramet_group_awaken_one (vm, task, error);
  return ramet_guest_update_after_start (vm, task, error);
}

/* For one that hangs libvirt would wait by itself, in a call that nothing ends. */
static gboolean
has_silent_agent (RametVm *vm, RametTask *task)
{
  gint64 deadline_us = g_get_monotonic_time () + AGENT_PATIENCE_US;
  g_autoptr (GError) why = NULL;

  return !ramet_agent_ping (vm->domain, task, deadline_us, &why) && g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
}

static gboolean
wait_until_off (RametVm *vm, RametTask *task, gint64 deadline_us, GError **error)
{
  gint64 ask_us = 0;

  while (g_get_monotonic_time () < deadline_us)
    {
      if (!ramet_domain_get_run (vm->domain, &vm->run, error))
        return FALSE;
      if (vm->run == RAMET_RUN_OFF || vm->run == RAMET_RUN_CRASHED)
        return TRUE;
      /* a guest that boots or whose agent hangs misses the first request */
      if (g_get_monotonic_time () >= ask_us)
        {
          g_autoptr (GError) why = NULL;

          if (!ramet_domain_ask_off (vm->domain, has_silent_agent (vm, task), &why))
            ramet_task_note (task, "%s", why->message);
          ask_us = g_get_monotonic_time () + ASK_AGAIN_US;
        }
      if (!ramet_task_sleep (task, POLL_MS, error))
        {
          ramet_error_hint (error, "'%s' was asked to shut down, and may do so yet", ramet_vm_get_name (vm));
          return FALSE;
        }
    }
  ramet_error_set (error, RAMET_ERROR_TIMEOUT, "'%s' was asked to shut down and has not", ramet_vm_get_name (vm));
  ramet_error_hint (error, "'ramet stop --force %s' pulls the plug", ramet_vm_get_name (vm));
  return FALSE;
}

/* It is off, but what it was doing is not lost: only --force does that. */
static gboolean
leave_saved (RametVm *vm, RametTask *task, gboolean drop, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (drop)
    return ramet_domain_drop_saved (vm->domain, error);
  ramet_task_warn (task, "it is off already, with its memory saved: 'ramet resume %s' takes that up, "
                         "'ramet stop --force %s' drops it", name, name);
  return TRUE;
}

/** ramet_lifecycle_stop: asks the guest and waits; what is off already is fine */
gboolean
ramet_lifecycle_stop (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  ramet_task_step (task, "stopping");
  if (vm->run == RAMET_RUN_OFF)
    {
      ramet_task_note (task, "is off already");
      return TRUE;
    }
  if (!ramet_vm_check_free (vm, "stop", error))
    return FALSE;
  if (vm->run == RAMET_RUN_SAVED)
    return leave_saved (vm, task, options->force, error);
  if (options->force || vm->run == RAMET_RUN_CRASHED)
    return ramet_domain_destroy (vm->domain, error);
  if (vm->run == RAMET_RUN_PAUSED)
    return set_run_error (vm, "stop", "resume", error);
  return wait_until_off (vm, task, g_get_monotonic_time () + (gint64) options->timeout_s * G_USEC_PER_SEC, error);
}

gboolean
ramet_lifecycle_restart (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (vm->run == RAMET_RUN_SAVED && !options->force)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot restart '%s': its memory is saved", name);
      ramet_error_hint (error, "'ramet resume %s' takes it up, 'ramet restart --force %s' drops it", name, name);
      return FALSE;
    }
  if (!ramet_lifecycle_check_start (vm, FALSE, error) || !ramet_lifecycle_stop (vm, task, options, error))
    return FALSE;
  vm->run = RAMET_RUN_OFF;
  return ramet_lifecycle_start (vm, task, options, error);
}

/** ramet_lifecycle_resume: one alone, see ramet_resume(); what runs already is fine */
gboolean
ramet_lifecycle_resume (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  ramet_task_step (task, "resuming");
  if (vm->run == RAMET_RUN_RUNNING)
    return TRUE;
  if (vm->run == RAMET_RUN_SAVED)
    return ramet_lifecycle_start (vm, task, options, error);
  if (!ramet_vm_check_free (vm, "resume", error))
    return FALSE;
  if (vm->run != RAMET_RUN_PAUSED)
    return set_run_error (vm, "resume", "start", error);
  return ramet_domain_resume (vm->domain, error) && ramet_group_awaken_one (vm, task, error);
}

/* By what it was made from; or, of what a template's memory was saved with, by what it stands on. */
static gboolean
stands_on (const RametMetadata *clone, const RametVm *vm, const char *uuid)
{
  if (g_strcmp0 (clone->base_uuid, uuid) == 0)
    return TRUE;
  /* one that is being removed, too */
  for (guint i = 0; vm->metadata && vm->metadata->template && i < clone->fingerprints->len; i++)
    if (ramet_metadata_find_volume (vm->metadata, ((RametFingerprint *) g_ptr_array_index (clone->fingerprints, i))->path))
      return TRUE;
  return FALSE;
}

static GPtrArray *
pick_clones (const RametVm *vm, GPtrArray *vms)
{
  g_autofree char *uuid = ramet_domain_get_uuid (vm->domain);
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *other = g_ptr_array_index (vms, i);

      if (other->metadata && stands_on (other->metadata, vm, uuid))
        g_ptr_array_add (names, g_strdup (ramet_vm_get_name (other)));
    }
  return names;
}

/**
 * ramet_lifecycle_clones_of:
 * @error: RAMET_ERROR_STATE if there is a VM of which nobody can tell
 *
 * Returns: (transfer full) (element-type utf8): names of the VMs that stand on @vm's disks
 */
GPtrArray *
ramet_lifecycle_clones_of (RametVm *vm, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list_others (vm, error);

  return vms ? pick_clones (vm, vms) : NULL;
}

/** ramet_lifecycle_known_clones_of: (transfer full) (element-type utf8): as far as VMs can be read: to show, not to rely on */
GPtrArray *
ramet_lifecycle_known_clones_of (RametVm *vm, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (ramet_domain_get_connection (vm->domain), error);

  return vms ? pick_clones (vm, vms) : NULL;
}

/* (transfer full): what takes @names away: the clones of a template before it */
static char *
removal_of (RametConnection *connection, GPtrArray *names)
{
  g_autoptr (GString) clones = g_string_new ("'ramet remove");
  g_autoptr (GString) templates = g_string_new ("'ramet template remove");
  guint n_templates = 0;

  for (guint i = 0; i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, i);
      g_autoptr (RametVm) vm = ramet_vm_open (connection, name, NULL);
      gboolean is_template = vm && ramet_vm_get_state (vm) == RAMET_STATE_TEMPLATE;

      n_templates += is_template;
      if (is_template && n_templates > 1)
        g_string_append_printf (templates, "', 'ramet template remove %s", name);
      else
        g_string_append_printf (is_template ? templates : clones, " %s", name);
    }
  if (n_templates == 0)
    return g_strconcat (clones->str, "'", NULL);
  return g_strconcat (n_templates < names->len ? clones->str : "", n_templates < names->len ? "', then " : "",
                      templates->str, "'", NULL);
}

static gboolean
check_no_clones (RametVm *vm, GError **error)
{
  g_autoptr (GPtrArray) clones = ramet_lifecycle_clones_of (vm, error);
  g_autofree char *removal = NULL;
  g_autofree char *names = NULL;

  if (clones == NULL || clones->len == 0)
    return clones != NULL;
  removal = removal_of (ramet_domain_get_connection (vm->domain), clones);
  g_ptr_array_add (clones, NULL);
  names = g_strjoinv (" ", (char **) clones->pdata);
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot remove '%s': clones stand on its disk: %s", ramet_vm_get_name (vm),
                   names);
  ramet_error_hint (error, "remove them first: %s", removal);
  return FALSE;
}

/* From here on nobody makes it the heir of anything. */
static gboolean
begin_removal (RametVm *vm, GError **error)
{
  G_GNUC_UNUSED g_autoptr (RametLock) lock = ramet_lock_grants ();

  if (!ramet_grants_keep (vm->domain, vm->metadata, error) ||
      !ramet_domain_set_metadata (vm->domain, vm->metadata, error))
    return FALSE;
  RAMET_STEP ("remove-begun");
  return TRUE;
}

/* Whoever clones it looks after that whether it stays, so a clone from before is seen here, and one from after sees this. */
static gboolean
reserve_removal (RametVm *vm, GError **error)
{
  RametState before = vm->metadata->state;
  g_autofree char *worker = g_steal_pointer (&vm->metadata->worker);
  g_autoptr (GError) why = NULL;

  vm->metadata->state = RAMET_STATE_REMOVING;
  vm->metadata->worker = ramet_worker_self ();
  if (!begin_removal (vm, error))
    return FALSE;
  if (check_no_clones (vm, error))
    return TRUE;
  vm->metadata->state = before;
  g_free (vm->metadata->worker);
  vm->metadata->worker = g_steal_pointer (&worker);
  if (!begin_removal (vm, &why))
    g_warning ("could not write that '%s' stays: %s", ramet_vm_get_name (vm), why->message);
  return FALSE;
}

static gboolean
end_removal (RametVm *vm, RametTask *task, GError **error)
{
  G_GNUC_UNUSED g_autoptr (RametLock) lock = ramet_lock_grants ();

  if (!ramet_grants_take_back (vm, task, error) || !ramet_domain_undefine (vm->domain, error))
    return FALSE;
  RAMET_STEP ("remove-undefined");
  return TRUE;
}

/* All that the metadata lists, and the domain last: it is what knows of the rest. */
static gboolean
remove_all (RametVm *vm, RametTask *task, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);

  if (!reserve_removal (vm, error) || !ramet_domain_destroy (vm->domain, error))
    return FALSE;
  RAMET_STEP ("remove-destroyed");
  for (guint i = 0; i < vm->metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (vm->metadata->volumes, i);

      if (!ramet_volume_delete (connection, volume->pool, volume->name, volume->path, error))
        return FALSE;
      RAMET_STEP ("remove-volume");
    }
  ramet_log_remove (vm, task, TRUE);
  return end_removal (vm, task, error);
}

/**
 * ramet_lifecycle_remove:
 * @vm: one of ramet's, running or not, whole or half made
 *
 * Deletes just what ramet made. What is gone already is fine, so that a removal that was cut off can be done again.
 */
gboolean
ramet_lifecycle_remove (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  g_autoptr (GError) why = NULL;

  ramet_task_step (task, "removing");
  if (!ramet_vm_check_free (vm, "remove", error) || !check_no_clones (vm, error))
    return FALSE;
  RAMET_STEP ("remove-checked");
  if (remove_all (vm, task, &why))
    return TRUE;
  if (ramet_error_get_hint (why) == NULL)
    ramet_error_hint (&why, "'ramet remove %s' once more takes away what is left", ramet_vm_get_name (vm));
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}
