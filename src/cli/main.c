/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/help.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/screen.h"
#include "core/error.h"
#include "core/task.h"
#include "core/text.h"
#include "host/files/config.h"
#include "host/libvirt/silence.h"

/* What a libvirtd that answers within seconds even on a busy host is silent for when it is given up. */
#define HANG_LOOK_MS 1000
#define HANG_QUIET_US (5 * G_TIME_SPAN_SECOND)
#define HANG_PATIENCE_US (25 * G_TIME_SPAN_SECOND)
#define INTERRUPTED_LOOK_MS 250
#define INTERRUPTED_PATIENCE_US (5 * G_TIME_SPAN_SECOND) /* giving up too early leaves what could have been undone */

static int signal_fd = -1;
static int hang_fd = -1;

static void
on_signal (int number G_GNUC_UNUSED)
{
  static const guint64 one = 1;
  int before = errno;

  /* they can hold more than anybody presses Ctrl-C */
  (void) !write (signal_fd, &one, sizeof one);
  (void) !write (hang_fd, &one, sizeof one);
  errno = before;
}

static gboolean
on_signal_read (int fd, GIOCondition condition G_GNUC_UNUSED, gpointer cancellable)
{
  guint64 n;

  if (read (fd, &n, sizeof n) == sizeof n)
    g_cancellable_cancel (cancellable);
  return G_SOURCE_CONTINUE;
}

/*
 * After Ctrl-C all that ramet is at comes to an end by itself, and is taken back, however long libvirtd takes for a call. Only
 * a libvirtd that says nothing at all would never let it: nor is there anybody then who could take anything back.
 */
static gpointer
wait_for_hang (gpointer data G_GNUC_UNUSED)
{
  struct pollfd pressed = { .fd = hang_fd, .events = POLLIN };
  g_autoptr (GError) why = NULL;
  gboolean interrupted = FALSE;
  gint64 silent_us;

  do
    {
      if (interrupted)
        g_usleep (INTERRUPTED_LOOK_MS * G_TIME_SPAN_MILLISECOND);
      else
        interrupted = poll (&pressed, 1, HANG_LOOK_MS) == 1;
      silent_us = ramet_silence_measure (interrupted ? 0 : HANG_QUIET_US);
    }
  while (silent_us < (interrupted ? INTERRUPTED_PATIENCE_US : HANG_PATIENCE_US));
  ramet_screen_leave_at_once ();
  ramet_silence_set_error (&why);
  if (interrupted)
    {
      why->code = RAMET_ERROR_CANCELLED;
      g_prefix_error (&why, "interrupted: ");
    }
  ramet_print_error (why);
  _exit (ramet_error_exit_status (why));
}

/*
 * Ctrl-C, a polite kill and a terminal that goes away all unwind what is half made. g_unix_signal_add() hands a signal to a
 * thread of GLib's first: ramet_task_check() could come before it, and all be called done though it had been pressed.
 */
static void
catch_signals (GCancellable *cancellable)
{
  static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
  struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

  signal (SIGPIPE, SIG_IGN);
  signal_fd = eventfd (0, EFD_CLOEXEC | EFD_NONBLOCK);
  hang_fd = eventfd (0, EFD_CLOEXEC);
  if (signal_fd < 0 || hang_fd < 0)
    return; /* a signal ends the program at once */
  g_thread_unref (g_thread_new ("hang", wait_for_hang, NULL));
  g_unix_fd_add (signal_fd, G_IO_IN, on_signal_read, cancellable);
  for (gsize i = 0; i < G_N_ELEMENTS (signals); i++)
    sigaction (signals[i], &action, NULL);
}

/* The options before the command; @args keeps the rest. */
static gboolean
parse_first (char ***args, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);

  g_option_context_add_main_entries (context, ramet_options_global, NULL);
  g_option_context_add_main_entries (context, ramet_options_first, NULL);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_set_strict_posix (context, TRUE);
  return g_option_context_parse_strv (context, args, error);
}

