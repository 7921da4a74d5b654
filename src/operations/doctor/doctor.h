/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/libvirt/connection.h"

typedef enum
{
  RAMET_SEVERITY_NOTE,    /* good to know */
  RAMET_SEVERITY_WARNING, /* something works worse than it could, or will not work some day */
  RAMET_SEVERITY_ERROR,   /* something does not work, or data are at risk */
} RametSeverity;

/* Something that is not as it should be. */
typedef struct
{
  const char *check; /* the id of the check that found it */
  RametSeverity severity;
  char *subject; /* the VM, pool or the like, or NULL */
  char *what;
  char *why;    /* it matters */
  char *remedy; /* what to type, or NULL */
  char *mended; /* what was done about it, or NULL */
} RametDiagnosis;

const char *ramet_severity_name (RametSeverity severity);
void ramet_diagnosis_free (RametDiagnosis *diagnosis);
GPtrArray *ramet_doctor_run (RametConnection *connection, const GError *no_connection, RametTask *task, gboolean fix,
                             GError **error);
