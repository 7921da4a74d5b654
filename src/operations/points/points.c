/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/points.h"

#include <errno.h>
#include <sys/stat.h>

#include "host/libvirt/snapshot.h"
#include "host/libvirt/worker.h"
#include "model/chain.h"
#include "operations/points/look.h"
#include "operations/vm/grants.h"

#define DEFAULT_NVRAM_FOLDER "/var/lib/libvirt/qemu/nvram" /* of qemu:///system; firmware='efi' leaves it unsaid */

void
ramet_point_vm_free (RametPointVm *pvm)
{
  g_clear_pointer (&pvm->vm, ramet_vm_free);
  g_free (pvm->xml);
  g_clear_pointer (&pvm->facts, ramet_domain_facts_free);
  g_clear_pointer (&pvm->disks, g_ptr_array_unref);
  g_clear_pointer (&pvm->troubles, g_ptr_array_unref);
  g_free (pvm->worker);
  g_free (pvm);
}

const char *
ramet_point_vm_name (const RametPointVm *pvm)
{
  return ramet_vm_get_name (pvm->vm);
}

RametConnection *
ramet_point_vm_connection (const RametPointVm *pvm)
{
  return ramet_domain_get_connection (pvm->vm->domain);
}

static gboolean
check_whole (const RametVm *vm, GError **error)
{
  RametState state = ramet_vm_get_state (vm);
  const char *name = ramet_vm_get_name (vm);

  if (state == RAMET_STATE_READY || state == RAMET_STATE_RAW)
    return TRUE;
  if (ramet_vm_is_parent (vm))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a %s, and has no snapshots", name, ramet_state_name (state));
      if (state == RAMET_STATE_BASE)
        ramet_error_hint (error, "'ramet base update %s' builds a newer version beside it", name);
      return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is half made or half removed (%s)", name, ramet_state_name (state));
  ramet_error_hint (error, "'ramet remove %s' clears it", name);
  return FALSE;
}

/**
 * ramet_point_vm_look:
 * @error: only if libvirt could not be asked; what is wrong with the points is in @pvm's troubles
 *
 * Looks again at all that may have changed since.
 */
gboolean
ramet_point_vm_look (RametPointVm *pvm, GError **error)
{
  RametDomain *domain = pvm->vm->domain;

  g_clear_pointer (&pvm->xml, g_free);
  g_clear_pointer (&pvm->facts, ramet_domain_facts_free);
  g_ptr_array_set_size (pvm->disks, 0);
  g_ptr_array_set_size (pvm->troubles, 0);
  if (!ramet_domain_get_run (domain, &pvm->vm->run, error))
    return FALSE;
  pvm->xml = ramet_domain_get_definition (domain, error);
  pvm->facts = pvm->xml ? ramet_domain_facts_new (pvm->xml, error) : NULL;
  return pvm->facts && ramet_points_look (pvm, error);
}

/**
 * ramet_point_vm_open:
 * @error: RAMET_ERROR_REFUSED if it is none of ramet's, or a base
 *
 * Returns: (transfer full)
 */
RametPointVm *
ramet_point_vm_open (RametConnection *connection, const char *name, GError **error)
{
  g_autoptr (RametPointVm) pvm = g_new0 (RametPointVm, 1);

  pvm->disks = g_ptr_array_new_with_free_func (ramet_point_disk_free);
  pvm->troubles = g_ptr_array_new_with_free_func (ramet_point_trouble_free);
  pvm->vm = ramet_vm_open_ours (connection, name, error);
  if (pvm->vm == NULL || !check_whole (pvm->vm, error) || !ramet_point_vm_look (pvm, error))
    return NULL;
  return g_steal_pointer (&pvm);
}

/** ramet_point_vm_save: writes the metadata as it is in @pvm */
gboolean
ramet_point_vm_save (RametPointVm *pvm, GError **error)
{
  return ramet_grants_write (pvm->vm->domain, pvm->vm->metadata, error);
}

/** ramet_point_vm_is_worked_on: whether another process of ramet's is at it */
gboolean
ramet_point_vm_is_worked_on (const RametPointVm *pvm)
{
  return pvm->worker == NULL && ramet_worker_look (pvm->vm->metadata->worker) == RAMET_WORKER_AT_WORK;
}

/**
 * ramet_point_vm_claim:
 * @error: RAMET_ERROR_STATE if another process is at it
 *
 * From here to ramet_point_vm_release() no other ramet touches the VM's points.
 */
