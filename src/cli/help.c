/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/help.h"

#include <string.h>
#include <unistd.h>

#include "core/task.h"
#include "core/text.h"

#define PAGE_COLUMNS 80     /* of sentences, where there is more room or nobody says how much */
#define MAX_HEAD_COLUMNS 32 /* what is explained stands left of its text, unless it is wider than that */
#define COMMAND_COLUMNS 19

static const GOptionEntry no_options[] = { G_OPTION_ENTRY_NULL };

/* How wide a line may be. Programs get a line for each thing that is explained. */
static guint
line_columns (void)
{
  return isatty (STDOUT_FILENO) ? MAX (ramet_terminal_columns (STDOUT_FILENO), 20) : G_MAXUINT;
}

/* (transfer full): where a terminal knows only ASCII, GLib would make a '?' of "…" */
static char *
spell_dots (const char *text)
{
  GString *spelt = g_string_new (text);

  if (!g_get_charset (NULL))
    g_string_replace (spelt, "…", "...", 0);
  return g_string_free (spelt, FALSE);
}

static void
print_sentences (const char *text)
{
  g_autofree char *spelt = spell_dots (text);
  g_autofree char *wrapped = ramet_text_wrap (spelt, MIN (line_columns (), PAGE_COLUMNS) - 1, "");

  g_print ("%s\n", wrapped);
}

/* @head, and @text from column @at on: in the next line if @head reaches that far */
static void
print_item (const char *head, const char *text, guint at)
{
  guint columns = line_columns ();
  g_autofree char *indent = NULL;
  g_autofree char *wrapped = NULL;

  at = MIN (at, columns / 5 * 2);
  indent = g_strnfill (at, ' ');
  wrapped = ramet_text_wrap (text, columns - 1 - at, indent);
  if (ramet_text_columns (head) + 2 <= at)
    g_print ("%-*s%s\n", (int) at, head, wrapped);
  else
    g_print ("%s\n%s%s\n", head, indent, wrapped);
}

/* (transfer full): "  -c, --connect=URI" */
static char *
option_head (const GOptionEntry *option)
{
  const char *value = option->arg_description;
  char letter[] = { '-', option->short_name, ',', ' ', '\0' };

  return g_strconcat ("  ", option->short_name ? letter : "    ", "--", option->long_name, value ? "=" : "", value ? value : "",
                      NULL);
}

static guint
widest_head (const GOptionEntry *options, guint least)
{
  for (; options->long_name; options++)
    {
      g_autofree char *head = option_head (options);
      guint columns = ramet_text_columns (head) + 2;

      if (columns <= MAX_HEAD_COLUMNS)
        least = MAX (least, columns);
    }
  return least;
}

/* @json: whether there is a --json among them, where they are all commands' */
static void
print_options (const GOptionEntry *options, guint at, gboolean json)
{
  for (; options->long_name; options++)
    {
      g_autofree char *head = option_head (options);

      if (json || !g_str_equal (options->long_name, "json"))
        print_item (head, options->description, at);
    }
}

static gboolean
is_first_of_group (gsize index)
{
  return index == 0 || !g_str_equal (ramet_commands[index].group, ramet_commands[index - 1].group);
}

static void
print_command_line (const RametCommand *command)
{
  g_autofree char *head = g_strconcat ("  ", command->name, NULL);

  print_item (head, command->summary, COMMAND_COLUMNS);
}

/** ramet_print_help: what `ramet --help` shows */
void
ramet_print_help (void)
{
  guint at = widest_head (ramet_options_global, 0);

  print_sentences ("ramet gives a developer one virtual machine per project, cloned in seconds from a base.");
  g_print ("\n");
  print_sentences ("Usage: ramet [OPTION…] COMMAND [ARGUMENT…]");
  print_item ("  ramet clone debian-12 web -d .", "make the VM 'web', with this folder inside", MAX_HEAD_COLUMNS + 2);
  print_item ("  ramet ssh web", "get in; other programs know it as web.local", MAX_HEAD_COLUMNS + 2);
  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      if (ramet_commands[i].flags & RAMET_COMMAND_HIDDEN)
        continue;
      if (is_first_of_group (i))
        g_print ("\n%s:\n", ramet_commands[i].group);
      print_command_line (&ramet_commands[i]);
    }
  g_print ("\nGlobal options:\n");
  print_options (ramet_options_global, at, TRUE);
  print_options (ramet_options_first, at, TRUE);
  g_print ("\n");
  print_sentences ("A NAME may be '@PROJECT': all VMs of that project. Where no NAME need be given, none means the project whose "
                   "'ramet.ini' is in this folder or above. 'ramet COMMAND --help' tells of one command, 'man ramet' of all.");
  g_print ("\n");
  print_sentences ("Exit status: 0 done, 1 failed, 2 wrong usage, 3 not there, 4 exists already or its state forbids, 5 refused as "
                   "unsafe or not permitted, 6 partly done, 124 timed out, 130 interrupted. 'ramet ssh' hands on the command's "
                   "own.");
}

/** ramet_print_command_help: what `ramet COMMAND --help` shows */
void
ramet_print_command_help (const RametCommand *command)
{
  const GOptionEntry *options = command->options ? command->options : no_options;
  guint at = widest_head (ramet_options_global, widest_head (options, 0));
  g_autofree char *usage = g_strdup_printf ("Usage: ramet %s%s%s [OPTION…]", command->name, *command->args ? " " : "",
                                            command->args);

  print_sentences (usage);
  g_print ("\n");
  print_sentences (command->summary);
  if (options->long_name)
    g_print ("\nOptions:\n");
  print_options (options, at, TRUE);
  g_print ("\nGlobal options:\n");
  print_options (ramet_options_global, at, (command->flags & RAMET_COMMAND_JSON) != 0);
  print_item ("  -h, --help", "This", at);
}

/* Those commands of two words whose first is @first; are there any? */
static gboolean
print_family_help (const char *first)
{
  gboolean any = FALSE;

  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      const char *blank = strchr (ramet_commands[i].name, ' ');

      if (blank == NULL || strlen (first) != (gsize) (blank - ramet_commands[i].name) ||
          !g_str_has_prefix (ramet_commands[i].name, first))
        continue;
      if (!any)
        {
          g_autofree char *usage = g_strdup_printf ("Usage: ramet %s COMMAND [ARGUMENT…] [OPTION…]", first);

          print_sentences (usage);
          g_print ("\n");
        }
      any = TRUE;
      print_command_line (&ramet_commands[i]);
    }
  return any;
}

/** ramet_print_help_about: @words: a command, the first word of several, or nothing: then it is ramet_print_help() */
gboolean
ramet_print_help_about (char **words, GError **error)
{
  int n_words = 0;
  const RametCommand *command = ramet_command_find (words, &n_words);

  if (words[0] == NULL)
    ramet_print_help ();
  else if (command)
    ramet_print_command_help (command);
  else if (words[1] || !print_family_help (words[0]))
    {
      ramet_command_set_unknown (words, error);
      return FALSE;
    }
  return TRUE;
}
