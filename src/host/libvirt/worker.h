/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Whether the process that makes or removes something is still at it. */
typedef enum
{
  RAMET_WORKER_AT_WORK,
  RAMET_WORKER_GONE,    /* it ended, or its machine was restarted since */
  RAMET_WORKER_UNKNOWN, /* on another machine, in another container, or never noted */
  RAMET_WORKER_KEPT,    /* it ended, and left its work lying on purpose */
} RametWorkerState;

#define RAMET_WORKER_KEPT_RECORD "kept"

char *ramet_worker_self (void);
RametWorkerState ramet_worker_look (const char *record);
gboolean ramet_worker_is_self (const char *record);