gboolean
ramet_point_vm_claim (RametPointVm *pvm, const char *verb, GError **error)
{
  RametMetadata *metadata = pvm->vm->metadata;
  g_autoptr (RametMetadata) now = NULL;
  gboolean taken = ramet_point_vm_is_worked_on (pvm);

  if (!taken)
    {
      g_free (metadata->worker);
      metadata->worker = ramet_worker_self ();
      if (!ramet_point_vm_save (pvm, error) || !ramet_domain_get_metadata (pvm->vm->domain, &now, error))
        return FALSE;
      /* of two who write at once, the one who wrote first sees that the other did */
      taken = now == NULL || g_strcmp0 (now->worker, metadata->worker) != 0;
    }
  if (taken)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': another ramet is at work on it", verb,
                       ramet_point_vm_name (pvm));
      ramet_error_hint (error, "wait until that is done");
      return FALSE;
    }
  pvm->worker = g_strdup (metadata->worker);
  return TRUE;
}

/** ramet_point_vm_release: others may have it again */
void
ramet_point_vm_release (RametPointVm *pvm)
{
  g_autoptr (GError) why = NULL;

  if (pvm->worker == NULL)
    return;
  g_clear_pointer (&pvm->worker, g_free);
  g_clear_pointer (&pvm->vm->metadata->worker, g_free);
  if (!ramet_point_vm_save (pvm, &why))
    g_warning ("%s", why->message); /* this process ends soon, and then it counts as gone */
}

/** ramet_point_vm_nvram: (transfer full) (nullable): where its UEFI variables are, or would be */
char *
ramet_point_vm_nvram (const RametPointVm *pvm)
{
  if (pvm->facts->nvram)
    return g_strdup (pvm->facts->nvram);
  if (!pvm->facts->firmware_efi)
    return NULL;
  return g_strdup_printf (DEFAULT_NVRAM_FOLDER "/%s_VARS.fd", ramet_point_vm_name (pvm));
}

/**
 * ramet_point_vm_add_layers:
 *
 * The layers of @overlay are @file, unless that is the overlay itself, and all that it stands on, as the files tell.
 */
gboolean
ramet_point_vm_add_layers (const RametPointVm *pvm, RametOverlay *overlay, const char *file, const char *format,
                           GError **error)
{
  g_autoptr (GPtrArray) chain = ramet_image_inspect (ramet_point_vm_connection (pvm), file, format, error);

  for (guint i = 0; chain && i < chain->len; i++)
    {
      const RametImage *image = g_ptr_array_index (chain, i);

      if (!g_str_equal (image->path, overlay->overlay))
        ramet_overlay_add_layer (overlay, image->path, image->format)->own
          = ramet_metadata_find_volume (pvm->vm->metadata, image->path) != NULL;
    }
  return chain != NULL;
}

/**
 * ramet_point_vm_define:
 * @overlays: (element-type RametOverlay): the disks to change
 *
 * Defines a VM that is off as it was when it was looked at, with these disks and its metadata as it is in @pvm.
 */
gboolean
ramet_point_vm_define (RametPointVm *pvm, GPtrArray *overlays, GError **error)
{
  g_autofree char *metadata_xml = ramet_metadata_to_xml (pvm->vm->metadata);
  g_autofree char *xml = ramet_chain_rewrite (pvm->xml, overlays, metadata_xml, error);
  g_autoptr (RametDomain) defined = xml ? ramet_domain_define (ramet_point_vm_connection (pvm), xml, error) : NULL;

  return defined != NULL;
}

/* Whether @trouble is one for @point, whose layers stand on those of its parents. */
static gboolean
concerns (const RametPointVm *pvm, const RametPointTrouble *trouble, const RametPoint *point)
{
  GPtrArray *points = pvm->vm->metadata->points;

  if (trouble->kind == RAMET_POINT_TROUBLE_DISKS)
    return TRUE;
  if (trouble->kind != RAMET_POINT_TROUBLE_LAYER)
    return point && g_strcmp0 (trouble->point, point->name) == 0;
  if (point == NULL)
    point = ramet_points_find (points, pvm->vm->metadata->current);
  for (guint i = 0; point && i < points->len; i++, point = ramet_points_find (points, point->parent))
    if (g_strcmp0 (trouble->point, point->name) == 0)
      return TRUE;
  return FALSE;
}