static gboolean
check_count (const RametCommand *command, char **args, GError **error)
{
  int n = (int) g_strv_length (args);

  if ((command->flags & RAMET_COMMAND_PROJECT) && (n == 0 || g_str_equal (args[0], "--")))
    return ramet_names_check_given (command->name, TRUE, error);
  if (n >= command->min_args && (command->max_args < 0 || n <= command->max_args))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' %s %s", command->name,
                   n < command->min_args ? "wants" : *command->args ? "takes only" : "takes no",
                   *command->args ? command->args : "arguments");
  ramet_error_hint (error, "'ramet %s --help'", command->name);
  return FALSE;
}

static void
add_names (GPtrArray *names, const GOptionEntry *options)
{
  for (; options && options->long_name; options++)
    g_ptr_array_add (names, (gpointer) options->long_name);
}

/* (transfer none) (nullable): the option that GOption's "Unknown option --cpu=2" was meant to be; @command may be %NULL */
static const char *
nearest_option (const char *message, const RametCommand *command)
{
  const char *typed = strstr (message, "--");
  g_autofree char *name = typed ? g_strndup (typed + 2, strcspn (typed + 2, "=")) : NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new ();

  add_names (names, command ? command->options : ramet_options_first);
  add_names (names, ramet_options_global);
  g_ptr_array_add (names, NULL);
  return name ? ramet_text_nearest (name, (const char *const *) names->pdata) : NULL;
}

/* What GOption says is wrong usage; @command may be %NULL; what a callback of ours says keeps its own status and hint. */
static void
finish_usage_error (const RametCommand *command, GError **error)
{
  gboolean ours = error && *error && (*error)->domain == RAMET_ERROR;
  const char *name = command ? command->name : "";
  const char *nearest;

  if (error == NULL || *error == NULL || (ours && ramet_error_get_hint (*error)))
    return;
  if (ours || !g_error_matches (*error, G_OPTION_ERROR, G_OPTION_ERROR_UNKNOWN_OPTION) ||
      !(nearest = nearest_option ((*error)->message, command)))
    ramet_error_hint (error, "'ramet %s%s--help'", name, *name ? " " : "");
  else
    ramet_error_hint (error, "did you mean '--%s'? 'ramet %s%s--help'", nearest, name, *name ? " " : "");
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

/* GOption takes the "--" away that stands before all words: then no name was given. */
static gboolean
starts_with_separator (char **given, char **left)
{
  guint n_given = g_strv_length (given);
  guint n_left = g_strv_length (left);

  return n_left < n_given && g_str_equal (given[n_given - n_left - 1], "--");
}

/** words_behind_options: (transfer full): of a command whose last words are another program's, with a "--" before those */
static char **
words_behind_options (char **given, char **left)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  if (starts_with_separator (given, left))
    g_strv_builder_add (builder, "--");
  g_strv_builder_addv (builder, (const char **) left);
  return g_strv_builder_end (builder);
}

/* GOption's own help goes by no terminal's width, and ends the program without a look at whether it was written. */
static const GOptionEntry option_help[] = {
  { "help", 'h', 0, G_OPTION_ARG_NONE, &ramet_global.help, NULL, NULL },
  G_OPTION_ENTRY_NULL,
};

/* The options of @command, or that its help is wanted; @args keeps the words that are left, without the command's own name. */
static gboolean
parse_command (const RametCommand *command, int n_words, char ***args, GError **error)
{
  g_autoptr (GOptionContext) context = g_option_context_new (NULL);
  g_auto (GStrv) words = words_for (*args + 1 + n_words);
  char **left;

  if (command->options)
    g_option_context_add_main_entries (context, command->options, NULL);
  g_option_context_add_main_entries (context, ramet_options_global, NULL);
  g_option_context_add_main_entries (context, option_help, NULL);
  g_option_context_set_help_enabled (context, FALSE);
  g_option_context_set_strict_posix (context, (command->flags & RAMET_COMMAND_POSIX) != 0);
  if (!g_option_context_parse_strv (context, &words, error))
    {
      finish_usage_error (command, error);
      return FALSE;
    }
  if (command->flags & RAMET_COMMAND_POSIX)
    left = words_behind_options (*args + 1 + n_words, words + 1);
  else
    {
      drop_separator (words + 1);
      left = g_strdupv (words + 1);
    }
  g_strfreev (*args);
  *args = left;
  return ramet_global.help || check_count (command, *args, error);
}

