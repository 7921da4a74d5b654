/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/overlay/overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/files/put-back.h"
#include "model/archive.h"
#include "operations/vm/guest-ssh.h"

#define SSH_PATIENCE_S 30
#define NO_SUCH_SHARE 3 /* a status of list.sh */
#define MAX_DELAY_NS (G_GINT64_CONSTANT (500) * 1000000)

void
ramet_overlay_view_free (RametOverlayView *view)
{
  if (view->root_fd >= 0)
    close (view->root_fd);
  g_ptr_array_unref (view->paths);
  g_clear_pointer (&view->overlay, ramet_upper_free);
  g_clear_pointer (&view->put_back, g_hash_table_unref);
  g_free (view);
}

/* The share whose folder @path lies in; of shares in each other, the inner one. */
static const RametShare *
share_of (GPtrArray *shares, const char *path)
{
  const RametShare *best = NULL;

  for (guint i = 0; i < shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (shares, i);

      if (ramet_upper_is_beneath (path, share->source) &&
          (best == NULL || strlen (share->source) > strlen (best->source)))
        best = share;
    }
  return best;
}

static const RametShare *
share_named (const RametVm *vm, const char *name, GError **error)
{
  GPtrArray *shares = vm->metadata->shares;
  g_autofree char *path = g_canonicalize_filename (name, NULL);

  for (guint i = 0; i < shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (shares, i);

      if (g_str_equal (share->source, path) || g_str_equal (share->target, path) || g_str_equal (share->tag, name))
        return share;
    }
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "'%s' has no share '%s'", ramet_vm_get_name (vm), name);
  ramet_error_hint (error, "'ramet info %s' shows them", ramet_vm_get_name (vm));
  return NULL;
}

/* By --share, by the first absolute path, because there is only one, or by the folder one stands in. */
static const RametShare *
choose_share (const RametVm *vm, const char *name, char **paths, const char *cwd, GError **error)
{
  GPtrArray *shares = vm->metadata->shares;
  const RametShare *share = NULL;

  if (name)
    return share_named (vm, name, error);
  for (char **path = paths; *path && share == NULL; path++)
    if (g_path_is_absolute (*path))
      {
        g_autofree char *plain = g_canonicalize_filename (*path, NULL);

        share = share_of (shares, plain);
      }
  if (share == NULL)
    share = shares->len == 1 ? g_ptr_array_index (shares, 0) : share_of (shares, cwd);
  if (share != NULL)
    return share;
  if (shares->len == 0)
    ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "'%s' has no shared folder", ramet_vm_get_name (vm));
  else
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' has %u shared folders", ramet_vm_get_name (vm), shares->len);
      ramet_error_hint (error, "give --share FOLDER, or stand in one of them; 'ramet info %s' shows them",
                        ramet_vm_get_name (vm));
    }
  return NULL;
}

/* A path as typed: from the folder one stands in if that is shared, else from the shared folder. */
static gboolean
add_path (RametOverlayView *view, const char *typed, const char *cwd, GError **error)
{
  const char *source = view->share->source;
  g_autofree char *full = g_canonicalize_filename (typed, ramet_upper_is_beneath (cwd, source) ? cwd : source);
  gsize length = strlen (source);

  if (*typed == '\0' || !ramet_upper_is_beneath (full, source))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' is not in the shared folder '%s'", typed, source);
      return FALSE;
    }
  g_ptr_array_add (view->paths, g_strdup (full[length] == '/' ? full + length + 1 : ""));
  return TRUE;
}

/**
 * ramet_overlay_view_open:
 * @share: (nullable): folder or tag, if the VM has several shares
 * @paths: as typed; none: all
 */
RametOverlayView *
ramet_overlay_view_open (RametVm *vm, const char *share, char **paths, GError **error)
{
  g_autoptr (RametOverlayView) view = g_new0 (RametOverlayView, 1);
  g_autofree char *cwd = g_get_current_dir ();
  g_autofree char *real_cwd = realpath (".", NULL);

  view->vm = vm;
  view->root_fd = -1;
  view->paths = g_ptr_array_new_with_free_func (g_free);
  if (!ramet_guest_ssh_check (vm, error) ||
      !(view->share = choose_share (vm, share, paths, real_cwd ? real_cwd : cwd, error)))
    return NULL;
  for (; *paths; paths++)
    if (!add_path (view, *paths, real_cwd ? real_cwd : cwd, error))
      return NULL;
  view->root_fd = open (view->share->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (view->root_fd < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot open the shared folder '%s': %s", view->share->source,
                       g_strerror (errno));
      return NULL;
    }
  return g_steal_pointer (&view);
}

