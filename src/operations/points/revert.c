/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/revert.h"

#include "core/stop.h"
#include "core/threads.h"
#include "core/undo.h"
#include "host/libvirt/snapshot.h"
#include "host/libvirt/storage.h"
#include "model/chain.h"
#include "model/snapshot.h"
#include "operations/base/drift.h"
#include "operations/points/merge.h"
#include "operations/vm/group.h"
#include "operations/vm/reach.h"

#define REVIVE_PATIENCE_S 20
#define REACH_PATIENCE_S 60

/* One VM that goes back. */
typedef struct
{
  RametPointVm *pvm;
  RametPoint *point;
  gboolean ran;        /* it ran before */
  char *live;          /* the domain as it ran then, for its memory; NULL without */
  char *inactive;      /* its definition of then, as it is going to be */
  char *before;        /* its definition of now, should all be put back */
  gboolean defined;    /* it may be defined with the new layers and metadata, of which that in @pvm knows nothing */
  GPtrArray *overlays; /* (element-type RametOverlay): a new layer for each disk, on the point's */
} Member;

typedef struct
{
  RametConnection *connection;
  RametTask *task;
  RametUndo *undo;
  GPtrArray *members; /* (element-type Member) */
} Revert;

static void
member_free (gpointer data)
{
  Member *member = data;

  g_clear_pointer (&member->pvm, ramet_point_vm_free);
  g_free (member->live);
  g_free (member->inactive);
  g_free (member->before);
  g_ptr_array_unref (member->overlays);
  g_free (member);
}

static const char *
name_of (const Member *member)
{
  return ramet_point_vm_name (member->pvm);
}

/* "web.before.2.qcow2": a name that no file has. */
static gboolean
pick_overlay (Member *member, const RametFingerprint *layer, gboolean first, char **ret_path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (layer->path);
  gboolean there = TRUE;

  for (guint n = 2; there; n++)
    {
      g_autofree char *file = first ? g_strdup_printf ("%s.%s.%u.qcow2", name_of (member), member->point->name, n)
                                    : g_strdup_printf ("%s.%s.%u.%s.qcow2", name_of (member), member->point->name, n,
                                                       layer->target);
      g_autofree char *path = g_build_filename (folder, file, NULL);

      there = ramet_metadata_find_volume (member->pvm->vm->metadata, path) != NULL;
      if (!there && !ramet_volume_is_there (ramet_point_vm_connection (member->pvm), path, &there, error))
        return FALSE;
      if (!there)
        *ret_path = g_steal_pointer (&path);
    }
  return TRUE;
}

static gboolean
plan_overlay (Member *member, const RametFingerprint *layer, GError **error)
{
  g_autofree char *path = NULL;
  RametOverlay *overlay;

  if (!pick_overlay (member, layer, member->overlays->len == 0, &path, error))
    return FALSE;
  overlay = ramet_overlay_new (layer->target, path);
  g_ptr_array_add (member->overlays, overlay);
  return ramet_point_vm_add_layers (member->pvm, overlay, layer->path, layer->format, error);
}

static gboolean
read_record (Member *member, GError **error)
{
  RametDomain *domain = member->pvm->vm->domain;
  g_autofree char *xml = ramet_snapshot_get_xml (domain, member->point->name, error);

  if (xml == NULL || !ramet_snapshot_split (xml, &member->live, &member->inactive, error))
    return FALSE;
  if (member->point->memory == NULL)
    g_clear_pointer (&member->live, g_free);
  else if (member->live == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "libvirt's record of the snapshot '%s' of '%s' is of a VM that was off",
                       member->point->name, name_of (member));
      ramet_error_hint (error, "was it changed by virsh? 'ramet snapshot delete %s@%s' deletes it", name_of (member),
                        member->point->name);
      return FALSE;
    }
  member->before = ramet_domain_get_definition (domain, error);
  return member->before != NULL;
}

/* What a VM that goes on from the point stands on must be what it was. */
static gboolean
check_base (Member *member, GError **error)
{
  g_autofree char *change = ramet_drift_tell (ramet_point_vm_connection (member->pvm), member->pvm->vm->metadata, error);

  if (change == NULL)
    return FALSE;
  if (*change == '\0')
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot revert '%s', whose base has changed: %s", name_of (member), change);
  ramet_error_hint (error, "put the base back as it was");
  return FALSE;
}