/** ramet_point_vm_trouble: (transfer none) (nullable): the first that concerns @point, or, if that is %NULL, the VM's own disks */
const RametPointTrouble *
ramet_point_vm_trouble (const RametPointVm *pvm, const RametPoint *point)
{
  for (guint i = 0; i < pvm->troubles->len; i++)
    {
      const RametPointTrouble *trouble = g_ptr_array_index (pvm->troubles, i);

      if (concerns (pvm, trouble, point))
        return trouble;
    }
  return NULL;
}

/** ramet_point_vm_check: @error is RAMET_ERROR_STATE with the first trouble */
gboolean
ramet_point_vm_check (const RametPointVm *pvm, const char *verb, const RametPoint *point, GError **error)
{
  const RametPointTrouble *trouble = ramet_point_vm_trouble (pvm, point);

  if (trouble == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': %s", verb, ramet_point_vm_name (pvm), trouble->text);
  ramet_error_hint (error, "%s", trouble->hint);
  return FALSE;
}

/* What ramet may not look at is QEMU's to find out. */
static gboolean
is_no_folder (const char *path)
{
  struct stat st;

  return stat (path, &st) == 0 ? !S_ISDIR (st.st_mode) : errno == ENOENT || errno == ENOTDIR;
}

/**
 * ramet_point_vm_check_shares:
 * @then: its definition of then
 * @error: RAMET_ERROR_STATE if a folder that it shared then is not there, without which it would not start
 */
gboolean
ramet_point_vm_check_shares (const RametPointVm *pvm, const char *verb, const char *then, GError **error)
{
  g_autoptr (RametDomainFacts) facts = ramet_domain_facts_new (then, error);
  g_autoptr (RametMetadata) metadata = facts && facts->metadata ? ramet_metadata_parse (facts->metadata, NULL) : NULL;

  if (facts == NULL)
    return FALSE;
  for (guint i = 0; metadata && ramet_connection_is_local (ramet_point_vm_connection (pvm)) && i < metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (metadata->shares, i);

      if (!is_no_folder (share->source))
        continue;
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': the folder '%s', which it shared then, is not there", verb,
                       ramet_point_vm_name (pvm), share->source);
      ramet_error_hint (error, "put it back, or make an empty one in its place: 'mkdir -p %s'", share->source);
      return FALSE;
    }
  return TRUE;
}

/** ramet_point_vm_find: (transfer none): @error is RAMET_ERROR_NOT_FOUND; what was deleted is not there */
RametPoint *
ramet_point_vm_find (const RametPointVm *pvm, const char *name, GError **error)
{
  RametPoint *point = ramet_points_find (pvm->vm->metadata->points, name);

  if (point && !point->dropped && !point->making)
    return point;
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "'%s' has no snapshot '%s'", ramet_point_vm_name (pvm), name);
  ramet_error_hint (error, "'ramet snapshot list %s' shows what it has", ramet_point_vm_name (pvm));
  return NULL;
}

static gboolean
stands_on (const RametMetadata *metadata, const RametPoint *point)
{
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    for (guint j = 0; j < point->layers->len; j++)
      if (g_strcmp0 (((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, i))->path,
                     ((RametFingerprint *) g_ptr_array_index (point->layers, j))->path) == 0)
        return TRUE;
  return FALSE;
}

/**
 * ramet_point_vm_add_holders:
 * @held: (nullable): a set of paths (element-type utf8) to add all to that other VMs stand on
 * @names: (nullable) (element-type utf8): to add the VMs to that stand on a layer of @point
 * @error: RAMET_ERROR_STATE if there is a VM of which nobody can tell
 */
gboolean
ramet_point_vm_add_holders (RametPointVm *pvm, GHashTable *held, GPtrArray *names, const RametPoint *point, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list_others (pvm->vm, error);

  for (guint i = 0; vms && i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);

      if (vm->metadata == NULL)
        continue;
      for (guint j = 0; held && j < vm->metadata->fingerprints->len; j++)
        g_hash_table_add (held, g_strdup (((RametFingerprint *) g_ptr_array_index (vm->metadata->fingerprints, j))->path));
      if (names && stands_on (vm->metadata, point))
        g_ptr_array_add (names, g_strdup (ramet_vm_get_name (vm)));
    }
  return vms != NULL;
}
