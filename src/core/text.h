/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

char *ramet_text_escape (const char *bytes, gssize length);
char *ramet_text_strip_sequences (const char *bytes, gsize length);
char *ramet_text_clip (const char *text, guint columns);
guint ramet_text_columns (const char *text);
char *ramet_text_wrap (const char *text, guint columns, const char *indent);
char *ramet_text_size (guint64 bytes);
char *ramet_text_age (gint64 seconds);
const char *ramet_text_nearest (const char *typed, const char *const *words);
