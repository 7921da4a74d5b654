/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A project file's lines. GKeyFile tells no line numbers, and takes what stands twice for one. */
#include "model/project-private.h"

#include <string.h>

#include "core/text.h"

#define MAX_SHOWN_COLUMNS 80

static void
section_free (gpointer data)
{
  RametProjectSection *section = data;

  g_free (section->name);
  g_free (section);
}

static void
entry_free (gpointer data)
{
  RametProjectEntry *entry = data;

  g_free (entry->key);
  g_free (entry->value);
  g_free (entry);
}

void
ramet_project_lines_clear (RametProjectLines *lines)
{
  g_clear_pointer (&lines->sections, g_ptr_array_unref);
  g_clear_pointer (&lines->entries, g_ptr_array_unref);
  g_clear_pointer (&lines->findings, g_ptr_array_unref);
}

/** ramet_project_take: @why with the place before it; takes @why, which may be %NULL */
void
ramet_project_take (RametProjectLines *lines, guint line, GError *why)
{
  if (why && line > 0)
    g_prefix_error (&why, "%s:%u: ", lines->shown_path, line);
  else if (why)
    g_prefix_error (&why, "%s: ", lines->shown_path);
  ramet_findings_take (lines->findings, why);
}

/**
 * ramet_project_say:
 * @line: 0: of the file as a whole
 *
 * Returns: (transfer none): where to put a hint
 */
GError **
ramet_project_say (RametProjectLines *lines, guint line, const char *format, ...)
{
  g_autofree char *text = NULL;
  GError *why = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  ramet_error_set (&why, RAMET_ERROR_USAGE, "%s", text);
  ramet_project_take (lines, line, why);
  return (GError **) &g_ptr_array_index (lines->findings, lines->findings->len - 1);
}

/** ramet_project_shown: (transfer full): what stands in the file as a message has it */
char *
ramet_project_shown (const char *text)
{
  g_autofree char *safe = ramet_text_escape (text, -1);

  return ramet_text_clip (safe, MAX_SHOWN_COLUMNS);
}

/* "vm   web" → "vm web" */
static char *
join_words (const char *text)
{
  g_auto (GStrv) words = g_strsplit_set (text, " \t", -1);
  g_autoptr (GString) joined = g_string_new (NULL);

  for (char **word = words; *word; word++)
    if (**word)
      g_string_append_printf (joined, "%s%s", joined->len ? " " : "", *word);
  return g_strdup (joined->str);
}

/* @text starts with '['. */
static void
read_section (RametProjectLines *lines, char *text, guint line)
{
  gsize length = strlen (text);
  RametProjectSection *section = g_new0 (RametProjectSection, 1);

  if (text[length - 1] != ']')
    {
      g_autofree char *safe = ramet_project_shown (text);

      ramet_error_hint (ramet_project_say (lines, line, "the section '%s' does not end in ']'", safe),
                        "a comment stands on a line of its own");
    }
  text[1 + strcspn (text + 1, "]")] = '\0';
  section->name = join_words (text + 1);
  section->line = line;
  /* twice the same is one to GKeyFile, and hardly what is meant */
  for (guint i = 0; i < lines->sections->len; i++)
    {
      const RametProjectSection *other = g_ptr_array_index (lines->sections, i);
      g_autofree char *safe = ramet_project_shown (section->name);

      if (g_str_equal (other->name, section->name))
        {
          ramet_error_hint (ramet_project_say (lines, line, "the section '[%s]' is there already, in line %u", safe,
                                               other->line),
                            "put what is in both into one, or take another name");
          break;
        }
    }
  g_ptr_array_add (lines->sections, section);
}

static void
read_entry (RametProjectLines *lines, const char *text, const char *equals, guint line)
{
  RametProjectEntry *entry = g_new0 (RametProjectEntry, 1);

  entry->section = lines->sections->len - 1;
  entry->key = g_strchomp (g_strndup (text, (gsize) (equals - text)));
  entry->value = g_strstrip (g_strdup (equals + 1));
  entry->line = line;
  for (guint i = lines->entries->len; i-- > 0;)
    {
      const RametProjectEntry *other = g_ptr_array_index (lines->entries, i);

      if (other->section != entry->section)
        break;
      if (g_str_equal (other->key, entry->key))
        {
          g_autofree char *safe = ramet_project_shown (entry->key);

          ramet_error_hint (ramet_project_say (lines, line, "'%s' is there already, in line %u", safe, other->line),
                            "leave one of them; several parts of a list have ';' between them");
          break;
        }
    }
  g_ptr_array_add (lines->entries, entry);
}

static void
read_line (RametProjectLines *lines, char *text, guint line)
{
  const char *equals;

  g_strstrip (text);
  if (*text == '\0' || *text == '#')
    return;
  if (*text == '[')
    {
      read_section (lines, text, line);
      return;
    }
  equals = strchr (text, '=');
  if (equals == NULL || equals == text)
    {
      g_autofree char *safe = ramet_project_shown (text);

      GError **why = ramet_project_say (lines, line, "'%s' is no 'key = value'", safe);

      if (*text == ';')
        ramet_error_hint (why, "a comment starts with '#'");
      else
        ramet_error_hint (why, "a section is written '%s', a comment '# …'", lines->section);
    }
  else if (lines->sections->len == 0)
    ramet_error_hint (ramet_project_say (lines, line, "this stands before any section"), "start with '%s'", lines->first_section);
  else
    read_entry (lines, text, equals, line);
}

/** ramet_project_lines_read: @lines is empty but for its path; @text is valid UTF-8 */
void
ramet_project_lines_read (RametProjectLines *lines, const char *text)
{
  g_auto (GStrv) all = g_strsplit (g_str_has_prefix (text, "\xef\xbb\xbf") ? text + 3 : text, "\n", -1);

  lines->sections = g_ptr_array_new_with_free_func (section_free);
  lines->entries = g_ptr_array_new_with_free_func (entry_free);
  lines->findings = ramet_findings_new ();
  for (guint i = 0; all[i]; i++)
    read_line (lines, all[i], i + 1);
}
