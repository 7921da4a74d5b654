/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A stack of inverses: what has been done so far and how to take it back. */
typedef struct _RametUndo RametUndo;

/* Takes one step back. Runs once at most, during the unwinding, in reverse order of the pushes. */
typedef gboolean (*RametUndoFunc) (gpointer data, GError **error);

RametUndo *ramet_undo_new (void);
void ramet_undo_push (RametUndo *undo, const char *what, RametUndoFunc func, gpointer data, GDestroyNotify destroy);
void ramet_undo_commit (RametUndo *undo);
gboolean ramet_undo_unwind (RametUndo *undo);
void ramet_undo_free (RametUndo *undo);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametUndo, ramet_undo_free)