/* Clones of a VM whose console is open stand on its disk as it is, which is given up. */
static gboolean
check_no_clones (Member *member, GError **error)
{
  const RametPointVm *pvm = member->pvm;
  g_autoptr (RametPoint) present = ramet_point_new (member->point->name);
  g_autoptr (GPtrArray) clones = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *names = NULL;

  for (guint i = 0; i < pvm->disks->len; i++)
    {
      const RametPointDisk *disk = g_ptr_array_index (pvm->disks, i);

      if (ramet_point_find_layer (member->point, disk->target))
        g_ptr_array_add (present->layers, ramet_fingerprint_new (disk->target, disk->volume->path, "qcow2"));
    }
  if (!ramet_point_vm_add_holders (member->pvm, NULL, clones, present, error))
    return FALSE;
  if (clones->len == 0)
    return TRUE;
  g_ptr_array_add (clones, NULL);
  names = g_strjoinv (" ", (char **) clones->pdata);
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot revert '%s': clones stand on its disk as it is: %s", name_of (member),
                   names);
  ramet_error_hint (error, "remove them first, or make them stand alone: 'ramet flatten %s'", names);
  return FALSE;
}

static gboolean
plan (Revert *revert, Member *member, const char *snapshot, GError **error)
{
  RametPointVm *pvm = member->pvm;
  gboolean mended = FALSE;

  if (!ramet_point_vm_claim (pvm, "revert", error) || !ramet_points_mend (pvm, revert->task, &mended, error))
    return FALSE;
  member->point = ramet_point_vm_find (pvm, snapshot, error);
  if (member->point == NULL || !ramet_point_vm_check (pvm, "revert", member->point, error) ||
      !check_base (member, error) || !check_no_clones (member, error) || !read_record (member, error))
    return FALSE;
  member->ran = pvm->vm->run == RAMET_RUN_RUNNING || pvm->vm->run == RAMET_RUN_PAUSED;
  if ((member->live || (member->ran && g_strcmp0 (member->point->run, "off") != 0)) &&
      !ramet_point_vm_check_shares (pvm, "revert", member->inactive, error))
    return FALSE;
  for (guint i = 0; i < member->point->layers->len; i++)
    if (!plan_overlay (member, g_ptr_array_index (member->point->layers, i), error))
      return FALSE;
  return TRUE;
}

static gboolean
plan_all (Revert *revert, GPtrArray *names, const char *snapshot, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; i < names->len; i++)
    {
      GError *why = NULL;
      RametPointVm *pvm = ramet_point_vm_open (revert->connection, g_ptr_array_index (names, i), &why);

      if (pvm)
        {
          Member *member = g_new0 (Member, 1);

          member->pvm = pvm;
          member->overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);
          g_ptr_array_add (revert->members, member);
          plan (revert, member, snapshot, &why);
        }
      ramet_findings_take (findings, why);
    }
  return ramet_findings_raise (findings, error);
}

static gboolean
reattach (Member *member, GError **error)
{
  return ramet_connection_revive (ramet_point_vm_connection (member->pvm), REVIVE_PATIENCE_S, error) &&
         ramet_domain_reattach (member->pvm->vm->domain, error);
}

/* The new layers are not used: they go. What could not be defined as it was keeps them. */
static gboolean
undo_layers (gpointer data, GError **error)
{
  Member *member = data;

  if (member->defined)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "it may be defined with them");
      return FALSE;
    }
  if (!reattach (member, error))
    return FALSE;
  for (guint i = 0; i < member->overlays->len; i++)
    if (!ramet_points_delete_file (member->pvm, ((RametOverlay *) g_ptr_array_index (member->overlays, i))->overlay, error))
      return FALSE;
  return ramet_point_vm_save (member->pvm, error);
}

static gboolean
make_layers (Revert *revert, Member *member, GError **error)
{
  RametPointVm *pvm = member->pvm;
  const char *pool = ((RametPointDisk *) g_ptr_array_index (pvm->disks, 0))->volume->pool;
  g_autofree char *what = g_strdup_printf ("delete the new layers of '%s'", name_of (member));

  for (guint i = 0; i < member->overlays->len; i++)
    {
      const RametOverlay *overlay = g_ptr_array_index (member->overlays, i);
      g_autofree char *file = g_path_get_basename (overlay->overlay);

      ramet_metadata_add_volume (pvm->vm->metadata, pool, file, overlay->overlay)->spare = TRUE;
    }
  ramet_undo_push (revert->undo, what, undo_layers, member, NULL);
  if (!ramet_point_vm_save (pvm, error))
    return FALSE;
  RAMET_STEP ("revert-recorded");
  for (guint i = 0; i < member->overlays->len; i++)
    {
      const RametOverlay *overlay = g_ptr_array_index (member->overlays, i);
      const RametFingerprint *layer = ramet_point_find_layer (member->point, overlay->target);
      const RametLayer *below = g_ptr_array_index (overlay->layers, 0);
      g_autofree char *file = g_path_get_basename (overlay->overlay);
      g_autofree char *path = ramet_volume_create_overlay (revert->connection, pool, file, layer->capacity, below->path,
                                                           below->format, FALSE, error);

      if (path == NULL || !ramet_task_check (revert->task, error))
        return FALSE;
      RAMET_STEP ("revert-layer");
    }
  return TRUE;
}

