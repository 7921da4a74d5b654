/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/worker.h"
#include "operations/doctor/private.h"
#include "operations/vm/lifecycle.h"

#define TRIAL_PREFIX "ramet-trial-"
#define NOBODY_WORKS_SO_LONG_S (24 * 60 * 60)
#define TRIES 5 /* a libvirtd that is still busy with what a killed ramet has asked of it refuses at first */
#define TRY_AGAIN_MS 1000

static gboolean
is_unfinished (const RametVm *vm)
{
  RametState state = ramet_vm_get_state (vm);

  return state == RAMET_STATE_CREATING || state == RAMET_STATE_BOOTSTRAPPING || state == RAMET_STATE_REMOVING ||
         (state == RAMET_STATE_RAW && g_str_has_prefix (ramet_vm_get_name (vm), TRIAL_PREFIX));
}

static gboolean
is_old (const RametMetadata *metadata)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autoptr (GDateTime) created = metadata->created ? g_date_time_new_from_iso8601 (metadata->created, NULL) : NULL;

  return created && g_date_time_difference (now, created) / G_USEC_PER_SEC > NOBODY_WORKS_SO_LONG_S;
}

/*
 * Who is at work on it. A worker that has just finished is gone too, so its VM is looked at once more after that: what a
 * worker writes, it has written before it ends.
 */
static RametWorkerState
look_at_worker (RametVm *vm)
{
  RametWorkerState worker = ramet_worker_look (vm->metadata->worker);
  RametMetadata *now = NULL;

  if (worker == RAMET_WORKER_UNKNOWN && is_old (vm->metadata))
    worker = RAMET_WORKER_GONE;
  if (worker != RAMET_WORKER_GONE)
    return worker;
  if (!ramet_domain_get_metadata (vm->domain, &now, NULL) || now == NULL)
    return RAMET_WORKER_AT_WORK; /* it went away just now */
  if (g_strcmp0 (now->worker, vm->metadata->worker) != 0)
    worker = RAMET_WORKER_AT_WORK; /* somebody has taken it over */
  ramet_metadata_free (vm->metadata);
  vm->metadata = now;
  return worker;
}

static gboolean
remove_what_is_left (RametDoctor *doctor, RametVm *vm, GError **error)
{
  for (guint i = 1;; i++)
    {
      g_autoptr (GError) why = NULL;

      if (ramet_lifecycle_remove (vm, doctor->task, NULL, &why) ||
          !ramet_domain_exists (doctor->connection, ramet_vm_get_name (vm)))
        return TRUE;
      if (i == TRIES)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      if (!ramet_task_sleep (doctor->task, TRY_AGAIN_MS, error))
        return FALSE;
    }
}

static const char *
what_was_cut_off (RametState state)
{
  return state == RAMET_STATE_REMOVING ? "was to be removed, and only half of it is" :
         state == RAMET_STATE_RAW      ? "was left behind by a 'ramet base build' that was cut off"
                                       : "is half made, and who made it is gone";
}

static gboolean
diagnose_cut_off (RametDoctor *doctor, RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  RametDiagnosis *found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name, "'%s' %s", name,
                                             what_was_cut_off (vm->metadata->state));
  g_autoptr (GError) why = NULL;

  ramet_diagnosis_explain (found, "it cannot be used, and holds its name, disk space and perhaps memory",
                           "'ramet doctor --fix' or 'ramet remove %s' clears it; then clone anew", name);
  if (!doctor->fix)
    return TRUE;
  if (remove_what_is_left (doctor, vm, &why))
    ramet_diagnosis_mended (found, "removed '%s' with all that was made for it", name);
  else if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  else
    ramet_task_warn (doctor->task, "could not clear '%s': %s", name, why->message);
  return TRUE;
}

/** ramet_doctor_check_cut_off: VMs whose making or removing ended half way, unless somebody is still at it */
gboolean
ramet_doctor_check_cut_off (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      RametVm *vm = ((RametPatient *) g_ptr_array_index (doctor->patients, i))->vm;
      const char *name = ramet_vm_get_name (vm);
      RametWorkerState worker = is_unfinished (vm) ? look_at_worker (vm) : RAMET_WORKER_AT_WORK;
      RametDiagnosis *found;

      if (!is_unfinished (vm)) /* now */
        continue;
      if (worker == RAMET_WORKER_AT_WORK)
        ramet_task_note (doctor->task, "'%s' is being worked on (%s)", name, ramet_state_name (vm->metadata->state));
      else if (worker == RAMET_WORKER_KEPT)
        {
          found = ramet_doctor_find (doctor, RAMET_SEVERITY_NOTE, name, "'%s' is half made, and was kept so by --keep", name);
          ramet_diagnosis_explain (found, "it cannot be used but to look into it", "'ramet remove %s' clears it", name);
        }
      else if (worker == RAMET_WORKER_UNKNOWN)
        {
          found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "'%s' is half made or half removed (%s); whether "
                                     "anybody is still at it cannot be seen from here", name,
                                     ramet_state_name (vm->metadata->state));
          ramet_diagnosis_explain (found, "if nobody is, it holds its name and disk space for nothing",
                                   "if nobody is: 'ramet remove %s'", name);
        }
      else if (!diagnose_cut_off (doctor, vm, error))
        return FALSE;
    }
  return TRUE;
}
