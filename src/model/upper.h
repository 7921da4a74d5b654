/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define RAMET_UPPER_STAGING ".ramet-apply." /* what the folders begin with that `ramet apply` works in */

typedef enum
{
  RAMET_UPPER_FILE,
  RAMET_UPPER_SYMLINK,
  RAMET_UPPER_FOLDER,
  RAMET_UPPER_WHITEOUT, /* what lies below is deleted */
  RAMET_UPPER_SPECIAL,  /* a device, fifo or socket */
} RametUpperType;

/* One path in the upper half of a guest's overlay, as the guest tells it. */
typedef struct
{
  char *path; /* relative, checked by ramet_upper_check_path() */
  RametUpperType type;
  guint32 mode; /* permission bits */
  guint64 size;
  guint64 inode;
  gint64 birth_ns; /* by the guest's clock, since 1970; 0: not known */
  gint64 mtime_ns;
  gint64 ctime_ns;
  char *stamp;     /* inode and ctime as the guest wrote them: the same as long as nothing was changed */
  gboolean opaque; /* of a folder: hides what lies below */
} RametUpperEntry;

/* All that a guest changed above one share. */
typedef struct
{
  gint64 now_ns;     /* the guest's clock when it began to look */
  gint64 mounted_ns; /* since when the overlay is mounted, by the guest's clock; 0: it is not */
  GPtrArray *entries;  /* (element-type RametUpperEntry): sorted by path, a folder before what is in it */
  GHashTable *by_path; /* (element-type utf8 RametUpperEntry): borrowed */
  guint n_refused;     /* paths that no filesystem of a guest of ours has, or that are ramet's own */
} RametUpper;

/* Reads a list as it comes in; see bootstrap/overlay/list.sh for what it looks like. */
typedef struct _RametUpperReader RametUpperReader;

RametUpperReader *ramet_upper_reader_new (void);
void ramet_upper_reader_free (RametUpperReader *reader);
gboolean ramet_upper_reader_push (RametUpperReader *reader, const guint8 *bytes, gsize length, GError **error);
RametUpper *ramet_upper_reader_finish (RametUpperReader *reader, GError **error);

void ramet_upper_free (RametUpper *overlay);
const RametUpperEntry *ramet_upper_find (const RametUpper *overlay, const char *path);

gboolean ramet_upper_check_path (const char *path);
gboolean ramet_upper_is_git (const char *path);
gboolean ramet_upper_is_staging (const char *path);
gboolean ramet_upper_is_beneath (const char *path, const char *folder);
gboolean ramet_upper_link_stays (const char *path, const char *target);
gboolean ramet_upper_parse_time (const char *text, gint64 *ret_ns);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametUpper, ramet_upper_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametUpperReader, ramet_upper_reader_free)
