/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What may stand in a tar archive that a guest sends. */
typedef enum
{
  RAMET_ARCHIVE_FILE,
  RAMET_ARCHIVE_SYMLINK,
  RAMET_ARCHIVE_FOLDER,
  RAMET_ARCHIVE_OTHER, /* devices, fifos: nothing of them is used */
} RametArchiveType;

typedef struct
{
  RametArchiveType type;
  const char *path;   /* as it stands there, any bytes but NUL: untrusted */
  const char *target; /* of a symlink, else "" */
  guint64 size;       /* of a file's contents */
  gboolean opaque;    /* a folder that hides what lies below it in an overlay */
} RametArchiveMember;

/*
 * Told each member, then the pieces of a file's contents, then its end. A %FALSE ends the reading, with the error that
 * was set.
 */
typedef struct
{
  gboolean (*begin) (const RametArchiveMember *member, gpointer data, GError **error);
  gboolean (*contents) (const guint8 *bytes, gsize length, gpointer data, GError **error);
  gboolean (*end) (gpointer data, GError **error);
} RametArchiveFuncs;

typedef struct _RametArchive RametArchive;

RametArchive *ramet_archive_new (const RametArchiveFuncs *funcs, gpointer data);
void ramet_archive_free (RametArchive *archive);
gboolean ramet_archive_push (RametArchive *archive, const guint8 *bytes, gsize length, gsize *ret_used, GError **error);
gboolean ramet_archive_is_complete (const RametArchive *archive);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametArchive, ramet_archive_free)
