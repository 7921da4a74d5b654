/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <glib/gstdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/paths.h"
#include "host/kernel-log.h"
#include "host/virtualization.h"
#include "model/host-files.h"
#include "operations/doctor/private.h"

/* One of ours that is to run under KVM, or NULL. */
static const char *
find_kvm_vm (RametDoctor *doctor)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = g_ptr_array_index (doctor->patients, i);

      if (ramet_patient_is_ours (patient) && g_strcmp0 (patient->facts->type, "kvm") == 0)
        return ramet_vm_get_name (patient->vm);
    }
  return NULL;
}

static void
diagnose_kvm (RametDoctor *doctor, const char *why_not, const char *remedy)
{
  const char *vm = find_kvm_vm (doctor);
  RametDiagnosis *found = vm ? ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, vm, "KVM cannot be used, but '%s' wants it: "
                                                  "%s", vm, why_not)
                             : ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, NULL, "KVM cannot be used: %s", why_not);

  ramet_diagnosis_explain (found, "guests are emulated without it, some ten times as slow, and one that wants it does not "
                                  "start", "%s", remedy);
}

/** ramet_doctor_check_kvm: whether guests run at full speed, and if not, why */
gboolean
ramet_doctor_check_kvm (RametDoctor *doctor, GError **error)
{
  g_autofree char *why_not = NULL;
  const RametAccount *qemu;
  gboolean may = TRUE;

  if (!ramet_virtualization_has_kvm (&why_not))
    {
      diagnose_kvm (doctor, why_not,
                    g_str_has_prefix (why_not, "/dev/kvm")
                      ? "'sudo modprobe kvm_intel' or 'sudo modprobe kvm_amd', whichever the CPU is; 'dmesg' tells why not"
                      : "switch on VT-x or AMD-V (SVM) in the firmware's setup; in a VM, have nested virtualization "
                        "switched on by its host");
      return TRUE;
    }
  if (doctor->connection == NULL)
    return TRUE;
  qemu = ramet_doctor_get_qemu (doctor, error);
  if (qemu == NULL || !ramet_access_may ("/dev/kvm", qemu, R_OK | W_OK, &may, error))
    return FALSE;
  if (!may)
    {
      g_autofree char *reason = g_strdup_printf ("QEMU's user '%s' may not open /dev/kvm", qemu->name);
      g_autofree char *remedy = g_strdup_printf ("'sudo adduser %s kvm', then 'sudo systemctl restart libvirtd'; /dev/kvm "
                                                 "itself should be of group kvm, mode 0660", qemu->name);

      diagnose_kvm (doctor, reason, remedy);
    }
  return TRUE;
}

/* Whether @path, which was denied, is something that the VM cannot do without: noise is denied all the time. */
static gboolean
is_needed (const RametPatient *patient, const char *path)
{
  const RametMetadata *metadata = patient->vm->metadata;

  for (guint i = 0; i < metadata->shares->len; i++)
    if (g_str_has_prefix (path, ((RametShare *) g_ptr_array_index (metadata->shares, i))->source))
      return TRUE;
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    if (g_str_equal (path, ((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, i))->path))
      return TRUE;
  for (guint i = 0; i < patient->facts->disks->len; i++)
    if (g_strcmp0 (path, ((RametDomainDisk *) g_ptr_array_index (patient->facts->disks, i))->path) == 0)
      return TRUE;
  return FALSE;
}

static void
look_at_denials (RametDoctor *doctor, const RametPatient *patient, const char *log)
{
  const char *name = ramet_vm_get_name (patient->vm);
  g_autoptr (GPtrArray) denials = ramet_apparmor_list_denials (log, patient->facts->uuid);

  for (guint i = denials->len; i-- > 0;)
    {
      const char *path = g_ptr_array_index (denials, i);
      RametDiagnosis *found;

      if (!is_needed (patient, path))
        continue;
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "AppArmor has denied '%s' to '%s'", path, name);
      ramet_diagnosis_explain (found, "the guest sees an I/O error, or does not start",
                               "add a rule for it to /etc/apparmor.d/local/abstractions/libvirt-qemu ('%s r,'), then stop and "
                               "start '%s'", path, name);
      return; /* the last says enough */
    }
}

/** ramet_doctor_check_apparmor: whether libvirt's confinement is whole, and what it kept from our VMs */
gboolean
ramet_doctor_check_apparmor (RametDoctor *doctor, GError **error)
{
  static const char *const helpers[] = { "/usr/lib/libvirt/virt-aa-helper", "/usr/libexec/virt-aa-helper",
                                         "/usr/libexec/libvirt/virt-aa-helper", "/usr/lib64/libvirt/virt-aa-helper" };
  g_autofree char *log = NULL;
  gboolean has_helper = FALSE;
  RametDiagnosis *found;

  if (!ramet_connection_has_security (doctor->connection, "apparmor"))
    return TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS (helpers); i++)
    has_helper = has_helper || access (helpers[i], X_OK) == 0;
  if (!has_helper)
    {
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, NULL, "libvirt confines guests by AppArmor, and its helper "
                                 "virt-aa-helper is not there");
      ramet_diagnosis_explain (found, "no VM can start", "'sudo apt install --reinstall libvirt-daemon-system libvirt-daemon'"
                               "%s", "");
    }
  log = ramet_kernel_log_read (error);
  for (guint i = 0; log && i < doctor->patients->len; i++)
    if (ramet_patient_is_ours (g_ptr_array_index (doctor->patients, i)))
      look_at_denials (doctor, g_ptr_array_index (doctor->patients, i), log);
  return log != NULL;
}

static void
look_at_own_key (RametDoctor *doctor)
{
  g_autofree char *path = ramet_paths_ssh_key ();
  RametDiagnosis *found;
  struct stat st;

  if (stat (path, &st) < 0 || (st.st_mode & 077) == 0 || st.st_uid != getuid ())
    return;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, path, "others may read ramet's ssh key '%s'", path);
  ramet_diagnosis_explain (found, "ssh does not use such a key, so 'ramet ssh' is not let in", "'ramet doctor --fix' or "
                           "'chmod 600 %s'", path);
  if (!doctor->fix)
    return;
  if (g_chmod (path, 0600) == 0)
    ramet_diagnosis_mended (found, "closed '%s' to others", path);
  else
    ramet_task_warn (doctor->task, "cannot close '%s': %s", path, g_strerror (errno));
}

/** ramet_doctor_check_ssh: what 'ramet ssh' needs outside of the guest; a user without a key gets one with the next clone */
gboolean
ramet_doctor_check_ssh (RametDoctor *doctor, GError **error)
{
  static const char *const programs[] = { "ssh", "ssh-keygen" };

  for (gsize i = 0; i < G_N_ELEMENTS (programs); i++)
    {
      g_autofree char *path = g_find_program_in_path (programs[i]);
      RametDiagnosis *found;

      if (path)
        continue;
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, programs[i], "the program '%s' is not there", programs[i]);
      ramet_diagnosis_explain (found, "'ramet ssh' and 'ramet clone' call it", "'sudo apt install openssh-client'%s", "");
    }
  look_at_own_key (doctor);
  return TRUE;
}
