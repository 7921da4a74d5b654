/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/table.h"

#include <string.h>
#include <unistd.h>

#include "core/task.h"
#include "core/text.h"

#define GAP 2
#define LEAST_NAME 16 /* terminal columns; longer names may get a line of their own */

typedef struct
{
  char *text; /* escaped */
  RametColour colour;
} Cell;

struct _RametTable
{
  RametColumn *columns;
  guint n_columns;
  GArray *cells; /* (element-type Cell): row by row */
};

static void
cell_clear (gpointer data)
{
  g_free (((Cell *) data)->text);
}

/** ramet_table_new_columns: @columns are copied, their headings must stay */
RametTable *
ramet_table_new_columns (const RametColumn *columns, guint n_columns)
{
  RametTable *table = g_new0 (RametTable, 1);

  table->columns = g_memdup2 (columns, n_columns * sizeof *columns);
  table->n_columns = n_columns;
  table->cells = g_array_new (FALSE, FALSE, sizeof (Cell));
  g_array_set_clear_func (table->cells, cell_clear);
  return table;
}

/** ramet_table_new: @headings is %NULL-terminated; all columns stay as wide as they are */
RametTable *
ramet_table_new (const char *const *headings)
{
  guint n = g_strv_length ((char **) headings);
  g_autofree RametColumn *columns = g_new0 (RametColumn, n);

  for (guint i = 0; i < n; i++)
    columns[i].heading = headings[i];
  return ramet_table_new_columns (columns, n);
}

void
ramet_table_free (RametTable *table)
{
  g_array_unref (table->cells);
  g_free (table->columns);
  g_free (table);
}

/** ramet_table_add_coloured: the next cell of the row; %NULL or "" shows as "-" */
void
ramet_table_add_coloured (RametTable *table, const char *text, RametColour colour)
{
  Cell cell = { text && *text ? ramet_text_escape (text, -1) : g_strdup ("-"), colour };

  g_array_append_val (table->cells, cell);
}

/** ramet_table_add: the next cell of the row; %NULL or "" shows as "-" */
void
ramet_table_add (RametTable *table, const char *text)
{
  ramet_table_add_coloured (table, text, RAMET_COLOUR_NONE);
}

gboolean
ramet_table_is_empty (const RametTable *table)
{
  return table->cells->len == 0;
}

/** ramet_colour_sequence: (transfer none): what a terminal is sent for it; "" for none */
const char *
ramet_colour_sequence (RametColour colour)
{
  static const char *const sequences[] = {
    [RAMET_COLOUR_NONE] = "",           [RAMET_COLOUR_BOLD] = "\033[1m",    [RAMET_COLOUR_DIM] = "\033[2m",
    [RAMET_COLOUR_RED] = "\033[31m",    [RAMET_COLOUR_GREEN] = "\033[32m",  [RAMET_COLOUR_YELLOW] = "\033[33m",
    [RAMET_COLOUR_CYAN] = "\033[36m",
  };

  return sequences[colour];
}

static guint
total_width (const guint *widths, guint n)
{
  guint total = 0;

  for (guint i = 0; i < n; i++)
    total += widths[i] ? widths[i] + (total ? GAP : 0) : 0;
  return total;
}

/* (nullable): the column that gives way next: of several that would, the last one */
static const RametColumn *
next_to_give (const RametColumn *columns, guint n, const guint *widths)
{
  const RametColumn *next = NULL;

  for (guint i = 1; i < n; i++)
    if (columns[i].gives > 0 && widths[i] > 0 && (next == NULL || columns[i].gives >= next->gives))
      next = &columns[i];
  return next;
}

/* Takes what is too much from a column that can be clipped by so much, or by as much as it can be. */
static gboolean
clip (const RametColumn *column, guint *width, guint too_much, gboolean partly)
{
  guint spare = column->least && *width > column->least ? *width - column->least : 0;

  if (spare < too_much && !partly)
    return FALSE;
  *width -= MIN (spare, too_much);
  return TRUE;
}

/**
 * ramet_table_fit:
 * @natural: how wide each column would like to be
 * @width: the room there is; 0: any
 * @ret_widths: (out): how wide each is; 0: it is left out
 *
 * The first column, and those that never give way, may be wider together than there is room.
 */
