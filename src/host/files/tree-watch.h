/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A folder with all that is in it, watched by inotify. */
typedef struct _RametTreeWatch RametTreeWatch;

/*
 * Told each path that changed, relative to the folder: @folder is where ("" for the folder itself), @name what, or %NULL if
 * all that is in it may have changed.
 */
typedef void (*RametTreeWatchFunc) (const char *folder, const char *name, gpointer data);
/* Whether a folder is of no interest, and all that is in it. */
typedef gboolean (*RametTreeWatchIgnore) (const char *folder, gpointer data);

RametTreeWatch *ramet_tree_watch_new (int root_fd, RametTreeWatchFunc func, RametTreeWatchIgnore ignore, gpointer data,
                                      GError **error);
void ramet_tree_watch_free (RametTreeWatch *watch);
gboolean ramet_tree_watch_check (const RametTreeWatch *watch, GError **error);
guint ramet_tree_watch_count (const RametTreeWatch *watch);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametTreeWatch, ramet_tree_watch_free)
