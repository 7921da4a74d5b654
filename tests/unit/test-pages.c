/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The manual pages and `ramet --help` against the tables they tell of, both ways. A line of a page that names a command, an
 * option, an exit status or a key is made from the table here; what is told about it is the page's own.
 */
#include <string.h>

#include "cli/command.h"
#include "cli/help.h"
#include "core/error.h"
#include "model/config.h"
#include "model/project.h"

#define PLACE_OF_ALL "Global options"

/* What a page has to say of one thing. */
typedef struct
{
  char *place; /* heading or command that it stands below */
  char *line;  /* ".It Fl f , Fl -force" */
  char *what;  /* for messages */
  guint seen;
} Wanted;

/* A line that names such a thing. */
typedef struct
{
  char *place;
  char *line;
  guint number;
} Found;

static void
wanted_free (gpointer data)
{
  Wanted *wanted = data;

  g_free (wanted->place);
  g_free (wanted->line);
  g_free (wanted->what);
  g_free (wanted);
}

static void
found_free (gpointer data)
{
  Found *found = data;

  g_free (found->place);
  g_free (found->line);
  g_free (found);
}

static void G_GNUC_PRINTF (1, 2)
complain (const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_test_message ("%s", text);
  g_test_fail ();
}

/* Takes @line and @what. */
static void
want (GPtrArray *all, const char *place, char *line, char *what)
{
  Wanted *wanted = g_new0 (Wanted, 1);

  wanted->place = g_strdup (place);
  wanted->line = line;
  wanted->what = what;
  g_ptr_array_add (all, wanted);
}

static char *
option_line (const GOptionEntry *option)
{
  GString *line = g_string_new (".It ");

  if (option->short_name)
    g_string_append_printf (line, "Fl %c , ", option->short_name);
  g_string_append_printf (line, "Fl -%s", option->long_name);
  if (option->arg_description)
    g_string_append_printf (line, " Ns = Ns Ar %s", option->arg_description);
  return g_string_free (line, FALSE);
}

/* As mdoc has it: dots for the ellipsis, and a closing bracket that is no delimiter of its own. */
static char *
command_line (const RametCommand *command)
{
  GString *line = g_string_new (".It Ic ");
  const char *last = strrchr (command->args, ' ');

  g_string_append (line, command->name);
  if (*command->args)
    g_string_append_printf (line, " Ar %s", command->args);
  g_string_replace (line, "…", "...", 0);
  if (g_str_has_suffix (command->args, "]") && last && last[1] != '[')
    g_string_append (line, "\\&");
  return g_string_free (line, FALSE);
}

static void
want_options (GPtrArray *all, const char *place, const GOptionEntry *options)
{
  for (; options && options->long_name; options++)
    if (!(options->flags & G_OPTION_FLAG_HIDDEN))
      want (all, place, option_line (options), g_strdup_printf ("the option '--%s' of '%s'", options->long_name, place));
}

static GPtrArray *
want_commands (void)
{
  GPtrArray *all = g_ptr_array_new_with_free_func (wanted_free);

  want_options (all, PLACE_OF_ALL, ramet_options_global);
  want_options (all, PLACE_OF_ALL, ramet_options_first);
  for (gsize i = 0; i < ramet_n_commands; i++)
    {
      const RametCommand *command = &ramet_commands[i];

      if (command->flags & RAMET_COMMAND_HIDDEN)
        continue;
      want (all, command->group, command_line (command), g_strdup_printf ("the command '%s'", command->name));
      want_options (all, command->name, command->options);
    }
  return all;
}

/* (element-type int): sorted, each once */
static GArray *
exit_statuses (void)
{
  GArray *statuses = g_array_new (FALSE, FALSE, sizeof (int));

  for (int status = 0; status < 256; status++)
    for (int code = -1; code < 256; code++)
      {
        g_autoptr (GError) error = g_error_new_literal (RAMET_ERROR, code, "");

        if (status == 0 ? code == -1 : ramet_error_exit_status (error) == status)
          {
            g_array_append_val (statuses, status);
            break;
          }
      }
  return statuses;
}

