/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/connection.h"

/* One file or block device of a disk's chain, looked at rather than believed. */
typedef struct
{
  char *path;
  char *format;      /* as probed */
  guint64 capacity;  /* virtual size in bytes */
  guint64 file_size; /* bytes, 0 if unknown (another host) */
  gint64 mtime;      /* seconds since 1970, 0 if unknown */
  char *backing;     /* absolute path, or NULL */
} RametImage;

#define RAMET_MAX_CHAIN 16

GPtrArray *ramet_image_inspect (RametConnection *connection, const char *path, const char *declared_format,
                                GError **error);
