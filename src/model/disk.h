/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* As much of an image as ramet_disk_header_parse() wants to see: a qcow2 header cluster with its extensions. */
#define RAMET_DISK_HEADER_BYTES 65536

typedef struct
{
  char *format;         /* "qcow2", "raw", or another that only its magic is known of: "vmdk", "vdi", "vhdx", "qed" */
  guint64 capacity;     /* virtual size in bytes; 0 for raw: the file's size */
  char *backing;        /* as the image names it, relative to the image's folder or absolute; or NULL */
  char *backing_format; /* as the image names it, or NULL */
  guint n_snapshots;    /* internal ones */
  gboolean encrypted;
  gboolean external_data; /* a qcow2 whose data are in another file */
} RametDiskHeader;

RametDiskHeader *ramet_disk_header_parse (const guint8 *bytes, gsize length, GError **error);
void ramet_disk_header_free (RametDiskHeader *header);
gboolean ramet_disk_header_set_backing (guint8 *bytes, gsize length, const char *backing, const char *backing_format,
                                        gsize *ret_changed, GError **error);

char *ramet_volume_overlay_xml (const char *name, guint64 capacity, const char *backing, const char *backing_format,
                                gboolean open_to_all);
char *ramet_volume_plain_xml (const char *name, const char *format, guint64 capacity);
char *ramet_volume_own_xml (const char *name, guint64 capacity);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametDiskHeader, ramet_disk_header_free)
