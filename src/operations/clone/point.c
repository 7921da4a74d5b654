/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A clone of a VM as it was at a snapshot: it stands on the layers that were frozen then. */
#include "core/text.h"
#include "host/libvirt/snapshot.h"
#include "model/snapshot.h"
#include "operations/base/drift.h"
#include "operations/clone/plan.h"

static char *
name_points (const RametMetadata *metadata)
{
  GString *names = g_string_new (NULL);

  for (guint i = 0; i < metadata->points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (metadata->points, i);

      if (!point->dropped && !point->making)
        g_string_append_printf (names, "%s%s", names->len ? ", " : "", point->name);
    }
  return g_string_free (names, FALSE);
}

/* (transfer none): one that is whole and kept */
static RametPoint *
find_point (const RametVm *vm, const char *name, GError **error)
{
  RametPoint *point = ramet_points_find (vm->metadata->points, name);
  g_autofree char *safe = ramet_text_escape (name, -1);
  g_autofree char *names = NULL;

  if (point && !point->dropped && !point->making)
    return point;
  if (point && point->making)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "the snapshot '%s' of '%s' is not whole", safe, ramet_vm_get_name (vm));
      ramet_error_hint (error, "wait for it; if it was cut off, 'ramet doctor --fix' clears it");
      return NULL;
    }
  names = name_points (vm->metadata);
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "'%s' has no snapshot '%s'", ramet_vm_get_name (vm), safe);
  if (*names)
    ramet_error_hint (error, "those that it has: %s", names);
  else
    ramet_error_hint (error, "'ramet snapshot create %s@NAME' makes one", ramet_vm_get_name (vm));
  return NULL;
}

static gboolean
check_source (RametClonePlan *plan, const RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (ramet_vm_get_state (vm) != RAMET_STATE_READY)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot clone a snapshot of '%s', which is no VM to work in but '%s'", name,
                       ramet_state_name (ramet_vm_get_state (vm)));
      ramet_error_hint (error, "'ramet list --all' shows what there is");
      return FALSE;
    }
  if (plan->options->no_bootstrap)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE,
                       "--no-bootstrap cannot be given with a snapshot: the clone's root console is sealed, and it would "
                       "keep the identity of '%s'", name);
      return FALSE;
    }
  return TRUE;
}

/* Whether the layers are still what was frozen then. */
static gboolean
check_layers (const RametClonePlan *plan, GError **error)
{
  for (guint i = 0; i < plan->point->layers->len; i++)
    {
      const RametFingerprint *layer = g_ptr_array_index (plan->point->layers, i);
      g_autoptr (RametImage) image = ramet_image_look (plan->connection, layer->path, layer->format, error);
      g_autofree char *change = image ? ramet_drift_compare (layer, image, FALSE) : NULL;

      if (change)
        {
          ramet_error_set (error, RAMET_ERROR_REFUSED, "the snapshot '%s' is not what it was: %s", plan->point->name, change);
          ramet_error_hint (error, "somebody wrote to it: make another snapshot, and clone that");
        }
      if (image == NULL || change)
        return FALSE;
    }
  return TRUE;
}

/* What the disks were then is what the clone's disks stand on. */
static gboolean
use_frozen_layers (RametClonePlan *plan, GError **error)
{
  for (guint i = 0; i < plan->base->disks->len; i++)
    {
      RametDomainDisk *disk = g_ptr_array_index (plan->base->disks, i);
      const RametFingerprint *layer;

      if (!ramet_domain_disk_wants_overlay (disk))
        continue;
      layer = ramet_point_find_layer (plan->point, disk->target);
      if (layer == NULL)
        {
          ramet_error_set (error, RAMET_ERROR_REFUSED, "the snapshot '%s' of '%s' does not hold its disk '%s'",
                           plan->point->name, plan->base->name, disk->target);
          ramet_error_hint (error, "make another snapshot, and clone that");
          return FALSE;
        }
      g_free (disk->path);
      disk->path = g_strdup (layer->path);
      g_free (disk->format);
      disk->format = g_strdup (layer->format);
      g_clear_pointer (&disk->pool, g_free);
      g_clear_pointer (&disk->volume, g_free);
    }
  return TRUE;
}

