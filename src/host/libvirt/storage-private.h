/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/connection-private.h"
#include "host/libvirt/worker.h"

#define RAMET_POOL_PREFIX "ramet-" /* of transient pools; behind it who made it, see ramet_worker_self(), and a number */

char *ramet_pool_xml (const char *name, const char *folder);

/*
 * A pool over a folder: one that is there already, or else a transient one of ours, gone when this is closed: pools are
 * how a plain member of the group libvirt reaches files that are root's.
 */
typedef struct
{
  virStoragePoolPtr pool;
  gboolean transient;
  gboolean stale; /* it could not be read anew, so what it does not list may be there all the same */
} RametFolderPool;

gboolean ramet_folder_pool_open (RametConnection *connection, const char *folder, RametFolderPool *ret_pool,
                                 GError **error);
void ramet_folder_pool_close (RametFolderPool *folder);

gboolean ramet_folder_pool_is_ours (virStoragePoolPtr pool);
RametWorkerState ramet_folder_pool_worker (virStoragePoolPtr pool);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametFolderPool, ramet_folder_pool_close)
