/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/merge.h"

#include "core/stop.h"
#include "core/text.h"
#include "host/libvirt/block-job.h"
#include "host/libvirt/snapshot.h"
#include "host/libvirt/storage.h"
#include "model/snapshot.h"
#include "operations/base/drift.h"

/* One layer that is taken in by the one that stands on it. */
typedef struct
{
  RametPointVm *pvm;
  RametTask *task;
  RametPointStep step;
  gboolean *ret_written; /* whether a layer was changed or has moved, so that the dropped point is lost */
} Merge;

static gboolean
is_active (const RametPointVm *pvm)
{
  return pvm->vm->run == RAMET_RUN_RUNNING || pvm->vm->run == RAMET_RUN_PAUSED;
}

/** ramet_points_delete_file: deletes what ramet made at @path, and forgets it; gone already is fine */
gboolean
ramet_points_delete_file (RametPointVm *pvm, const char *path, GError **error)
{
  RametVolumeRef *volume = ramet_metadata_find_volume (pvm->vm->metadata, path);

  if (volume == NULL)
    return TRUE; /* not ramet's to delete */
  if (!ramet_volume_delete (ramet_point_vm_connection (pvm), volume->pool, volume->name, volume->path, error))
    return FALSE;
  g_ptr_array_remove (pvm->vm->metadata->volumes, volume);
  RAMET_STEP ("point-file-deleted");
  return TRUE;
}

/** ramet_points_read_layers: takes down what the files of @point look like now that nobody writes to them */
gboolean
ramet_points_read_layers (RametPointVm *pvm, RametPoint *point, GError **error)
{
  for (guint i = 0; i < point->layers->len; i++)
    {
      RametFingerprint *layer = g_ptr_array_index (point->layers, i);
      g_autoptr (RametImage) image
        = ramet_image_look (ramet_point_vm_connection (pvm), layer->path, layer->format, error);

      if (image == NULL)
        return FALSE;
      ramet_drift_fill (layer, image);
    }
  return TRUE;
}

/* Whether the VM runs with @path in the chain of its disk @target, as far as the file's headers tell. */
static const RametPointDisk *
find_disk (const RametPointVm *pvm, const char *target)
{
  for (guint i = 0; i < pvm->disks->len; i++)
    {
      const RametPointDisk *disk = g_ptr_array_index (pvm->disks, i);

      if (g_strcmp0 (disk->target, target) == 0)
        return disk;
    }
  return NULL;
}

static gboolean
is_in_chain (const RametPointDisk *disk, const char *path)
{
  for (guint i = 0; disk && i < disk->chain->len; i++)
    if (g_str_equal (((RametImage *) g_ptr_array_index (disk->chain, i))->path, path))
      return TRUE;
  return FALSE;
}

/* Pulling needs the room of what is pulled; without, the guest would be stopped by a full disk in the middle. */
static gboolean
check_room (Merge *merge, const char *path, GError **error)
{
  RametConnection *connection = ramet_point_vm_connection (merge->pvm);
  const RametVolumeRef *volume = ramet_metadata_find_volume (merge->pvm->vm->metadata, path);
  g_autofree char *folder = NULL;
  g_autofree char *wanted = NULL;
  g_autofree char *free_text = NULL;
  guint64 available = 0;
  guint64 bytes = 0;

  if (volume == NULL || !ramet_volume_get_allocation (connection, path, &bytes))
    return TRUE;
  ramet_pool_refresh (connection, volume->pool);
  if (!ramet_pool_check (connection, volume->pool, &folder, &available, error))
    return FALSE;
  if (bytes < available)
    return TRUE;
  wanted = ramet_text_size (bytes);
  free_text = ramet_text_size (available);
  ramet_error_set (error, RAMET_ERROR_FAILED, "merging a layer of '%s' takes %s for a while, and the pool '%s' has %s left",
                   ramet_point_vm_name (merge->pvm), wanted, volume->pool, free_text);
  ramet_error_hint (error, "make room, then try again; 'ramet tree' shows what takes it");
  return FALSE;
}

static void
add_layers (GPtrArray *layers, const RametPointVm *pvm, GPtrArray *chain)
{
  for (guint i = 0; i < chain->len; i++)
    {
      const RametImage *image = g_ptr_array_index (chain, i);
      RametLayer *layer = g_new0 (RametLayer, 1);

      layer->path = image->path;
      layer->format = image->format;
      layer->own = ramet_metadata_find_volume (pvm->vm->metadata, image->path) != NULL;
      g_ptr_array_add (layers, layer);
    }
}

