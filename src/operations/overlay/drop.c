/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/overlay/drop.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/stop.h"
#include "model/share-users.h"
#include "operations/vm/guest-ssh.h"

#define MAX_WORDS (256 * 1024) /* of what the guest answers */
#define TOO_OLD 2             /* statuses of drop.sh */
#define HELD 4
#define CHANGED 5

static gboolean
take_words (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  GString *words = data;

  if (words->len + length > MAX_WORDS)
    {
      ramet_error_set (error, RAMET_ERROR_FORGED, "the guest says too much");
      return FALSE;
    }
  g_string_append_len (words, (const char *) bytes, (gssize) length);
  return TRUE;
}

/* A path alone where it is a folder, else with what tells whether it is still the same. */
static GBytes *
list_for_guest (GPtrArray *entries)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < entries->len; i++)
    {
      const RametUpperEntry *entry = g_ptr_array_index (entries, i);

      if (entry->type != RAMET_UPPER_FOLDER)
        g_string_append_printf (text, "%s ./%s%c", entry->stamp, entry->path, '\0');
    }
  for (guint i = entries->len; i-- > 0;)
    {
      const RametUpperEntry *entry = g_ptr_array_index (entries, i);

      if (entry->type == RAMET_UPPER_FOLDER)
        g_string_append_printf (text, "./%s%c", entry->path, '\0');
    }
  g_string_append_len (text, "=", 2);
  return g_string_free_to_bytes (text);
}

/** ramet_overlay_cannot_detach: sets @error for what `share release` printed in the guest; gives %FALSE */
gboolean
ramet_overlay_cannot_detach (const RametOverlayView *view, const RametDropOptions *options, const char *words, GError **error)
{
  g_autoptr (GPtrArray) users = ramet_share_users_parse (words);
  g_autofree char *who = ramet_share_users_describe (users);
  guint services;
  guint processes;

  ramet_share_users_count (users, &services, &processes);
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot detach the shares of '%s': in use by %s", ramet_vm_get_name (view->vm),
                   users->len > 0 ? who : "unknown processes");
  if (services > 0 && !options->stop_users)
    ramet_error_hint (error, processes > 0 && !options->kill_users
                               ? "'--stop-users' stops the services, and starts them again afterwards; '--kill-users' ends "
                                 "the other processes"
                               : "'--stop-users' stops these services, and starts them again afterwards");
  else if (processes > 0 && !options->kill_users)
    ramet_error_hint (error, "leave the folder in the guest, or give '--kill-users', which ends these processes");
  else
    ramet_error_hint (error, "end them in the guest: 'ramet ssh %s'", ramet_vm_get_name (view->vm));
  return FALSE;
}

static gboolean
run_drop (const RametOverlayView *view, RametTask *task, const char *what, GBytes *input,
          const RametDropOptions *options, guint *ret_n_dropped, GError **error)
{
  g_autoptr (GString) words = g_string_new (NULL);
  const char *args[6] = { view->share->tag, what };
  RametGuestScript script = { .name = "drop.sh", .args = args, .input = input, .func = take_words, .data = words,
                              .to_the_end = TRUE };
  g_autofree char *errors = NULL;
  const char *number;
  gsize n = 2;
  int status = 0;

  if (options->stop_users)
    args[n++] = "--stop-users";
  if (options->kill_users)
    args[n++] = "--kill-users";
  ramet_task_step (task, "emptying the overlay");
  RAMET_STEP ("drop-begins");
  if (!ramet_guest_ssh_run (view->vm, task, &script, &status, &errors, error))
    return FALSE;
  if (status == HELD)
    return ramet_overlay_cannot_detach (view, options, words->str, error);
  if (status == CHANGED)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "'%s' went on changing files meanwhile", ramet_vm_get_name (view->vm));
      ramet_error_hint (error, "try again once nothing writes there");
      return FALSE;
    }
  if (status == TOO_OLD)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot detach the shares of '%s': it was made by an older ramet",
                       ramet_vm_get_name (view->vm));
      ramet_error_hint (error, "make it anew, with 'ramet clone'");
      return FALSE;
    }
  if (status != 0)
    return ramet_guest_ssh_fail (view->vm, status, errors, error);
  number = g_strrstr (words->str, "dropped ");
  *ret_n_dropped = number ? (guint) strtoul (number + strlen ("dropped "), NULL, 10) : 0;
  return TRUE;
}

