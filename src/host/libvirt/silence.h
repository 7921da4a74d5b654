/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A libvirtd that is there, but says nothing: no call of it returns. */
void ramet_silence_watch (const char *uri);
gint64 ramet_silence_measure (gint64 quiet_us);
void ramet_silence_set_error (GError **error);
