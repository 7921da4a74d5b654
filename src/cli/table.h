/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What a cell says is in its words; a colour only helps to find it. */
typedef enum
{
  RAMET_COLOUR_NONE,
  RAMET_COLOUR_BOLD,
  RAMET_COLOUR_DIM,
  RAMET_COLOUR_RED,
  RAMET_COLOUR_GREEN,
  RAMET_COLOUR_YELLOW,
  RAMET_COLOUR_CYAN,
} RametColour;

/* How a column gives way where the terminal is narrow. */
typedef struct
{
  const char *heading;
  guint gives;    /* left out before those with a lower number; 0: stays */
  guint least;    /* first it is clipped, to no less than this many terminal columns; 0: never */
  gboolean right; /* numbers */
} RametColumn;

/* Aligned columns with a heading; a cell is escaped when it is added. The first column is never clipped nor left out. */
typedef struct _RametTable RametTable;

RametTable *ramet_table_new (const char *const *headings);
RametTable *ramet_table_new_columns (const RametColumn *columns, guint n_columns);
void ramet_table_free (RametTable *table);
void ramet_table_add (RametTable *table, const char *cell);
void ramet_table_add_coloured (RametTable *table, const char *cell, RametColour colour);
gboolean ramet_table_is_empty (const RametTable *table);
char *ramet_table_render (const RametTable *table, guint width, gboolean colour);
void ramet_table_print (const RametTable *table);

void ramet_table_fit (const RametColumn *columns, guint n_columns, const guint *natural, guint width, guint *ret_widths);
const char *ramet_colour_sequence (RametColour colour);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametTable, ramet_table_free)
