/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"

#define ASK_AGAIN_MS 200
#define GRANTS_FOLDER "/var/lib/libvirt" /* any that all users of this host's libvirtd can open */
#define GRANTS_ASK_AGAIN_US 10000
#define GRANTS_PATIENCE_US (30 * G_TIME_SPAN_SECOND)
#define TURN_ASK_AGAIN_MS 150 /* of many that wait one always asks soon, and together they cost little */
#define TURN_S 60 /* what takes longer hangs, or waits for something else than a processor */

struct _RametLock
{
  char *path;
  int fd;
  guint source; /* looks whether the file is another one by now; of a turn, ends it */
};

/* Who holds the lock, as far as the kernel tells; 0 if that is not known. */
static guint
find_holder (int fd)
{
  g_autofree char *text = NULL;
  g_autofree char *wanted = NULL;
  g_auto (GStrv) lines = NULL;
  struct stat st;

  if (fstat (fd, &st) < 0 || !g_file_get_contents ("/proc/locks", &text, NULL, NULL))
    return 0;
  wanted = g_strdup_printf (" %02x:%02x:%lu ", major (st.st_dev), minor (st.st_dev), (unsigned long) st.st_ino);
  lines = g_strsplit (text, "\n", -1);
  for (char **line = lines; *line; line++)
    {
      guint pid = 0;

      /* those that wait have "->" in their lines */
      if (strstr (*line, wanted) && !strstr (*line, "->") && sscanf (*line, "%*s FLOCK ADVISORY WRITE %u", &pid) == 1)
        return pid;
    }
  return 0;
}

static void
tell_of_holder (RametTask *task, int fd)
{
  guint pid = find_holder (fd);
  g_autofree char *who = pid ? g_strdup_printf (" (process %u)", pid) : g_strdup ("");

  ramet_task_step (task, "waiting for another ramet that works on this project%s", who);
}

