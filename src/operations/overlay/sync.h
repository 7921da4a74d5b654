/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/overlay/drop.h"

gboolean ramet_sync (RametOverlayView *view, RametTask *task, gboolean remount, const RametDropOptions *options,
                     guint *ret_n_changed, gboolean *ret_remounted, GError **error);
gboolean ramet_sync_watch (RametOverlayView *view, RametTask *task, gboolean with_git, GError **error);
