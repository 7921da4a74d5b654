/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* The terminal's whole window for as long as something is shown live; what was there before comes back at the end. */
typedef struct _RametScreen RametScreen;

RametScreen *ramet_screen_new (void);
void ramet_screen_leave_at_once (void);
void ramet_screen_free (RametScreen *screen);
guint ramet_screen_columns (void);
void ramet_screen_draw (RametScreen *screen, const char *text, const char *last_line);
gboolean ramet_screen_take_resized (RametScreen *screen);
gboolean ramet_screen_is_left (RametScreen *screen);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametScreen, ramet_screen_free)
