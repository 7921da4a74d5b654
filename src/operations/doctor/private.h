/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/files/access.h"
#include "model/domain.h"
#include "operations/doctor/doctor.h"
#include "operations/vm/vm.h"

/* A domain, and what its definition says. */
typedef struct
{
  RametVm *vm;
  char *xml;               /* of its next start */
  RametDomainFacts *facts;
} RametPatient;

/* One visit. */
typedef struct
{
  RametConnection *connection; /* or NULL */
  const GError *no_connection; /* why */
  RametTask *task;
  gboolean fix;
  GPtrArray *patients;  /* (element-type RametPatient): all domains by name; empty without a connection */
  GPtrArray *diagnoses; /* (element-type RametDiagnosis) */
  const char *check;    /* the id of the check that runs */
  RametAccount *qemu;   /* looked up when first needed */
} RametDoctor;

/* A check that could not look says so by @error; what it finds is no error. */
typedef gboolean (*RametDoctorFunc) (RametDoctor *doctor, GError **error);

RametDiagnosis *ramet_doctor_find (RametDoctor *doctor, RametSeverity severity, const char *subject,
                                   const char *format, ...) G_GNUC_PRINTF (4, 5);
void ramet_diagnosis_explain (RametDiagnosis *diagnosis, const char *why, const char *remedy_format, ...)
  G_GNUC_PRINTF (3, 4);
void ramet_diagnosis_mended (RametDiagnosis *diagnosis, const char *format, ...) G_GNUC_PRINTF (2, 3);
const RametAccount *ramet_doctor_get_qemu (RametDoctor *doctor, GError **error);

gboolean ramet_patient_is_ours (const RametPatient *patient);
gboolean ramet_patient_has_clones (const RametDoctor *doctor, const RametPatient *patient);

/* doctor-cut-off.c */
gboolean ramet_doctor_check_cut_off (RametDoctor *doctor, GError **error);

/* doctor-snapshots.c */
gboolean ramet_doctor_check_snapshots (RametDoctor *doctor, GError **error);

/* doctor-templates.c */
gboolean ramet_doctor_check_templates (RametDoctor *doctor, GError **error);

/* doctor-vms.c */
gboolean ramet_doctor_check_disks (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_drift (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_running_bases (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_consoles (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_guest_kernels (RametDoctor *doctor, GError **error);

/* doctor-storage.c */
gboolean ramet_doctor_check_pools (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_stray_pools (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_stray_files (RametDoctor *doctor, GError **error);

/* doctor-network.c */
gboolean ramet_doctor_check_networks (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_avahi (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_firewall (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_nsswitch (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_names (RametDoctor *doctor, GError **error);

/* doctor-host.c */
gboolean ramet_doctor_check_kvm (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_apparmor (RametDoctor *doctor, GError **error);
gboolean ramet_doctor_check_ssh (RametDoctor *doctor, GError **error);
