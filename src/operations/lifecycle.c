/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/lifecycle.h"

#include "core/stop.h"
#include "host/access.h"
#include "host/storage.h"
#include "host/worker.h"
#include "operations/drift.h"

#define ASK_AGAIN_US (10 * G_TIME_SPAN_SECOND)
#define POLL_MS 200
#define MAX_HEIRS 8 /* that are removed just when they are found */

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
    ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a base: to run it would break the clones made from it", name);
  ramet_error_hint (error, "'ramet clone %s NAME' makes a VM to work in", name);
  return FALSE;
}

/* ramet starts nothing that is not whole. */
static gboolean
check_startable (RametVm *vm, GError **error)
{
  RametState state = ramet_vm_get_state (vm);
  const char *name = ramet_vm_get_name (vm);

  if (state == RAMET_STATE_READY || state == RAMET_STATE_RAW || state == RAMET_STATE_BASE)
    return check_no_base (vm, error);
  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is half made or half removed (%s)", name, ramet_state_name (state));
  ramet_error_hint (error, "'ramet remove %s' clears it", name);
  return FALSE;
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
  ramet_task_step (task, "starting");
  if (!check_startable (vm, error))
    return FALSE;
  if (vm->run == RAMET_RUN_RUNNING)
    {
      ramet_task_note (task, "is running already");
      return TRUE;
    }
  if (vm->run == RAMET_RUN_PAUSED)
    return set_run_error (vm, "start", "resume", error);
  return (options->despite_drift || ramet_drift_check (vm, error)) && ramet_domain_start (vm->domain, error);
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

          if (!ramet_domain_ask_off (vm->domain, &why))
            ramet_task_note (task, "%s", why->message);
          ask_us = g_get_monotonic_time () + ASK_AGAIN_US;
        }
      if (!ramet_task_sleep (task, POLL_MS, error))
        return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_TIMEOUT, "'%s' was asked to shut down and has not", ramet_vm_get_name (vm));
  ramet_error_hint (error, "'ramet stop --force %s' pulls the plug", ramet_vm_get_name (vm));
  return FALSE;
}

/** ramet_lifecycle_stop: asks the guest and waits; what is off already is fine */
gboolean
ramet_lifecycle_stop (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  ramet_task_step (task, "stopping");
  if (vm->run == RAMET_RUN_OFF || vm->run == RAMET_RUN_SAVED)
    {
      ramet_task_note (task, "is off already");
      return TRUE;
    }
  if (options->force || vm->run == RAMET_RUN_CRASHED)
    return ramet_domain_destroy (vm->domain, error);
  if (vm->run == RAMET_RUN_PAUSED)
    return set_run_error (vm, "stop", "resume", error);
  return wait_until_off (vm, task, g_get_monotonic_time () + (gint64) options->timeout_s * G_USEC_PER_SEC, error);
}

gboolean
ramet_lifecycle_restart (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  if (!check_startable (vm, error) || !ramet_drift_check (vm, error) || !ramet_lifecycle_stop (vm, task, options, error))
    return FALSE;
  vm->run = RAMET_RUN_OFF;
  return ramet_lifecycle_start (vm, task, options, error);
}

/** ramet_lifecycle_pause: what is paused already is fine */
gboolean
ramet_lifecycle_pause (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  ramet_task_step (task, "pausing");
  if (vm->run == RAMET_RUN_PAUSED)
    return TRUE;
  if (vm->run != RAMET_RUN_RUNNING)
    return set_run_error (vm, "pause", "start", error);
  return ramet_domain_suspend (vm->domain, error);
}

/* The guest's clock stood still: the host's wall clock is set through the agent, with what it tells of no one else. */
static void
set_clock (RametVm *vm, RametTask *task)
{
  g_autofree char *command = g_strdup_printf (
    "{\"execute\":\"guest-set-time\",\"arguments\":{\"time\":%" G_GINT64_FORMAT "}}", g_get_real_time () * 1000);
  g_autoptr (GError) why = NULL;
  g_autofree char *answer = ramet_domain_agent (vm->domain, command, 5, &why);

  if (answer == NULL)
    ramet_task_note (task, "the guest's clock was not set: %s", why->message);
}

/** ramet_lifecycle_resume: sets the guest's clock where its agent does that; what runs already is fine */
gboolean
ramet_lifecycle_resume (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error)
{
  ramet_task_step (task, "resuming");
  if (vm->run == RAMET_RUN_RUNNING)
    return TRUE;
  if (vm->run == RAMET_RUN_SAVED)
    return ramet_lifecycle_start (vm, task, options, error);
  if (vm->run != RAMET_RUN_PAUSED)
    return set_run_error (vm, "resume", "start", error);
  if (!ramet_domain_resume (vm->domain, error))
    return FALSE;
  set_clock (vm, task);
  return TRUE;
}

/** ramet_lifecycle_clones_of: (transfer full) (element-type utf8): names of the VMs that stand on @vm's disks */
GPtrArray *
ramet_lifecycle_clones_of (RametVm *vm, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (ramet_domain_get_connection (vm->domain), error);
  g_autofree char *uuid = ramet_domain_get_uuid (vm->domain);
  GPtrArray *names;

  if (vms == NULL)
    return NULL;
  names = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *other = g_ptr_array_index (vms, i);

      if (other->metadata && g_strcmp0 (other->metadata->base_uuid, uuid) == 0)
        g_ptr_array_add (names, g_strdup (ramet_vm_get_name (other)));
    }
  return names;
}

