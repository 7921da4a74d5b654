/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/error.h"
#include "model/project.h"

/* One "key = value" of the file. */
typedef struct
{
  guint section; /* index of its section */
  char *key;
  char *value; /* as written, without the blanks around it */
  guint line;
} RametProjectEntry;

/* One "[…]" of the file. */
typedef struct
{
  char *name; /* words with one blank between: "vm web" */
  guint line;
} RametProjectSection;

/* The file's lines, and what is wrong so far. */
typedef struct
{
  const char *shown_path;
  const char *first_section; /* for hints: "[project]" */
  const char *section;       /* for hints: "[vm NAME]" */
  GPtrArray *sections; /* (element-type RametProjectSection) */
  GPtrArray *entries;  /* (element-type RametProjectEntry) */
  RametFindings *findings;
} RametProjectLines;

void ramet_project_lines_read (RametProjectLines *lines, const char *text);
void ramet_project_lines_clear (RametProjectLines *lines);
GError **ramet_project_say (RametProjectLines *lines, guint line, const char *format, ...) G_GNUC_PRINTF (3, 4);
char *ramet_project_shown (const char *text);
void ramet_project_take (RametProjectLines *lines, guint line, GError *why);
GPtrArray *ramet_project_find_order (const RametProject *project, char **ret_circle);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametProjectLines, ramet_project_lines_clear)
