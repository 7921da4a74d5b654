/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/disks/flatten.h"

#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "core/undo.h"
#include "host/files/image.h"
#include "host/libvirt/storage.h"
#include "model/chain.h"
#include "model/domain.h"
#include "operations/base/drift.h"
#include "operations/disks/own-disks.h"
#include "operations/vm/grants.h"

#define SUFFIX ".qcow2"
#define FLAT_SUFFIX ".flat.qcow2" /* a VM's name has no dot, so no other VM's file is called that */
#define SPARE_BYTES (64 * 1024 * 1024)

/* One disk that is to stand alone. */
typedef struct
{
  const RametOwnDisk *disk;
  GPtrArray *chain;     /* (element-type RametImage): its file and what that stands on */
  guint64 needed_bytes; /* at most, for the copy */
  char *new_name;
  char *new_path;
} Flat;

/* One clone that is to stand alone. */
typedef struct
{
  RametVm *vm;
  RametTask *task;
  RametConnection *connection;
  GPtrArray *disks; /* (element-type RametOwnDisk) */
  GPtrArray *flats; /* (element-type Flat) */
  RametUndo *undo;
} Flatten;

static void
flat_free (gpointer data)
{
  Flat *flat = data;

  g_clear_pointer (&flat->chain, g_ptr_array_unref);
  g_free (flat->new_name);
  g_free (flat->new_path);
  g_free (flat);
}

static void
flatten_clear (Flatten *flatten)
{
  g_clear_pointer (&flatten->flats, g_ptr_array_unref);
  g_clear_pointer (&flatten->disks, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Flatten, flatten_clear)

static const char *
name_of (const Flatten *flatten)
{
  return ramet_vm_get_name (flatten->vm);
}

/* (transfer full): "web.qcow2" is copied to "web.flat.qcow2", and should that ever stand on something, back */
static char *
other_name (const char *name)
{
  gsize length = strlen (name);

  if (g_str_has_suffix (name, FLAT_SUFFIX))
    return g_strdup_printf ("%.*s" SUFFIX, (int) (length - strlen (FLAT_SUFFIX)), name);
  if (g_str_has_suffix (name, SUFFIX))
    return g_strdup_printf ("%.*s" FLAT_SUFFIX, (int) (length - strlen (SUFFIX)), name);
  return g_strconcat (name, FLAT_SUFFIX, NULL);
}

/* ------------------------------------------------------------------ what is checked beforehand */

/* What is copied is what the file's header names: it must be what the VM sees. */
static gboolean
check_header_agrees (const Flatten *flatten, const Flat *flat, GError **error)
{
  const RametMetadata *metadata = flatten->vm->metadata;
  guint at = 1;

  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->fingerprints, i);
      const RametImage *image = at < flat->chain->len ? g_ptr_array_index (flat->chain, at) : NULL;

      if (g_strcmp0 (print->target, flat->disk->target) != 0)
        continue;
      if (image == NULL || !g_str_equal (image->path, print->path))
        break;
      at++;
    }
  if (at == flat->chain->len)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot flatten '%s': the file '%s' names other backing files than the VM's "
                                             "definition", name_of (flatten), flat->disk->image->path);
  ramet_error_hint (error, "'ramet rebase %s' makes them agree", name_of (flatten));
  return FALSE;
}

static gboolean
check_place_free (const Flatten *flatten, const Flat *flat, GError **error)
{
  if (!ramet_connection_is_local (flatten->connection) || access (flat->new_path, F_OK) < 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot flatten '%s': there is a file '%s' already, of no VM of ramet's",
                   name_of (flatten), flat->new_path);
  ramet_error_hint (error, "if it is of no use: 'virsh vol-delete %s --pool %s'", flat->new_name,
                    flat->disk->volume->pool);
  return FALSE;
}

static guint64
sum_allocation (const Flatten *flatten, const Flat *flat)
{
  guint64 sum = 0;

  for (guint i = 0; i < flat->chain->len; i++)
    {
      const RametImage *image = g_ptr_array_index (flat->chain, i);
      guint64 bytes = 0;

      if (!ramet_volume_get_allocation (flatten->connection, image->path, &bytes))
        bytes = image->file_size;
      sum += bytes;
    }
  return MIN (sum, flat->disk->image->capacity);
}

