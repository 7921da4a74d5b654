/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

/* A program that ran to its end. Clear with ramet_process_result_clear(). */
typedef struct
{
  int status;   /* exit status 0–255, or 128 and the signal that ended it */
  char *output; /* its stdout and stderr as they came: any bytes but NUL, NUL-terminated */
  char *errors;
} RametProcessResult;

void ramet_process_result_clear (RametProcessResult *result);
gboolean ramet_process_run (RametTask *task, const char *const *argv, int stdin_fd, gint64 deadline_us,
                            RametProcessResult *ret_result, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametProcessResult, ramet_process_result_clear)
