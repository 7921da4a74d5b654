/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/plan.h"

#include "core/text.h"
#include "host/libvirt/snapshot.h"
#include "host/libvirt/storage.h"
#include "model/snapshot.h"
#include "operations/points/merge.h"

#define REVIVE_PATIENCE_S 20
#define ROOM_FOR_DISKS (16 * 1024 * 1024) /* for what a VM writes while all is made, and for the new layers themselves */

static void
member_free (gpointer data)
{
  RametPointMember *member = data;

  if (!member->recorded)
    g_clear_pointer (&member->point, ramet_point_free);
  g_clear_pointer (&member->pvm, ramet_point_vm_free);
  g_ptr_array_unref (member->disks);
  g_free (member->nvram_source);
  g_free (member);
}

static const char *
name_of (const RametPointMember *member)
{
  return ramet_point_vm_name (member->pvm);
}

static gboolean
check_run (const RametPointMember *member, GError **error)
{
  const char *name = name_of (member);

  switch (member->pvm->vm->run)
    {
    case RAMET_RUN_RUNNING:
    case RAMET_RUN_PAUSED:
    case RAMET_RUN_OFF:
      return TRUE;
    case RAMET_RUN_SAVED:
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot take a snapshot of '%s': its memory is saved, and belongs to its "
                       "disks as they are", name);
      ramet_error_hint (error, "'ramet resume %s' first", name);
      return FALSE;
    default:
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot take a snapshot of '%s': it is %s", name,
                       ramet_run_name (member->pvm->vm->run));
      ramet_error_hint (error, "wait until it is off, or 'ramet stop --force %s'", name);
      return FALSE;
    }
}

static gboolean
check_name_free (const RametPointMember *member, const char *snapshot, GError **error)
{
  const RametPoint *point = ramet_points_find (member->pvm->vm->metadata->points, snapshot);

  if (point == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' has a snapshot '%s' already%s", name_of (member), snapshot,
                   point->dropped ? ", whose layers are still needed" : "");
  ramet_error_hint (error, "take another name%s%s%s%s%s", point->dropped ? "" : ", or 'ramet snapshot delete ",
                    point->dropped ? "" : name_of (member), point->dropped ? "" : "@", point->dropped ? "" : snapshot,
                    point->dropped ? "" : "'");
  return FALSE;
}

static gboolean
check_file_free (const RametPointMember *member, const char *path, GError **error)
{
  gboolean there = FALSE;

  if (!ramet_volume_is_there (ramet_point_vm_connection (member->pvm), path, &there, error))
    return FALSE;
  if (!there)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "there is a file '%s' already, of no VM of ramet's", path);
  ramet_error_hint (error, "take another name, or move the file away if it is of no use");
  return FALSE;
}

/*
 * (transfer full): "web.before.qcow2"; the files of a deleted snapshot of that name may be in use still, so that the next is
 * "web.before.2.qcow2"
 */
static char *
pick_file (const RametPointMember *member, const char *folder, const char *snapshot, const char *suffix)
{
  for (guint n = 1;; n++)
    {
      g_autofree char *number = n > 1 ? g_strdup_printf (".%u", n) : g_strdup ("");
      g_autofree char *file = g_strconcat (name_of (member), ".", snapshot, number, suffix, NULL);
      g_autofree char *path = g_build_filename (folder, file, NULL);

      if (ramet_metadata_find_volume (member->pvm->vm->metadata, path) == NULL)
        return g_steal_pointer (&path);
    }
}

/* The file that is going to be frozen; what it looks like then is taken down then. */
static void
add_layer (RametPointMember *member, const RametPointDisk *disk)
{
  const RametImage *image = g_ptr_array_index (disk->chain, 0);
  RametFingerprint *layer = ramet_fingerprint_new (disk->target, disk->volume->path, image->format);

  layer->capacity = image->capacity;
  g_ptr_array_add (member->point->layers, layer);
}

