/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A file in which libvirt saves a running VM: a header, the VM's XML, a cookie, then QEMU's migration stream. */
#define RAMET_SAVE_IMAGE_HEADER_BYTES 92

typedef struct
{
  char *xml;
  char *cookie;         /* libvirt's own notes, to be kept as they are; or NULL */
  gboolean was_running; /* when it was saved, and so it shall be when restored */
} RametSaveImage;

gsize ramet_save_image_length (const guint8 *header, gsize length, GError **error);
RametSaveImage *ramet_save_image_parse (const guint8 *bytes, gsize length, GError **error);
void ramet_save_image_free (RametSaveImage *image);
GBytes *ramet_save_image_build (const RametSaveImage *image, const char *xml);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametSaveImage, ramet_save_image_free)
