/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/delete.h"

#include "core/stop.h"
#include "host/libvirt/snapshot.h"
#include "operations/points/merge.h"

static gboolean
check_no_clones (RametPointVm *pvm, const RametPoint *point, GError **error)
{
  g_autoptr (GPtrArray) clones = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *names = NULL;

  if (!ramet_point_vm_add_holders (pvm, NULL, clones, point, error))
    return FALSE;
  if (clones->len == 0)
    return TRUE;
  g_ptr_array_add (clones, NULL);
  names = g_strjoinv (" ", (char **) clones->pdata);
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot delete the snapshot '%s' of '%s': clones stand on it: %s", point->name,
                   ramet_point_vm_name (pvm), names);
  ramet_error_hint (error, "remove them first, or make them stand alone: 'ramet flatten %s'", names);
  return FALSE;
}

/* Saved memory belongs to the chain of disks as it is. */
static gboolean
check_run (const RametPointVm *pvm, GError **error)
{
  const char *name = ramet_point_vm_name (pvm);

  if (pvm->vm->run == RAMET_RUN_RUNNING || pvm->vm->run == RAMET_RUN_PAUSED || pvm->vm->run == RAMET_RUN_OFF)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot delete a snapshot of '%s': it is %s", name,
                   ramet_run_name (pvm->vm->run));
  ramet_error_hint (error, pvm->vm->run == RAMET_RUN_SAVED ? "'ramet resume %s' first" : "'ramet stop --force %s' first", name);
  return FALSE;
}

/* (transfer none) (nullable) */
static const RametPointTrouble *
find_disk_trouble (const RametPointVm *pvm)
{
  for (guint i = 0; i < pvm->troubles->len; i++)
    {
      const RametPointTrouble *trouble = g_ptr_array_index (pvm->troubles, i);

      if (trouble->kind == RAMET_POINT_TROUBLE_DISKS)
        return trouble;
    }
  return NULL;
}

/*
 * What is wrong with the point itself, or with a layer that the VM stands on all the same, is a reason to delete it; what is
 * wrong with the VM's disks is one to leave them alone.
 */
static gboolean
check_disks (const RametPointVm *pvm, GError **error)
{
  const RametPointTrouble *trouble = find_disk_trouble (pvm);

  if (trouble == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot delete a snapshot of '%s': %s", ramet_point_vm_name (pvm), trouble->text);
  ramet_error_hint (error, "%s", trouble->hint);
  return FALSE;
}

/* All but its layers; the record of it goes last. */
static gboolean
delete_rest (RametPointVm *pvm, const char *snapshot, const char *memory, const char *nvram, GError **error)
{
  return (memory == NULL || ramet_points_delete_file (pvm, memory, error)) &&
         (nvram == NULL || ramet_points_delete_file (pvm, nvram, error)) &&
         ramet_snapshot_forget (pvm->vm->domain, snapshot, error);
}

static void
set_spare (RametPointVm *pvm, const char *path, gboolean spare)
{
  RametVolumeRef *volume = path ? ramet_metadata_find_volume (pvm->vm->metadata, path) : NULL;

  if (volume)
    volume->spare = spare;
}

static void
set_dropped (RametPointVm *pvm, RametPoint *point, gboolean dropped)
{
  point->dropped = dropped;
  set_spare (pvm, point->memory ? point->memory->path : NULL, dropped);
  set_spare (pvm, point->nvram, dropped);
}

/*
 * A merge that did not come to its end has not changed what the point needs, unless it had begun to write there. That the disks
 * still stand on it is looked at rather than believed. Returns whether the point is as it was.
 */
static gboolean
take_back (RametPointVm *pvm, const char *snapshot, gboolean written)
{
  RametPoint *point = ramet_points_find (pvm->vm->metadata->points, snapshot);
  g_autoptr (GError) why = NULL;

  if (point == NULL || written)
    return FALSE;
  set_dropped (pvm, point, FALSE);
  if (!ramet_point_vm_look (pvm, &why) || find_disk_trouble (pvm))
    {
      set_dropped (pvm, point, TRUE);
      return FALSE;
    }
  if (!ramet_point_vm_save (pvm, &why))
    g_warning ("%s", why->message);
  return TRUE;
}

static gboolean
drop (RametPointVm *pvm, RametTask *task, RametPoint *point, GError **error)
{
  g_autofree char *snapshot = g_strdup (point->name);
  g_autofree char *memory = point->memory ? g_strdup (point->memory->path) : NULL;
  g_autofree char *nvram = g_strdup (point->nvram);
  gboolean written = FALSE;

  set_dropped (pvm, point, TRUE);
  if (!ramet_point_vm_save (pvm, error))
    return FALSE;
  RAMET_STEP ("point-dropped");
  if (!ramet_points_collect (pvm, task, &written, error))
    {
      if (!take_back (pvm, snapshot, written) && error && ramet_error_get_hint (*error) == NULL)
        ramet_error_hint (error, "the snapshot cannot be used any more; 'ramet snapshot delete %s@%s' does what is left",
                          ramet_point_vm_name (pvm), snapshot);
      return FALSE;
    }
  if (!delete_rest (pvm, snapshot, memory, nvram, error))
    return FALSE;
  point = ramet_points_find (pvm->vm->metadata->points, snapshot);
  if (point)
    {
      g_clear_pointer (&point->memory, ramet_fingerprint_free);
      g_clear_pointer (&point->nvram, g_free);
    }
  return TRUE;
}

static gboolean
delete_claimed (RametPointVm *pvm, RametTask *task, const char *snapshot, gboolean despite_clones, GError **error)
{
  RametPoint *point = ramet_points_find (pvm->vm->metadata->points, snapshot);
  gboolean unfinished = point && (point->making || point->dropped);
  gboolean mended = FALSE;

  if (!ramet_points_mend (pvm, task, &mended, error))
    return FALSE;
  point = ramet_points_find (pvm->vm->metadata->points, snapshot);
  if (unfinished && point == NULL)
    return TRUE;
  if (!unfinished)
    point = ramet_point_vm_find (pvm, snapshot, error);
  return point && (despite_clones || check_no_clones (pvm, point, error)) && check_disks (pvm, error) && drop (pvm, task, point, error);
}

/**
 * ramet_points_delete:
 * @despite_clones: for those that stand on it, its layers stay
 * @error: RAMET_ERROR_NOT_FOUND if there is no such snapshot, RAMET_ERROR_STATE if clones stand on it
 *
 * Merges the layers that nobody needs without it, and frees their space. Ctrl-C leaves all as it was, or, where a disk was
 * merged already or inner layers of a VM that runs are, the snapshot half deleted: the same call does the rest.
 */
gboolean
ramet_points_delete (RametConnection *connection, RametTask *task, const char *name, const char *snapshot,
                     gboolean despite_clones, GError **error)
{
  g_autoptr (RametPointVm) pvm = NULL;
  gboolean done;

  ramet_task_step (task, "deleting '%s'", snapshot);
  pvm = ramet_point_vm_open (connection, name, error);
  if (pvm == NULL || !check_run (pvm, error) || !ramet_point_vm_claim (pvm, "delete a snapshot of", error))
    return FALSE;
  done = delete_claimed (pvm, task, snapshot, despite_clones, error);
  ramet_point_vm_release (pvm);
  return done;
}
