/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/connection.h"
#include "host/libvirt/worker.h"

/* A transient pool that ramet makes for a moment to reach files in a folder. */
typedef struct
{
  char *name;
  RametWorkerState worker;
} RametFolderPoolInfo;

GPtrArray *ramet_folder_pools_list (RametConnection *connection, GError **error);
gboolean ramet_folder_pools_end (RametConnection *connection, const char *name, GError **error);