static gboolean
plan_disks (Flatten *flatten, GError **error)
{
  flatten->flats = g_ptr_array_new_with_free_func (flat_free);
  for (guint i = 0; i < flatten->disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (flatten->disks, i);
      g_autofree char *folder = g_path_get_dirname (disk->image->path);
      Flat *flat;

      if (disk->image->backing == NULL)
        continue;
      flat = g_new0 (Flat, 1);
      g_ptr_array_add (flatten->flats, flat);
      flat->disk = disk;
      flat->new_name = other_name (disk->volume->name);
      flat->new_path = g_build_filename (folder, flat->new_name, NULL);
      flat->chain = ramet_image_inspect (flatten->connection, disk->image->path, "qcow2", error);
      if (flat->chain == NULL || !check_header_agrees (flatten, flat, error) || !check_place_free (flatten, flat, error))
        return FALSE;
      flat->needed_bytes = sum_allocation (flatten, flat);
    }
  return TRUE;
}

/* A copy of a base that has changed would be garbage, and nobody would ever know. */
static gboolean
check_base (const Flatten *flatten, gboolean force, GError **error)
{
  g_autofree char *all = ramet_drift_tell (flatten->connection, flatten->vm->metadata, error);

  if (all == NULL)
    return FALSE;
  if (*all == '\0')
    return TRUE;
  if (force)
    {
      ramet_task_warn (flatten->task, "%s", all);
      return TRUE;
    }
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot flatten '%s', whose base has changed: %s", name_of (flatten), all);
  ramet_error_hint (error, "put the base back as it was; if it was only moved: 'ramet rebase %s'; 'ramet flatten --force "
                           "%s' copies what its disk holds now", name_of (flatten), name_of (flatten));
  return FALSE;
}

/* Each pool must take all the copies at once: the old files go last. */
static gboolean
check_room (const Flatten *flatten, GError **error)
{
  for (guint i = 0; i < flatten->flats->len; i++)
    {
      const char *pool = ((Flat *) g_ptr_array_index (flatten->flats, i))->disk->volume->pool;
      g_autofree char *folder = NULL;
      guint64 available = 0;
      guint64 needed = SPARE_BYTES;

      for (guint j = 0; j < flatten->flats->len; j++)
        {
          const Flat *flat = g_ptr_array_index (flatten->flats, j);

          if (g_str_equal (flat->disk->volume->pool, pool))
            needed += flat->needed_bytes;
        }
      ramet_pool_refresh (flatten->connection, pool);
      if (!ramet_pool_check (flatten->connection, pool, &folder, &available, error))
        return FALSE;
      if (available < needed)
        {
          g_autofree char *left = ramet_text_size (available);
          g_autofree char *wanted = ramet_text_size (needed);

          ramet_error_set (error, RAMET_ERROR_FAILED, "cannot flatten '%s': it may take %s, and the storage pool '%s' has "
                                                      "%s left", name_of (flatten), wanted, pool, left);
          ramet_error_hint (error, "'ramet tree' shows what takes the room");
          return FALSE;
        }
    }
  return TRUE;
}

/* ------------------------------------------------------------------ what an earlier try has left */

static gboolean
is_used (const RametDomainFacts *facts, const char *path)
{
  for (guint i = 0; i < facts->disks->len; i++)
    if (g_strcmp0 (((RametDomainDisk *) g_ptr_array_index (facts->disks, i))->path, path) == 0)
      return TRUE;
  return FALSE;
}

/* Whether @volume is one of the two files of a disk, and the VM has the other one. */
static gboolean
is_left_over (const Flatten *flatten, const RametDomainFacts *facts, const RametVolumeRef *volume)
{
  g_autofree char *other = other_name (volume->name);

  if (*volume->pool == '\0' || is_used (facts, volume->path))
    return FALSE;
  for (guint i = 0; i < flatten->disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (flatten->disks, i);

      if (g_str_equal (disk->volume->name, other) && g_str_equal (disk->volume->pool, volume->pool))
        return TRUE;
    }
  return FALSE;
}

