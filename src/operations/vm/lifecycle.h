/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "operations/vm/vm.h"

#define RAMET_STOP_PATIENCE_S 120

/* How a verb treats one VM. */
typedef struct
{
  gboolean force;          /* pull the plug rather than ask the guest, and drop saved memory */
  gboolean despite_drift;  /* start although the base has changed */
  guint timeout_s;  /* seconds to wait for a guest to shut down */
} RametLifecycleOptions;

typedef gboolean (*RametLifecycleFunc) (RametVm *vm, RametTask *task, const RametLifecycleOptions *options,
                                        GError **error);

gboolean ramet_lifecycle_check_start (RametVm *vm, gboolean despite_drift, GError **error);
gboolean ramet_lifecycle_start (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error);
gboolean ramet_lifecycle_stop (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error);
gboolean ramet_lifecycle_restart (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error);
gboolean ramet_lifecycle_resume (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error);
gboolean ramet_lifecycle_remove (RametVm *vm, RametTask *task, const RametLifecycleOptions *options, GError **error);
GPtrArray *ramet_lifecycle_clones_of (RametVm *vm, GError **error);
GPtrArray *ramet_lifecycle_known_clones_of (RametVm *vm, GError **error);
