/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/connection-private.h"

#define RAMET_POOL_PREFIX "ramet-" /* of transient pools; behind it who made it, see ramet_worker_self(), and a number */

/*
 * A pool over a folder: one that is there already, or else a transient one that goes with its last reference: pools are
 * how a plain member of the group libvirt reaches files that are root's.
 */
typedef struct
{
  virStoragePoolPtr pool;
  gboolean transient;
} RametFolderPool;

gboolean ramet_folder_pool_open (RametConnection *connection, const char *folder, RametFolderPool *ret_pool,
                                 GError **error);
void ramet_folder_pool_close (RametFolderPool *folder);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametFolderPool, ramet_folder_pool_close)