static gboolean
plan_disks (RametPointMember *member, const char *snapshot, GError **error)
{
  const RametPointVm *pvm = member->pvm;

  for (guint i = 0; i < pvm->facts->disks->len; i++)
    {
      const RametDomainDisk *declared = g_ptr_array_index (pvm->facts->disks, i);
      const RametPointDisk *own = NULL;
      g_autofree char *folder = NULL;
      g_autofree char *suffix = NULL;
      g_autofree char *path = NULL;

      for (guint j = 0; j < pvm->disks->len && own == NULL; j++)
        if (g_strcmp0 (((RametPointDisk *) g_ptr_array_index (pvm->disks, j))->target, declared->target) == 0)
          own = g_ptr_array_index (pvm->disks, j);
      if (own)
        {
          gboolean first = own == g_ptr_array_index (pvm->disks, 0);

          folder = g_path_get_dirname (own->volume->path);
          suffix = first ? g_strdup (".qcow2") : g_strdup_printf (".%s.qcow2", own->target);
          path = pick_file (member, folder, snapshot, suffix);
          add_layer (member, own);
          if (!check_file_free (member, path, error))
            return FALSE;
        }
      g_ptr_array_add (member->disks, ramet_snapshot_disk_new (declared->target, path));
    }
  if (pvm->disks->len > 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' has no disk that ramet made", name_of (member));
  ramet_error_hint (error, "'virsh domblklist %s' shows what it has", name_of (member));
  return FALSE;
}

static gboolean
plan_memory (RametPointMember *member, const char *snapshot, GError **error)
{
  const RametPointDisk *first = g_ptr_array_index (member->pvm->disks, 0);
  g_autofree char *folder = g_path_get_dirname (first->volume->path);
  g_autofree char *path = pick_file (member, folder, snapshot, ".mem");

  member->memory_bytes = ramet_snapshot_memory_bytes (member->pvm->vm->domain, member->pvm->facts->memory_kib * 1024);
  member->point->memory = ramet_fingerprint_new (NULL, path, "raw");
  return check_file_free (member, path, error);
}

static gboolean
plan_nvram (RametPointMember *member, const char *snapshot, GError **error)
{
  g_autofree char *source = ramet_point_vm_nvram (member->pvm);
  g_autofree char *folder = NULL;
  gboolean there = FALSE;

  if (source == NULL)
    return TRUE;
  if (!ramet_volume_is_there (ramet_point_vm_connection (member->pvm), source, &there, error))
    return FALSE;
  if (!there)
    return TRUE; /* it never ran */
  folder = g_path_get_dirname (source);
  member->point->nvram = pick_file (member, folder, snapshot, "_VARS.fd");
  member->nvram_source = g_steal_pointer (&source);
  return check_file_free (member, member->point->nvram, error);
}

static gboolean
plan (RametPointMember *member, const char *snapshot, gboolean disk_only, GError **error)
{
  RametPointVm *pvm = member->pvm;
  gboolean memory = !disk_only && pvm->vm->run != RAMET_RUN_OFF;

  member->point->parent = g_strdup (pvm->vm->metadata->current);
  member->point->run = g_strdup (ramet_run_name (pvm->vm->run));
  member->point->making = TRUE;
  return check_run (member, error) && ramet_point_vm_check (pvm, "take a snapshot of", NULL, error) &&
         check_name_free (member, snapshot, error) && plan_disks (member, snapshot, error) &&
         (!memory || plan_memory (member, snapshot, error)) && plan_nvram (member, snapshot, error);
}

/* Adds up what goes into one pool. */
static gboolean
check_room (GPtrArray *members, GError **error)
{
  for (guint i = 0; i < members->len; i++)
    {
      const RametPointMember *member = g_ptr_array_index (members, i);
      const char *pool = ((RametPointDisk *) g_ptr_array_index (member->pvm->disks, 0))->volume->pool;
      RametConnection *connection = ramet_point_vm_connection (member->pvm);
      g_autofree char *folder = NULL;
      g_autofree char *wanted = NULL;
      g_autofree char *left = NULL;
      guint64 available = 0;
      guint64 bytes = 0;

      for (guint j = 0; j < members->len; j++)
        {
          const RametPointMember *other = g_ptr_array_index (members, j);

          if (g_str_equal (((RametPointDisk *) g_ptr_array_index (other->pvm->disks, 0))->volume->pool, pool))
            bytes += other->memory_bytes + ROOM_FOR_DISKS;
        }
      ramet_pool_refresh (connection, pool);
      if (!ramet_pool_check (connection, pool, &folder, &available, error))
        return FALSE;
      if (bytes <= available)
        continue;
      wanted = ramet_text_size (bytes);
      left = ramet_text_size (available);
      ramet_error_set (error, RAMET_ERROR_FAILED, "a snapshot wants up to %s, and the storage pool '%s' has %s left", wanted,
                       pool, left);
      ramet_error_hint (error, "make room, or leave the memory out by --disk-only; 'ramet tree' shows what takes the room");
      return FALSE;
    }
  return TRUE;
}

/* What an earlier ramet left half made is cleared first. */
static gboolean
claim_and_mend (RametPointMember *member, RametTask *task, GError **error)
{
  gboolean mended = FALSE;

  if (!ramet_point_vm_claim (member->pvm, "take a snapshot of", error) ||
      !ramet_points_mend (member->pvm, task, &mended, error))
    return FALSE;
  if (mended)
    ramet_task_warn (task, "cleared what was left of a snapshot of '%s' that was cut off", name_of (member));
  return TRUE;
}

static RametPointMember *
member_new (RametConnection *connection, const char *name, const char *snapshot, const char *created, GError **error)
{
  RametPointVm *pvm = ramet_point_vm_open (connection, name, error);
  RametPointMember *member;

  if (pvm == NULL)
    return NULL;
  member = g_new0 (RametPointMember, 1);
  member->pvm = pvm;
  member->point = ramet_point_new (snapshot);
  member->point->created = g_strdup (created);
  member->disks = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_snapshot_disk_free);
  return member;
}

