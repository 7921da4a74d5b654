/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "operations/vm/vm.h"

/* How an address was found. */
typedef enum
{
  RAMET_REACH_MDNS,  /* the name was answered by multicast DNS */
  RAMET_REACH_LEASE, /* by libvirt's DHCP lease or the guest agent */
} RametReachBy;

gboolean ramet_reach_find (RametVm *vm, RametTask *task, gint64 deadline_us, char **ret_address, RametReachBy *ret_by,
                           GError **error);
gboolean ramet_reach_wait (RametVm *vm, RametTask *task, gint64 deadline_us, char **ret_address, RametReachBy *ret_by,
                           GError **error);
gboolean ramet_reach_again (RametVm *vm, RametTask *task, gint64 deadline_us, GError **error);
