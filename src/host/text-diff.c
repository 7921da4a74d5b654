/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/text-diff.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"

/* A file that only this process and its children know of. -1 with errno set on failure. */
static int
hold (const char *text)
{
  int fd = memfd_create ("ramet-diff", MFD_CLOEXEC);
  gsize left = strlen (text);

  while (fd >= 0 && left > 0)
    {
      ssize_t n = write (fd, text, left);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          close (fd);
          return -1;
        }
      text += n;
      left -= (gsize) n;
    }
  if (fd >= 0)
    lseek (fd, 0, SEEK_SET);
  return fd;
}

/* Takes @fd. */
static GSubprocess *
spawn (int fd, const char *old_label, const char *new_label, GError **error)
{
  g_autoptr (GSubprocessLauncher) launcher = g_subprocess_launcher_new (
    G_SUBPROCESS_FLAGS_STDIN_PIPE | G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_SILENCE);

  g_subprocess_launcher_setenv (launcher, "LC_ALL", "C", TRUE);
  g_subprocess_launcher_take_fd (launcher, fd, 3);
  return g_subprocess_launcher_spawn (launcher, error, "diff", "-u", "--label", old_label, "--label", new_label, "--",
                                      "/dev/fd/3", "-", NULL);
}

/** ramet_text_diff: (transfer full): a unified diff of two texts by diff(1); empty if they are the same */
char *
ramet_text_diff (const char *old_label, const char *old_text, const char *new_label, const char *new_text, GError **error)
{
  g_autofree char *old_safe = ramet_text_escape (old_label, -1);
  g_autofree char *new_safe = ramet_text_escape (new_label, -1);
  g_autoptr (GSubprocess) process = NULL;
  g_autoptr (GError) why = NULL;
  g_autofree char *diff = NULL;
  int fd = hold (old_text);

  if (fd < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot hold a text to compare: %s", g_strerror (errno));
      return NULL;
    }
  process = spawn (fd, old_safe, new_safe, &why);
  if (process && g_subprocess_communicate_utf8 (process, new_text, NULL, &diff, NULL, &why) &&
      g_subprocess_get_if_exited (process) && g_subprocess_get_exit_status (process) <= 1)
    return g_steal_pointer (&diff);
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot run diff, which compares texts%s%s", why ? ": " : "",
                   why ? why->message : "");
  ramet_error_hint (error, "install it: package diffutils");
  return NULL;
}
