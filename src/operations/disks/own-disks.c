/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/disks/own-disks.h"

#include "model/domain.h"
#include "operations/vm/lifecycle.h"

static void
own_disk_free (gpointer data)
{
  RametOwnDisk *disk = data;

  g_free (disk->target);
  g_clear_pointer (&disk->image, ramet_image_free);
  g_free (disk);
}

static gboolean
check_whole (const RametVm *vm, const char *verb, GError **error)
{
  RametState state = ramet_vm_get_state (vm);
  const char *name = ramet_vm_get_name (vm);

  if (state == RAMET_STATE_READY || state == RAMET_STATE_RAW)
    return TRUE;
  if (ramet_vm_is_parent (vm))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot %s '%s': it is a %s and no clone", verb, name,
                       ramet_state_name (state));
      ramet_error_hint (error, "'ramet tree' shows who was cloned from whom");
      return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': it is half made or half removed (%s)", verb, name,
                   ramet_state_name (state));
  ramet_error_hint (error, "'ramet remove %s' clears it", name);
  return FALSE;
}

static gboolean
check_off (const RametVm *vm, const char *verb, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (vm->run == RAMET_RUN_OFF)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': it is %s", verb, name, ramet_run_name (vm->run));
  if (vm->run == RAMET_RUN_SAVED)
    ramet_error_hint (error, "its memory belongs to its disk as it is: start and stop it once");
  else
    ramet_error_hint (error, "'ramet stop %s' first", name);
  return FALSE;
}

static void
set_snapshots_error (const RametVm *vm, const char *verb, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': it has snapshots, whose content would be lost", verb, name);
  if (vm->metadata->points->len > 0)
    ramet_error_hint (error, "'ramet snapshot list %s' shows them, 'ramet snapshot delete %s@SNAPSHOT' deletes one", name, name);
  else
    ramet_error_hint (error, "'virsh snapshot-list %s' shows them, 'virsh snapshot-delete %s SNAPSHOT' deletes one", name,
                      name);
}

static gboolean
check_no_snapshots (const RametVm *vm, const char *verb, GError **error)
{
  if (!ramet_domain_has_snapshots (vm->domain) && vm->metadata->points->len == 0)
    return TRUE;
  set_snapshots_error (vm, verb, error);
  return FALSE;
}

static gboolean
check_no_clones (RametVm *vm, const char *verb, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autoptr (GPtrArray) clones = ramet_lifecycle_clones_of (vm, error);
  g_autofree char *names = NULL;

  if (clones == NULL)
    return FALSE;
  if (clones->len == 0)
    return TRUE;
  g_ptr_array_add (clones, NULL);
  names = g_strjoinv (" ", (char **) clones->pdata);
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': clones stand on its disk: %s", verb, name, names);
  ramet_error_hint (error, "make them stand alone first: 'ramet flatten %s'", names);
  return FALSE;
}

static const RametVolumeRef *
find_volume (const RametMetadata *metadata, const char *path)
{
  for (guint i = 0; i < metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (metadata->volumes, i);

      if (g_strcmp0 (volume->path, path) == 0)
        return volume;
    }
  return NULL;
}

static gboolean
add_disk (RametVm *vm, GPtrArray *disks, const RametDomainDisk *disk, const char *verb, GError **error)
{
  const RametVolumeRef *volume = find_volume (vm->metadata, disk->path);
  RametOwnDisk *own;

  if (volume == NULL || *volume->pool == '\0')
    return TRUE;
  own = g_new0 (RametOwnDisk, 1);
  g_ptr_array_add (disks, own);
  own->target = g_strdup (disk->target);
  own->volume = volume;
  own->image = ramet_image_look (ramet_domain_get_connection (vm->domain), disk->path, disk->format, error);
  if (own->image && own->image->n_snapshots > 0)
    {
      set_snapshots_error (vm, verb, error);
      return FALSE;
    }
  return own->image != NULL;
}

/* A disk that was given another file since, by an external snapshot for one, is not to be touched. */
static gboolean
check_all_there (const RametVm *vm, GPtrArray *disks, const char *verb, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  for (guint i = 0; i < vm->metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (vm->metadata->fingerprints, i);

      if (ramet_own_disks_find (disks, print->target))
        continue;
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': its disk '%s' is not the file that ramet made any more",
                       verb, name, print->target ? print->target : "?");
      ramet_error_hint (error, "'virsh domblklist %s' shows what it is; 'virsh blockcommit' merges an external snapshot "
                               "back", name);
      return FALSE;
    }
  return TRUE;
}

/**
 * ramet_own_disks_open:
 * @verb: what is to be done with them, for messages: "flatten"
 * @error: RAMET_ERROR_STATE if the VM runs, is saved, has snapshots or clones, so that its disks must stay as they are
 *
 * Returns: (transfer full) (element-type RametOwnDisk): the clone's disks that ramet made; they go before @vm does
 */
GPtrArray *
ramet_own_disks_open (RametVm *vm, const char *verb, GError **error)
{
  g_autoptr (GPtrArray) disks = g_ptr_array_new_with_free_func (own_disk_free);
  g_autofree char *xml = NULL;
  g_autoptr (RametDomainFacts) facts = NULL;

  if (!check_whole (vm, verb, error) || !check_off (vm, verb, error) || !check_no_snapshots (vm, verb, error) ||
      !check_no_clones (vm, verb, error))
    return NULL;
  xml = ramet_domain_get_xml (vm->domain, TRUE, error);
  facts = xml ? ramet_domain_facts_new (xml, error) : NULL;
  if (facts == NULL)
    return NULL;
  for (guint i = 0; i < facts->disks->len; i++)
    if (!add_disk (vm, disks, g_ptr_array_index (facts->disks, i), verb, error))
      return NULL;
  return check_all_there (vm, disks, verb, error) ? g_steal_pointer (&disks) : NULL;
}

/** ramet_own_disks_find: (transfer none) (nullable) */
const RametOwnDisk *
ramet_own_disks_find (GPtrArray *disks, const char *target)
{
  for (guint i = 0; i < disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (disks, i);

      if (g_strcmp0 (disk->target, target) == 0)
        return disk;
    }
  return NULL;
}

/** ramet_own_disks_still_off: whether nobody has started the VM or written to @disks since they were opened */
gboolean
ramet_own_disks_still_off (RametVm *vm, GPtrArray *disks, const char *verb, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);

  if (!ramet_domain_get_run (vm->domain, &vm->run, error) || !check_off (vm, verb, error) ||
      !check_no_snapshots (vm, verb, error))
    return FALSE;
  for (guint i = 0; i < disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (disks, i);
      g_autoptr (RametImage) now = ramet_image_look (connection, disk->image->path, "qcow2", error);

      if (now == NULL)
        return FALSE;
      if (now->mtime_ns != disk->image->mtime_ns || now->file_size != disk->image->file_size)
        {
          ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': its disk '%s' was written to meanwhile", verb,
                           ramet_vm_get_name (vm), disk->target);
          ramet_error_hint (error, "try again while it stays off");
          return FALSE;
        }
    }
  return TRUE;
}