static gboolean
read_definition (RametClonePlan *plan, const RametVm *vm, GError **error)
{
  g_autofree char *snapshot = ramet_snapshot_get_xml (vm->domain, plan->point->name, error);
  g_autofree char *live = NULL;

  if (snapshot == NULL || !ramet_snapshot_split (snapshot, &live, &plan->base_xml, error))
    return FALSE;
  plan->base = ramet_domain_facts_new (plan->base_xml, error);
  if (plan->base == NULL)
    return FALSE;
  if (plan->base->metadata == NULL)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "libvirt's record of the snapshot '%s' of '%s' holds nothing of ramet's",
                     plan->point->name, ramet_vm_get_name (vm));
  else
    plan->then = ramet_metadata_parse (plan->base->metadata, error);
  return plan->then != NULL;
}

/**
 * ramet_clone_read_point:
 * @error: RAMET_ERROR_NOT_FOUND if there is no such VM or snapshot
 *
 * Makes the snapshot @point of @name what the clone is made from. The VM itself may do what it likes meanwhile: it writes
 * to other files.
 */
gboolean
ramet_clone_read_point (RametClonePlan *plan, const char *name, const char *point, GError **error)
{
  g_autoptr (RametVm) vm = ramet_vm_open_ours (plan->connection, name, error);
  g_autofree char *uuid = NULL;

  if (vm == NULL || !check_source (plan, vm, error) || (plan->point = find_point (vm, point, error)) == NULL)
    return FALSE;
  plan->source = g_steal_pointer (&vm->metadata);
  if (!check_layers (plan, error) || !read_definition (plan, vm, error) || !use_frozen_layers (plan, error))
    return FALSE;
  uuid = ramet_domain_get_uuid (vm->domain);
  plan->identity->link_down = TRUE;
  plan->metadata->base_name = g_strdup (name);
  plan->metadata->base_uuid = g_steal_pointer (&uuid);
  plan->metadata->base_point = g_strdup (point);
  return TRUE;
}

/** ramet_clone_is_own_layer: whether ramet made the file @path, below @target, so that libvirt may give it to QEMU's user */
gboolean
ramet_clone_is_own_layer (const RametClonePlan *plan, const char *target, const char *path)
{
  g_autoptr (GPtrArray) layers = NULL;

  if (plan->point == NULL)
    return FALSE;
  layers = ramet_points_below (plan->source->points, plan->point->name, target);
  for (guint i = 0; i < layers->len; i++)
    if (g_str_equal (((RametFingerprint *) g_ptr_array_index (layers, i))->path, path))
      return TRUE;
  return FALSE;
}

/** ramet_clone_find_then_share: (transfer none) (nullable): the share that the VM had then, of the same folder at the same place */
const RametShare *
ramet_clone_find_then_share (const RametClonePlan *plan, const char *source, const char *target)
{
  for (guint i = 0; plan->then && i < plan->then->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (plan->then->shares, i);

      if (g_str_equal (share->source, source) && g_str_equal (share->target, target))
        return share;
    }
  return NULL;
}

/**
 * ramet_clone_check_point_stays:
 *
 * To be called once the clone is defined, for from then on whoever deletes a snapshot sees that its layers are needed. One
 * that was deleted before that may be gone.
 */
gboolean
ramet_clone_check_point_stays (RametClonePlan *plan, GError **error)
{
  g_autoptr (RametVm) vm = NULL;
  g_autofree char *changes = NULL;

  if (plan->point == NULL)
    return TRUE;
  vm = ramet_vm_open_ours (plan->connection, plan->metadata->base_name, error);
  if (vm == NULL || find_point (vm, plan->point->name, error) == NULL)
    return FALSE;
  changes = ramet_drift_tell (plan->connection, plan->metadata, error);
  if (changes && *changes)
    ramet_error_set (error, RAMET_ERROR_STATE, "the snapshot '%s' of '%s' was changed meanwhile: %s", plan->point->name,
                     plan->metadata->base_name, changes);
  return changes && *changes == '\0';
}
