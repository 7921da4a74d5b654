/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/doctor/private.h"

/* What a check cannot do without. */
typedef enum
{
  NEEDS_NOTHING = 0,
  NEEDS_CONNECTION = 1 << 0,
  NEEDS_THIS_HOST = 1 << 1, /* libvirtd's host is this one, or would be: it may be down */
} Needs;

static gboolean
check_libvirt (RametDoctor *doctor, GError **error)
{
  RametDiagnosis *found;

  if (doctor->connection)
    return TRUE;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, NULL, "%s", doctor->no_connection->message);
  ramet_diagnosis_explain (found, "without it there are no VMs, and half of what is to be looked at here is out of sight",
                           "%s", ramet_error_get_hint (doctor->no_connection));
  return TRUE;
}

/* All that is looked at, in this order: what is mended first may be what the next stumbles over. */
static const struct
{
  const char *id;
  Needs needs;
  RametDoctorFunc look;
} checks[] = {
  { "libvirt", NEEDS_NOTHING, check_libvirt },
  { "cut-off", NEEDS_CONNECTION, ramet_doctor_check_cut_off },
  { "snapshot", NEEDS_CONNECTION, ramet_doctor_check_snapshots },
  { "stray-pool", NEEDS_CONNECTION, ramet_doctor_check_stray_pools },
  { "pool", NEEDS_CONNECTION, ramet_doctor_check_pools },
  { "disk", NEEDS_CONNECTION, ramet_doctor_check_disks },
  { "drift", NEEDS_CONNECTION, ramet_doctor_check_drift },
  { "template", NEEDS_CONNECTION | NEEDS_THIS_HOST, ramet_doctor_check_templates },
  { "running-base", NEEDS_CONNECTION, ramet_doctor_check_running_bases },
  { "stray-file", NEEDS_CONNECTION, ramet_doctor_check_stray_files },
  { "console", NEEDS_CONNECTION, ramet_doctor_check_consoles },
  { "network", NEEDS_CONNECTION, ramet_doctor_check_networks },
  { "avahi", NEEDS_THIS_HOST, ramet_doctor_check_avahi },
  { "firewall", NEEDS_CONNECTION | NEEDS_THIS_HOST, ramet_doctor_check_firewall },
  { "nsswitch", NEEDS_NOTHING, ramet_doctor_check_nsswitch },
  { "name", NEEDS_CONNECTION | NEEDS_THIS_HOST, ramet_doctor_check_names },
  { "kvm", NEEDS_THIS_HOST, ramet_doctor_check_kvm },
  { "apparmor", NEEDS_CONNECTION | NEEDS_THIS_HOST, ramet_doctor_check_apparmor },
  { "guest-kernel", NEEDS_CONNECTION, ramet_doctor_check_guest_kernels },
  { "ssh", NEEDS_NOTHING, ramet_doctor_check_ssh },
};

/** ramet_severity_name: (transfer none): the word that people and JSON read */
const char *
ramet_severity_name (RametSeverity severity)
{
  static const char *const names[] = { "note", "warning", "error" };

  return names[severity];
}

void
ramet_diagnosis_free (RametDiagnosis *diagnosis)
{
  g_free (diagnosis->subject);
  g_free (diagnosis->what);
  g_free (diagnosis->why);
  g_free (diagnosis->remedy);
  g_free (diagnosis->mended);
  g_free (diagnosis);
}

/** ramet_doctor_find: (transfer none): notes what was found; ramet_diagnosis_explain() tells the rest */
RametDiagnosis *
ramet_doctor_find (RametDoctor *doctor, RametSeverity severity, const char *subject, const char *format, ...)
{
  RametDiagnosis *found = g_new0 (RametDiagnosis, 1);
  va_list args;

  found->check = doctor->check;
  found->severity = severity;
  found->subject = g_strdup (subject);
  va_start (args, format);
  found->what = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (doctor->diagnoses, found);
  return found;
}

/** ramet_diagnosis_explain: why it matters, and what to type */
void
ramet_diagnosis_explain (RametDiagnosis *diagnosis, const char *why, const char *remedy_format, ...)
{
  va_list args;

  diagnosis->why = g_strdup (why);
  va_start (args, remedy_format);
  diagnosis->remedy = g_strdup_vprintf (remedy_format, args);
  va_end (args);
}

/** ramet_diagnosis_mended: what was done about it, so that it is true no more */
void
ramet_diagnosis_mended (RametDiagnosis *diagnosis, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  diagnosis->mended = g_strdup_vprintf (format, args);
  va_end (args);
}

