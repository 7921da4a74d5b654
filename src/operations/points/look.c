/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/look.h"

#include "host/libvirt/snapshot.h"
#include "operations/base/drift.h"

void
ramet_point_disk_free (gpointer data)
{
  RametPointDisk *disk = data;

  g_free (disk->target);
  g_clear_pointer (&disk->chain, g_ptr_array_unref);
  g_free (disk);
}

void
ramet_point_trouble_free (gpointer data)
{
  RametPointTrouble *trouble = data;

  g_free (trouble->point);
  g_free (trouble->text);
  g_free (trouble->hint);
  g_free (trouble);
}

/* Takes @text and @hint. */
static void
add_trouble (RametPointVm *pvm, RametPointTroubleKind kind, const char *point, char *text, char *hint)
{
  RametPointTrouble *trouble = g_new0 (RametPointTrouble, 1);

  trouble->kind = kind;
  trouble->point = g_strdup (point);
  trouble->text = text;
  trouble->hint = hint;
  g_ptr_array_add (pvm->troubles, trouble);
}

/* A finding rather than a failure: the file is not there, or is not what it should be. */
static gboolean
is_finding (const GError *why)
{
  return g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND) || g_error_matches (why, RAMET_ERROR, RAMET_ERROR_REFUSED);
}

/* A merge that was cut off may have taken away a dropped layer, or put the one above it into it. */
static gboolean
may_miss (GPtrArray *points, const char *path)
{
  for (guint i = 0; i < points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (points, i);
      const RametPoint *parent = ramet_points_find (points, point->parent);

      if (!point->dropped && !(parent && parent->dropped))
        continue;
      for (guint j = 0; j < point->layers->len; j++)
        if (g_str_equal (((RametFingerprint *) g_ptr_array_index (point->layers, j))->path, path))
          return TRUE;
    }
  return FALSE;
}

/* What the disk stands on: a point whose making was cut off may have come so far that its new layers are in use. */
static const char *
current_of (const RametMetadata *metadata, const RametPointDisk *disk)
{
  for (guint i = 0; disk->volume->spare && i < metadata->points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (metadata->points, i);

      if (point->making)
        return point->name;
    }
  return metadata->current;
}

/* (transfer full): what @disk should stand on by the metadata, nearest first */
static GPtrArray *
expected_chain (const RametMetadata *metadata, const RametPointDisk *disk)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) layers = ramet_points_below (metadata->points, current_of (metadata, disk), disk->target);

  g_ptr_array_add (paths, g_strdup (disk->volume->path));
  for (guint i = 0; i < layers->len; i++)
    g_ptr_array_add (paths, g_strdup (((RametFingerprint *) g_ptr_array_index (layers, i))->path));
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->fingerprints, i);

      if (g_strcmp0 (print->target, disk->target) == 0)
        g_ptr_array_add (paths, g_strdup (print->path));
    }
  return paths;
}

static gboolean
is_as_expected (const RametMetadata *metadata, const RametPointDisk *disk)
{
  g_autoptr (GPtrArray) expected = expected_chain (metadata, disk);
  guint at = 0;

  for (guint i = 0; i < expected->len; i++)
    {
      const char *path = g_ptr_array_index (expected, i);

      if (at < disk->chain->len && g_str_equal (((RametImage *) g_ptr_array_index (disk->chain, at))->path, path))
        at++;
      else if (!may_miss (metadata->points, path))
        return FALSE;
    }
  return at == disk->chain->len;
}

