/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/xml.h"

/* What a file looked like that nobody may write to any more. What was not known then is 0 or NULL. */
typedef struct
{
  char *target;     /* the disk that it is of: "vda" */
  char *path;       /* absolute */
  char *format;     /* as probed: "qcow2", "raw" */
  guint64 inode;    /* which file it is; device numbers do not last over a reboot */
  guint64 size;     /* bytes of the file */
  gint64 mtime_ns;  /* nanoseconds since 1970 */
  guint64 capacity; /* virtual size in bytes */
  char *header;     /* SHA-256 of its first RAMET_DISK_HEADER_BYTES, in lower-case hex */
} RametFingerprint;

RametFingerprint *ramet_fingerprint_new (const char *target, const char *path, const char *format);
void ramet_fingerprint_free (RametFingerprint *print);
RametFingerprint *ramet_fingerprint_read (xmlNode *node);
void ramet_fingerprint_add (const RametFingerprint *print, xmlNode *parent, const char *element);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametFingerprint, ramet_fingerprint_free)
