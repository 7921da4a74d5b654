/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest/agent.h"
#include "host/libvirt/storage.h"
#include "model/host-files.h"
#include "operations/base/drift.h"
#include "operations/doctor/private.h"
#include "operations/vm/lifecycle.h"

#define AGENT_PATIENCE_US (3 * G_TIME_SPAN_SECOND)

static const RametPatient *
patient_at (RametDoctor *doctor, guint i)
{
  return g_ptr_array_index (doctor->patients, i);
}

static const char *
remove_command (const RametVm *vm)
{
  RametState state = ramet_vm_get_state (vm);

  return state == RAMET_STATE_BASE ? "base remove" : state == RAMET_STATE_TEMPLATE ? "template remove" : "remove";
}

static gboolean
look_at_disk (RametDoctor *doctor, const RametVm *vm, const RametDomainDisk *disk, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  gboolean there = TRUE;
  RametDiagnosis *found;

  if (!ramet_volume_is_there (doctor->connection, disk->path, &there, error))
    return FALSE;
  if (there)
    return TRUE;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name, "the disk '%s' of '%s' is gone: '%s'", disk->target, name,
                             disk->path);
  ramet_diagnosis_explain (found, "it cannot start without it",
                           "put the file back; if it is lost, and what was on it with it: 'ramet %s %s'",
                           remove_command (vm), name);
  return TRUE;
}

/** ramet_doctor_check_disks: whether the files of our VMs' disks are there */
gboolean
ramet_doctor_check_disks (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = patient_at (doctor, i);

      for (guint j = 0; ramet_patient_is_ours (patient) && j < patient->facts->disks->len; j++)
        {
          const RametDomainDisk *disk = g_ptr_array_index (patient->facts->disks, j);

          if (disk->path && g_strcmp0 (disk->type, "file") == 0 && !look_at_disk (doctor, patient->vm, disk, error))
            return FALSE;
        }
    }
  return TRUE;
}

/** ramet_doctor_check_drift: whether what our clones stand on is still what it was */
gboolean
ramet_doctor_check_drift (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametVm *vm = patient_at (doctor, i)->vm;
      const char *name = ramet_vm_get_name (vm);
      g_autoptr (GPtrArray) changes = NULL;

      if (!ramet_patient_is_ours (patient_at (doctor, i)))
        continue;
      changes = ramet_drift_find (doctor->connection, vm->metadata, error);
      if (changes == NULL)
        return FALSE;
      for (guint j = 0; j < changes->len; j++)
        {
          const char *change = g_ptr_array_index (changes, j);
          RametDiagnosis *found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name,
                                                     "what '%s' stands on has changed: %s", name, change);

          ramet_diagnosis_explain (found, "its guest may read garbage from its disk, which no check of the disk finds; "
                                          "'ramet start' refuses it",
                                   "put the file back as it was; if it was only moved: 'ramet rebase %s'; else 'ramet "
                                   "remove %s', and clone anew", name, name);
        }
    }
  return TRUE;
}

static gboolean
look_at_parent (RametDoctor *doctor, const RametPatient *patient, GError **error)
{
  const char *name = ramet_vm_get_name (patient->vm);
  gboolean is_template = ramet_vm_get_state (patient->vm) == RAMET_STATE_TEMPLATE;
  g_autoptr (GPtrArray) users = is_template ? ramet_lifecycle_known_clones_of (patient->vm, error) : NULL;
  gboolean has_clones = is_template ? users && users->len > 0 : ramet_patient_has_clones (doctor, patient);
  RametDiagnosis *found;

  if (is_template && users == NULL)
    return FALSE;
  if (!has_clones && !ramet_vm_is_parent (patient->vm))
    return TRUE;
  found = ramet_doctor_find (doctor, has_clones ? RAMET_SEVERITY_ERROR : RAMET_SEVERITY_WARNING, name, "the %s '%s' is %s",
                             is_template ? "template" : "base", name, ramet_run_name (patient->vm->run));
  ramet_diagnosis_explain (found,
                           is_template ? "what it writes to its disk breaks the clones that stand on it, and makes it of no use "
                                         "for more"
                                       : "what it writes to its disk breaks the clones that stand on it, and its root console "
                                         "is open to all who may talk to libvirt",
                           patient->vm->run == RAMET_RUN_SAVED ? "'virsh managedsave-remove %s'" : "'virsh shutdown %s'",
                           name);
  return TRUE;
}

/** ramet_doctor_check_running_bases: whoever made them; templates, too */
gboolean
ramet_doctor_check_running_bases (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = patient_at (doctor, i);

      if (patient->vm->run != RAMET_RUN_OFF && !look_at_parent (doctor, patient, error))
        return FALSE;
    }
  return TRUE;
}

/** ramet_doctor_check_consoles: clones whose root console was never closed; those of bases are meant to be open */
gboolean
ramet_doctor_check_consoles (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = patient_at (doctor, i);
      const char *name = ramet_vm_get_name (patient->vm);
      RametDiagnosis *found;

      if (ramet_vm_get_state (patient->vm) != RAMET_STATE_RAW || ramet_patient_has_clones (doctor, patient))
        continue;
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name,
                                 "the root console of '%s' is open: it was made with --no-bootstrap", name);
      ramet_diagnosis_explain (found, "all who may talk to libvirt are root in it, and it shares its base's identity",
                               "to work in, make one without --no-bootstrap: 'ramet remove %s', then 'ramet clone %s %s'",
                               name, patient->vm->metadata->base_name ? patient->vm->metadata->base_name : "BASE", name);
    }
  return TRUE;
}

static void
look_at_kernel (RametDoctor *doctor, const RametVm *vm)
{
  const char *name = ramet_vm_get_name (vm);
  g_autoptr (GError) why = NULL;
  g_autofree char *command = ramet_agent_command_plain ("guest-get-osinfo");
  g_autofree char *answer =
    ramet_agent_ask (vm->domain, doctor->task, command, g_get_monotonic_time () + AGENT_PATIENCE_US, &why);
  g_autofree char *kernel = answer ? ramet_osinfo_get_kernel (answer) : NULL;
  RametDiagnosis *found;

  if (kernel == NULL)
    ramet_task_note (doctor->task, "cannot ask '%s' for its kernel: %s", name,
                     why ? why->message : "its agent's answer tells none");
  if (kernel == NULL || !ramet_kernel_breaks_9p (kernel))
    return;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "'%s' runs Linux %s, whose 9p is broken", name, kernel);
  ramet_diagnosis_explain (found, "with Linux 6.9 to 6.11, files of a share may be read wrong, or not at all",
                           "install another kernel in it, older or from 6.12 on: 'ramet ssh %s'", name);
}

/** ramet_doctor_check_guest_kernels: of running VMs that have a share */
gboolean
ramet_doctor_check_guest_kernels (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = patient_at (doctor, i);

      if (ramet_vm_get_state (patient->vm) == RAMET_STATE_READY && patient->vm->run == RAMET_RUN_RUNNING &&
          patient->vm->metadata->shares->len > 0)
        look_at_kernel (doctor, patient->vm);
    }
  return TRUE;
}
