/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/tree-watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/beneath.h"

#define MAX_FOLDERS 500000
#define EVENTS                                                                                                         \
  (IN_ATTRIB | IN_CLOSE_WRITE | IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ONLYDIR |          \
   IN_DONT_FOLLOW | IN_EXCL_UNLINK)

struct _RametTreeWatch
{
  int root_fd; /* borrowed */
  int fd;
  guint source;
  RametTreeWatchFunc func;
  RametTreeWatchIgnore ignore;
  gpointer data;
  GHashTable *folders; /* (element-type int utf8): by watch descriptor */
  int failure;         /* errno of what ended the watching, or 0 */
};

static char *
join (const char *folder, const char *name)
{
  return *folder ? g_strconcat (folder, "/", name, NULL) : g_strdup (name);
}

/* What is made in a folder before it is watched would be missed, so that is told of after it is. */
static void
add_folder (RametTreeWatch *watch, const char *path, gboolean tell)
{
  int fd = watch->ignore (path, watch->data) ? -1 : ramet_beneath_open (watch->root_fd, path, O_RDONLY | O_DIRECTORY, 0);
  g_autofree char *proc = g_strdup_printf ("/proc/self/fd/%d/.", fd);
  struct dirent *entry;
  DIR *dir;
  int wd;

  if (fd < 0)
    return;
  wd = g_hash_table_size (watch->folders) < MAX_FOLDERS ? inotify_add_watch (watch->fd, proc, EVENTS) : -1;
  if (wd < 0 && (errno == ENOSPC || errno == ENOMEM))
    watch->failure = errno;
  dir = wd >= 0 ? fdopendir (fd) : NULL;
  if (dir == NULL)
    {
      close (fd);
      return;
    }
  g_hash_table_insert (watch->folders, GINT_TO_POINTER (wd), g_strdup (path));
  if (tell)
    watch->func (path, NULL, watch->data);
  while (watch->failure == 0 && (entry = readdir (dir)) != NULL)
    if ((entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN) && !g_str_equal (entry->d_name, ".") &&
        !g_str_equal (entry->d_name, ".."))
      {
        g_autofree char *child = join (path, entry->d_name);

        add_folder (watch, child, tell);
      }
  closedir (dir);
}

static void
take_event (RametTreeWatch *watch, const struct inotify_event *event)
{
  const char *folder = g_hash_table_lookup (watch->folders, GINT_TO_POINTER (event->wd));
  g_autofree char *path = NULL;

  if (event->mask & IN_Q_OVERFLOW)
    {
      /* too much at once to know what: folders that are new are found again */
      add_folder (watch, "", TRUE);
      return;
    }
  if (folder == NULL)
    return;
  if (event->mask & IN_IGNORED)
    {
      g_hash_table_remove (watch->folders, GINT_TO_POINTER (event->wd));
      return;
    }
  if (event->len == 0)
    return;
  path = join (folder, event->name);
  if (watch->ignore (path, watch->data))
    return;
  watch->func (folder, event->name, watch->data);
  if ((event->mask & IN_ISDIR) && (event->mask & (IN_CREATE | IN_MOVED_TO)))
    add_folder (watch, path, TRUE);
}

static gboolean
on_events (int fd, GIOCondition condition, gpointer data)
{
  RametTreeWatch *watch = data;
  char buffer[65536] __attribute__ ((aligned (__alignof__ (struct inotify_event))));
  ssize_t n;

  while ((n = read (fd, buffer, sizeof buffer)) > 0)
    for (char *at = buffer; at < buffer + n;)
      {
        const struct inotify_event *event = (const struct inotify_event *) at;

        take_event (watch, event);
        at += sizeof *event + event->len;
      }
  return G_SOURCE_CONTINUE;
}

void
ramet_tree_watch_free (RametTreeWatch *watch)
{
  if (watch->source)
    g_source_remove (watch->source);
  if (watch->fd >= 0)
    close (watch->fd);
  g_hash_table_unref (watch->folders);
  g_free (watch);
}

/** ramet_tree_watch_check: @error is RAMET_ERROR_FAILED if there are more folders than the kernel lets watch */
gboolean
ramet_tree_watch_check (const RametTreeWatch *watch, GError **error)
{
  if (watch->failure == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot watch more than %u folders: %s", g_hash_table_size (watch->folders),
                   g_strerror (watch->failure));
  ramet_error_hint (error, "'sysctl fs.inotify.max_user_watches=524288' lets one watch more");
  return FALSE;
}

/** ramet_tree_watch_count: how many folders are watched */
guint
ramet_tree_watch_count (const RametTreeWatch *watch)
{
  return g_hash_table_size (watch->folders);
}

/**
 * ramet_tree_watch_new:
 * @root_fd: has to stay open
 * @func: called from the main loop
 */
RametTreeWatch *
ramet_tree_watch_new (int root_fd, RametTreeWatchFunc func, RametTreeWatchIgnore ignore, gpointer data, GError **error)
{
  g_autoptr (RametTreeWatch) watch = g_new0 (RametTreeWatch, 1);

  watch->root_fd = root_fd;
  watch->func = func;
  watch->ignore = ignore;
  watch->data = data;
  watch->folders = g_hash_table_new_full (NULL, NULL, NULL, g_free);
  watch->fd = inotify_init1 (IN_NONBLOCK | IN_CLOEXEC);
  if (watch->fd < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot watch folders: %s", g_strerror (errno));
      ramet_error_hint (error, "'sysctl fs.inotify.max_user_instances=512' lets more programs watch");
      return NULL;
    }
  add_folder (watch, "", FALSE);
  if (!ramet_tree_watch_check (watch, error))
    return NULL;
  watch->source = g_unix_fd_add (watch->fd, G_IO_IN, on_events, watch);
  return g_steal_pointer (&watch);
}
