/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What becomes of a disk in libvirt's snapshot. */
typedef struct
{
  char *target;  /* "vda" */
  char *overlay; /* path of the new layer, or NULL: the disk is no part of it */
} RametSnapshotDisk;

RametSnapshotDisk *ramet_snapshot_disk_new (const char *target, const char *overlay);
void ramet_snapshot_disk_free (RametSnapshotDisk *disk);
char *ramet_snapshot_xml (const char *name, const char *memory, GPtrArray *disks);
gboolean ramet_snapshot_split (const char *xml, char **ret_live, char **ret_inactive, GError **error);
char *ramet_snapshot_helper_xml (const char *domain_xml, const char *name, const char *target, GPtrArray *chain,
                                 GError **error);