void
ramet_table_fit (const RametColumn *columns, guint n_columns, const guint *natural, guint width, guint *ret_widths)
{
  const RametColumn *column;

  memcpy (ret_widths, natural, n_columns * sizeof *natural);
  while (width > 0 && total_width (ret_widths, n_columns) > width && (column = next_to_give (columns, n_columns, ret_widths)))
    {
      guint *own = &ret_widths[column - columns];

      if (!clip (column, own, total_width (ret_widths, n_columns) - width, FALSE))
        *own = 0;
    }
  for (guint i = n_columns; width > 0 && i-- > 1 && total_width (ret_widths, n_columns) > width;)
    clip (&columns[i], &ret_widths[i], total_width (ret_widths, n_columns) - width, TRUE);
}

static const Cell *
cell_at (const RametTable *table, guint index)
{
  return &g_array_index (table->cells, Cell, index);
}

/* Of the cells that are no wider than @limit, and the heading. */
static guint
natural_width (const RametTable *table, guint column, guint limit)
{
  guint width = ramet_text_columns (table->columns[column].heading);

  for (guint i = column; i < table->cells->len; i += table->n_columns)
    {
      guint columns = ramet_text_columns (cell_at (table, i)->text);

      if (columns <= limit)
        width = MAX (width, columns);
    }
  return width;
}

/* A column that may be left out, and has nothing to say. */
static gboolean
says_nothing (const RametTable *table, guint column)
{
  for (guint i = column; i < table->cells->len; i += table->n_columns)
    if (!g_str_equal (cell_at (table, i)->text, "-"))
      return FALSE;
  return table->columns[column].gives > 0;
}

/* A name that is much longer than the others does not push all else out: it gets a line of its own. */
static void
lay_out (const RametTable *table, guint width, guint *ret_widths)
{
  g_autofree guint *natural = g_new0 (guint, table->n_columns);

  for (guint i = 0; i < table->n_columns; i++)
    natural[i] = natural_width (table, i, G_MAXUINT);
  for (guint i = 1; width > 0 && total_width (natural, table->n_columns) > width && i < table->n_columns; i++)
    if (says_nothing (table, i))
      natural[i] = 0;
  if (width > 0 && total_width (natural, table->n_columns) > width)
    natural[0] = natural_width (table, 0, MAX (LEAST_NAME, width * 2 / 5));
  ramet_table_fit (table->columns, table->n_columns, natural, width, ret_widths);
}

static void
append_coloured (GString *out, const char *text, RametColour colour, gboolean coloured)
{
  if (coloured && colour != RAMET_COLOUR_NONE)
    g_string_append_printf (out, "%s%s\033[0m", ramet_colour_sequence (colour), text);
  else
    g_string_append (out, text);
}

static void
append_blanks (GString *out, guint n)
{
  g_string_append_printf (out, "%*s", (int) n, "");
}

/* One line; @first is the row's first cell, or %NULL for the headings. */
static void
append_row (GString *out, const RametTable *table, const Cell *first, const guint *widths, gboolean coloured)
{
  guint pending = 0; /* blanks, which nothing may stand behind */

  for (guint i = 0; i < table->n_columns; i++)
    {
      const char *text = first ? first[i].text : table->columns[i].heading;
      g_autofree char *shown = i == 0 ? g_strdup (text) : ramet_text_clip (text, widths[i]);
      guint columns = ramet_text_columns (shown);
      guint padding = columns < widths[i] ? widths[i] - columns : 0;

      if (widths[i] == 0)
        continue;
      append_blanks (out, pending + (table->columns[i].right ? padding : 0));
      append_coloured (out, shown, first ? first[i].colour : RAMET_COLOUR_DIM, coloured);
      pending = GAP + (table->columns[i].right ? 0 : padding);
      if (columns > widths[i] && total_width (widths, table->n_columns) > widths[i])
        {
          g_string_append_c (out, '\n');
          pending = widths[i] + GAP;
        }
    }
  g_string_append_c (out, '\n');
}

/** ramet_table_render: (transfer full): lines; @width: of the terminal, or 0: as wide as it likes to be */
char *
ramet_table_render (const RametTable *table, guint width, gboolean colour)
{
  g_autofree guint *widths = g_new0 (guint, table->n_columns);
  GString *out = g_string_new (NULL);

  lay_out (table, width, widths);
  append_row (out, table, NULL, widths, colour);
  for (guint i = 0; i < table->cells->len; i += table->n_columns)
    append_row (out, table, cell_at (table, i), widths, colour);
  return g_string_free (out, FALSE);
}

/** ramet_table_print: on stdout, as wide as that is if it is a terminal */
void
ramet_table_print (const RametTable *table)
{
  g_autofree char *text = ramet_table_render (table, isatty (STDOUT_FILENO) ? ramet_terminal_columns (STDOUT_FILENO) : 0,
                                              ramet_talk_colour (STDOUT_FILENO));

  g_print ("%s", text);
}