/* Off, with its disks as they were when it was switched off. */
static gboolean
undo_define (gpointer data, GError **error)
{
  Member *member = data;
  g_autoptr (RametDomain) defined = NULL;

  if (!reattach (member, error) || !ramet_domain_destroy (member->pvm->vm->domain, error))
    return FALSE;
  defined = ramet_domain_define (ramet_point_vm_connection (member->pvm), member->before, error);
  if (defined == NULL)
    return FALSE;
  member->defined = FALSE;
  if (member->ran)
    g_warning ("'%s' is off now, with its disk as it was", name_of (member));
  return TRUE;
}

/* (transfer full): the metadata as it is once the VM is back: shares as of then, all else as of now */
static RametMetadata *
new_metadata (Member *member, GError **error)
{
  g_autofree char *xml = ramet_metadata_to_xml (member->pvm->vm->metadata);
  g_autoptr (RametMetadata) metadata = ramet_metadata_parse (xml, error);
  g_autoptr (RametDomainFacts) then = ramet_domain_facts_new (member->inactive, error);
  g_autoptr (RametMetadata) old = then && then->metadata ? ramet_metadata_parse (then->metadata, NULL) : NULL;

  if (metadata == NULL || then == NULL)
    return NULL;
  if (old)
    {
      GPtrArray *shares = metadata->shares;

      metadata->shares = old->shares;
      old->shares = shares;
    }
  for (guint i = 0; i < member->pvm->disks->len; i++)
    {
      const RametPointDisk *disk = g_ptr_array_index (member->pvm->disks, i);

      if (ramet_point_find_layer (member->point, disk->target))
        ramet_metadata_find_volume (metadata, disk->volume->path)->spare = TRUE;
    }
  for (guint i = 0; i < member->overlays->len; i++)
    ramet_metadata_find_volume (metadata, ((RametOverlay *) g_ptr_array_index (member->overlays, i))->overlay)->spare = FALSE;
  g_free (metadata->current);
  metadata->current = g_strdup (member->point->name);
  return g_steal_pointer (&metadata);
}

/* Disks and metadata change in one go: whatever comes, the VM is the one or the other. */
static gboolean
define (Revert *revert, Member *member, GError **error)
{
  g_autoptr (RametMetadata) metadata = new_metadata (member, error);
  g_autofree char *metadata_xml = metadata ? ramet_metadata_to_xml (metadata) : NULL;
  g_autofree char *xml
    = metadata ? ramet_chain_rewrite (member->inactive, member->overlays, metadata_xml, error) : NULL;
  g_autofree char *live = NULL;
  g_autoptr (RametDomain) defined = NULL;

  if (xml == NULL)
    return FALSE;
  if (member->live)
    {
      live = ramet_chain_rewrite (member->live, member->overlays, metadata_xml, error);
      if (live == NULL)
        return FALSE;
      g_free (member->live);
      member->live = g_steal_pointer (&live);
    }
  member->defined = TRUE;
  defined = ramet_domain_define (revert->connection, xml, error);
  RAMET_STEP ("revert-defined");
  return defined != NULL;
}

/* QEMU writes back those that the memory holds only once the guest runs. */
static gboolean
bring_nvram_back (Member *member, GError **error)
{
  RametConnection *connection = ramet_point_vm_connection (member->pvm);
  g_autofree char *path = ramet_point_vm_nvram (member->pvm);
  g_autofree char *file = path ? g_path_get_basename (path) : NULL;

  if (member->point->nvram == NULL || path == NULL)
    return TRUE;
  return ramet_volume_delete (connection, "", file, path, error) &&
         ramet_volume_copy (connection, member->point->nvram, file, error);
}

