/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/libvirt/connection.h"

char *ramet_storage_volume_path (RametConnection *connection, const char *pool, const char *volume, GError **error);

gboolean ramet_pool_check (RametConnection *connection, const char *pool, char **ret_folder, guint64 *ret_available,
                           GError **error);
void ramet_pool_refresh (RametConnection *connection, const char *pool);
gboolean ramet_pool_ensure (RametConnection *connection, const char *pool, const char *folder, gboolean *ret_made,
                            GError **error);

char *ramet_volume_create_overlay (RametConnection *connection, const char *pool, const char *name, guint64 capacity,
                                   const char *backing, const char *backing_format, gboolean open_to_all,
                                   GError **error);
char *ramet_volume_create_from_file (RametConnection *connection, RametTask *task, const char *pool, const char *name,
                                     const char *file, const char *format, guint64 capacity, GError **error);
char *ramet_volume_flatten (RametConnection *connection, RametTask *task, const char *pool, const char *path,
                            const char *new_name, guint64 capacity, guint64 expected_bytes, GError **error);
gboolean ramet_volume_copy (RametConnection *connection, const char *path, const char *new_name, GError **error);
gboolean ramet_volume_delete (RametConnection *connection, const char *pool, const char *name, const char *path,
                              GError **error);
gboolean ramet_volume_is_there (RametConnection *connection, const char *path, gboolean *ret_there, GError **error);
gboolean ramet_volume_grow (RametConnection *connection, const char *path, guint64 bytes, GError **error);
gboolean ramet_volume_get_allocation (RametConnection *connection, const char *path, guint64 *ret_bytes);