/** ramet_doctor_get_qemu: (transfer none): who QEMU runs as */
const RametAccount *
ramet_doctor_get_qemu (RametDoctor *doctor, GError **error)
{
  uid_t uid;
  gid_t gid;

  if (doctor->qemu == NULL && ramet_connection_get_qemu_user (doctor->connection, &uid, &gid, error))
    doctor->qemu = ramet_account_new (uid, gid);
  return doctor->qemu;
}

/** ramet_patient_is_ours: made by ramet, and whole; others are looked after by their owners */
gboolean
ramet_patient_is_ours (const RametPatient *patient)
{
  RametState state = ramet_vm_get_state (patient->vm);

  return state == RAMET_STATE_READY || state == RAMET_STATE_RAW || ramet_vm_is_parent (patient->vm);
}

/** ramet_patient_has_clones: whoever made it; those of a VM to work in stand on its snapshots, not on what it writes to */
gboolean
ramet_patient_has_clones (const RametDoctor *doctor, const RametPatient *patient)
{
  for (guint i = 0; ramet_vm_get_state (patient->vm) != RAMET_STATE_READY && i < doctor->patients->len; i++)
    {
      const RametPatient *other = g_ptr_array_index (doctor->patients, i);

      if (other->vm->metadata && g_strcmp0 (other->vm->metadata->base_uuid, patient->facts->uuid) == 0)
        return TRUE;
    }
  return FALSE;
}

static void
patient_free (gpointer data)
{
  RametPatient *patient = data;

  ramet_vm_free (patient->vm);
  g_free (patient->xml);
  g_clear_pointer (&patient->facts, ramet_domain_facts_free);
  g_free (patient);
}

/* One that has gone since it was listed is left out. */
static gboolean
admit_patients (RametDoctor *doctor, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (doctor->connection, error);

  while (vms && vms->len > 0)
    {
      RametPatient *patient = g_new0 (RametPatient, 1);

      patient->vm = g_ptr_array_steal_index (vms, 0);
      patient->xml = ramet_domain_get_xml (patient->vm->domain, TRUE, NULL);
      patient->facts = patient->xml ? ramet_domain_facts_new (patient->xml, NULL) : NULL;
      if (patient->facts)
        g_ptr_array_add (doctor->patients, patient);
      else
        patient_free (patient);
    }
  return vms != NULL;
}

static gboolean
may_look (RametDoctor *doctor, Needs needs)
{
  if ((needs & NEEDS_CONNECTION) && doctor->connection == NULL)
    return FALSE;
  return !(needs & NEEDS_THIS_HOST) || doctor->connection == NULL || ramet_connection_is_local (doctor->connection);
}

static gboolean
look_at_all (RametDoctor *doctor, GError **error)
{
  for (gsize i = 0; i < G_N_ELEMENTS (checks); i++)
    {
      g_autoptr (GError) why = NULL;

      if (!ramet_task_check (doctor->task, error))
        return FALSE;
      ramet_task_note (doctor->task, "looking: %s", checks[i].id);
      doctor->check = checks[i].id;
      if (!may_look (doctor, checks[i].needs))
        ramet_task_note (doctor->task, "cannot look: %s",
                         doctor->connection ? "libvirtd is on another host" : "libvirt cannot be reached");
      else if (!checks[i].look (doctor, &why) && g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      else if (why)
        ramet_task_note (doctor->task, "cannot look: %s", why->message);
    }
  return TRUE;
}

/**
 * ramet_doctor_run:
 * @connection: (nullable): without one, only what this host tells is looked at
 * @no_connection: why there is none, if there is none
 * @fix: mend what ramet itself left behind
 * @error: interrupted, or libvirt's list of VMs cannot be read; what is found is no error
 *
 * Returns: (transfer full) (element-type RametDiagnosis): what is not as it should be
 */
GPtrArray *
ramet_doctor_run (RametConnection *connection, const GError *no_connection, RametTask *task, gboolean fix,
                  GError **error)
{
  g_autoptr (GPtrArray) patients = g_ptr_array_new_with_free_func (patient_free);
  g_autoptr (GPtrArray) diagnoses = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_diagnosis_free);
  RametDoctor doctor = { .connection = connection, .no_connection = no_connection, .task = task, .fix = fix,
                         .patients = patients, .diagnoses = diagnoses };
  gboolean looked;

  looked = (connection == NULL || admit_patients (&doctor, error)) && look_at_all (&doctor, error);
  g_clear_pointer (&doctor.qemu, ramet_account_free);
  return looked ? g_steal_pointer (&diagnoses) : NULL;
}
