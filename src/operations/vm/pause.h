/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/vm/vm.h"

#define RAMET_PAUSE_PATIENCE_S 60

typedef struct
{
  gboolean stop_users; /* services that use a share are stopped, and started again by ramet_resume() */
  gboolean kill_users; /* other processes that use one are ended */
  guint timeout_s;     /* for the guests to let go of their shares */
} RametPauseOptions;

gboolean ramet_pause_to_disk (GPtrArray *vms, RametTask *task, const RametPauseOptions *options, GError **error);
RametErrors *ramet_resume (GPtrArray *vms, RametTask *task);