static gboolean
delete_left_overs (Flatten *flatten, GError **error)
{
  RametMetadata *metadata = flatten->vm->metadata;
  g_autofree char *xml = ramet_domain_get_xml (flatten->vm->domain, TRUE, error);
  g_autoptr (RametDomainFacts) facts = xml ? ramet_domain_facts_new (xml, error) : NULL;
  gboolean changed = FALSE;

  if (facts == NULL)
    return FALSE;
  for (guint i = metadata->volumes->len; i-- > 0;)
    {
      const RametVolumeRef *volume = g_ptr_array_index (metadata->volumes, i);

      if (!is_left_over (flatten, facts, volume))
        continue;
      if (!ramet_volume_delete (flatten->connection, volume->pool, volume->name, volume->path, error))
        {
          ramet_error_hint (error, "an earlier try was killed, and libvirt may be at its copy still: try again in a while");
          return FALSE;
        }
      g_ptr_array_remove_index (metadata->volumes, i);
      changed = TRUE;
    }
  return !changed || ramet_grants_write (flatten->vm->domain, metadata, error);
}

/* ------------------------------------------------------------------ the copies */

static gboolean
undo_metadata (gpointer data, GError **error)
{
  RametVm *vm = data;

  return ramet_grants_write (vm->domain, vm->metadata, error);
}

/* A copy to be deleted again. */
typedef struct
{
  RametConnection *connection;
  const Flat *flat;
} MadeCopy;

static gboolean
undo_copy (gpointer data, GError **error)
{
  const MadeCopy *made = data;

  return ramet_volume_delete (made->connection, made->flat->disk->volume->pool, made->flat->new_name,
                              made->flat->new_path, error);
}

/* The names of the copies stand in the metadata before there are any, so that nothing is ever nobody's. */
static RametMetadata *
announce (Flatten *flatten, GError **error)
{
  g_autofree char *xml = ramet_metadata_to_xml (flatten->vm->metadata);
  g_autoptr (RametMetadata) planned = ramet_metadata_parse (xml, error);

  for (guint i = 0; planned && i < flatten->flats->len; i++)
    {
      const Flat *flat = g_ptr_array_index (flatten->flats, i);

      ramet_metadata_add_volume (planned, flat->disk->volume->pool, flat->new_name, flat->new_path);
    }
  if (planned == NULL || !ramet_grants_write (flatten->vm->domain, planned, error))
    return NULL;
  ramet_undo_push (flatten->undo, "write the metadata as it was", undo_metadata, flatten->vm, NULL);
  return g_steal_pointer (&planned);
}

static gboolean
check_copy (const Flatten *flatten, const Flat *flat, const char *path, GError **error)
{
  g_autoptr (RametImage) image = ramet_image_look (flatten->connection, path, "qcow2", error);

  if (image == NULL)
    return FALSE;
  if (image->backing == NULL && image->capacity == flat->disk->image->capacity && g_str_equal (path, flat->new_path))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "the copy '%s' is not what it should be", path);
  ramet_error_hint (error, "nothing was changed; 'qemu-img info %s' shows the original", flat->disk->image->path);
  return FALSE;
}

static gboolean
make_copies (Flatten *flatten, GError **error)
{
  for (guint i = 0; i < flatten->flats->len; i++)
    {
      const Flat *flat = g_ptr_array_index (flatten->flats, i);
      g_autofree char *path = NULL;
      MadeCopy *made;

      ramet_task_step (flatten->task, "copying disk '%s' with all that it stands on", flat->disk->target);
      path = ramet_volume_flatten (flatten->connection, flatten->task, flat->disk->volume->pool, flat->disk->image->path,
                                   flat->new_name, flat->disk->image->capacity, flat->needed_bytes, error);
      if (path == NULL)
        return FALSE;
      made = g_new0 (MadeCopy, 1);
      *made = (MadeCopy) { flatten->connection, flat };
      ramet_undo_push (flatten->undo, "delete the copy", undo_copy, made, g_free);
      if (!check_copy (flatten, flat, path, error))
        return FALSE;
    }
  return ramet_own_disks_still_off (flatten->vm, flatten->disks, "flatten", error) &&
         ramet_task_check (flatten->task, error);
}

