/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * Files that ramet moved away and put back, which changed nothing but their ctime: noted, so that they are not taken for
 * changed. A note that is lost does no harm but that.
 */
typedef struct
{
  guint64 device;
  guint64 inode;
  gint64 after_ns;  /* its ctime now */
  gint64 before_ns; /* and before it was moved */
} RametPutBack;

void ramet_put_back_note (const GArray *notes);
GHashTable *ramet_put_back_load (void);
gint64 ramet_put_back_ctime (GHashTable *notes, guint64 device, guint64 inode, gint64 ctime_ns);