/* By a QEMU without a guest: the file that takes it in is none that a VM runs with. */
static gboolean
pull_by_helper (Merge *merge, const char *target, const char *file, const char *gone, const char *base, GError **error)
{
  RametPointVm *pvm = merge->pvm;
  RametConnection *connection = ramet_point_vm_connection (pvm);
  g_autoptr (GPtrArray) chain = ramet_image_inspect (connection, file, "qcow2", error);
  g_autoptr (GPtrArray) layers = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *name = g_strdup_printf ("ramet-merge-%s", ramet_point_vm_name (pvm));
  g_autoptr (RametDomain) helper = NULL;
  g_autofree char *xml = NULL;
  gboolean done;

  if (chain == NULL)
    return FALSE;
  add_layers (layers, pvm, chain);
  xml = ramet_snapshot_helper_xml (pvm->xml, name, target, layers, error);
  helper = xml ? ramet_block_helper_new (connection, xml, error) : NULL;
  if (helper == NULL)
    return FALSE;
  done = ramet_block_pull (helper, merge->task, target, base, gone, error);
  return ramet_domain_destroy (helper, done ? error : NULL) && done;
}

/* Whether the layers of @file need @gone still: a merge that was cut off may have come that far. */
static gboolean
stands_on (Merge *merge, const char *file, const char *gone, gboolean *ret_does, GError **error)
{
  g_autoptr (RametImage) image = ramet_image_look (ramet_point_vm_connection (merge->pvm), file, "qcow2", error);

  if (image == NULL)
    return FALSE;
  *ret_does = g_strcmp0 (image->backing, gone) == 0;
  return TRUE;
}

static const char *
base_of (Merge *merge, const RametFingerprint *gone, RametImage **ret_image, GError **error)
{
  *ret_image = ramet_image_look (ramet_point_vm_connection (merge->pvm), gone->path, gone->format, error);
  return *ret_image ? (*ret_image)->backing : NULL;
}

/* The file @into, which stands on @gone, takes in what is in that. */
static gboolean
pull (Merge *merge, const RametFingerprint *gone, const char *into, gboolean live, GError **error)
{
  g_autoptr (RametImage) image = NULL;
  gboolean does = FALSE;
  const char *base;

  if (!stands_on (merge, into, gone->path, &does, error))
    return FALSE;
  if (!does)
    return TRUE;
  base = base_of (merge, gone, &image, error);
  if (image == NULL || !check_room (merge, gone->path, error))
    return FALSE;
  if (live)
    return ramet_block_pull (merge->pvm->vm->domain, merge->task, gone->target, base, gone->path, error);
  return pull_by_helper (merge, gone->target, into, gone->path, base, error);
}

/*
 * An inner layer of a VM that runs: libvirt pulls into the uppermost one only, so what is in @above goes down into @gone,
 * which is the point's file from then on.
 */
static gboolean
commit (Merge *merge, const RametFingerprint *gone, RametFingerprint *above, GError **error)
{
  RametPointVm *pvm = merge->pvm;
  const RametPointDisk *disk = find_disk (pvm, gone->target);
  RametVolumeRef *emptied = ramet_metadata_find_volume (pvm->vm->metadata, above->path);

  *merge->ret_written = TRUE;
  if (g_str_equal (above->path, gone->path))
    return TRUE; /* an earlier try came that far; the emptied file is a spare one since */
  if (is_in_chain (disk, above->path) &&
      !ramet_block_commit (pvm->vm->domain, merge->task, gone->target, gone->path, above->path, error))
    return FALSE;
  if (emptied)
    emptied->spare = TRUE;
  g_free (above->path);
  above->path = g_strdup (gone->path);
  return ramet_point_vm_save (pvm, error) && (emptied == NULL || ramet_points_delete_file (pvm, emptied->path, error));
}

static gboolean
merge_disk (Merge *merge, const RametFingerprint *gone, GError **error)
{
  const RametPoint *child = merge->step.child;
  RametFingerprint *above = child ? ramet_point_find_layer (child, gone->target) : NULL;
  const RametPointDisk *disk = find_disk (merge->pvm, gone->target);

  if (child == NULL && disk == NULL)
    return TRUE; /* a disk that was taken from the VM since */
  if (child == NULL)
    return pull (merge, gone, disk->volume->path, is_active (merge->pvm), error);
  if (above == NULL)
    return TRUE;
  if (is_active (merge->pvm) && is_in_chain (disk, gone->path))
    return commit (merge, gone, above, error);
  return pull (merge, gone, above->path, FALSE, error);
}