/* (transfer full): "clone" of ".It Ic clone Ar BASE NEW" */
static char *
command_of (const char *line)
{
  const char *name = line + strlen (".It Ic ");
  const char *end = strstr (name, " Ar ");

  return end ? g_strndup (name, (gsize) (end - name)) : g_strdup (name);
}

/* (transfer full): the lines of man/@file that begin with one of @starts, and what each stands below */
static GPtrArray *
read_page (const char *file, const char *const *starts)
{
  g_autofree char *path = g_test_build_filename (G_TEST_DIST, "..", "man", file, NULL);
  g_autofree char *text = NULL;
  g_autofree char *heading = g_strdup ("");
  g_autofree char *command = NULL;
  g_autoptr (GError) error = NULL;
  g_auto (GStrv) lines = NULL;
  GPtrArray *all = g_ptr_array_new_with_free_func (found_free);

  g_file_get_contents (path, &text, NULL, &error);
  g_assert_no_error (error);
  lines = g_strsplit (text, "\n", -1);
  for (guint i = 0; lines[i]; i++)
    {
      const char *line = lines[i];
      gboolean is_command = g_str_has_prefix (line, ".It Ic ");

      if (g_str_has_prefix (line, ".Sh ") || g_str_has_prefix (line, ".Ss "))
        {
          g_free (heading);
          heading = g_strdup (line + 4);
          g_clear_pointer (&command, g_free);
        }
      for (const char *const *start = starts; *start; start++)
        if (g_str_has_prefix (line, *start))
          {
            Found *found = g_new0 (Found, 1);

            found->place = g_strdup (command && !is_command ? command : heading);
            found->line = g_strdup (line);
            found->number = i + 1;
            g_ptr_array_add (all, found);
          }
      if (is_command)
        {
          g_free (command);
          command = command_of (line);
        }
    }
  g_assert_cmpuint (all->len, >, 0);
  return all;
}

/* The line of the page that comes nearest: in the same place, of the same thing, but put otherwise. */
static const char *
find_near (const Wanted *wanted, GPtrArray *page)
{
  gsize length = strcspn (wanted->line + 4, "=") + 4;
  const char *args = strstr (wanted->line, " Ar ");

  if (args && g_str_has_prefix (wanted->line, ".It Ic "))
    length = (gsize) (args - wanted->line);
  for (guint i = 0; i < page->len; i++)
    {
      const Found *found = g_ptr_array_index (page, i);

      if (g_str_equal (found->place, wanted->place) && strncmp (found->line, wanted->line, length) == 0)
        return found->line;
    }
  return NULL;
}

static void
compare (const char *file, GPtrArray *page, GPtrArray *all)
{
  for (guint i = 0; i < page->len; i++)
    {
      const Found *found = g_ptr_array_index (page, i);
      gboolean known = FALSE;

      for (guint j = 0; j < all->len; j++)
        {
          Wanted *wanted = g_ptr_array_index (all, j);

          if (g_str_equal (found->place, wanted->place) && g_str_equal (found->line, wanted->line))
            {
              known = TRUE;
              wanted->seen++;
            }
        }
      if (!known)
        complain ("man/%s:%u: '%s' below '%s' is not so in the table: take it away, or put it as the table has it", file,
                  found->number, found->line, found->place);
    }
  for (guint i = 0; i < all->len; i++)
    {
      const Wanted *wanted = g_ptr_array_index (all, i);
      const char *near = find_near (wanted, page);

      if (wanted->seen > 1)
        complain ("man/%s: %s is there %u times", file, wanted->what, wanted->seen);
      else if (wanted->seen == 0 && near)
        complain ("man/%s: %s is there as '%s': below '%s' the line should be '%s'", file, wanted->what, near, wanted->place,
                  wanted->line);
      else if (wanted->seen == 0)
        complain ("man/%s: %s is missing: below '%s' add a line '%s', and what it means", file, wanted->what, wanted->place,
                  wanted->line);
    }
}

