/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "core/task.h"
#include "host/libvirt/connection.h"

/*
 * Files on libvirtd's host that are no disks, such as saved memory: put there and fetched through the storage API, so that a
 * plain member of the group libvirt can, though they are root's.
 */
typedef struct
{
  guint mode;
  uid_t uid;
  gid_t gid;
} RametFileOwner;

gboolean ramet_folder_remove_log (RametConnection *connection, const char *path, GError **error);
gboolean ramet_folder_make (RametConnection *connection, const char *folder, const RametFileOwner *owner, GError **error);
GPtrArray *ramet_folder_list (RametConnection *connection, const char *folder, GError **error);
gboolean ramet_folder_put (RametConnection *connection, RametTask *task, const char *path, int fd,
                           const RametFileOwner *owner, GError **error);
gboolean ramet_folder_get (RametConnection *connection, RametTask *task, const char *path, guint64 max_bytes, int fd,
                           GError **error);
gboolean ramet_folder_get_end (RametConnection *connection, RametTask *task, const char *path, guint64 max_bytes, guint64 *at,
                               int fd, GError **error);
