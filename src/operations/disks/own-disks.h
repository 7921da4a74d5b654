/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "host/files/image.h"
#include "operations/vm/vm.h"

/* A disk of a clone's whose file ramet made. */
typedef struct
{
  char *target;                 /* "vda" */
  const RametVolumeRef *volume; /* in the VM's metadata */
  RametImage *image;            /* the file itself, without what it stands on */
} RametOwnDisk;

GPtrArray *ramet_own_disks_open (RametVm *vm, const char *verb, GError **error);
const RametOwnDisk *ramet_own_disks_find (GPtrArray *disks, const char *target);
gboolean ramet_own_disks_still_off (RametVm *vm, GPtrArray *disks, const char *verb, GError **error);