static gboolean
look_at_own_disk (RametPointVm *pvm, const RametDomainDisk *declared, const RametVolumeRef *volume, GError **error)
{
  const char *name = ramet_point_vm_name (pvm);
  g_autoptr (GError) why = NULL;
  RametPointDisk *disk;
  GPtrArray *chain = ramet_image_inspect (ramet_point_vm_connection (pvm), declared->path, declared->format, &why);

  if (chain == NULL && !is_finding (why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (chain == NULL)
    {
      add_trouble (pvm, RAMET_POINT_TROUBLE_DISKS, NULL, g_strdup_printf ("its disk '%s': %s", declared->target, why->message),
                   g_strdup ("put the file back as it was"));
      return TRUE;
    }
  disk = g_new0 (RametPointDisk, 1);
  disk->target = g_strdup (declared->target);
  disk->volume = volume;
  disk->chain = chain;
  g_ptr_array_add (pvm->disks, disk);
  if (((RametImage *) g_ptr_array_index (chain, 0))->n_snapshots > 0)
    add_trouble (pvm, RAMET_POINT_TROUBLE_DISKS, NULL,
                 g_strdup_printf ("its disk '%s' has internal snapshots, which were not made by ramet", disk->target),
                 g_strdup_printf ("'virsh snapshot-list %s' shows them, 'virsh snapshot-delete %s SNAPSHOT' deletes one", name,
                                  name));
  if (!is_as_expected (pvm->vm->metadata, disk))
    {
      g_autofree char *is = ramet_image_print_chain (chain);

      add_trouble (pvm, RAMET_POINT_TROUBLE_DISKS, NULL,
                   g_strdup_printf ("its disk '%s' does not stand on the layers that ramet made, but is %s", disk->target, is),
                   g_strdup ("was it changed by 'virsh blockcommit' or 'blockpull'? Put the files back as they were; 'ramet "
                             "clone' makes a new VM"));
    }
  return TRUE;
}

/* One disk of the definition: ramet's own, or in the way. */
static gboolean
look_at_disk (RametPointVm *pvm, const RametDomainDisk *declared, GError **error)
{
  const RametVolumeRef *volume = ramet_metadata_find_volume (pvm->vm->metadata, declared->path);
  const char *name = ramet_point_vm_name (pvm);

  if (!ramet_domain_disk_wants_overlay (declared))
    return TRUE;
  if (volume && *volume->pool)
    return look_at_own_disk (pvm, declared, volume, error);
  add_trouble (pvm, RAMET_POINT_TROUBLE_DISKS, NULL,
               g_strdup_printf ("its disk '%s' is in '%s', which ramet has not made", declared->target,
                                declared->path ? declared->path : "no file"),
               g_strdup_printf ("'virsh domblklist %s' shows its disks; 'virsh blockcommit' merges an external snapshot back, "
                                "'virsh detach-disk' takes a disk away", name));
  return TRUE;
}

/* What runs may have other files than the definition. */
static gboolean
look_at_running_disks (RametPointVm *pvm, GError **error)
{
  g_autofree char *xml = ramet_domain_get_xml (pvm->vm->domain, FALSE, error);
  g_autoptr (RametDomainFacts) facts = xml ? ramet_domain_facts_new (xml, error) : NULL;

  for (guint i = 0; facts && i < facts->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (facts->disks, i);
      gboolean same = !ramet_domain_disk_wants_overlay (disk);

      for (guint j = 0; !same && j < pvm->facts->disks->len; j++)
        {
          const RametDomainDisk *other = g_ptr_array_index (pvm->facts->disks, j);

          same = g_strcmp0 (disk->target, other->target) == 0 && g_strcmp0 (disk->path, other->path) == 0;
        }
      if (!same)
        add_trouble (pvm, RAMET_POINT_TROUBLE_DISKS, NULL,
                     g_strdup_printf ("it runs with another disk '%s' than its definition has", disk->target),
                     g_strdup_printf ("stop it, and let 'virsh domblklist %s' show what it has", ramet_point_vm_name (pvm)));
    }
  return facts != NULL;
}

static gboolean
look_at_file (RametPointVm *pvm, const RametPoint *point, const RametFingerprint *print, RametPointTroubleKind kind,
              GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (RametImage) image
    = ramet_image_look (ramet_point_vm_connection (pvm), print->path, print->format, &why);
  g_autofree char *change = image ? ramet_drift_describe (print, image, FALSE) : NULL;

  if (image == NULL && !is_finding (why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (image == NULL)
    add_trouble (pvm, kind, point->name, g_strdup_printf ("snapshot '%s': %s", point->name, why->message),
                 g_strdup_printf ("put it back, or 'ramet snapshot delete %s@%s'", ramet_point_vm_name (pvm), point->name));
  else if (change)
    add_trouble (pvm, kind, point->name,
                 g_strdup_printf ("'%s' is not what it was when the snapshot '%s' was made: %s", print->path, point->name,
                                  change),
                 g_strdup_printf ("put it back as it was, or 'ramet snapshot delete %s@%s'", ramet_point_vm_name (pvm),
                                  point->name));
  return TRUE;
}

static gboolean
look_at_point (RametPointVm *pvm, const RametPoint *point, GPtrArray *known, GError **error)
{
  if (!g_ptr_array_find_with_equal_func (known, point->name, g_str_equal, NULL))
    add_trouble (pvm, RAMET_POINT_TROUBLE_RECORD, point->name,
                 g_strdup_printf ("libvirt knows the snapshot '%s' no more: was it deleted by virsh?", point->name),
                 g_strdup_printf ("how the VM was set up then is lost; 'ramet snapshot delete %s@%s' frees its space",
                                  ramet_point_vm_name (pvm), point->name));
  if (point->memory && !look_at_file (pvm, point, point->memory, RAMET_POINT_TROUBLE_MEMORY, error))
    return FALSE;
  for (guint i = 0; i < point->layers->len; i++)
    {
      const RametPoint *parent = ramet_points_find (pvm->vm->metadata->points, point->parent);
      const RametFingerprint *layer = g_ptr_array_index (point->layers, i);

      /* a merge that was cut off was writing to it */
      if (!(parent && parent->dropped) && !look_at_file (pvm, point, layer, RAMET_POINT_TROUBLE_LAYER, error))
        return FALSE;
    }
  return TRUE;
}

static void
look_for_foreign (RametPointVm *pvm, GPtrArray *known)
{
  for (guint i = 0; i < known->len; i++)
    {
      const char *name = g_ptr_array_index (known, i);

      if (ramet_points_find (pvm->vm->metadata->points, name))
        continue;
      add_trouble (pvm, RAMET_POINT_TROUBLE_DISKS, NULL, g_strdup_printf ("it has a snapshot '%s' that ramet has not made", name),
                   g_strdup_printf ("'virsh snapshot-delete %s %s' deletes it, with --metadata only libvirt's record of it",
                                    ramet_point_vm_name (pvm), name));
    }
}

static void
look_for_leftovers (RametPointVm *pvm, GPtrArray *known)
{
  const RametMetadata *metadata = pvm->vm->metadata;
  const char *name = ramet_point_vm_name (pvm);

  if (ramet_point_vm_is_worked_on (pvm))
    return;
  for (guint i = 0; i < metadata->points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (metadata->points, i);

      if (point->making)
        add_trouble (pvm, RAMET_POINT_TROUBLE_LEFTOVER, point->name,
                     g_strdup_printf ("the snapshot '%s' was cut off while it was made", point->name),
                     g_strdup_printf ("'ramet snapshot delete %s@%s' clears it", name, point->name));
      /* libvirt is told last */
      else if (point->dropped && g_ptr_array_find_with_equal_func (known, point->name, g_str_equal, NULL))
        add_trouble (pvm, RAMET_POINT_TROUBLE_LEFTOVER, point->name,
                     g_strdup_printf ("the deletion of the snapshot '%s' was cut off", point->name),
                     g_strdup_printf ("'ramet snapshot delete %s@%s' does what is left", name, point->name));
    }
  for (guint i = 0; i < metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (metadata->volumes, i);

      if (volume->spare)
        add_trouble (pvm, RAMET_POINT_TROUBLE_LEFTOVER, NULL,
                     g_strdup_printf ("the file '%s' was left by something that was cut off", volume->path),
                     g_strdup_printf ("'ramet doctor --fix' deletes it, and so does the next 'ramet snapshot create %s'", name));
    }
}

/** ramet_points_look: fills in disks and troubles, which are empty */
gboolean
ramet_points_look (RametPointVm *pvm, GError **error)
{
  g_autoptr (GPtrArray) known = ramet_snapshot_names (pvm->vm->domain, error);
  const RametMetadata *metadata = pvm->vm->metadata;

  if (known == NULL)
    return FALSE;
  for (guint i = 0; i < pvm->facts->disks->len; i++)
    if (!look_at_disk (pvm, g_ptr_array_index (pvm->facts->disks, i), error))
      return FALSE;
  if ((pvm->vm->run == RAMET_RUN_RUNNING || pvm->vm->run == RAMET_RUN_PAUSED) && !look_at_running_disks (pvm, error))
    return FALSE;
  for (guint i = 0; i < metadata->points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (metadata->points, i);

      if (!point->making && !point->dropped && !look_at_point (pvm, point, known, error))
        return FALSE;
    }
  look_for_foreign (pvm, known);
  look_for_leftovers (pvm, known);
  return TRUE;
}