/* libvirt keeps the chain of a VM that runs; that of one that is off is written anew, as the files' headers tell it. */
static gboolean
redefine (RametPointVm *pvm, GError **error)
{
  g_autoptr (GPtrArray) overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);

  for (guint i = 0; i < pvm->disks->len; i++)
    {
      const RametPointDisk *disk = g_ptr_array_index (pvm->disks, i);
      RametOverlay *overlay = ramet_overlay_new (disk->target, disk->volume->path);

      g_ptr_array_add (overlays, overlay);
      if (!ramet_point_vm_add_layers (pvm, overlay, disk->volume->path, "qcow2", error))
        return FALSE;
    }
  return ramet_point_vm_define (pvm, overlays, error);
}

/* The layers of the dropped point that are not the child's now are nobody's. */
static gboolean
delete_layers (RametPointVm *pvm, const RametPointStep *step, GError **error)
{
  for (guint i = 0; i < step->point->layers->len; i++)
    {
      const RametFingerprint *layer = g_ptr_array_index (step->point->layers, i);
      const RametFingerprint *above = step->child ? ramet_point_find_layer (step->child, layer->target) : NULL;

      if (above && g_str_equal (above->path, layer->path))
        continue;
      if (!ramet_points_delete_file (pvm, layer->path, error))
        return FALSE;
    }
  return TRUE;
}

/* After its memory was saved or brought back QEMU writes to no disk until the guest runs. */
static gboolean
check_not_paused (const RametPointVm *pvm, GError **error)
{
  const char *name = ramet_point_vm_name (pvm);

  if (pvm->vm->run != RAMET_RUN_PAUSED)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot merge layers of '%s': it is paused", name);
  ramet_error_hint (error, "'ramet resume %s' first", name);
  return FALSE;
}

static gboolean
take_step (RametPointVm *pvm, RametTask *task, RametPointStep step, gboolean *ret_written, GError **error)
{
  Merge merge = { pvm, task, step, ret_written };
  gboolean merges = step.kind == RAMET_POINT_STEP_MERGE;

  if (merges && !check_not_paused (pvm, error))
    return FALSE;
  for (guint i = 0; merges && i < step.point->layers->len; i++)
    {
      if (!merge_disk (&merge, g_ptr_array_index (step.point->layers, i), error))
        {
          /* what was put into a point's file before has changed its time, but nothing that is seen in it */
          if (step.child)
            ramet_points_read_layers (pvm, step.child, NULL);
          return FALSE;
        }
      *ret_written = TRUE;
    }
  if (merges)
    RAMET_STEP ("layers-merged");
  if (merges && step.child && !ramet_points_read_layers (pvm, step.child, error))
    return FALSE;
  if (merges && !is_active (pvm) && !redefine (pvm, error))
    return FALSE;
  if (!ramet_snapshot_forget (pvm->vm->domain, step.point->name, error) || !delete_layers (pvm, &step, error))
    return FALSE;
  ramet_points_done (pvm->vm->metadata->points, &pvm->vm->metadata->current, &step);
  return ramet_point_vm_save (pvm, error) && ramet_point_vm_look (pvm, error);
}

/**
 * ramet_points_collect:
 * @ret_written: (inout): set if a layer was changed or has moved, so that the dropped point cannot be had back
 *
 * Merges or deletes the layers that nobody needs. What was not done may be done later.
 */
gboolean
ramet_points_collect (RametPointVm *pvm, RametTask *task, gboolean *ret_written, GError **error)
{
  RametMetadata *metadata = pvm->vm->metadata;
  g_autoptr (GHashTable) held = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (!ramet_point_vm_add_holders (pvm, held, NULL, NULL, error))
    return FALSE;
  for (;;)
    {
      RametPointStep step = ramet_points_next_step (metadata->points, metadata->current, held);

      if (step.kind == RAMET_POINT_STEP_NONE)
        return TRUE;
      if (step.kind == RAMET_POINT_STEP_MERGE)
        ramet_task_step (task, "merging layers of '%s'", ramet_point_vm_name (pvm));
      if (!take_step (pvm, task, step, ret_written, error))
        return FALSE;
    }
}

/*
 * Of @point, which was being made, leaves only the files that the VM has new layers above: those of other disks were not frozen
 * yet, or are written to again.
 */
static gboolean
keep_taken (const RametPointVm *pvm, RametPoint *point, gboolean *ret_any, GError **error)
{
  *ret_any = FALSE;
  for (guint i = point->layers->len; i-- > 0;)
    {
      const RametFingerprint *layer = g_ptr_array_index (point->layers, i);
      const RametPointDisk *disk = find_disk (pvm, layer->target);

      if (disk && g_str_equal (disk->volume->path, layer->path))
        g_ptr_array_remove_index (point->layers, i);
      else if (disk)
        *ret_any = TRUE;
      else if (!ramet_point_vm_check (pvm, "mend", NULL, error)) /* nobody knows while it cannot be read */
        return FALSE;
    }
  return TRUE;
}