static int
open_file (const char *path, int how)
{
  return open (path, how | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

/* Is @fd still what stands at @path? Many editors put a new file in the place of the old one. */
static gboolean
is_current (int fd, const char *path)
{
  struct stat here;
  struct stat there;

  return fstat (fd, &here) == 0 && stat (path, &there) == 0 && here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/* %FALSE with errno set: EWOULDBLOCK if another has it. */
static gboolean
try_lock (int *fd, const char *path)
{
  int writable;

  if (flock (*fd, LOCK_EX | LOCK_NB) == 0)
    return TRUE;
  if (errno != EBADF)
    return FALSE;
  /* NFS locks only what is open for writing; elsewhere that would wake up who watches for changes */
  writable = open_file (path, O_RDWR);
  if (writable < 0)
    return FALSE;
  close (*fd);
  *fd = writable;
  return flock (*fd, LOCK_EX | LOCK_NB) == 0;
}

/* Whoever comes later opens the file that stands there by then. */
static gboolean
follow (gpointer data)
{
  RametLock *lock = data;
  int fd = is_current (lock->fd, lock->path) ? -1 : open_file (lock->path, O_RDONLY);

  if (fd >= 0 && try_lock (&fd, lock->path))
    {
      close (lock->fd);
      lock->fd = fd;
    }
  else if (fd >= 0)
    close (fd);
  return G_SOURCE_CONTINUE;
}

/* Waits for the lock on what is open now; %FALSE without @error: errno says why. */
static gboolean
wait_for_lock (RametLock *lock, RametTask *task, gboolean *told, GError **error)
{
  while (!try_lock (&lock->fd, lock->path))
    {
      if (errno == EINTR)
        continue;
      if (errno != EWOULDBLOCK)
        return FALSE;
      if (!*told)
        tell_of_holder (task, lock->fd);
      *told = TRUE;
      if (!ramet_task_sleep (task, ASK_AGAIN_MS, error))
        return FALSE;
    }
  return TRUE;
}

/**
 * ramet_lock_file:
 *
 * Waits until no other process has locked the file at @path in this way. The lock follows when another file is put in its
 * place, as long as the main loop runs. It ends with the process, however that ends; programs that are run from here do not
 * get it.
 */
RametLock *
ramet_lock_file (RametTask *task, const char *path, GError **error)
{
  g_autoptr (RametLock) lock = g_new0 (RametLock, 1);
  g_autoptr (GError) why = NULL;
  gboolean told = FALSE;

  lock->path = g_strdup (path);
  lock->fd = open_file (path, O_RDONLY);
  while (lock->fd >= 0 && wait_for_lock (lock, task, &told, &why))
    {
      if (is_current (lock->fd, path))
        {
          lock->source = g_timeout_add (ASK_AGAIN_MS, follow, lock);
          return g_steal_pointer (&lock);
        }
      close (lock->fd);
      lock->fd = open_file (path, O_RDONLY);
    }
  if (why)
    g_propagate_error (error, g_steal_pointer (&why));
  else
    ramet_error_set (error, RAMET_ERROR_FAILED, "cannot lock the file '%s': %s", path, g_strerror (errno));
  return NULL;
}

/**
 * ramet_lock_grants:
 *
 * Waits, deaf to Ctrl-C, until no other ramet on this host gives access to a file, takes it back or hands it on, which takes
 * each of them milliseconds.
 *
 * Returns: (transfer full) (nullable): %NULL if that is not to be had: who goes on without may meet another, once in a long time
 */
RametLock *
ramet_lock_grants (void)
{
  g_autoptr (RametLock) lock = g_new0 (RametLock, 1);
  gint64 deadline_us = g_get_monotonic_time () + GRANTS_PATIENCE_US;

  lock->fd = open (GRANTS_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (lock->fd >= 0 && flock (lock->fd, LOCK_EX | LOCK_NB) < 0)
    {
      if ((errno != EWOULDBLOCK && errno != EINTR) || g_get_monotonic_time () >= deadline_us)
        return NULL;
      g_usleep (GRANTS_ASK_AGAIN_US);
    }
  return lock->fd < 0 ? NULL : g_steal_pointer (&lock);
}

static gboolean
end_turn (gpointer data)
{
  RametLock *lock = data;

  close (lock->fd);
  lock->fd = -1;
  lock->source = 0;
  return G_SOURCE_REMOVE;
}

/* -1 with errno set: EWOULDBLOCK if others have them all. */
static int
try_turns (const char *folder, guint n_at_once)
{
  int fd = -1;

  for (guint i = 0; i < n_at_once; i++)
    {
      g_autofree char *path = g_strdup_printf ("%s/turn-%u", folder, i);
      int why;

      fd = open (path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
      if (fd < 0 || flock (fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
      why = errno;
      close (fd);
      errno = why;
    }
  return -1;
}

/**
 * ramet_lock_turn:
 * @n_at_once: how many of this user's processes have their turn at the same time
 * @ret_turn: (out) (transfer full) (nullable): %NULL where there are no turns to be had, and all may go on at once
 * @error: RAMET_ERROR_CANCELLED
 *
 * Waits for a turn. It ends when it is freed, with the process, or after a minute of which the main loop hears, so that what
 * hangs keeps nobody waiting for long.
 */
gboolean
ramet_lock_turn (RametTask *task, guint n_at_once, RametLock **ret_turn, GError **error)
{
  g_autofree char *folder = ramet_paths_turns ();
  gboolean told = FALSE;
  int fd;

  *ret_turn = NULL;
  g_mkdir_with_parents (folder, 0700);
  while ((fd = try_turns (folder, n_at_once)) < 0 && (errno == EWOULDBLOCK || errno == EINTR))
    {
      if (!told)
        ramet_task_step (task, "waiting for its turn: %u others are beginning", n_at_once);
      told = TRUE;
      if (!ramet_task_sleep (task, TURN_ASK_AGAIN_MS, error))
        return FALSE;
    }
  if (fd < 0)
    return TRUE;
  *ret_turn = g_new0 (RametLock, 1);
  (*ret_turn)->fd = fd;
  (*ret_turn)->source = g_timeout_add_seconds (TURN_S, end_turn, *ret_turn);
  return TRUE;
}

void
ramet_lock_free (RametLock *lock)
{
  if (lock->source)
    g_source_remove (lock->source);
  if (lock->fd >= 0)
    close (lock->fd);
  g_free (lock->path);
  g_free (lock);
}
