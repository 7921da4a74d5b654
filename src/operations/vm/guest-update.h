/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "operations/vm/vm.h"

#define RAMET_GUEST_UPDATE_PATIENCE_S 600 /* a guest that boots on a busy host takes its time */

gboolean ramet_guest_update (RametVm *vm, RametTask *task, gint64 deadline_us, GError **error);
gboolean ramet_guest_grow (RametVm *vm, RametTask *task);
gboolean ramet_guest_update_is_due (RametVm *vm);
gboolean ramet_guest_update_after_start (RametVm *vm, RametTask *task, GError **error);
