/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/connection.h"

/* A storage pool. Clear with ramet_pool_clear(). */
typedef struct
{
  gboolean active;
  gboolean autostart;
  char *type;        /* "dir" */
  char *folder;      /* or NULL */
  guint64 capacity;  /* bytes; 0 unless it is active */
  guint64 available;
} RametPool;

/* A file in a pool. */
typedef struct
{
  char *name;
  char *path;
  char *backing; /* absolute path, or NULL */
} RametPoolFile;

gboolean ramet_pool_look (RametConnection *connection, const char *name, RametPool *ret_pool, GError **error);
void ramet_pool_clear (RametPool *pool);
GPtrArray *ramet_pool_list_files (RametConnection *connection, const char *name, GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametPool, ramet_pool_clear)
