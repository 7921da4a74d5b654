/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "model/upper.h"
#include "operations/vm/vm.h"

/* What is on the host at a path. */
typedef struct
{
  gboolean exists;
  gboolean is_link;
  mode_t mode;
  guint64 device;
  guint64 inode;
  guint64 size;
  gint64 mtime_ns;
  gint64 ctime_ns;
} RametOnHost;

/* A path that is another thing in the guest than on the host. */
typedef struct
{
  char *path;
  const RametUpperEntry *entry; /* what makes it so in the overlay, borrowed; its path may be a folder that @path is in */
  gboolean deleted;               /* else there is a file or symlink, as @entry says */
  RametOnHost host;
} RametChange;

/* All changes above one share, or those of some paths. */
typedef struct
{
  GPtrArray *changes;         /* (element-type RametChange): sorted by path */
  GPtrArray *removed_folders; /* (element-type utf8): those of the host that the guest removed, the deepest last */
  GPtrArray *made_folders;    /* (element-type utf8): those that the host lacks, borrowed, a parent first */
  GPtrArray *covered;         /* (element-type RametUpperEntry): borrowed, all that lie in the wanted paths */
  GPtrArray *specials;        /* (element-type RametUpperEntry): borrowed; devices, fifos and sockets, left out */
  guint n_git;                /* in folders of git's own, left out */
} RametChanges;

/* The changes of one VM above one of its shares. */
typedef struct
{
  RametVm *vm;             /* borrowed */
  const RametShare *share; /* borrowed */
  int root_fd;             /* the shared folder */
  GPtrArray *paths;        /* (element-type utf8): relative, those wanted; none: all */
  RametUpper *overlay;
  gint64 ahead_ns;         /* how far the guest's clock is ahead of ours */
  GHashTable *put_back;    /* notes of ramet_put_back_load(), or %NULL */
} RametOverlayView;

RametOverlayView *ramet_overlay_view_open (RametVm *vm, const char *share, char **paths, GError **error);
void ramet_overlay_view_free (RametOverlayView *view);
gboolean ramet_overlay_view_load (RametOverlayView *view, RametTask *task, GError **error);
gboolean ramet_overlay_view_wants (const RametOverlayView *view, const char *path);

RametChanges *ramet_changes_find (const RametOverlayView *view, gboolean with_git, GError **error);
void ramet_changes_free (RametChanges *changes);
gboolean ramet_change_is_conflict (const RametOverlayView *view, const RametChange *change);
gboolean ramet_on_host_look (int root_fd, const char *path, RametOnHost *ret_host, GError **error);

/* Takes what is in the changed files. */
typedef struct
{
  gboolean (*begin) (RametChange *change, guint64 size, gpointer data, GError **error);
  gboolean (*contents) (const guint8 *bytes, gsize length, gpointer data, GError **error);
  gboolean (*end) (gpointer data, GError **error);
} RametContentsFuncs;

gboolean ramet_overlay_read (const RametOverlayView *view, RametTask *task, GPtrArray *changes,
                             const RametContentsFuncs *funcs, gpointer data, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametOverlayView, ramet_overlay_view_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametChanges, ramet_changes_free)