/** ramet_overlay_view_wants: whether @path is among those asked for */
gboolean
ramet_overlay_view_wants (const RametOverlayView *view, const char *path)
{
  for (guint i = 0; i < view->paths->len; i++)
    if (ramet_upper_is_beneath (path, g_ptr_array_index (view->paths, i)))
      return TRUE;
  return view->paths->len == 0;
}

/* The list as it comes in, and when its first bytes came. */
typedef struct
{
  RametUpperReader *reader;
  gint64 first_us;
} Listing;

static gboolean
take_list (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Listing *listing = data;

  if (listing->first_us == 0)
    listing->first_us = g_get_real_time ();
  return ramet_upper_reader_push (listing->reader, bytes, length, error);
}

/** ramet_overlay_view_load: asks the guest what it changed; again replaces what was known */
gboolean
ramet_overlay_view_load (RametOverlayView *view, RametTask *task, GError **error)
{
  g_autoptr (RametUpperReader) reader = ramet_upper_reader_new ();
  Listing listing = { .reader = reader };
  RametGuestScript script = { .name = "list.sh", .args = (const char *const[]) { view->share->tag, NULL },
                              .func = take_list, .data = &listing };
  g_autofree char *errors = NULL;
  int status = 0;

  if (!ramet_guest_ssh_wait (view->vm, task, SSH_PATIENCE_S, error))
    return FALSE;
  ramet_task_step (task, "asking what it changed");
  if (!ramet_guest_ssh_run (view->vm, task, &script, &status, &errors, error))
    return FALSE;
  if (status == NO_SUCH_SHARE)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "'%s' has not attached the share of '%s'", ramet_vm_get_name (view->vm),
                       view->share->source);
      return FALSE;
    }
  if (status != 0)
    return ramet_guest_ssh_fail (view->vm, status, errors, error);
  g_clear_pointer (&view->overlay, ramet_upper_free);
  view->overlay = ramet_upper_reader_finish (reader, error);
  if (view->overlay == NULL)
    return FALSE;
  /* its clock was read a little before its first bytes came; taken for more ahead than it is, it errs on the safe side */
  view->ahead_ns = view->overlay->now_ns - listing.first_us * 1000 + MAX_DELAY_NS;
  g_clear_pointer (&view->put_back, g_hash_table_unref);
  view->put_back = ramet_put_back_load ();
  RAMET_STEP ("overlay-listed");
  return TRUE;
}

/* The contents while they come in: an archive, zeros, and a list of what was read. */
typedef struct
{
  const RametOverlayView *view;
  RametTask *task;
  GPtrArray *changes;
  const RametContentsFuncs *funcs;
  gpointer data;
  GHashTable *by_path; /* (element-type utf8 RametChange) */
  RametArchive *archive;
  GString *record;
  guint n_begun;
  guint n_same; /* confirmed not to have changed meanwhile */
  gint64 told_us;
  gboolean complete;
} Reading;

static gboolean
changed_meanwhile (const char *path, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);

  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' changes in the guest while it is read", safe);
  ramet_error_hint (error, "try again once nothing writes there");
  return FALSE;
}

static void
tell_progress (Reading *reading)
{
  gint64 now_us = g_get_monotonic_time ();
  g_autofree char *text = NULL;

  if (now_us - reading->told_us < G_USEC_PER_SEC / 5)
    return;
  reading->told_us = now_us;
  text = g_strdup_printf ("%u of %u", reading->n_begun, reading->changes->len);
  ramet_task_status (reading->task, text);
}

static gboolean
begin_member (const RametArchiveMember *member, gpointer data, GError **error)
{
  Reading *reading = data;
  const char *path = g_str_has_prefix (member->path, "./") ? member->path + 2 : member->path;
  RametChange *change = NULL;

  /* out of the table: each may come once */
  if (!g_hash_table_steal_extended (reading->by_path, path, NULL, (gpointer *) &change))
    {
      ramet_error_set (error, RAMET_ERROR_FORGED, "the guest sent a file that it was not asked for");
      return FALSE;
    }
  if ((member->type == RAMET_ARCHIVE_SYMLINK) != (change->entry->type == RAMET_UPPER_SYMLINK) ||
      (member->type != RAMET_ARCHIVE_SYMLINK && member->type != RAMET_ARCHIVE_FILE) ||
      (member->type == RAMET_ARCHIVE_FILE && member->size != change->entry->size))
    return changed_meanwhile (path, error);
  reading->n_begun++;
  tell_progress (reading);
  if (member->type == RAMET_ARCHIVE_FILE)
    return reading->funcs->begin (change, member->size, reading->data, error);
  /* a symlink's target is what is in it */
  return reading->funcs->begin (change, strlen (member->target), reading->data, error) &&
         reading->funcs->contents ((const guint8 *) member->target, strlen (member->target), reading->data, error);
}

