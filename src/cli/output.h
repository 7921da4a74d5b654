/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

void ramet_print_error (const GError *error);
void ramet_print_warning (const char *text);
void ramet_print_json (JsonBuilder *builder);
void ramet_json_add_string (JsonBuilder *builder, const char *name, const char *value);
void ramet_json_add_strings (JsonBuilder *builder, const char *name, GPtrArray *strings);
void ramet_json_add_int (JsonBuilder *builder, const char *name, gint64 value);
void ramet_json_add_bool (JsonBuilder *builder, const char *name, gboolean value);

gboolean ramet_ask (const char *question);
