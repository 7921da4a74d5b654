/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/overlay/sync.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "host/files/beneath.h"
#include "operations/vm/guest-ssh.h"

#define MAX_RECORD 8192
#define MAX_LOOKED_AT 200000
#define SLACK_NS (G_GINT64_CONSTANT (2) * 1000000000)
#define HELD 4 /* a status of sync.sh */

/* What the host has, and the guest should see. */
typedef struct
{
  RametOverlayView *view;
  GPtrArray *paths;      /* (element-type utf8): changed since the share was mounted, and not hidden by the overlay */
  GHashTable *unseen;    /* (element-type utf8): those that the guest has not told of rightly; borrowed */
  GString *record;
  gint64 since_ns;       /* by our clock */
  gint64 asked_ns;
  guint n_left_out;      /* folders that not everybody may enter */
  gboolean cut;          /* there is more than is ever looked at */
} Sync;

/* Whether the overlay has something of its own there, or above. */
static gboolean
is_hidden (const RametUpper *upper, const char *path)
{
  g_autofree char *folder = g_strdup (path);
  const RametUpperEntry *entry = ramet_upper_find (upper, path);
  char *slash;

  if (entry && entry->type != RAMET_UPPER_FOLDER)
    return TRUE;
  while ((slash = strrchr (folder, '/')) != NULL)
    {
      *slash = '\0';
      entry = ramet_upper_find (upper, folder);
      if (entry && (entry->type != RAMET_UPPER_FOLDER || entry->opaque))
        return TRUE;
    }
  return FALSE;
}

