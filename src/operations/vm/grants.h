/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "operations/vm/vm.h"

/*
 * The access to files that was given to QEMU's user for a VM, as its metadata record it. Others may come to live by it: when
 * the VM goes, one of those takes the record over, at any time. So whoever writes what it read before does that by
 * ramet_grants_write(); around the others ramet_lock_grants() is to be held.
 */
gboolean ramet_grants_write (RametDomain *domain, RametMetadata *metadata, GError **error);
gboolean ramet_grants_keep (RametDomain *domain, RametMetadata *metadata, GError **error);
gboolean ramet_grants_take_back (RametVm *vm, RametTask *task, GError **error);