/*
 * (transfer full): what Ctrl-C does not stop: once the VMs were switched off nobody is better off with less than all of them
 * back and awake
 */
static RametTask *
steady_task (const Revert *revert)
{
  return ramet_task_new (ramet_task_get_subject (revert->task), NULL);
}

static gboolean
restore_in_thread (gpointer data, GError **error)
{
  Member *member = data;

  return member->live == NULL ||
         ramet_snapshot_restore (ramet_point_vm_connection (member->pvm), member->point->memory->path, member->live, error);
}

static gboolean
restore_all (Revert *revert, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (RametTask) steady = steady_task (revert);
  GPtrArray *members = revert->members;
  gboolean cancelled = FALSE;
  RametThread *threads;

  ramet_task_step (revert->task, "bringing the memory back");
  RAMET_STEP ("revert-restoring");
  threads = ramet_threads_run (steady, restore_in_thread, NULL, members->pdata, members->len, &cancelled);
  for (guint i = 0; i < members->len; i++)
    ramet_findings_take (findings, g_steal_pointer (&threads[i].error));
  ramet_threads_free (threads, members->len);
  RAMET_STEP ("revert-restored");
  return ramet_findings_raise (findings, error);
}

static gboolean
switch_over (Revert *revert, GError **error)
{
  ramet_task_step (revert->task, "switching the disks");
  for (guint i = 0; i < revert->members->len; i++)
    if (!make_layers (revert, g_ptr_array_index (revert->members, i), error))
      return FALSE;
  for (guint i = 0; i < revert->members->len; i++)
    {
      Member *member = g_ptr_array_index (revert->members, i);
      g_autofree char *what = g_strdup_printf ("define '%s' as it was", name_of (member));

      ramet_undo_push (revert->undo, what, undo_define, member, NULL);
      if (!ramet_domain_destroy (member->pvm->vm->domain, error) || !ramet_snapshot_drop_saved (member->pvm->vm->domain, error))
        return FALSE;
      RAMET_STEP ("revert-destroyed");
    }
  for (guint i = 0; i < revert->members->len; i++)
    if (!define (revert, g_ptr_array_index (revert->members, i), error))
      return FALSE;
  for (guint i = 0; i < revert->members->len; i++)
    if (!bring_nvram_back (g_ptr_array_index (revert->members, i), error))
      return FALSE;
  return restore_all (revert, error);
}

/* A clone may have been made of the disk just before it was given up. */
static gboolean
delete_spares (Revert *revert, Member *member, GError **error)
{
  GPtrArray *volumes = member->pvm->vm->metadata->volumes;
  g_autoptr (GHashTable) held = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  if (!ramet_point_vm_add_holders (member->pvm, held, NULL, NULL, error))
    return FALSE;
  for (guint i = volumes->len; i-- > 0;)
    {
      const RametVolumeRef *volume = g_ptr_array_index (volumes, i);

      if (!volume->spare)
        continue;
      if (g_hash_table_contains (held, volume->path))
        ramet_task_note (revert->task, "'%s' stays: another VM stands on it", volume->path);
      else if (!ramet_points_delete_file (member->pvm, volume->path, error))
        return FALSE;
    }
  return TRUE;
}

/* All that is left of what was given up: nobody can go back from here, so what fails is told and no more. */
static gboolean
clean_up (Revert *revert, Member *member, GError **error)
{
  RametVm *vm = member->pvm->vm;
  RametMetadata *metadata = NULL;

  if (!ramet_domain_get_metadata (vm->domain, &metadata, error) || metadata == NULL)
    return FALSE;
  g_ptr_array_set_size (member->pvm->disks, 0); /* they point into the old metadata */
  member->point = ramet_points_find (metadata->points, member->point->name);
  ramet_metadata_free (vm->metadata);
  vm->metadata = metadata;
  member->defined = FALSE;
  return ramet_snapshot_set_current (vm->domain, member->point->name, error) && delete_spares (revert, member, error) &&
         ramet_point_vm_save (member->pvm, error) && ramet_point_vm_look (member->pvm, error);
}

static void
clean_up_all (Revert *revert)
{
  for (guint i = 0; i < revert->members->len; i++)
    {
      Member *member = g_ptr_array_index (revert->members, i);
      g_autofree char *snapshot = g_strdup (member->point->name);
      g_autoptr (GError) why = NULL;

      if (!clean_up (revert, member, &why))
        ramet_task_warn (revert->task, "'%s' is back at '%s', but not all that was given up could be deleted: %s",
                         name_of (member), snapshot, why ? why->message : "its metadata is gone");
      RAMET_STEP ("revert-cleaned");
    }
}

