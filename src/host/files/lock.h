/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

/* A file that is locked for as long as this lives. */
typedef struct _RametLock RametLock;

RametLock *ramet_lock_file (RametTask *task, const char *path, GError **error);
RametLock *ramet_lock_grants (void);
gboolean ramet_lock_turn (RametTask *task, guint n_at_once, RametLock **ret_turn, GError **error);
void ramet_lock_free (RametLock *lock);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametLock, ramet_lock_free)
