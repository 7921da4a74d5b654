/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/points/points.h"

/* One VM of those that become a point together. */
typedef struct
{
  RametPointVm *pvm;
  RametPoint *point;    /* (owned): until it is recorded; then the metadata's */
  gboolean recorded;
  gboolean left;        /* it could not be taken back: the record stays, for mending */
  GPtrArray *disks;     /* (element-type RametSnapshotDisk): each disk that the VM has */
  char *nvram_source;   /* variables to copy, or NULL */
  guint64 memory_bytes; /* room for it; 0: without memory */
} RametPointMember;

GPtrArray *ramet_point_members_plan (RametConnection *connection, RametTask *task, GPtrArray *names, const char *snapshot,
                                     gboolean disk_only, GError **error);
void ramet_point_members_release (GPtrArray *members);
gboolean ramet_point_member_record (RametPointMember *member, GError **error);
gboolean ramet_point_member_unrecord (RametPointMember *member, GError **error);
gboolean ramet_point_member_finish (RametPointMember *member, GError **error);