/* All entries that are younger than the mount, and those in folders that are: what a cache can be wrong about. */
static gboolean
collect (Sync *sync, RametTask *task, const char *folder, gboolean changed, GError **error)
{
  int fd = ramet_beneath_open (sync->view->root_fd, folder, O_RDONLY | O_DIRECTORY, 0);
  DIR *dir = fd >= 0 ? fdopendir (fd) : NULL;
  g_autoptr (GPtrArray) folders = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GArray) folders_changed = g_array_new (FALSE, FALSE, sizeof (gboolean));
  struct dirent *entry;

  if (dir == NULL)
    {
      if (fd >= 0)
        close (fd);
      return TRUE; /* gone, or not for us to read, and then not for the guest either */
    }
  while ((entry = readdir (dir)) != NULL && sync->paths->len < MAX_LOOKED_AT)
    {
      struct stat st;
      gint64 ctime_ns;
      gboolean young;
      g_autofree char *path = *folder ? g_strconcat (folder, "/", entry->d_name, NULL) : g_strdup (entry->d_name);

      if (g_str_equal (entry->d_name, ".") || g_str_equal (entry->d_name, "..") ||
          ramet_upper_is_staging (path) || fstatat (fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        continue;
      ctime_ns = (gint64) st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
      young = ctime_ns >= sync->since_ns;
      if ((young || changed) && !is_hidden (sync->view->overlay, path))
        g_ptr_array_add (sync->paths, g_strdup (path));
      /* QEMU's user may not look into others, unless an ACL or its group lets it */
      if (S_ISDIR (st.st_mode) && !(st.st_mode & S_IXOTH))
        sync->n_left_out++;
      else if (S_ISDIR (st.st_mode))
        {
          g_ptr_array_add (folders, g_steal_pointer (&path));
          g_array_append_val (folders_changed, young);
        }
    }
  closedir (dir);
  sync->cut = sync->cut || sync->paths->len >= MAX_LOOKED_AT;
  if (!ramet_task_check (task, error))
    return FALSE;
  for (guint i = 0; i < folders->len; i++)
    if (!collect (sync, task, g_ptr_array_index (folders, i), g_array_index (folders_changed, gboolean, i), error))
      return FALSE;
  return TRUE;
}

/* What 9p and a folder's merging leave as it is: its kind, and of files size and time. */
static gboolean
is_as_on_host (const Sync *sync, const char *path, guint64 mode, guint64 size, gint64 mtime_ns)
{
  RametOnHost host;

  if (!ramet_on_host_look (sync->view->root_fd, path, &host, NULL) || !host.exists || host.ctime_ns > sync->asked_ns)
    return TRUE; /* it changed just now: the next look is for that */
  if ((mode & S_IFMT) != (host.mode & S_IFMT))
    return FALSE;
  return !S_ISREG (host.mode) || (size == host.size && mtime_ns == host.mtime_ns);
}

/* "MODE SIZE MTIME ./PATH" */
static void
take_record (Sync *sync)
{
  g_auto (GStrv) fields = g_strsplit (sync->record->str, " ", 4);
  guint64 mode;
  guint64 size;
  gint64 mtime_ns;

  if (g_strv_length (fields) == 4 && g_str_has_prefix (fields[3], "./") &&
      g_ascii_string_to_unsigned (fields[0], 16, 0, 0xffff, &mode, NULL) &&
      g_ascii_string_to_unsigned (fields[1], 10, 0, G_MAXINT64, &size, NULL) &&
      ramet_upper_parse_time (fields[2], &mtime_ns) && is_as_on_host (sync, fields[3] + 2, mode, size, mtime_ns))
    g_hash_table_remove (sync->unseen, fields[3] + 2);
}

static gboolean
take_output (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Sync *sync = data;

  for (; length > 0; bytes++, length--)
    if (*bytes == '\0')
      {
        take_record (sync);
        g_string_truncate (sync->record, 0);
      }
    else if (sync->record->len >= MAX_RECORD)
      {
        ramet_error_set (error, RAMET_ERROR_FORGED, "the guest sent a malformed list");
        return FALSE;
      }
    else
      g_string_append_c (sync->record, (char) *bytes);
  return TRUE;
}

/* What is missing in the guest may have gone on the host since it was listed. */
static void
forget_what_is_gone (Sync *sync)
{
  GHashTableIter iter;
  gpointer path;
  RametOnHost host;

  g_hash_table_iter_init (&iter, sync->unseen);
  while (g_hash_table_iter_next (&iter, &path, NULL))
    if (ramet_on_host_look (sync->view->root_fd, path, &host, NULL) &&
        (!host.exists || host.ctime_ns > sync->asked_ns))
      g_hash_table_iter_remove (&iter);
}

static gboolean
ask_guest (Sync *sync, RametTask *task, gboolean remount, const RametDropOptions *options, GError **error)
{
  const RametOverlayView *view = sync->view;
  g_autoptr (GByteArray) list = g_byte_array_new ();
  g_autoptr (GBytes) input = NULL;
  const char *args[6] = { view->share->tag, view->share->target, remount ? "remount" : "drop" };
  RametGuestScript script = { .name = "sync.sh", .args = args, .func = take_output, .data = sync, .to_the_end = remount };
  g_autofree char *errors = NULL;
  gsize n = 3;
  int status = 0;

  if (remount && options->stop_users)
    args[n++] = "--stop-users";
  if (remount && options->kill_users)
    args[n++] = "--kill-users";
  for (guint i = 0; i < sync->paths->len; i++)
    {
      const char *path = g_ptr_array_index (sync->paths, i);

      g_hash_table_add (sync->unseen, (gpointer) path);
      g_byte_array_append (list, (const guint8 *) "./", 2);
      g_byte_array_append (list, (const guint8 *) path, (guint) strlen (path) + 1);
    }
  script.input = input = g_bytes_new (list->data, list->len);
  sync->asked_ns = g_get_real_time () * 1000;
  if (!ramet_guest_ssh_run (view->vm, task, &script, &status, &errors, error))
    return FALSE;
  if (status == HELD && remount)
    return ramet_overlay_cannot_detach (view, options, sync->record->str, error);
  if (status != 0)
    return ramet_guest_ssh_fail (view->vm, status, errors, error);
  forget_what_is_gone (sync);
  return TRUE;
}

static gboolean
still_unseen (const Sync *sync, GError **error)
{
  GHashTableIter iter;
  gpointer path = NULL;
  g_autofree char *safe = NULL;

  g_hash_table_iter_init (&iter, sync->unseen);
  g_hash_table_iter_next (&iter, &path, NULL);
  safe = ramet_text_escape (path, -1);
  ramet_error_set (error, RAMET_ERROR_FAILED, "'%s' does not see '%s' as it is on the host, nor %u others",
                   ramet_vm_get_name (sync->view->vm), safe, g_hash_table_size (sync->unseen) - 1);
  ramet_error_hint (error, "may QEMU's user read it? 'ramet doctor' looks");
  return FALSE;
}

/* What was not compared is told, unless the guest has mounted all anew and cannot be wrong about it. */
static void
tell_left_out (const Sync *sync, RametTask *task)
{
  if (sync->cut)
    ramet_task_warn (task, "only the first %u changes were compared: '--remount' makes sure of all", MAX_LOOKED_AT);
  if (sync->n_left_out > 0)
    ramet_task_warn (task, "%u folders that not everybody may enter were not compared: '--remount' makes sure of them",
                     sync->n_left_out);
}

/**
 * ramet_sync:
 * @view: loaded
 * @remount: even if forgetting what the kernel remembers is enough
 * @ret_n_changed: (out): how many paths of the host were looked at, since they are younger than the mount
 * @error: RAMET_ERROR_STATE if processes hold a share that has to be mounted anew
 *
 * Makes the guest see what is on the host. The guest forgets the names and files it remembers; what it sees then is held
 * against the host, and only if that differs, as it does for files that became folders while somebody has them open or
 * watches them, the shares are detached and attached.
 */
gboolean
ramet_sync (RametOverlayView *view, RametTask *task, gboolean remount, const RametDropOptions *options,
            guint *ret_n_changed, gboolean *ret_remounted, GError **error)
{
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GHashTable) unseen = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GString) record = g_string_new (NULL);
  Sync sync = { .view = view, .paths = paths, .unseen = unseen, .record = record,
                .since_ns = view->overlay->mounted_ns - view->ahead_ns - SLACK_NS };

  ramet_task_step (task, "comparing what it sees");
  if (!collect (&sync, task, "", TRUE, error) || !ask_guest (&sync, task, remount, options, error))
    return FALSE;
  *ret_remounted = remount;
  *ret_n_changed = paths->len;
  if (g_hash_table_size (unseen) > 0 && !remount)
    {
      ramet_task_note (task, "%u paths are not seen as they are: mounting the share anew", g_hash_table_size (unseen));
      *ret_remounted = TRUE;
      g_string_truncate (record, 0);
      if (!ask_guest (&sync, task, TRUE, options, error))
        return FALSE;
    }
  if (!*ret_remounted)
    tell_left_out (&sync, task);
  return g_hash_table_size (unseen) == 0 || still_unseen (&sync, error);
}