static gboolean
take_contents (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Reading *reading = data;

  return reading->funcs->contents (bytes, length, reading->data, error);
}

static gboolean
end_member (gpointer data, GError **error)
{
  Reading *reading = data;

  return reading->funcs->end (reading->data, error);
}

static const RametArchiveFuncs archive_funcs = { begin_member, take_contents, end_member };

/* "INODE CTIME ./PATH" */
static gboolean
take_record (Reading *reading, GError **error)
{
  const char *record = reading->record->str;
  const char *path = strstr (record, " ./");
  const RametUpperEntry *entry = path ? ramet_upper_find (reading->view->overlay, path + 3) : NULL;

  if (*record == '\0')
    {
      reading->complete = TRUE;
      return TRUE;
    }
  if (entry == NULL || strncmp (record, entry->stamp, path - record) != 0 || entry->stamp[path - record] != '\0')
    return changed_meanwhile (path ? path + 3 : record, error);
  reading->n_same++;
  return TRUE;
}

static gboolean
take_output (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Reading *reading = data;
  gsize used = 0;

  if (!ramet_archive_push (reading->archive, bytes, length, &used, error))
    return FALSE;
  for (bytes += used, length -= used; length > 0 && !reading->complete; bytes++, length--)
    {
      if (*bytes != '\0')
        g_string_append_c (reading->record, (char) *bytes);
      else if (reading->record->len > 0 || reading->n_same > 0)
        {
          if (!take_record (reading, error))
            return FALSE;
          g_string_truncate (reading->record, 0);
        }
      if (reading->record->len > PATH_MAX + 64)
        {
          ramet_error_set (error, RAMET_ERROR_FORGED, "the guest sent a malformed list behind the contents");
          return FALSE;
        }
    }
  return TRUE;
}

static GBytes *
paths_to_ask_for (GPtrArray *changes)
{
  GByteArray *text = g_byte_array_new ();

  for (guint i = 0; i < changes->len; i++)
    {
      const RametChange *change = g_ptr_array_index (changes, i);

      g_byte_array_append (text, (const guint8 *) "./", 2);
      g_byte_array_append (text, (const guint8 *) change->path, (guint) strlen (change->path) + 1);
    }
  return g_byte_array_free_to_bytes (text);
}

static gboolean
check_all_came (const Reading *reading, GError **error)
{
  GHashTableIter iter;
  gpointer path;

  g_hash_table_iter_init (&iter, reading->by_path);
  if (g_hash_table_iter_next (&iter, &path, NULL))
    return changed_meanwhile (path, error);
  if (reading->n_same == reading->changes->len)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "files change in the guest while they are read");
  ramet_error_hint (error, "try again once nothing writes there");
  return FALSE;
}

/**
 * ramet_overlay_read:
 * @changes: (element-type RametChange): none of them deleted
 * @error: RAMET_ERROR_STATE if one changes meanwhile
 *
 * Hands over the contents of files, and the targets of symlinks, one after the other in any order.
 */
gboolean
ramet_overlay_read (const RametOverlayView *view, RametTask *task, GPtrArray *changes, const RametContentsFuncs *funcs,
                    gpointer data, GError **error)
{
  g_autoptr (GHashTable) by_path = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GBytes) input = paths_to_ask_for (changes);
  g_autoptr (GString) record = g_string_new (NULL);
  Reading reading = { .view = view, .task = task, .changes = changes, .funcs = funcs, .data = data, .by_path = by_path,
                      .record = record };
  g_autoptr (RametArchive) archive = reading.archive = ramet_archive_new (&archive_funcs, &reading);
  RametGuestScript script = { .name = "read.sh", .args = (const char *const[]) { view->share->tag, NULL },
                              .input = input, .func = take_output, .data = &reading };
  g_autofree char *errors = NULL;
  int status = 0;

  if (changes->len == 0)
    return TRUE;
  for (guint i = 0; i < changes->len; i++)
    {
      RametChange *change = g_ptr_array_index (changes, i);

      g_hash_table_insert (by_path, change->path, change);
    }
  ramet_task_step (task, "fetching %u files", changes->len);
  if (!ramet_guest_ssh_run (view->vm, task, &script, &status, &errors, error))
    return FALSE;
  if (status != 0 || !ramet_archive_is_complete (archive))
    return ramet_guest_ssh_fail (view->vm, status, errors, error);
  return check_all_came (&reading, error);
}