static gboolean
check_no_clones (RametVm *vm, GError **error)
{
  g_autofree char *names = name_clones (vm, error);

  if (names == NULL)
    return FALSE;
  if (*names == '\0')
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot remove '%s': clones stand on its disk: %s", ramet_vm_get_name (vm),
                   names);
  ramet_error_hint (error, "remove them first: 'ramet remove %s'", names);
  return FALSE;
}

static gboolean
is_same (const RametVm *vm, const RametVm *other)
{
  g_autofree char *uuid = ramet_domain_get_uuid (vm->domain);
  g_autofree char *other_uuid = ramet_domain_get_uuid (other->domain);

  return g_str_equal (uuid, other_uuid) || g_str_equal (ramet_vm_get_name (vm), ramet_vm_get_name (other));
}

/* Who else lives by what was granted for @vm, and stays: takes over the record of it. */
static RametVm *
find_heir (const char *record, const RametVm *vm, GPtrArray *vms)
{
  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *other = g_ptr_array_index (vms, i);

      if (other->metadata == NULL || other->metadata->state == RAMET_STATE_REMOVING || is_same (vm, other))
        continue;
      for (guint j = 0; j < other->metadata->shares->len; j++)
        if (ramet_access_record_serves (record, ((RametShare *) g_ptr_array_index (other->metadata->shares, j))->source))
          return other;
      for (guint j = 0; j < other->metadata->fingerprints->len; j++)
        if (ramet_access_record_serves (
              record, ((RametFingerprint *) g_ptr_array_index (other->metadata->fingerprints, j))->path))
          return other;
    }
  return NULL;
}

/* Hands on what another VM needs still; looks again where that one has just been removed itself. */
static gboolean
hand_on (const RametVm *vm, const char *record, gboolean *ret_handed, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);

  for (guint tries = 1;; tries++)
    {
      g_autoptr (GPtrArray) vms = ramet_vm_list (connection, error);
      RametVm *heir = vms ? find_heir (record, vm, vms) : NULL;
      g_autoptr (GError) why = NULL;

      *ret_handed = heir != NULL;
      if (heir == NULL)
        return vms != NULL;
      /* a removal that was cut off may have handed it on already */
      if (!g_ptr_array_find_with_equal_func (heir->metadata->grants, record, g_str_equal, NULL))
        g_ptr_array_insert (heir->metadata->grants, 0, g_strdup (record));
      if (ramet_domain_set_metadata (heir->domain, heir->metadata, &why))
        return TRUE;
      if (tries == MAX_HEIRS || ramet_domain_exists (connection, ramet_vm_get_name (heir)))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
}

/* The last that was granted goes first. Another removal may have handed more on to @vm since it was looked at. */
static gboolean
take_back_grants (RametVm *vm, RametTask *task, GError **error)
{
  g_autoptr (RametMetadata) now = NULL;

  if (!ramet_domain_get_metadata (vm->domain, &now, error))
    return FALSE;
  for (guint i = now ? now->grants->len : 0; i-- > 0;)
    {
      const char *record = g_ptr_array_index (now->grants, i);
      g_autoptr (GError) why = NULL;
      gboolean handed;

      if (!hand_on (vm, record, &handed, error))
        return FALSE;
      if (handed)
        RAMET_STEP ("remove-inherited");
      else if (!ramet_access_revoke (record, &why))
        ramet_task_warn (task, "an access that was granted stays: %s", why->message);
      else
        RAMET_STEP ("remove-grant");
    }
  return TRUE;
}

/* All that the metadata lists, and the domain last: it is what knows of the rest. */
static gboolean
remove_all (RametVm *vm, RametTask *task, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);

  if (!ramet_domain_set_metadata (vm->domain, vm->metadata, error))
    return FALSE;
  RAMET_STEP ("remove-begun");
  if (!ramet_domain_destroy (vm->domain, error))
    return FALSE;
  RAMET_STEP ("remove-destroyed");
  for (guint i = 0; i < vm->metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (vm->metadata->volumes, i);

      if (!ramet_volume_delete (connection, volume->pool, volume->name, volume->path, error))
        return FALSE;
      RAMET_STEP ("remove-volume");
    }
  if (!take_back_grants (vm, task, error) || !ramet_domain_undefine (vm->domain, error))
    return FALSE;
  RAMET_STEP ("remove-undefined");
  return TRUE;
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
  if (!check_no_clones (vm, error))
    return FALSE;
  vm->metadata->state = RAMET_STATE_REMOVING;
  g_free (vm->metadata->worker);
  vm->metadata->worker = ramet_worker_self ();
  if (remove_all (vm, task, &why))
    return TRUE;
  if (ramet_error_get_hint (why) == NULL)
    ramet_error_hint (&why, "'ramet remove %s' once more takes away what is left", ramet_vm_get_name (vm));
  g_propagate_error (error, g_steal_pointer (&why));
  return FALSE;
}
