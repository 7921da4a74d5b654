/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "operations/vm/vm.h"

/* What a snapshot takes of its VM's own bytes. */
typedef struct
{
  const RametPoint *point; /* in the VM's metadata */
  guint64 disk_bytes;
  guint64 memory_bytes;
} RametPointCost;

/* What there is to tell of a VM. */
typedef struct
{
  RametVm *vm;
  char *uuid;
  char *address; /* or NULL */
  GPtrArray *macs; /* (element-type utf8) */
  guint64 memory_kib;
  guint vcpus;
  gboolean autostart;
  guint64 own_bytes;    /* what its own files take on their filesystem, as du counts; of others' VMs: their disks */
  guint64 shared_bytes; /* what the files take that it stands on, and others with it */
  GPtrArray *points;    /* (element-type RametPointCost): its snapshots */
} RametEntry;

GPtrArray *ramet_inventory_list (RametConnection *connection, gboolean all, const char *project, GError **error);
RametEntry *ramet_inventory_get (RametConnection *connection, const char *name, GError **error);
void ramet_entry_free (RametEntry *entry);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametEntry, ramet_entry_free)
