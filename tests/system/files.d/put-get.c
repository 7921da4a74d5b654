/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For tests/system/files.sh: files on libvirtd's host through the storage API.
 *
 *   put-get make FOLDER MODE
 *   put-get put FILE PATH MODE GID   a copy of FILE
 *   put-get get PATH MAX FILE        its first MAX bytes, or all for 0, to FILE, which may be a pipe
 *
 * Ends with the status that ramet would have.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/error.h"
#include "host/libvirt/folder-files.h"

static gboolean
run (RametConnection *connection, RametTask *task, char **args, GError **error)
{
  RametFileOwner owner = { 0 };
  gboolean done = FALSE;
  int fd;

  if (g_str_equal (args[0], "make"))
    {
      owner.mode = (guint) strtoul (args[2], NULL, 8);
      return ramet_folder_make (connection, args[1], &owner, error);
    }
  if (g_str_equal (args[0], "put"))
    {
      owner.mode = (guint) strtoul (args[3], NULL, 8);
      owner.gid = (gid_t) strtoul (args[4], NULL, 10);
      fd = open (args[1], O_RDONLY | O_CLOEXEC);
      done = ramet_folder_put (connection, task, args[2], fd, &owner, error);
    }
  else
    {
      fd = open (args[3], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
      done = ramet_folder_get (connection, task, args[1], strtoull (args[2], NULL, 10), fd, error);
    }
  close (fd);
  return done;
}

int
main (int argc, char **argv)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RametConnection) connection = ramet_connection_open ("qemu:///system", &error);
  g_autoptr (RametTask) task = ramet_task_new ("files", NULL);

  if (argc < 4 || connection == NULL || !run (connection, task, argv + 1, &error))
    {
      fprintf (stderr, "put-get: %s\n", error ? error->message : "wrong usage");
      return error ? ramet_error_exit_status (error) : 2;
    }
  return 0;
}
