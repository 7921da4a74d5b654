/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/guest/agent.h"
#include "operations/vm/vm.h"

/*
 * A mounted share keeps QEMU from saving a guest's memory. What is detached and who was stopped for it is remembered in
 * the guest's own memory, so that attaching finds it there after a saved image is loaded, too.
 */
typedef struct
{
  gboolean stop_users; /* services that hold a share are stopped, and started again when it is attached */
  gboolean kill_users; /* other processes that hold one are ended */
  gint64 deadline_us;  /* monotonic time, see g_get_monotonic_time() */
} RametGuestSharesOptions;

gboolean ramet_guest_shares_has_any (const RametVm *vm);
gboolean ramet_guest_shares_detach (GPtrArray *vms, RametTask *task, const RametGuestSharesOptions *options,
                                    GError **error);
gboolean ramet_guest_shares_check_restored (RametVm *vm, RametTask *task, const RametAgentOutcome *outcome, GError **error);
gboolean ramet_guest_shares_attach_undo (gpointer vms, GError **error);
