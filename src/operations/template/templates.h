/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/template-fit.h"
#include "operations/vm/vm.h"

/* Templates: VMs that are off for good, whose saved memory clones go on from. */

GPtrArray *ramet_templates_list (RametConnection *connection, GError **error);
gboolean ramet_template_why_unusable (const RametVm *vm, char **ret_why, GError **error);
gboolean ramet_template_fill_host (RametTemplate *template, RametConnection *connection, GError **error);
char *ramet_template_keys_digest (const char *ssh_keys);
gboolean ramet_template_remove (RametVm *vm, RametTask *task, GError **error);
