/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/overlay/overlay.h"

/* What may be done about processes in the guest that hold a share. */
typedef struct
{
  gboolean stop_users; /* stop services, and start them again afterwards */
  gboolean kill_users; /* end other processes */
} RametDropOptions;

gboolean ramet_overlay_drop (const RametOverlayView *view, RametTask *task, GPtrArray *entries,
                             const RametDropOptions *options, guint *ret_n_dropped, GError **error);
gboolean ramet_overlay_drop_all (const RametOverlayView *view, RametTask *task, const RametDropOptions *options,
                                 guint *ret_n_dropped, GError **error);
gboolean ramet_overlay_cannot_detach (const RametOverlayView *view, const RametDropOptions *options, const char *words,
                                      GError **error);
GPtrArray *ramet_overlay_droppable (const RametOverlayView *view, const RametChanges *changes, gboolean with_git);
