/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"
#include "cli/results.h"
#include "core/task.h"
#include "operations/project/project.h"
#include "operations/vm/vm.h"

/* In which order the VMs of a project come, where its file says so. */
typedef enum
{
  RAMET_NAMES_AS_WRITTEN,
  RAMET_NAMES_FIRST_FIRST, /* each behind those that it comes after */
  RAMET_NAMES_LAST_FIRST,
} RametNamesOrder;

/* What is done with each VM of a command that takes several. */
typedef gboolean (*RametEachFunc) (RametVm *vm, RametTask *task, gpointer data, GError **error);

void ramet_names_set_no_project (const char *name, GError **error);
gboolean ramet_names_check_given (const char *command, gboolean or_name, GError **error);
GPtrArray *ramet_expand_names (RametInvocation *invocation, char **names, RametNamesOrder order, GError **error);
char *ramet_only_name (RametInvocation *invocation, GError **error);
void ramet_names_add_project_hint (const char *name, GError **error);
RametVm *ramet_open_named (RametInvocation *invocation, const char *name, GError **error);
gboolean ramet_each_vm (RametInvocation *invocation, char **names, RametNamesOrder order, RametEachFunc func,
                        gpointer data, GError **error);
gboolean ramet_confirm_removal (char **names, gboolean yes, GError **error);
