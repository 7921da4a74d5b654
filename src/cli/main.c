/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib-unix.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/task.h"

/* The global options, which may stand before the command or behind it. */
static struct
{
  char *uri;
  gboolean quiet;
  gboolean verbose;
  gboolean json;
  gboolean version;
  gboolean help;
} global;

static const GOptionEntry global_options[] = {
  { "connect", 'c', 0, G_OPTION_ARG_STRING, &global.uri, "libvirt to talk to", "URI" },
  { "quiet", 'q', 0, G_OPTION_ARG_NONE, &global.quiet, "Say nothing but errors", NULL },
  { "verbose", 'v', 0, G_OPTION_ARG_NONE, &global.verbose, "Say more", NULL },
  { "json", 0, 0, G_OPTION_ARG_NONE, &global.json, "Print data as JSON", NULL },
  G_OPTION_ENTRY_NULL,
};

static const GOptionEntry first_options[] = {
  { "version", 0, 0, G_OPTION_ARG_NONE, &global.version, NULL, NULL },
  { "help", 'h', 0, G_OPTION_ARG_NONE, &global.help, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

static gboolean
on_signal (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_CONTINUE;
}

/* Ctrl-C, a polite kill and a terminal that goes away all unwind what is half made. */
static void
catch_signals (GCancellable *cancellable)
{
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

  signal (SIGPIPE, SIG_IGN);
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    g_unix_signal_add (signals[i], on_signal, cancellable);
}

/* The options before the command; @args keeps the rest. */
static gboolean
parse_first (char ***args, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, global_options, NULL);
  g_option_context_add_main_entries (context, first_options, NULL);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_set_strict_posix (context, TRUE);
  return g_option_context_parse_strv (context, args, error);
}

static gboolean
check_count (const RametCommand *command, char **args, GError **error)
{
  int n = (int) g_strv_length (args);

  if (n >= command->min_args && (command->max_args < 0 || n <= command->max_args))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, n < command->min_args ? "'ramet %s' wants %s" : "'ramet %s' takes only %s",
                   command->name, *command->args ? command->args : "no arguments");
  ramet_error_hint (error, "'ramet %s --help'", command->name);
  return FALSE;
}

/* What GOption says is wrong usage; what a callback of ours says keeps its own status and hint. */
static void
finish_usage_error (const char *command, GError **error)
{
  gboolean ours = error && *error && (*error)->domain == RAMET_ERROR;

  if (error == NULL || *error == NULL || (ours && ramet_error_get_hint (*error)))
    return;
  ramet_error_hint (error, "'ramet %s%s--help'", command, *command ? " " : "");
  if (!ours)
    (*error)->code = RAMET_ERROR_USAGE;
}

/** words_for: (transfer full): what GOption is to parse: a program's name and the rest */
static char **
words_for (char **rest)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  g_strv_builder_add (builder, "ramet");
  g_strv_builder_addv (builder, (const char **) rest);
  return g_strv_builder_end (builder);
}

/* GOption leaves the "--" that ends the options where another word stands before it. */
static void
drop_separator (char **words)
{
  for (; *words; words++)
    if (g_str_equal (*words, "--"))
      {
        g_free (*words);
        memmove (words, words + 1, (g_strv_length (words + 1) + 1) * sizeof *words);
        return;
      }
}

/* The options of @command; @args keeps the words that are left, without the command's own name. */
static gboolean
parse_command (const RametCommand *command, int n_words, char ***args, GError **error)
{
  g_autofree char *usage = g_strdup_printf ("ramet %s%s%s", command->name, *command->args ? " " : "", command->args);
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_auto (GStrv) words = words_for (*args + 1 + n_words);

  g_option_context_set_summary (context, command->summary);
  if (command->options)
    g_option_context_add_main_entries (context, command->options, NULL);
  g_option_context_add_main_entries (context, global_options, NULL);
  g_option_context_set_strict_posix (context, (command->flags & RAMET_COMMAND_POSIX) != 0);
  g_set_prgname (usage);
  if (!g_option_context_parse_strv (context, &words, error))
    {
      finish_usage_error (command->name, error);
      return FALSE;
    }
  g_set_prgname ("ramet");
  if (!(command->flags & RAMET_COMMAND_POSIX))
    drop_separator (words + 1);
  g_strfreev (*args);
  *args = g_strdupv (words + 1);
  return check_count (command, *args, error);
}

static const RametCommand *
find_command (char **words, int *ret_n_words, GError **error)
{
  const RametCommand *command = ramet_command_find (words, ret_n_words);

  if (command == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, words[0] ? "there is no command '%s'" : "no command given%s",
                       words[0] ? words[0] : "");
      ramet_error_hint (error, "'ramet --help' lists them");
    }
  return command;
}

static gboolean
run (char ***args, RametInvocation *invocation, GError **error)
{
  const RametCommand *command;
  int n_words = 0;

  if (!parse_first (args, error))
    {
      finish_usage_error ("", error);
      return FALSE;
    }
  if (global.version || global.help || g_strcmp0 ((*args)[1], "help") == 0)
    {
      if (global.version)
        g_print ("ramet %s\n", RAMET_VERSION);
      else
        ramet_print_help ();
      return TRUE;
    }
  command = find_command (*args + 1, &n_words, error);
  if (command == NULL || !parse_command (command, n_words, args, error))
    return FALSE;
  if (global.json && !(command->flags & RAMET_COMMAND_JSON))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' prints no data, so it takes no --json", command->name);
      return FALSE;
    }
  ramet_talk_init (global.quiet ? RAMET_TALK_QUIET : global.verbose ? RAMET_TALK_VERBOSE : RAMET_TALK_NORMAL);
  invocation->json = global.json;
  invocation->quiet = global.quiet;
  invocation->uri = global.uri;
  if ((command->flags & RAMET_COMMAND_CONNECTS) &&
      !(invocation->connection = ramet_connection_open (global.uri, error)))
    return FALSE;
  return command->run (invocation, *args, error);
}

/* g_warning() is for what the undo stack could not do: it is told like everything else. */
static GLogWriterOutput
write_log (GLogLevelFlags level, const GLogField *fields, gsize n_fields, gpointer data)
{
  const char *text = "";

  if (level & G_LOG_LEVEL_DEBUG)
    return G_LOG_WRITER_HANDLED;
  for (gsize i = 0; i < n_fields; i++)
    if (g_str_equal (fields[i].key, "MESSAGE"))
      text = fields[i].value;
  ramet_print_warning (text);
  return G_LOG_WRITER_HANDLED;
}

int
main (int argc, char **argv)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (GStrv) args = g_strdupv (argv);
  g_autoptr (GError) error = NULL;
  RametInvocation invocation = { .cancellable = cancellable };
  gboolean done;

  setlocale (LC_ALL, "");
  g_log_set_writer_func (write_log, NULL, NULL);
  umask (umask (0) | 0022);
  catch_signals (cancellable);
  done = run (&args, &invocation, &error);
  g_clear_pointer (&invocation.connection, ramet_connection_unref);
  if (done)
    return fflush (stdout) == 0 ? invocation.status : 1;
  ramet_print_error (error);
  return ramet_error_exit_status (error);
}