/* (transfer full) (element-type RametOverlay): each disk that ramet made, standing on nothing */
static GPtrArray *
list_standing_alone (const Flatten *flatten)
{
  GPtrArray *overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);

  for (guint i = 0; i < flatten->flats->len; i++)
    {
      const Flat *flat = g_ptr_array_index (flatten->flats, i);

      g_ptr_array_add (overlays, ramet_overlay_new (flat->disk->target, flat->new_path));
    }
  for (guint i = 0; i < flatten->disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (flatten->disks, i);

      if (disk->image->backing == NULL)
        g_ptr_array_add (overlays, ramet_overlay_new (disk->target, disk->image->path));
    }
  return overlays;
}

/* The one step that counts: before it the VM is what it was, and after it, it stands alone. */
static gboolean
define (const Flatten *flatten, RametMetadata *planned, GError **error)
{
  g_autoptr (GPtrArray) overlays = list_standing_alone (flatten);
  g_autoptr (RametDomain) defined = NULL;
  g_autofree char *before = ramet_domain_get_definition (flatten->vm->domain, error);
  g_autofree char *metadata_xml = NULL;
  g_autofree char *xml = NULL;

  g_clear_pointer (&planned->base_name, g_free);
  g_clear_pointer (&planned->base_uuid, g_free);
  g_clear_pointer (&planned->base_point, g_free);
  g_ptr_array_set_size (planned->fingerprints, 0);
  metadata_xml = ramet_metadata_to_xml (planned);
  xml = before ? ramet_chain_rewrite (before, overlays, metadata_xml, error) : NULL;
  defined = xml ? ramet_domain_define (flatten->connection, xml, error) : NULL;
  return defined != NULL;
}

/* What it stood on before. That this fails is no reason to say that it does not stand alone. */
static void
delete_originals (Flatten *flatten)
{
  g_autoptr (GError) why = NULL;

  ramet_task_step (flatten->task, "deleting the old files");
  g_clear_pointer (&flatten->flats, g_ptr_array_unref);
  g_clear_pointer (&flatten->disks, g_ptr_array_unref);
  g_clear_pointer (&flatten->vm->metadata, ramet_metadata_free);
  if (!ramet_domain_get_metadata (flatten->vm->domain, &flatten->vm->metadata, &why) ||
      !(flatten->disks = ramet_own_disks_open (flatten->vm, "flatten", &why)) || !delete_left_overs (flatten, &why))
    ramet_task_warn (flatten->task, "it stands alone, and its old files are still there: %s; 'ramet flatten %s' tries again",
                     why->message, name_of (flatten));
}

static gboolean
copy_and_define (Flatten *flatten, GError **error)
{
  g_autoptr (RametUndo) undo = ramet_undo_new ();
  g_autoptr (RametMetadata) planned = NULL;

  flatten->undo = undo;
  planned = announce (flatten, error);
  if (planned == NULL || !make_copies (flatten, error) || !define (flatten, planned, error))
    {
      ramet_undo_unwind (undo);
      return FALSE;
    }
  ramet_undo_commit (undo);
  delete_originals (flatten);
  return TRUE;
}

/**
 * ramet_flatten:
 * @vm: a clone, off
 *
 * Makes it stand alone: each disk is copied, with what it stands on, to a file beside it, and the definition changes to the
 * copies in one step. On failure or Ctrl-C it stays as it was. A VM that stands alone already is fine; what an earlier try
 * that was killed has left is deleted.
 */
gboolean
ramet_flatten (RametVm *vm, RametTask *task, const RametFlattenOptions *options, GError **error)
{
  g_auto (Flatten) flatten = { .vm = vm, .task = task, .connection = ramet_domain_get_connection (vm->domain) };

  ramet_task_step (task, "looking at its disks");
  flatten.disks = ramet_own_disks_open (vm, "flatten", error);
  if (flatten.disks == NULL || !delete_left_overs (&flatten, error) ||
      !check_base (&flatten, options->force, error) || !plan_disks (&flatten, error) || !check_room (&flatten, error))
    return FALSE;
  if (flatten.flats->len == 0 && vm->metadata->base_name == NULL)
    {
      ramet_task_note (task, "stands alone already");
      return TRUE;
    }
  return copy_and_define (&flatten, error);
}
