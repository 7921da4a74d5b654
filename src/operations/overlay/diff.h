/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/git.h"
#include "operations/overlay/overlay.h"

gboolean ramet_overlay_diff (const RametOverlayView *view, RametTask *task, const RametChanges *changes,
                             RametGitForm form, gboolean nul, guint columns, RametPipeFunc func, gpointer data,
                             GError **error);
