/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A unified diff on its way to a terminal, line by line. */
typedef struct
{
  gboolean colour;
  gboolean in_hunk;
} RametPatchLines;

void ramet_patch_print_line (RametPatchLines *lines, const char *line, gsize length);
void ramet_patch_print (const char *patch);
