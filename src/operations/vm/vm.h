/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/error.h"
#include "host/libvirt/domain.h"

/* A domain together with what ramet remembers of it. */
typedef struct
{
  RametDomain *domain;
  RametMetadata *metadata; /* NULL if it is none of ramet's */
  RametRun run;
} RametVm;

RametVm *ramet_vm_open (RametConnection *connection, const char *name, GError **error);
RametVm *ramet_vm_open_ours (RametConnection *connection, const char *name, GError **error);
GPtrArray *ramet_vm_list (RametConnection *connection, GError **error);
GPtrArray *ramet_vm_list_others (const RametVm *vm, GError **error);
void ramet_vm_free (RametVm *vm);
const char *ramet_vm_get_name (const RametVm *vm);
RametState ramet_vm_get_state (const RametVm *vm);
gboolean ramet_vm_is_clone (const RametVm *vm);
gboolean ramet_vm_is_parent (const RametVm *vm);
gboolean ramet_vm_check_free (const RametVm *vm, const char *verb, GError **error);
char *ramet_vm_host_name (const char *name);
char *ramet_vms_describe (GPtrArray *vms);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametVm, ramet_vm_free)
