/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/connection.h"

/* One file or block device of a disk's chain, looked at rather than believed. */
typedef struct
{
  char *path;
  char *format;      /* as probed */
  guint64 capacity;  /* virtual size in bytes */
  guint64 inode;     /* 0 if unknown (another host) */
  guint64 file_size; /* bytes, 0 if unknown */
  gint64 mtime_ns;   /* nanoseconds since 1970, 0 if unknown */
  char *header;      /* SHA-256 of its first RAMET_DISK_HEADER_BYTES, in lower-case hex */
  char *backing;     /* absolute path, or NULL */
  guint n_snapshots; /* internal ones */
} RametImage;

#define RAMET_MAX_CHAIN 16

RametImage *ramet_image_look (RametConnection *connection, const char *path, const char *declared_format,
                              GError **error);
void ramet_image_free (RametImage *image);
char *ramet_image_print_chain (GPtrArray *chain);

gboolean ramet_image_set_backing (RametConnection *connection, const char *path, const char *backing,
                                  const char *backing_format, GError **error);
GPtrArray *ramet_image_inspect (RametConnection *connection, const char *path, const char *declared_format,
                                GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametImage, ramet_image_free)