/**
 * ramet_overlay_drop:
 * @entries: (element-type RametUpperEntry): of the view
 * @ret_n_dropped: (out): how many that are no folders
 * @error: RAMET_ERROR_STATE names who holds a share, or says that the guest has changed more; nothing is dropped then
 *
 * The guest sees what is on the host there. Meanwhile its shares are detached, for what is below a mounted overlay may not
 * be changed; Ctrl-C does not keep them so.
 */
gboolean
ramet_overlay_drop (const RametOverlayView *view, RametTask *task, GPtrArray *entries, const RametDropOptions *options,
                    guint *ret_n_dropped, GError **error)
{
  g_autoptr (GBytes) input = list_for_guest (entries);
  g_autofree char *number = g_strdup_printf ("%u", view->overlay->entries->len + view->overlay->n_refused);

  return run_drop (view, task, number, input, options, ret_n_dropped, error);
}

/** ramet_overlay_drop_all: whatever there is, changed since it was listed or not */
gboolean
ramet_overlay_drop_all (const RametOverlayView *view, RametTask *task, const RametDropOptions *options,
                        guint *ret_n_dropped, GError **error)
{
  g_autoptr (GBytes) input = g_bytes_new_static ("=", 2);

  return run_drop (view, task, "all", input, options, ret_n_dropped, error);
}

/* Whether an entry of the overlay has to stay there after the changes were applied. */
static gboolean
has_to_stay (const RametOverlayView *view, const RametUpperEntry *entry, gboolean with_git)
{
  return entry->type == RAMET_UPPER_SPECIAL || !ramet_overlay_view_wants (view, entry->path) ||
         (!with_git && ramet_upper_is_git (entry->path));
}

/* Opaque folders that something has to stay in hide the host's files, so nothing in them may go. */
static GHashTable *
find_pinned (const RametOverlayView *view, gboolean with_git)
{
  GHashTable *pinned = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < view->overlay->entries->len; i++)
    {
      const RametUpperEntry *entry = g_ptr_array_index (view->overlay->entries, i);
      g_autofree char *folder = g_strdup (entry->path);
      char *slash;

      if (!has_to_stay (view, entry, with_git))
        continue;
      while ((slash = strrchr (folder, '/')) != NULL)
        {
          const RametUpperEntry *above;

          *slash = '\0';
          above = ramet_upper_find (view->overlay, folder);
          if (above && above->opaque)
            g_hash_table_add (pinned, above->path);
        }
    }
  return pinned;
}

static gboolean
lies_in_pinned (GHashTable *pinned, const char *path)
{
  g_autofree char *folder = g_strdup (path);
  char *slash;

  do
    {
      if (g_hash_table_contains (pinned, folder))
        return TRUE;
      slash = strrchr (folder, '/');
      if (slash)
        *slash = '\0';
    }
  while (slash);
  return FALSE;
}

/**
 * ramet_overlay_droppable:
 * @changes: that were just applied
 *
 * Returns: (transfer container) (element-type RametUpperEntry): what the guest need not have any more, for the host has the
 *   same now
 */
GPtrArray *
ramet_overlay_droppable (const RametOverlayView *view, const RametChanges *changes, gboolean with_git)
{
  GPtrArray *entries = g_ptr_array_new ();
  g_autoptr (GHashTable) pinned = find_pinned (view, with_git);

  for (guint i = 0; i < changes->covered->len; i++)
    {
      RametUpperEntry *entry = g_ptr_array_index (changes->covered, i);

      if (!has_to_stay (view, entry, with_git) && !lies_in_pinned (pinned, entry->path))
        g_ptr_array_add (entries, entry);
    }
  return entries;
}