static void
test_commands (void)
{
  static const char *const starts[] = { ".It Ic ", ".It Fl ", NULL };
  g_autoptr (GPtrArray) page = read_page ("ramet.1", starts);
  g_autoptr (GPtrArray) all = want_commands ();

  g_assert_cmpuint (all->len, >, 50);
  compare ("ramet.1", page, all);
}

static void
test_statuses (void)
{
  static const char *const starts[] = { ".It 0", ".It 1", ".It 2", ".It 3", ".It 4", ".It 5", ".It 6", ".It 7", ".It 8",
                                        ".It 9", NULL };
  g_autoptr (GPtrArray) page = read_page ("ramet.1", starts);
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (wanted_free);
  g_autoptr (GArray) statuses = exit_statuses ();

  g_assert_cmpuint (statuses->len, >=, 9);
  for (guint i = 0; i < statuses->len; i++)
    {
      int status = g_array_index (statuses, int, i);

      want (all, "EXIT STATUS", g_strdup_printf (".It %d", status), g_strdup_printf ("the exit status %d", status));
    }
  compare ("ramet.1", page, all);
}

static void
test_keys (void)
{
  static const char *const starts[] = { ".It Ic ", NULL };
  g_autoptr (GPtrArray) page = read_page ("ramet.ini.5", starts);
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (wanted_free);
  const char *key;
  gboolean of_project, of_vm;

  for (gsize i = 0; (key = ramet_project_get_key (i, &of_project, &of_vm)); i++)
    want (all, of_project && of_vm ? "In both" : of_project ? "In [project] only" : "In [vm NAME] only",
          g_strdup_printf (".It Ic %s", key), g_strdup_printf ("the key '%s'", key));
  g_assert_cmpuint (all->len, >, 5);
  for (guint i = 0; i < page->len; i++)
    {
      Found *found = g_ptr_array_index (page, i);

      /* one key is no command that another stands below */
      g_assert_false (strstr (found->line, " Ar "));
    }
  compare ("ramet.ini.5", page, all);
}

static void
test_settings (void)
{
  static const char *const starts[] = { ".It Cm ", NULL };
  g_autoptr (GPtrArray) page = read_page ("ramet.1", starts);
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (wanted_free);

  for (guint i = 0; i < RAMET_N_CONFIG_KEYS; i++)
    {
      const char *key = ramet_config_key_name ((RametConfigKey) i);

      want (all, "CONFIGURATION", g_strdup_printf (".It Cm %s", key), g_strdup_printf ("the setting '%s'", key));
    }
  compare ("ramet.1", page, all);
}

static GString *printed;

static void
take_print (const char *text)
{
  g_string_append (printed, text);
}

/* (transfer full): what ramet_print_help() prints */
static char *
print_help (void)
{
  GPrintFunc before;

  printed = g_string_new (NULL);
  before = g_set_print_handler (take_print);
  ramet_print_help ();
  g_set_print_handler (before);
  return g_string_free (g_steal_pointer (&printed), FALSE);
}