/**
 * ramet_point_members_plan:
 * @error: all findings of all VMs
 *
 * Checks all first. The VMs are claimed; ramet_point_members_release() must follow.
 *
 * Returns: (transfer full) (element-type RametPointMember)
 */
GPtrArray *
ramet_point_members_plan (RametConnection *connection, RametTask *task, GPtrArray *names, const char *snapshot,
                          gboolean disk_only, GError **error)
{
  g_autoptr (GPtrArray) members = g_ptr_array_new_with_free_func (member_free);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *created = g_date_time_format_iso8601 (now);
  GError *why = NULL;

  for (guint i = 0; i < names->len; i++)
    {
      RametPointMember *member = member_new (connection, g_ptr_array_index (names, i), snapshot, created, &why);

      if (member)
        g_ptr_array_add (members, member);
      if (member && claim_and_mend (member, task, &why))
        plan (member, snapshot, disk_only, &why);
      ramet_findings_take (findings, g_steal_pointer (&why));
    }
  if (findings->len == 0)
    check_room (members, &why);
  ramet_findings_take (findings, why);
  if (ramet_findings_raise (findings, error))
    return g_steal_pointer (&members);
  ramet_point_members_release (members);
  return NULL;
}

void
ramet_point_members_release (GPtrArray *members)
{
  for (guint i = 0; i < members->len; i++)
    ramet_point_vm_release (((RametPointMember *) g_ptr_array_index (members, i))->pvm);
}

static void
add_spare (RametPointMember *member, const char *pool, const char *path)
{
  g_autofree char *file = g_path_get_basename (path);

  ramet_metadata_add_volume (member->pvm->vm->metadata, pool, file, path)->spare = TRUE;
}

/** ramet_point_member_record: writes down what is going to be made: whatever comes, `remove` and mending find it there */
gboolean
ramet_point_member_record (RametPointMember *member, GError **error)
{
  RametMetadata *metadata = member->pvm->vm->metadata;
  const char *pool = ((RametPointDisk *) g_ptr_array_index (member->pvm->disks, 0))->volume->pool;

  for (guint i = 0; i < member->disks->len; i++)
    {
      const RametSnapshotDisk *disk = g_ptr_array_index (member->disks, i);

      if (disk->overlay)
        add_spare (member, pool, disk->overlay);
    }
  if (member->point->memory)
    add_spare (member, pool, member->point->memory->path);
  if (member->point->nvram)
    add_spare (member, "", member->point->nvram);
  g_ptr_array_add (metadata->points, member->point);
  member->recorded = TRUE;
  return ramet_point_vm_save (member->pvm, error);
}

/* All files of @member that are listed as volumes, one after the other. */
static RametVolumeRef *
next_volume (const RametPointMember *member, guint *at)
{
  const RametMetadata *metadata = member->pvm->vm->metadata;

  while (*at <= member->disks->len + 1)
    {
      guint i = (*at)++;
      const char *path = NULL;
      RametVolumeRef *volume;

      if (i < member->disks->len)
        path = ((RametSnapshotDisk *) g_ptr_array_index (member->disks, i))->overlay;
      else if (i == member->disks->len)
        path = member->point->memory ? member->point->memory->path : NULL;
      else
        path = member->point->nvram;
      volume = path ? ramet_metadata_find_volume (metadata, path) : NULL;
      if (volume)
        return volume;
    }
  return NULL;
}

/* Half made, or whole with the VM on it. */
static void
set_making (RametPointMember *member, gboolean making)
{
  RametMetadata *metadata = member->pvm->vm->metadata;
  RametVolumeRef *volume;

  for (guint at = 0; (volume = next_volume (member, &at)) != NULL;)
    volume->spare = making;
  member->point->making = making;
  g_free (metadata->current);
  metadata->current = g_strdup (making ? member->point->parent : member->point->name);
}

/** ramet_point_member_unrecord: its files are gone, and so is the point; what is left of one stays on record as half made */
gboolean
ramet_point_member_unrecord (RametPointMember *member, GError **error)
{
  RametMetadata *metadata = member->pvm->vm->metadata;
  RametVolumeRef *volume;
  guint index;

  if (!member->recorded || !g_ptr_array_find (metadata->points, member->point, &index))
    return TRUE;
  set_making (member, TRUE);
  if (!member->left)
    {
      for (guint at = 0; (volume = next_volume (member, &at)) != NULL;)
        g_ptr_array_remove (metadata->volumes, volume);
      member->recorded = FALSE;
      g_ptr_array_steal_index (metadata->points, index);
    }
  return ramet_connection_revive (ramet_point_vm_connection (member->pvm), REVIVE_PATIENCE_S, error) &&
         ramet_domain_reattach (member->pvm->vm->domain, error) && ramet_point_vm_save (member->pvm, error);
}

/** ramet_point_member_finish: the point is whole, and the VM stands on it */
gboolean
ramet_point_member_finish (RametPointMember *member, GError **error)
{
  set_making (member, FALSE);
  return ramet_point_vm_save (member->pvm, error);
}
