/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/take.h"

#include <string.h>

#include "core/stop.h"
#include "core/threads.h"
#include "host/libvirt/block-job.h"
#include "host/libvirt/snapshot.h"
#include "host/libvirt/storage.h"
#include "model/chain.h"
#include "model/snapshot.h"
#include "operations/base/drift.h"
#include "operations/points/merge.h"
#include "operations/vm/group.h"

#define REVIVE_PATIENCE_S 20

static const char *
name_of (const RametPointMember *member)
{
  return ramet_point_vm_name (member->pvm);
}

static gboolean
is_off (const RametPointMember *member)
{
  return member->pvm->vm->run == RAMET_RUN_OFF;
}

/* libvirt would make the new layers of a VM that is off readable to all. */
static gboolean
make_layers (RametPointMember *member, GError **error)
{
  const char *pool = ((RametPointDisk *) g_ptr_array_index (member->pvm->disks, 0))->volume->pool;

  for (guint i = 0; i < member->disks->len; i++)
    {
      const RametSnapshotDisk *disk = g_ptr_array_index (member->disks, i);
      const RametFingerprint *below = ramet_point_find_layer (member->point, disk->target);
      g_autofree char *file = disk->overlay ? g_path_get_basename (disk->overlay) : NULL;
      g_autofree char *path = NULL;

      if (file == NULL || !is_off (member))
        continue;
      path = ramet_volume_create_overlay (ramet_point_vm_connection (member->pvm), pool, file, below->capacity, below->path,
                                          below->format, FALSE, error);
      if (path == NULL)
        return FALSE;
      RAMET_STEP ("point-layer");
    }
  return TRUE;
}

static gboolean
take_in_thread (gpointer data, GError **error)
{
  RametPointMember *member = data;
  const RametPoint *point = member->point;
  g_autofree char *xml
    = ramet_snapshot_xml (point->name, point->memory ? point->memory->path : NULL, member->disks);

  return ramet_snapshot_take (member->pvm->vm->domain, xml, point->memory != NULL, is_off (member), error);
}

static void
abort_taking (gpointer data)
{
  RametPointMember *member = data;

  if (member->point->memory)
    ramet_snapshot_abort (member->pvm->vm->domain);
}

/* A disk that has its new layer goes back to the one below. */
static gboolean
take_back_disk (RametPointMember *member, const RametSnapshotDisk *disk, GError **error)
{
  RametDomain *domain = member->pvm->vm->domain;
  const RametFingerprint *layer = ramet_point_find_layer (member->point, disk->target);
  g_autofree char *xml = ramet_domain_get_xml (domain, FALSE, error);
  g_autoptr (GPtrArray) files = xml ? ramet_chain_read (xml, disk->target, error) : NULL;

  if (files == NULL)
    return FALSE;
  if (files->len == 0 || !g_str_equal (g_ptr_array_index (files, 0), disk->overlay))
    return TRUE;
  return ramet_block_commit_active (domain, disk->target, layer->path, error);
}

/* A VM that is off is defined as it was. */
static gboolean
take_back_definition (RametPointMember *member, GError **error)
{
  g_autoptr (GPtrArray) none = g_ptr_array_new ();

  return ramet_point_vm_define (member->pvm, none, error);
}

/*
 * What libvirt writes for a VM that is off names only the new layer. It would find those below by itself, and give the base's
 * file to QEMU's user when it starts the VM.
 */
static gboolean
define_chain (RametPointMember *member, GError **error)
{
  g_autoptr (GPtrArray) overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);

  if (!is_off (member))
    return TRUE;
  for (guint i = 0; i < member->disks->len; i++)
    {
      const RametSnapshotDisk *disk = g_ptr_array_index (member->disks, i);
      RametOverlay *overlay = disk->overlay ? ramet_overlay_new (disk->target, disk->overlay) : NULL;

      if (overlay == NULL)
        continue;
      g_ptr_array_add (overlays, overlay);
      if (!ramet_point_vm_add_layers (member->pvm, overlay, disk->overlay, "qcow2", error))
        return FALSE;
    }
  if (!ramet_point_vm_define (member->pvm, overlays, error))
    return FALSE;
  RAMET_STEP ("point-defined");
  return TRUE;
}

