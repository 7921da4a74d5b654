/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/complete.h"

#define PATIENCE_S 2

/* What was printed so far is all there will be. */
static void
on_alarm (int number G_GNUC_UNUSED)
{
  _exit (0);
}

/* For the shells' completion: the words of a command line behind "ramet", the last one being the one to complete. */
gboolean
ramet_cmd_complete (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametPlace) place = ramet_place_new (*args && g_str_equal (*args, "--") ? args + 1 : args);

  /* somebody is typing: no word in the middle of that, no long wait, and Ctrl-C is for the shell to deal with */
  (void) !freopen ("/dev/null", "w", stderr);
  setvbuf (stdout, NULL, _IOLBF, 0);
  signal (SIGINT, SIG_DFL);
  signal (SIGALRM, on_alarm);
  alarm (PATIENCE_S);
  if (place->uri == NULL)
    place->uri = g_strdup (invocation->uri);
  ramet_complete (place);
  return TRUE;
}