/* Those that were saved running go on together; what has no memory boots if it ran. Ctrl-C is heard afterwards. */
static gboolean
let_go_on (Revert *revert, GError **error)
{
  g_autoptr (RametTask) steady = steady_task (revert);
  g_autoptr (GPtrArray) running = ramet_group_new ();
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  GError *why = NULL;

  ramet_task_step (revert->task, "resuming");
  for (guint i = 0; i < revert->members->len; i++)
    {
      Member *member = g_ptr_array_index (revert->members, i);
      RametVm *vm = member->pvm->vm;

      ramet_domain_get_run (vm->domain, &vm->run, NULL);
      if (member->live && g_strcmp0 (member->point->run, "running") == 0)
        g_ptr_array_add (running, vm);
      else if (member->live == NULL && member->ran && g_strcmp0 (member->point->run, "off") != 0)
        {
          ramet_domain_start (vm->domain, &why);
          ramet_findings_take (findings, g_steal_pointer (&why));
        }
    }
  if (ramet_group_resume (running, steady, &why))
    {
      g_autoptr (GPtrArray) errors = ramet_group_awaken (running, steady);

      ramet_errors_raise (errors, &why);
    }
  ramet_findings_take (findings, why);
  return ramet_findings_raise (findings, error) && ramet_task_check (revert->task, error);
}

/* A guest that does not answer is no reason to call the revert failed. */
static void
wait_until_reachable (Revert *revert)
{
  gint64 deadline_us = g_get_monotonic_time () + REACH_PATIENCE_S * G_USEC_PER_SEC;

  for (guint i = 0; i < revert->members->len; i++)
    {
      Member *member = g_ptr_array_index (revert->members, i);
      RametVm *vm = member->pvm->vm;
      g_autoptr (GError) why = NULL;

      if (!ramet_domain_get_run (vm->domain, &vm->run, NULL) || vm->run != RAMET_RUN_RUNNING ||
          vm->metadata->state != RAMET_STATE_READY || member->live == NULL)
        continue;
      if (ramet_reach_again (vm, revert->task, deadline_us, &why))
        continue;
      ramet_task_warn (revert->task, "'%s' is back, but does not answer by name yet: %s", name_of (member), why->message);
      if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        return;
    }
}

/* What was given up may have been all that kept a deleted point's layers. */
static void
merge_all (Revert *revert)
{
  for (guint i = 0; i < revert->members->len; i++)
    {
      Member *member = g_ptr_array_index (revert->members, i);
      gboolean written = FALSE;
      g_autoptr (GError) why = NULL;

      if (member->defined || !ramet_point_vm_look (member->pvm, &why) || member->pvm->vm->run == RAMET_RUN_PAUSED)
        continue;
      if (!ramet_points_collect (member->pvm, revert->task, &written, &why))
        ramet_task_warn (revert->task, "layers of '%s' that nobody needs are left: %s", name_of (member), why->message);
    }
}

/**
 * ramet_points_revert:
 * @names: (element-type utf8): of VMs, all of which have @snapshot
 * @error: all that stands in the way, before anything is touched
 *
 * Brings all VMs back to one point in time. What they wrote since is lost. If one cannot be brought back, all are put back
 * to the disks that they had, and are off.
 */
gboolean
ramet_points_revert (RametConnection *connection, RametTask *task, GPtrArray *names, const char *snapshot, GError **error)
{
  g_autoptr (GPtrArray) members = g_ptr_array_new_with_free_func (member_free);
  Revert revert = { .connection = connection, .task = task, .members = members };
  gboolean done;

  ramet_task_step (task, "looking at what there is");
  done = plan_all (&revert, names, snapshot, error);
  if (done)
    {
      g_autoptr (RametUndo) undo = ramet_undo_new ();

      revert.undo = undo;
      done = switch_over (&revert, error);
      if (done)
        ramet_undo_commit (undo);
    }
  if (done)
    {
      clean_up_all (&revert);
      done = let_go_on (&revert, error);
      if (done)
        wait_until_reachable (&revert);
      merge_all (&revert);
    }
  for (guint i = 0; i < members->len; i++)
    {
      Member *member = g_ptr_array_index (members, i);

      /* what would be written has nothing of the new layers; as this process ends, the VM counts as released */
      if (!member->defined)
        ramet_point_vm_release (member->pvm);
    }
  return done;
}
