/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"
#include "core/task.h"
#include "operations/vm.h"

/* What is done with each VM of a command that takes several. */
typedef gboolean (*RametEachFunc) (RametVm *vm, RametTask *task, gpointer data, GError **error);

GPtrArray *ramet_expand_names (RametInvocation *invocation, char **names, GError **error);
gboolean ramet_each_vm (RametInvocation *invocation, char **names, RametEachFunc func, gpointer data, GError **error);
gboolean ramet_confirm_removal (char **names, gboolean yes, GError **error);
