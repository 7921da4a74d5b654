/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "operations/vm/vm.h"

char *ramet_log_serial_path (RametConnection *connection, const char *name, const char *uuid);
char *ramet_log_read_setup (const char *name, RametVm *vm, GError **error);
char *ramet_log_find_serial (RametVm *vm, GError **error);
char *ramet_log_read_serial (RametVm *vm, RametTask *task, const char *path, guint64 *at, gboolean only_lines, GError **error);
void ramet_log_remove (RametVm *vm, RametTask *task, gboolean setup_too);
