/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/output.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/task.h"
#include "core/text.h"

/* Messages hold names from guests, files and XML. */
static void
print_line (const char *prefix, const char *text)
{
  g_autofree char *safe = ramet_text_escape (text, -1);

  fprintf (stderr, "%s%s\n", prefix, safe);
}

/* A hint may have several lines of ours. */
static void
print_lines (const char *prefix, const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line; line++)
    {
      g_autofree char *safe = ramet_text_escape (*line, -1);

      fprintf (stderr, "%s%s\n", line == lines ? prefix : "  ", safe);
    }
}

/** ramet_print_error: what failed, then what to type next; all findings of one pass */
void
ramet_print_error (const GError *error)
{
  gboolean colour = ramet_talk_colour (STDERR_FILENO);

  ramet_talk_lock ();
  for (; error; error = ramet_error_get_next (error))
    {
      const char *hint = ramet_error_get_hint (error);

      if (ramet_talk_send ("error", error->message))
        {
          if (hint)
            ramet_talk_send ("hint", hint);
          continue;
        }
      print_line (colour ? "\033[31mramet:\033[0m " : "ramet: ", error->message);
      if (hint)
        print_lines (colour ? "\033[36mhint:\033[0m " : "hint: ", hint);
    }
  ramet_talk_unlock ();
}

void
ramet_print_warning (const char *text)
{
  if (ramet_talk_send ("warning", text))
    return;
  ramet_talk_lock ();
  print_line ("ramet: warning: ", text);
  ramet_talk_unlock ();
}

/** ramet_print_json: what @builder holds, on stdout */
void
ramet_print_json (JsonBuilder *builder)
{
  g_autoptr (JsonGenerator) generator = json_generator_new ();
  g_autoptr (JsonNode) root = json_builder_get_root (builder);
  g_autofree char *text = NULL;

  json_generator_set_root (generator, root);
  json_generator_set_pretty (generator, TRUE);
  text = json_generator_to_data (generator, NULL);
  g_print ("%s\n", text);
}

/** ramet_json_add_string: @value may be %NULL, and is made valid UTF-8 */
void
ramet_json_add_string (JsonBuilder *builder, const char *name, const char *value)
{
  g_autofree char *valid = value ? g_utf8_make_valid (value, -1) : NULL;

  json_builder_set_member_name (builder, name);
  if (valid)
    json_builder_add_string_value (builder, valid);
  else
    json_builder_add_null_value (builder);
}

/** ramet_json_add_strings: @strings: (nullable) (element-type utf8): made valid UTF-8; %NULL is an empty array, too */
void
ramet_json_add_strings (JsonBuilder *builder, const char *name, GPtrArray *strings)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; strings && i < strings->len; i++)
    {
      g_autofree char *valid = g_utf8_make_valid (g_ptr_array_index (strings, i), -1);

      json_builder_add_string_value (builder, valid);
    }
  json_builder_end_array (builder);
}

void
ramet_json_add_int (JsonBuilder *builder, const char *name, gint64 value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_int_value (builder, value);
}

void
ramet_json_add_bool (JsonBuilder *builder, const char *name, gboolean value)
{
  json_builder_set_member_name (builder, name);
  json_builder_add_boolean_value (builder, value);
}

/** ramet_ask: a yes-or-no question on the terminal; anything but yes is no */
gboolean
ramet_ask (const char *question)
{
  struct sigaction interrupt = { .sa_handler = SIG_DFL };
  struct sigaction before;
  char answer[16] = "";

  /* nothing is half made while a question stands: Ctrl-C may just end the program */
  sigaction (SIGINT, &interrupt, &before);
  ramet_talk_lock ();
  fprintf (stderr, "%s [y/N] ", question);
  fflush (stderr);
  if (fgets (answer, sizeof answer, stdin) == NULL)
    answer[0] = '\0';
  ramet_talk_unlock ();
  sigaction (SIGINT, &before, NULL);
  return g_ascii_strncasecmp (answer, "y\n", 2) == 0 || g_ascii_strncasecmp (answer, "yes\n", 4) == 0;
}
