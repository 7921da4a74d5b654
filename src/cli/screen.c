/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/screen.h"

#include <glib-unix.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "cli/table.h"
#include "core/task.h"
#include "core/text.h"

#define ENTER "\033[?1049h\033[?25l" /* the alternate screen, without a cursor */
#define LEAVE "\033[?25h\033[?1049l"
#define CTRL_Z 0x1a

struct _RametScreen
{
  gboolean has_keys; /* stdin is the terminal, too */
  struct termios before;
  guint keys;        /* GSource ids */
  guint resizes;
  gboolean resized;
  gboolean left;
};

static struct termios quit_before; /* for ramet_screen_leave_at_once() */
static gboolean quit_has_keys;
static gboolean quit_has_screen;

/** ramet_screen_leave_at_once: if there is a screen; from any thread and in a signal's handler, before the process ends */
void
ramet_screen_leave_at_once (void)
{
  if (!quit_has_screen)
    return;
  (void) !write (STDOUT_FILENO, LEAVE, sizeof LEAVE - 1);
  if (quit_has_keys)
    tcsetattr (STDIN_FILENO, TCSANOW, &quit_before);
}

/* Ctrl-\ and a crash end at once, but not in a terminal without a cursor. */
static void
on_quit (int number)
{
  ramet_screen_leave_at_once ();
  signal (number, SIG_DFL);
  raise (number);
}

static void
enter (RametScreen *screen)
{
  struct termios raw = screen->before;

  quit_before = screen->before;
  quit_has_keys = screen->has_keys;
  quit_has_screen = TRUE;
  signal (SIGQUIT, on_quit);
  signal (SIGABRT, on_quit);

  if (screen->has_keys)
    {
      raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
      raw.c_cc[VMIN] = 1;
      raw.c_cc[VTIME] = 0;
      /* read as a key, so that the terminal is as it was before while the shell has it */
      raw.c_cc[VSUSP] = _POSIX_VDISABLE;
      tcsetattr (STDIN_FILENO, TCSADRAIN, &raw);
    }
  fputs (ENTER, stdout);
  fflush (stdout);
}

static void
leave (RametScreen *screen)
{
  fputs (LEAVE, stdout);
  fflush (stdout);
  if (screen->has_keys)
    tcsetattr (STDIN_FILENO, TCSADRAIN, &screen->before);
  quit_has_screen = FALSE;
  signal (SIGQUIT, SIG_DFL);
  signal (SIGABRT, SIG_DFL);
}

static gboolean
on_key (int fd, GIOCondition condition, gpointer data)
{
  RametScreen *screen = data;
  char key = 0;

  if (read (fd, &key, 1) != 1 || key == 'q' || key == 'Q')
    {
      screen->left = TRUE;
      screen->keys = 0;
      return G_SOURCE_REMOVE;
    }
  if (key == CTRL_Z)
    {
      leave (screen);
      raise (SIGTSTP); /* goes on here with 'fg' */
      enter (screen);
      screen->resized = TRUE;
    }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_resize (gpointer data)
{
  ((RametScreen *) data)->resized = TRUE;
  return G_SOURCE_CONTINUE;
}

/** ramet_screen_new: (nullable): %NULL if stdout is no terminal that can be repainted */
RametScreen *
ramet_screen_new (void)
{
  const char *term = g_getenv ("TERM");
  RametScreen *screen;

  if (!isatty (STDOUT_FILENO) || term == NULL || g_str_equal (term, "dumb"))
    return NULL;
  screen = g_new0 (RametScreen, 1);
  /* in the background, asking for keys would stop it */
  screen->has_keys = isatty (STDIN_FILENO) && tcgetpgrp (STDIN_FILENO) == getpgrp () &&
                     tcgetattr (STDIN_FILENO, &screen->before) == 0;
  if (screen->has_keys)
    screen->keys = g_unix_fd_add (STDIN_FILENO, G_IO_IN | G_IO_HUP, on_key, screen);
  screen->resizes = g_unix_signal_add (SIGWINCH, on_resize, screen);
  enter (screen);
  return screen;
}

void
ramet_screen_free (RametScreen *screen)
{
  g_clear_handle_id (&screen->keys, g_source_remove);
  g_clear_handle_id (&screen->resizes, g_source_remove);
  leave (screen);
  g_free (screen);
}

/** ramet_screen_columns: how wide the window is now */
guint
ramet_screen_columns (void)
{
  return ramet_terminal_columns (STDOUT_FILENO);
}

static guint
window_rows (void)
{
  struct winsize size;

  return ioctl (STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 ? size.ws_row : 24;
}

static guint
columns_of (const char *line)
{
  g_autofree char *plain = ramet_text_strip_sequences (line, strlen (line));

  return ramet_text_columns (plain);
}

/* How many rows of the window a line takes. */
static guint
rows_of (const char *line, guint columns)
{
  return MAX ((columns_of (line) + columns - 1) / columns, 1);
}

/* Behind a line that ends at the window's edge the cursor still stands on its last character, which would be erased. */
static const char *
erase_rest (const char *line, guint columns)
{
  guint used = columns_of (line);

  return used > 0 && used % columns == 0 ? "" : "\033[K";
}

static guint
rows_of_all (char **lines, guint columns)
{
  guint rows = 0;

  for (; *lines; lines++)
    rows += rows_of (*lines, columns);
  return rows;
}

/**
 * ramet_screen_draw:
 * @text: lines, with colours at most; what there is no room for is counted
 * @last_line: stands below them
 */
void
ramet_screen_draw (RametScreen *screen, const char *text, const char *last_line)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  guint columns = ramet_screen_columns ();
  guint room = window_rows () - 1;
  guint n = g_strv_length (lines);
  g_autofree char *footer = ramet_text_clip (last_line, columns - 1);

  if (n > 0 && lines[n - 1][0] == '\0')
    g_clear_pointer (&lines[--n], g_free); /* behind the last line end */
  if (rows_of_all (lines, columns) > room && room > 0)
    room--;
  else
    room = G_MAXUINT;
  fputs ("\033[H", stdout);
  for (guint i = 0; i < n; i++)
    {
      guint rows = rows_of (lines[i], columns);

      if (rows > room)
        {
          g_autofree char *more = g_strdup_printf ("… %u more %s: the window is too low for %s", n - i,
                                                   n - i == 1 ? "line" : "lines", n - i == 1 ? "it" : "them");
          g_autofree char *clipped = ramet_text_clip (more, columns);

          printf ("%s%s\n", clipped, erase_rest (clipped, columns));
          break;
        }
      room -= room == G_MAXUINT ? 0 : rows;
      printf ("%s%s\n", lines[i], erase_rest (lines[i], columns));
    }
  printf ("\033[2m%s\033[0m%s\033[J", footer, erase_rest (footer, columns));
  fflush (stdout);
}

/** ramet_screen_take_resized: whether it is to be drawn anew for another size */
gboolean
ramet_screen_take_resized (RametScreen *screen)
{
  gboolean resized = screen->resized;

  screen->resized = FALSE;
  return resized;
}

/** ramet_screen_is_left: whether 'q' was pressed, or there is no keyboard any more */
gboolean
ramet_screen_is_left (RametScreen *screen)
{
  return screen->left;
}