/* What was typed goes before the environment, and that before the user's file; %NULL: as libvirt has it. */
static const char *
choose_uri (const RametConfig *config)
{
  const char *environment = g_getenv ("LIBVIRT_DEFAULT_URI");

  if (ramet_global.uri || config == NULL)
    return ramet_global.uri;
  return environment && *environment ? NULL : config->values[RAMET_CONFIG_CONNECTION];
}

/* (transfer full) (nullable): what help is wanted about: "help WORD…", "--help WORD…" and "snapshot --help", which is no command */
static char **
words_to_explain (char **words)
{
  char *first[] = { words[0], NULL };
  int n_words;

  if (ramet_global.help)
    return g_strdupv (words);
  if (g_strcmp0 (words[0], "help") == 0)
    return g_strdupv (words + 1);
  if (words[0] && (g_strcmp0 (words[1], "--help") == 0 || g_strcmp0 (words[1], "-h") == 0) && !ramet_command_find (words, &n_words))
    return g_strdupv (first);
  return NULL;
}

static gboolean
run (char ***args, RametInvocation *invocation, GError **error)
{
  const RametCommand *command;
  g_auto (GStrv) explained = NULL;
  int n_words = 0;
  char **words;

  if (!parse_first (args, error))
    {
      finish_usage_error (NULL, error);
      return FALSE;
    }
  if (ramet_global.version)
    {
      g_print ("ramet %s\n", RAMET_VERSION);
      return TRUE;
    }
  words = *args + 1;
  explained = words_to_explain (words);
  if (explained)
    return ramet_print_help_about (explained, error);
  command = ramet_command_find (words, &n_words);
  if (command == NULL)
    ramet_command_set_unknown (words, error);
  if (command == NULL || !parse_command (command, n_words, args, error))
    return FALSE;
  if (ramet_global.help)
    {
      ramet_print_command_help (command);
      return TRUE;
    }
  if (ramet_global.json && !(command->flags & RAMET_COMMAND_JSON))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' prints no data, so it takes no --json", command->name);
      return FALSE;
    }
  ramet_talk_init (ramet_global.quiet ? RAMET_TALK_QUIET : ramet_global.verbose ? RAMET_TALK_VERBOSE : RAMET_TALK_NORMAL);
  invocation->json = ramet_global.json;
  invocation->quiet = ramet_global.quiet;
  invocation->config = ramet_config_load (command->flags & RAMET_COMMAND_TOLERANT ? NULL : error);
  if (invocation->config == NULL && !(command->flags & RAMET_COMMAND_TOLERANT))
    return FALSE;
  invocation->uri = choose_uri (invocation->config);
  if ((command->flags & RAMET_COMMAND_CONNECTS) &&
      !(invocation->connection = ramet_connection_open (invocation->uri, error)))
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

/* g_print() tells of no full disk. Who reads a pipe may have seen enough, which is no error. */
static gboolean
check_written (void)
{
  struct pollfd out = { .fd = STDOUT_FILENO };

  if ((fflush (stdout) == 0 && !ferror (stdout)) || (poll (&out, 1, 0) == 1 && out.revents & POLLERR))
    return TRUE;
  g_printerr ("ramet: what it printed could not be written\n");
  return FALSE;
}

/* A connection that was opened as one of these would get what is printed. Reading gives nothing, and writing fails. */
static void
fill_standard_files (void)
{
  int fd;

  do
    fd = open ("/dev/null", O_RDONLY);
  while (fd >= 0 && fd <= STDERR_FILENO);
  if (fd >= 0)
    close (fd);
}

int
main (int argc, char **argv)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_auto (GStrv) args = g_strdupv (argv);
  g_autoptr (GError) error = NULL;
  RametInvocation invocation = { .cancellable = cancellable };
  gboolean done;

  fill_standard_files ();
  setlocale (LC_ALL, "");
  g_log_set_writer_func (write_log, NULL, NULL);
  umask (umask (0) | 0022);
  catch_signals (cancellable);
  done = run (&args, &invocation, &error);
  while (ramet_talk_is_verbose () && g_main_context_iteration (NULL, FALSE))
    ; /* what threads have told last */
  g_clear_pointer (&invocation.connection, ramet_connection_unref);
  g_clear_pointer (&invocation.config, ramet_config_free);
  if (done)
    return check_written () ? invocation.status : 1;
  ramet_print_error (error);
  return ramet_error_exit_status (error);
}
