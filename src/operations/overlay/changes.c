/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/overlay/overlay.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/beneath.h"
#include "host/files/put-back.h"

/* Changes while they are looked for. */
typedef struct
{
  const RametOverlayView *view;
  gboolean with_git;
  RametChanges *found;
} Search;

static void
change_free (gpointer data)
{
  RametChange *change = data;

  g_free (change->path);
  g_free (change);
}

void
ramet_changes_free (RametChanges *changes)
{
  g_ptr_array_unref (changes->changes);
  g_ptr_array_unref (changes->removed_folders);
  g_ptr_array_unref (changes->made_folders);
  g_ptr_array_unref (changes->covered);
  g_ptr_array_unref (changes->specials);
  g_free (changes);
}

static gboolean
cannot_look (const char *path, int why, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);

  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot look at '%s' in the shared folder: %s", safe, g_strerror (why));
  return FALSE;
}

static gint64
nanoseconds (struct timespec time)
{
  return (gint64) time.tv_sec * 1000000000 + time.tv_nsec;
}

static void
take_stat (const struct stat *st, RametOnHost *host)
{
  host->exists = TRUE;
  host->is_link = S_ISLNK (st->st_mode);
  host->mode = st->st_mode;
  host->device = st->st_dev;
  host->inode = st->st_ino;
  host->size = (guint64) st->st_size;
  host->mtime_ns = nanoseconds (st->st_mtim);
  host->ctime_ns = nanoseconds (st->st_ctim);
}

/**
 * ramet_on_host_look:
 * @ret_host: (out): what is there; nothing, where something on the way is no folder
 */
