/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "model/upper.h"

gboolean ramet_beneath_step_by_step;

static int
dup_folder (int fd)
{
  return openat (fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Each folder on the way is opened by its own, so that none can be a symlink. */
static int
open_step_by_step (int root_fd, const char *path, int flags, mode_t mode)
{
  int fd = dup_folder (root_fd);
  const char *slash;

  while (fd >= 0 && (slash = strchr (path, '/')) != NULL)
    {
      g_autofree char *part = g_strndup (path, slash - path);
      int next = openat (fd, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      int why = errno == ENOTDIR ? ELOOP : errno;

      close (fd);
      errno = why;
      fd = next;
      path = slash + 1;
    }
  if (fd >= 0)
    {
      int last = openat (fd, path, flags | O_NOFOLLOW | O_CLOEXEC, mode);
      int why = errno;

      close (fd);
      errno = why;
      fd = last;
    }
  return fd;
}

/** ramet_beneath_open: @path as ramet_upper_check_path() wants it, or "" for the folder itself; close-on-exec */
int
ramet_beneath_open (int root_fd, const char *path, int flags, mode_t mode)
{
  static gboolean lacking;
  struct open_how how = { .flags = (guint64) (flags | O_NOFOLLOW | O_CLOEXEC), .mode = flags & O_CREAT ? mode : 0,
                          .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
  long fd;

  if (*path == '\0')
    return dup_folder (root_fd);
  if (!ramet_upper_check_path (path))
    {
      errno = EXDEV;
      return -1;
    }
  if (lacking || ramet_beneath_step_by_step)
    return open_step_by_step (root_fd, path, flags, mode);
  do
    fd = syscall (SYS_openat2, root_fd, path, &how, sizeof how);
  while (fd < 0 && (errno == EAGAIN || errno == EINTR));
  /* an older kernel lacks it, and some containers forbid it */
  if (fd < 0 && (errno == ENOSYS || errno == EPERM))
    {
      lacking = errno == ENOSYS;
      return open_step_by_step (root_fd, path, flags, mode);
    }
  return (int) fd;
}

/**
 * ramet_beneath_open_parent:
 * @ret_name: (out): the last part of @path
 *
 * Returns: the folder that @path is in, for the *at() functions with that name and AT_SYMLINK_NOFOLLOW
 */
int
ramet_beneath_open_parent (int root_fd, const char *path, const char **ret_name)
{
  const char *slash = strrchr (path, '/');
  g_autofree char *folder = slash ? g_strndup (path, slash - path) : g_strdup ("");
  int fd;

  if (!ramet_upper_check_path (path))
    {
      errno = EXDEV;
      return -1;
    }
  fd = ramet_beneath_open (root_fd, folder, O_RDONLY | O_DIRECTORY, 0);
  if (fd >= 0)
    *ret_name = slash ? slash + 1 : path;
  return fd;
}

/** ramet_beneath_read_link: (transfer full) (nullable) */
char *
ramet_beneath_read_link (int root_fd, const char *path)
{
  const char *name;
  int fd = ramet_beneath_open_parent (root_fd, path, &name);
  char target[PATH_MAX];
  ssize_t n;
  int why;

  if (fd < 0)
    return NULL;
  n = readlinkat (fd, name, target, sizeof target);
  why = errno;
  close (fd);
  errno = why;
  if (n < 0 || n == sizeof target)
    return NULL;
  return g_strndup (target, (gsize) n);
}
