/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <json-glib/json-glib.h>

void ramet_print_error (const GError *error);
void ramet_print_warning (const char *text);
void ramet_print_json (JsonBuilder *builder);
void ramet_json_add_string (JsonBuilder *builder, const char *name, const char *value);
void ramet_json_add_int (JsonBuilder *builder, const char *name, gint64 value);
void ramet_json_add_bool (JsonBuilder *builder, const char *name, gboolean value);

/* Aligned columns with a heading; a cell is escaped when it is added. */
typedef struct _RametTable RametTable;

RametTable *ramet_table_new (const char *const *headings);
void ramet_table_free (RametTable *table);
void ramet_table_add (RametTable *table, const char *cell);
void ramet_table_print (RametTable *table);
gboolean ramet_ask (const char *question);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametTable, ramet_table_free)
