/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What went wrong, in the words of the exit status table (see ramet_error_exit_status()). */
typedef enum
{
  RAMET_ERROR_FAILED,    /* libvirtd down, pool inactive, disk full, all else */
  RAMET_ERROR_USAGE,     /* wrong usage, bad names among it */
  RAMET_ERROR_NOT_FOUND, /* a named thing is not there */
  RAMET_ERROR_STATE,     /* it exists already, or its state forbids */
  RAMET_ERROR_REFUSED,   /* unsafe, unsupported or not permitted */
  RAMET_ERROR_PARTLY,    /* done for some of several VMs */
  RAMET_ERROR_TIMEOUT,   /* a deadline passed */
  RAMET_ERROR_CANCELLED, /* Ctrl-C */
  RAMET_ERROR_LOST,      /* a connection or stream ended */
  RAMET_ERROR_FORGED,    /* a console frame that nobody of ours sent */
} RametErrorCode;

#define RAMET_ERROR (ramet_error_quark ())
GQuark ramet_error_quark (void);

void ramet_error_set (GError **error, RametErrorCode code, const char *format, ...) G_GNUC_PRINTF (3, 4);
void ramet_error_hint (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);
const char *ramet_error_get_hint (const GError *error);
int ramet_error_exit_status (const GError *error);
RametErrorCode ramet_error_code_of_status (int status);

/* Several errors found in one pass, told all at once. */
typedef GPtrArray RametFindings;

RametFindings *ramet_findings_new (void);
void ramet_findings_take (RametFindings *findings, GError *error);
gboolean ramet_findings_raise (RametFindings *findings, GError **error);
const GError *ramet_error_get_next (const GError *error);

/* One for each of several things done side by side, in their order; NULL where it went well. */
typedef GPtrArray RametErrors;

RametErrors *ramet_errors_new (guint n);
void ramet_errors_set (RametErrors *errors, guint index, GError *error);
gboolean ramet_errors_raise (RametErrors *errors, GError **error);