/*
 * After its memory was saved QEMU writes to no disk until the guest runs, so the new layers cannot be merged back. A VM that is
 * to stay paused is loaded anew from what was saved, on its disks as they were.
 */
static gboolean
reload_paused (RametPointMember *member, GError **error)
{
  RametPointVm *pvm = member->pvm;
  g_autoptr (GError) why = NULL;
  g_autofree char *record = ramet_snapshot_get_xml (pvm->vm->domain, member->point->name, &why);
  g_autofree char *live = NULL;
  g_autofree char *inactive = NULL;

  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
    return TRUE; /* it was not taken */
  if (record == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (!ramet_snapshot_split (record, &live, &inactive, error) || !ramet_domain_destroy (pvm->vm->domain, error))
    return FALSE;
  if (take_back_definition (member, error) &&
      ramet_snapshot_restore (ramet_point_vm_connection (pvm), member->point->memory->path, live, error))
    return TRUE;
  g_prefix_error (error, "it is off now, and its memory is in '%s' until the next snapshot command clears it: ",
                  member->point->memory->path);
  return FALSE;
}

/* Each of its disks goes back to the layer below, with all that the guest may have written since. */
static gboolean
take_back_disks (RametPointMember *member, GError **error)
{
  for (guint i = 0; i < member->disks->len; i++)
    {
      const RametSnapshotDisk *disk = g_ptr_array_index (member->disks, i);

      if (disk->overlay && !take_back_disk (member, disk, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
delete_if_made (RametPointMember *member, const char *pool, const char *path, GError **error)
{
  g_autofree char *file = g_path_get_basename (path);

  return ramet_volume_delete (ramet_point_vm_connection (member->pvm), pool, file, path, error);
}

/* Whether it was taken or not: nothing of it is left. */
static gboolean
take_back (RametPointMember *member, GError **error)
{
  RametPointVm *pvm = member->pvm;
  const char *pool = ((RametPointDisk *) g_ptr_array_index (pvm->disks, 0))->volume->pool;
  RametRun run;

  if (!ramet_connection_revive (ramet_point_vm_connection (pvm), REVIVE_PATIENCE_S, error) ||
      !ramet_domain_reattach (pvm->vm->domain, error) || !ramet_domain_get_run (pvm->vm->domain, &run, error))
    return FALSE;
  if (run == RAMET_RUN_OFF && !take_back_definition (member, error))
    return FALSE;
  if (run == RAMET_RUN_PAUSED && member->point->memory && !reload_paused (member, error))
    return FALSE;
  if (run != RAMET_RUN_OFF && !take_back_disks (member, error))
    return FALSE;
  if (!ramet_snapshot_forget (pvm->vm->domain, member->point->name, error))
    return FALSE;
  for (guint i = 0; i < member->disks->len; i++)
    {
      const RametSnapshotDisk *disk = g_ptr_array_index (member->disks, i);

      if (disk->overlay && !delete_if_made (member, pool, disk->overlay, error))
        return FALSE;
    }
  return (member->point->memory == NULL || delete_if_made (member, pool, member->point->memory->path, error)) &&
         (member->point->nvram == NULL || delete_if_made (member, "", member->point->nvram, error));
}

/* What could not be taken back stays on record, for without that nobody would know which files the VM stands on. */
static gboolean
undo_take (gpointer data, GError **error)
{
  RametPointMember *member = data;

  member->left = !take_back (member, error);
  return !member->left;
}

/* What the user can do about it, where libvirt's own words do not tell. */
static void
explain (const RametPointMember *member, GError **error)
{
  const char *name = name_of (member);

  if (strstr ((*error)->message, "VirtFS"))
    {
      (*error)->code = RAMET_ERROR_STATE;
      ramet_error_hint (error, "a share is mounted in the guest, which keeps its memory from being saved: 'ramet resume %s' "
                               "first, so that ramet can detach it, or --disk-only", name);
    }
  else if (strstr ((*error)->message, "paused due to previous migration"))
    {
      (*error)->code = RAMET_ERROR_STATE;
      ramet_error_hint (error, "QEMU saves the memory of a VM only once while it stays paused: 'ramet resume %s' in between, or "
                               "--disk-only", name);
    }
  else if (strstr ((*error)->message, "No space left"))
    ramet_error_hint (error, "make room, or leave the memory out by --disk-only; 'ramet tree' shows what takes the room");
}

static gboolean
copy_nvram (RametPointMember *member, GError **error)
{
  g_autofree char *file = NULL;

  if (member->point->nvram == NULL)
    return TRUE;
  file = g_path_get_basename (member->point->nvram);
  return ramet_volume_copy (ramet_point_vm_connection (member->pvm), member->nvram_source, file, error);
}

/* How each went; after Ctrl-C what went wrong is only that it was aborted. */
static gboolean
raise_all (RametPointMember **members, RametThread *threads, guint n, gboolean cancelled, RametTask *task, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  if (cancelled)
    {
      ramet_error_set (error, RAMET_ERROR_CANCELLED, "interrupted");
      return FALSE;
    }
  for (guint i = 0; i < n; i++)
    {
      if (threads[i].error)
        explain (members[i], &threads[i].error);
      else
        ramet_task_note (task, "'%s' was saved in %.2f s", name_of (members[i]), threads[i].took_us / 1e6);
      ramet_findings_take (findings, g_steal_pointer (&threads[i].error));
    }
  return ramet_findings_raise (findings, error);
}

/**
 * ramet_point_members_take:
 * @members: (element-type RametPointMember): none of which runs now
 * @running: (element-type RametVm): those that ran before; they run again before their disks are taken back
 * @undo: gets what takes each back
 * @error: RAMET_ERROR_CANCELLED, or all that went wrong
 *
 * All at the same time: what one waits for is mostly its QEMU and the disk.
 */
gboolean
ramet_point_members_take (GPtrArray *members, GPtrArray *running, RametTask *task, RametUndo *undo, GError **error)
{
  RametThread *threads;
  gboolean cancelled = FALSE;
  gboolean done;

  ramet_task_step (task, "saving");
  for (guint i = 0; i < members->len; i++)
    {
      RametPointMember *member = g_ptr_array_index (members, i);
      g_autofree char *what = g_strdup_printf ("take back the snapshot of '%s'", name_of (member));

      ramet_undo_push (undo, what, undo_take, member, NULL);
    }
  ramet_undo_push (undo, "resume the VMs", ramet_group_resume_undo, running, NULL);
  for (guint i = 0; i < members->len; i++)
    if (!make_layers (g_ptr_array_index (members, i), error))
      return FALSE;
  RAMET_STEP ("point-saving");
  threads = ramet_threads_run (task, take_in_thread, abort_taking, members->pdata, members->len, &cancelled);
  done = raise_all ((RametPointMember **) members->pdata, threads, members->len, cancelled, task, error);
  ramet_threads_free (threads, members->len);
  if (!done)
    return FALSE;
  RAMET_STEP ("point-saved");
  for (guint i = 0; i < members->len; i++)
    if (!define_chain (g_ptr_array_index (members, i), error) || !copy_nvram (g_ptr_array_index (members, i), error))
      return FALSE;
  return TRUE;
}

/** ramet_point_member_read: takes down what its files look like, which nobody writes to any more */
gboolean
ramet_point_member_read (RametPointMember *member, GError **error)
{
  RametFingerprint *memory = member->point->memory;
  g_autoptr (RametImage) image = NULL;

  if (!ramet_points_read_layers (member->pvm, member->point, error))
    return FALSE;
  if (memory == NULL)
    return TRUE;
  image = ramet_image_look (ramet_point_vm_connection (member->pvm), memory->path, memory->format, error);
  if (image)
    ramet_drift_fill (memory, image);
  return image != NULL;
}