/* Each line of `ramet --help` that begins with two blanks and no more stands for a command, until the global options. */
static void
test_help_commands (void)
{
  g_autofree char *help = print_help ();
  g_auto (GStrv) parts = g_strsplit (help, "\nGlobal options:\n", -1);
  g_autoptr (GRegex) regex = g_regex_new ("^  ([a-z][a-z -]*?)  *([A-Z].*)$", G_REGEX_MULTILINE, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  gsize at = 0;

  g_assert_cmpuint (g_strv_length (parts), ==, 2);
  for (g_regex_match (regex, parts[0], 0, &match); g_match_info_matches (match); g_match_info_next (match, NULL), at++)
    {
      g_autofree char *name = g_match_info_fetch (match, 1);
      g_autofree char *summary = g_match_info_fetch (match, 2);

      while (at < ramet_n_commands && (ramet_commands[at].flags & RAMET_COMMAND_HIDDEN))
        at++;
      g_assert_cmpuint (at, <, ramet_n_commands);
      g_assert_cmpstr (name, ==, ramet_commands[at].name);
      g_assert_cmpstr (summary, ==, ramet_commands[at].summary);
    }
  for (; at < ramet_n_commands; at++)
    if (!(ramet_commands[at].flags & RAMET_COMMAND_HIDDEN))
      complain ("`ramet --help` does not tell of '%s'", ramet_commands[at].name);
}

/* In the order of the table: "--connect", "--quiet", … */
static void
test_help_options (void)
{
  const GOptionEntry *tables[] = { ramet_options_global, ramet_options_first };
  g_autofree char *help = print_help ();
  g_autoptr (GRegex) regex = g_regex_new ("^  (?:-(.), |    )--([a-z-]+)(?:=([^ ]+))? ", G_REGEX_MULTILINE, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;

  g_regex_match (regex, help, 0, &match);
  for (gsize i = 0; i < G_N_ELEMENTS (tables); i++)
    for (const GOptionEntry *option = tables[i]; option->long_name; option++)
      {
        g_autofree char *letter = g_match_info_fetch (match, 1);
        g_autofree char *name = g_match_info_fetch (match, 2);
        g_autofree char *value = g_match_info_fetch (match, 3);

        g_assert_cmpstr (name, ==, option->long_name);
        g_assert_cmpint (letter ? *letter : 0, ==, option->short_name);
        g_assert_cmpstr (value ? value : "", ==, option->arg_description ? option->arg_description : "");
        g_match_info_next (match, NULL);
      }
  g_assert_false (g_match_info_matches (match));
}

/* "Exit status: 0 done, 1 failed, …": each number in it, and no other */
static void
test_help_statuses (void)
{
  g_autofree char *help = print_help ();
  const char *from = strstr (help, "\nExit status: ");
  g_autoptr (GRegex) regex = g_regex_new ("[0-9]+(?=\\s[a-z])", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  g_autoptr (GArray) statuses = exit_statuses ();

  g_assert_nonnull (from);
  g_regex_match (regex, from, 0, &match);
  for (guint i = 0; i < statuses->len; i++)
    {
      g_autofree char *number = g_match_info_fetch (match, 0);
      g_autofree char *status = g_strdup_printf ("%d", g_array_index (statuses, int, i));

      if (g_strcmp0 (number, status) != 0)
        complain ("`ramet --help` tells of the exit status %s where %s should come", number ? number : "(none)", status);
      g_match_info_next (match, NULL);
    }
  g_assert_false (g_match_info_matches (match));
}

/* What GOption makes of each command's table, told by itself; that there is no second table behind the help. */
static void
test_names_once (void)
{
  for (gsize i = 0; i < ramet_n_commands; i++)
    for (const GOptionEntry *option = ramet_commands[i].options; option && option->long_name; option++)
      for (const GOptionEntry *other = ramet_options_global; other->long_name; other++)
        if (g_str_equal (option->long_name, other->long_name) ||
            (option->short_name && option->short_name == other->short_name))
          complain ("'ramet %s' has an option '--%s', as all commands have", ramet_commands[i].name, option->long_name);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/pages/commands-and-options", test_commands);
  g_test_add_func ("/pages/exit-statuses", test_statuses);
  g_test_add_func ("/pages/keys", test_keys);
  g_test_add_func ("/pages/settings", test_settings);
  g_test_add_func ("/pages/help/commands", test_help_commands);
  g_test_add_func ("/pages/help/options", test_help_options);
  g_test_add_func ("/pages/help/exit-statuses", test_help_statuses);
  g_test_add_func ("/pages/options-once", test_names_once);
  return g_test_run ();
}
