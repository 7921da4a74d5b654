/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/doctor/private.h"
#include "operations/points/merge.h"

/* What was cut off is cleared; the VM keeps what it has written, and goes on when it is told to. */
static void
mend (RametDoctor *doctor, RametPointVm *pvm, RametDiagnosis *found)
{
  gboolean mended = FALSE;
  g_autoptr (GError) why = NULL;

  if (ramet_point_vm_claim (pvm, "mend the snapshots of", &why))
    {
      if (ramet_points_mend (pvm, doctor->task, &mended, &why))
        ramet_diagnosis_mended (found, "cleared what was left of it");
      ramet_point_vm_release (pvm);
    }
  if (why)
    ramet_task_warn (doctor->task, "could not clear '%s': %s", ramet_point_vm_name (pvm), why->message);
}

static void
diagnose (RametDoctor *doctor, RametPointVm *pvm, const RametPointTrouble *trouble, gboolean *ret_mended)
{
  const char *name = ramet_point_vm_name (pvm);
  gboolean leftover = trouble->kind == RAMET_POINT_TROUBLE_LEFTOVER;
  RametDiagnosis *found = ramet_doctor_find (doctor, leftover ? RAMET_SEVERITY_WARNING : RAMET_SEVERITY_ERROR, name, "'%s': %s",
                                             name, trouble->text);

  if (!leftover)
    {
      ramet_diagnosis_explain (found, "nobody may count on its snapshots, and ramet leaves them alone until it is put right", "%s",
                               trouble->hint);
      return;
    }
  ramet_diagnosis_explain (found, pvm->vm->run == RAMET_RUN_PAUSED
                                    ? "it takes disk space for nothing; the VM was left paused, perhaps with its shares detached"
                                    : "it takes disk space for nothing",
                           "'ramet doctor --fix' clears it%s%s%s", pvm->vm->run == RAMET_RUN_PAUSED ? "; then 'ramet resume " : "",
                           pvm->vm->run == RAMET_RUN_PAUSED ? name : "", pvm->vm->run == RAMET_RUN_PAUSED ? "'" : "");
  if (!doctor->fix)
    return;
  if (*ret_mended)
    ramet_diagnosis_mended (found, "cleared what was left of it");
  else
    mend (doctor, pvm, found);
  *ret_mended = TRUE;
}

static gboolean
look_at (RametDoctor *doctor, RametVm *vm, GError **error)
{
  g_autoptr (RametPointVm) pvm = ramet_point_vm_open (doctor->connection, ramet_vm_get_name (vm), error);
  g_autoptr (GPtrArray) troubles = NULL;
  gboolean mended = FALSE;

  if (pvm == NULL)
    return FALSE;
  if (ramet_point_vm_is_worked_on (pvm))
    return TRUE;
  /* mending looks at the VM anew */
  troubles = g_steal_pointer (&pvm->troubles);
  pvm->troubles = g_ptr_array_new_with_free_func (ramet_point_trouble_free);
  for (guint i = 0; i < troubles->len; i++)
    diagnose (doctor, pvm, g_ptr_array_index (troubles, i), &mended);
  return TRUE;
}

static gboolean
has_points (const RametMetadata *metadata)
{
  for (guint i = 0; i < metadata->volumes->len; i++)
    if (((RametVolumeRef *) g_ptr_array_index (metadata->volumes, i))->spare)
      return TRUE;
  return metadata->points->len > 0;
}

/** ramet_doctor_check_snapshots: snapshots that were cut off in the middle, and what was done to them on the side */
gboolean
ramet_doctor_check_snapshots (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      RametVm *vm = ((RametPatient *) g_ptr_array_index (doctor->patients, i))->vm;
      RametState state = ramet_vm_get_state (vm);
      g_autoptr (GError) why = NULL;

      if ((state != RAMET_STATE_READY && state != RAMET_STATE_RAW) || !has_points (vm->metadata))
        continue;
      if (!look_at (doctor, vm, &why) && ramet_domain_exists (doctor->connection, ramet_vm_get_name (vm)))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  return TRUE;
}
