/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/overlay/overlay.h"

typedef struct
{
  gboolean with_git; /* the changes were looked for in folders of git's own too */
  gboolean force;    /* take over what changed on both sides, and symlinks that lead out of the tree */
} RametApplyOptions;

gboolean ramet_overlay_recover (RametOverlayView *view, RametTask *task, GError **error);
gboolean ramet_overlay_apply (const RametOverlayView *view, RametTask *task, const RametChanges *changes,
                              const RametApplyOptions *options, guint *ret_n_changed, GError **error);