/* A point whose making was cut off is one that was made and deleted, or none. */
static gboolean
mend_point (RametPointVm *pvm, RametPoint *point, GError **error)
{
  RametMetadata *metadata = pvm->vm->metadata;
  gboolean taken = FALSE;

  if (!keep_taken (pvm, point, &taken, error) || !ramet_snapshot_forget (pvm->vm->domain, point->name, error) ||
      (taken && !ramet_points_read_layers (pvm, point, error)))
    return FALSE;
  if (!taken)
    {
      g_ptr_array_remove (metadata->points, point);
      return TRUE;
    }
  point->making = FALSE;
  point->dropped = TRUE;
  g_clear_pointer (&point->memory, ramet_fingerprint_free);
  g_clear_pointer (&point->nvram, g_free);
  g_free (metadata->current);
  metadata->current = g_strdup (point->name);
  return TRUE;
}

/* Files that were to be used and are not, or were given up; what a disk or a clone stands on after all is none of them. */
static gboolean
delete_spares (RametPointVm *pvm, GError **error)
{
  GPtrArray *volumes = pvm->vm->metadata->volumes;
  g_autoptr (GHashTable) held = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (!ramet_point_vm_add_holders (pvm, held, NULL, NULL, error))
    return FALSE;
  for (guint i = volumes->len; i-- > 0;)
    {
      RametVolumeRef *volume = g_ptr_array_index (volumes, i);
      gboolean used = FALSE;

      for (guint j = 0; j < pvm->disks->len; j++)
        used = used || is_in_chain (g_ptr_array_index (pvm->disks, j), volume->path);
      if (volume->spare && used)
        volume->spare = FALSE;
      else if (volume->spare && !g_hash_table_contains (held, volume->path) &&
               !ramet_points_delete_file (pvm, volume->path, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
needs_mending (const RametPointVm *pvm)
{
  const RametMetadata *metadata = pvm->vm->metadata;

  for (guint i = 0; i < pvm->troubles->len; i++)
    if (((RametPointTrouble *) g_ptr_array_index (pvm->troubles, i))->kind == RAMET_POINT_TROUBLE_LEFTOVER)
      return TRUE;
  for (guint i = 0; i < metadata->points->len; i++)
    if (((RametPoint *) g_ptr_array_index (metadata->points, i))->making)
      return TRUE;
  for (guint i = 0; i < metadata->volumes->len; i++)
    if (((RametVolumeRef *) g_ptr_array_index (metadata->volumes, i))->spare)
      return TRUE;
  return FALSE;
}

/* Layers of what was dropped can wait: while the VM is paused, while its disks are not what they should be. */
static gboolean
collect_if_possible (RametPointVm *pvm, RametTask *task, GError **error)
{
  gboolean any = FALSE;
  gboolean written = FALSE;

  for (guint i = 0; i < pvm->vm->metadata->points->len; i++)
    any = any || ((RametPoint *) g_ptr_array_index (pvm->vm->metadata->points, i))->dropped;
  if (!any || pvm->vm->run == RAMET_RUN_PAUSED || pvm->vm->run == RAMET_RUN_SAVED || ramet_point_vm_trouble (pvm, NULL))
    return TRUE;
  return ramet_points_collect (pvm, task, &written, error);
}

/**
 * ramet_points_mend:
 * @pvm: claimed
 * @ret_mended: (out): whether there was something to mend
 *
 * Clears what was cut off in the middle. The VM keeps what it has written.
 */
gboolean
ramet_points_mend (RametPointVm *pvm, RametTask *task, gboolean *ret_mended, GError **error)
{
  GPtrArray *points = pvm->vm->metadata->points;

  *ret_mended = needs_mending (pvm);
  if (!*ret_mended)
    return collect_if_possible (pvm, task, error);
  for (guint i = points->len; i-- > 0;)
    {
      RametPoint *point = g_ptr_array_index (points, i);

      if (point->making && !mend_point (pvm, point, error))
        return FALSE;
    }
  if (!delete_spares (pvm, error) || !ramet_point_vm_save (pvm, error) || !ramet_point_vm_look (pvm, error))
    return FALSE;
  if (!ramet_point_vm_check (pvm, "mend", NULL, error) || !collect_if_possible (pvm, task, error))
    return FALSE;
  for (guint i = 0; i < points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (points, i);

      if (point->dropped && !ramet_snapshot_forget (pvm->vm->domain, point->name, error))
        return FALSE;
    }
  return TRUE;
}
