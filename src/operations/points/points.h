/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/files/image.h"
#include "model/domain.h"
#include "model/identity.h"
#include "operations/vm/vm.h"

/* A disk that points are made of: its file is ramet's, and the VM writes to it. */
typedef struct
{
  char *target;
  const RametVolumeRef *volume; /* in the VM's metadata */
  GPtrArray *chain;             /* (element-type RametImage): that file, and all that it stands on */
} RametPointDisk;

/* What keeps points from being what they were. */
typedef enum
{
  RAMET_POINT_TROUBLE_DISKS,    /* the VM's disks are not what they should be, or others made snapshots: no point is safe */
  RAMET_POINT_TROUBLE_LAYER,    /* a point's layer is gone or was written to, and with it all that stands on it */
  RAMET_POINT_TROUBLE_MEMORY,   /* a point's memory is gone or was written to */
  RAMET_POINT_TROUBLE_RECORD,   /* libvirt knows a point no more */
  RAMET_POINT_TROUBLE_LEFTOVER, /* something was cut off in the middle */
} RametPointTroubleKind;

typedef struct
{
  RametPointTroubleKind kind;
  char *point; /* or NULL */
  char *text;
  char *hint;
} RametPointTrouble;

/* A VM and its points, looked at rather than believed. */
typedef struct
{
  RametVm *vm;
  char *xml;               /* of its next start, passwords among it */
  RametDomainFacts *facts; /* of the same */
  GPtrArray *disks;        /* (element-type RametPointDisk) */
  GPtrArray *troubles;     /* (element-type RametPointTrouble) */
  char *worker;            /* that this process has put into the metadata, or NULL */
} RametPointVm;

void ramet_point_trouble_free (gpointer trouble);
RametPointVm *ramet_point_vm_open (RametConnection *connection, const char *name, GError **error);
void ramet_point_vm_free (RametPointVm *pvm);
gboolean ramet_point_vm_look (RametPointVm *pvm, GError **error);
gboolean ramet_point_vm_claim (RametPointVm *pvm, const char *verb, GError **error);
void ramet_point_vm_release (RametPointVm *pvm);
const char *ramet_point_vm_name (const RametPointVm *pvm);
RametConnection *ramet_point_vm_connection (const RametPointVm *pvm);
gboolean ramet_point_vm_save (RametPointVm *pvm, GError **error);
gboolean ramet_point_vm_is_worked_on (const RametPointVm *pvm);
char *ramet_point_vm_nvram (const RametPointVm *pvm);
gboolean ramet_point_vm_add_layers (const RametPointVm *pvm, RametOverlay *overlay, const char *file, const char *format,
                                    GError **error);
gboolean ramet_point_vm_define (RametPointVm *pvm, GPtrArray *overlays, GError **error);

const RametPointTrouble *ramet_point_vm_trouble (const RametPointVm *pvm, const RametPoint *point);
gboolean ramet_point_vm_check (const RametPointVm *pvm, const char *verb, const RametPoint *point, GError **error);
gboolean ramet_point_vm_check_shares (const RametPointVm *pvm, const char *verb, const char *then, GError **error);
RametPoint *ramet_point_vm_find (const RametPointVm *pvm, const char *name, GError **error);
gboolean ramet_point_vm_add_holders (RametPointVm *pvm, GHashTable *held, GPtrArray *names, const RametPoint *point,
                                     GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametPointVm, ramet_point_vm_free)
