/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/patch.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/table.h"
#include "core/task.h"
#include "core/text.h"

#define MAX_LINE 4096 /* bytes of a line that a terminal is shown */

static RametColour
colour_of (const RametPatchLines *lines, const char *line)
{
  if (g_str_has_prefix (line, "@@"))
    return RAMET_COLOUR_CYAN;
  if (!lines->in_hunk)
    return RAMET_COLOUR_BOLD;
  return *line == '+' ? RAMET_COLOUR_GREEN : *line == '-' ? RAMET_COLOUR_RED : RAMET_COLOUR_NONE;
}

/** ramet_patch_print_line: @line: any bytes, NUL-terminated, @length of them; escaped, and cut if it is very long */
void
ramet_patch_print_line (RametPatchLines *lines, const char *line, gsize length)
{
  gboolean cut = length > MAX_LINE;
  g_autofree char *safe = ramet_text_escape (line, (gssize) MIN (length, MAX_LINE));

  if (g_str_has_prefix (line, "diff --git "))
    lines->in_hunk = FALSE;
  else if (g_str_has_prefix (line, "@@ "))
    lines->in_hunk = TRUE;
  if (lines->colour)
    fprintf (stdout, "%s%s%s\033[0m\n", ramet_colour_sequence (colour_of (lines, line)), safe, cut ? "…" : "");
  else
    fprintf (stdout, "%s%s\n", safe, cut ? "…" : "");
}

/** ramet_patch_print: all of @patch on stdout; raw, so that programs can read it, unless that is a terminal */
void
ramet_patch_print (const char *patch)
{
  RametPatchLines lines = { .colour = ramet_talk_colour (STDOUT_FILENO) };

  if (!isatty (STDOUT_FILENO))
    fputs (patch, stdout);
  else
    for (const char *at = patch; *at;)
      {
        gsize length = strcspn (at, "\n");
        g_autofree char *line = g_strndup (at, length);

        ramet_patch_print_line (&lines, line, length);
        at += length + (at[length] == '\n');
      }
}