gboolean
ramet_on_host_look (int root_fd, const char *path, RametOnHost *ret_host, GError **error)
{
  const char *name;
  int fd = ramet_beneath_open_parent (root_fd, path, &name);
  struct stat st;
  int why = errno;

  memset (ret_host, 0, sizeof *ret_host);
  if (fd >= 0)
    {
      why = fstatat (fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? errno : 0;
      close (fd);
      if (why == 0)
        take_stat (&st, ret_host);
    }
  return why == 0 || why == ENOENT || why == ENOTDIR || why == ELOOP || cannot_look (path, why, error);
}

/* Whether a path is left out, and counted as such. */
static gboolean
leave_out (Search *search, const char *path)
{
  if (search->with_git || !ramet_upper_is_git (path))
    return FALSE;
  search->found->n_git++;
  return TRUE;
}

static void
add_change (Search *search, const char *path, const RametUpperEntry *entry, gboolean deleted, const RametOnHost *host)
{
  RametChange *change;

  if (!ramet_overlay_view_wants (search->view, path) || leave_out (search, path))
    return;
  change = g_new0 (RametChange, 1);
  change->path = g_strdup (path);
  change->entry = entry;
  change->deleted = deleted;
  change->host = *host;
  g_ptr_array_add (search->found->changes, change);
}

static gboolean delete_folder (Search *search, const char *path, const RametUpperEntry *entry, gboolean itself,
                               GError **error);

/* What the host has at @path, in a folder that the guest removed or replaced. */
static gboolean
delete_one (Search *search, const char *path, const RametUpperEntry *entry, GError **error)
{
  const RametUpperEntry *above = ramet_upper_find (search->view->overlay, path);
  RametOnHost host;

  if (!ramet_on_host_look (search->view->root_fd, path, &host, error))
    return FALSE;
  if (!host.exists || ramet_upper_is_staging (path))
    return TRUE;
  if (S_ISDIR (host.mode))
    return above && above->type != RAMET_UPPER_FOLDER
             ? TRUE /* it speaks for itself */
             : delete_folder (search, path, entry, above == NULL, error);
  if (above == NULL)
    add_change (search, path, entry, TRUE, &host);
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

static GPtrArray *
names_in (int root_fd, const char *path, GError **error)
{
  int fd = ramet_beneath_open (root_fd, path, O_RDONLY | O_DIRECTORY, 0);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  struct dirent *entry;

  if (dir == NULL)
    {
      cannot_look (path, errno, error);
      if (fd >= 0)
        close (fd);
      return NULL;
    }
  while ((entry = readdir (dir)) != NULL)
    if (!g_str_equal (entry->d_name, ".") && !g_str_equal (entry->d_name, ".."))
      g_ptr_array_add (names, g_strdup (entry->d_name));
  closedir (dir);
  g_ptr_array_sort (names, compare_names);
  return g_steal_pointer (&names);
}

/*
 * All that the host has in the folder @path is gone in the guest, but for what the overlay holds itself. A folder that
 * keeps something of git's stays.
 */
static gboolean
delete_folder (Search *search, const char *path, const RametUpperEntry *entry, gboolean itself, GError **error)
{
  g_autoptr (GPtrArray) names = names_in (search->view->root_fd, path, error);
  guint before = search->found->n_git;

  if (names == NULL)
    return FALSE;
  if (itself && ramet_overlay_view_wants (search->view, path) && !(names->len == 0 && leave_out (search, path)))
    g_ptr_array_add (search->found->removed_folders, g_strdup (path));
  for (guint i = 0; i < names->len; i++)
    {
      g_autofree char *child = g_build_filename (path, g_ptr_array_index (names, i), NULL);

      if (!delete_one (search, child, entry, error))
        return FALSE;
    }
  if (search->found->n_git > before)
    {
      guint index;

      if (g_ptr_array_find_with_equal_func (search->found->removed_folders, path, g_str_equal, &index))
        g_ptr_array_remove_index (search->found->removed_folders, index);
    }
  return TRUE;
}

/* Whether what the host has there is spoken for by a folder further up, which hides all of it. */
static gboolean
is_in_opaque (Search *search, const char *path)
{
  g_autofree char *folder = g_strdup (path);
  char *slash;

  while ((slash = strrchr (folder, '/')) != NULL)
    {
      const RametUpperEntry *entry;

      *slash = '\0';
      entry = ramet_upper_find (search->view->overlay, folder);
      if (entry && entry->opaque)
        return TRUE;
    }
  return FALSE;
}

static gboolean
look_at_folder (Search *search, const RametUpperEntry *entry, const RametOnHost *host, GError **error)
{
  if ((!host->exists || !S_ISDIR (host->mode)) && ramet_overlay_view_wants (search->view, entry->path) &&
      (search->with_git || !ramet_upper_is_git (entry->path)))
    g_ptr_array_add (search->found->made_folders, entry->path);
  if (!host->exists)
    return TRUE;
  if (!S_ISDIR (host->mode))
    add_change (search, entry->path, entry, TRUE, host);
  else if (entry->opaque && !is_in_opaque (search, entry->path))
    return delete_folder (search, entry->path, entry, FALSE, error);
  return TRUE;
}

static gboolean
look_at_entry (Search *search, const RametUpperEntry *entry, GError **error)
{
  RametOnHost host;

  if (!ramet_on_host_look (search->view->root_fd, entry->path, &host, error))
    return FALSE;
  if (entry->type == RAMET_UPPER_FOLDER)
    return look_at_folder (search, entry, &host, error);
  if (entry->type == RAMET_UPPER_SPECIAL)
    {
      if (!leave_out (search, entry->path))
        g_ptr_array_add (search->found->specials, (gpointer) entry);
      return TRUE;
    }
  if (host.exists && S_ISDIR (host.mode))
    {
      if (!delete_folder (search, entry->path, entry, TRUE, error))
        return FALSE;
      memset (&host, 0, sizeof host);
    }
  else if (entry->type == RAMET_UPPER_WHITEOUT && host.exists)
    add_change (search, entry->path, entry, TRUE, &host);
  if (entry->type != RAMET_UPPER_WHITEOUT)
    add_change (search, entry->path, entry, FALSE, &host);
  return TRUE;
}

static int
compare_changes (gconstpointer a, gconstpointer b)
{
  const RametChange *const *one = a;
  const RametChange *const *two = b;
  int order = strcmp ((*one)->path, (*two)->path);

  return order ? order : (*two)->deleted - (*one)->deleted;
}

/**
 * ramet_changes_find:
 * @view: loaded
 * @with_git: what is in folders of git's own too
 *
 * Holds the overlay against what is on the host now. A file counts as changed if it is in the overlay: whether its
 * contents differ is not known here. A folder that something lies in opens the way to all that is wanted.
 */
RametChanges *
ramet_changes_find (const RametOverlayView *view, gboolean with_git, GError **error)
{
  g_autoptr (RametChanges) found = g_new0 (RametChanges, 1);
  Search search = { view, with_git, found };

  found->changes = g_ptr_array_new_with_free_func (change_free);
  found->removed_folders = g_ptr_array_new_with_free_func (g_free);
  found->made_folders = g_ptr_array_new ();
  found->covered = g_ptr_array_new ();
  found->specials = g_ptr_array_new ();
  for (guint i = 0; i < view->overlay->entries->len; i++)
    {
      RametUpperEntry *entry = g_ptr_array_index (view->overlay->entries, i);
      gboolean leads_there = entry->opaque || entry->type == RAMET_UPPER_WHITEOUT;
      gboolean wanted = ramet_overlay_view_wants (view, entry->path);

      for (guint j = 0; leads_there && !wanted && j < view->paths->len; j++)
        wanted = ramet_upper_is_beneath (g_ptr_array_index (view->paths, j), entry->path);
      if (!wanted)
        continue;
      if (ramet_overlay_view_wants (view, entry->path))
        g_ptr_array_add (found->covered, entry);
      if (!look_at_entry (&search, entry, error))
        return NULL;
    }
  g_ptr_array_sort (found->changes, compare_changes);
  return g_steal_pointer (&found);
}

/**
 * ramet_change_is_conflict:
 *
 * Whether the host's file was changed since the guest's became one of its own. overlayfs copies whole files up, so that
 * moment is the birth of the file in the overlay; contents, mode and name of the host's file all move its ctime, which no
 * program can set back. What was born after the guest's own clock is not believed.
 */
gboolean
ramet_change_is_conflict (const RametOverlayView *view, const RametChange *change)
{
  gint64 birth_ns = change->entry->birth_ns;

  if (!change->host.exists)
    return FALSE;
  if (birth_ns == 0 || birth_ns > view->overlay->now_ns)
    return TRUE;
  return ramet_put_back_ctime (view->put_back, change->host.device, change->host.inode, change->host.ctime_ns) >
         birth_ns - view->ahead_ns;
}
