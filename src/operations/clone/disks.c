/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/plan.h"

#include <errno.h>
#include <unistd.h>

#include "core/text.h"
#include "host/files/image.h"
#include "host/libvirt/storage.h"
#include "operations/base/drift.h"

#define LEAST_POOL_ROOM_BYTES (64 * 1024 * 1024)
#define DEFAULT_NVRAM_FOLDER "/var/lib/libvirt/qemu/nvram" /* of qemu:///system; firmware='efi' leaves it unsaid */

static void
check_volume_free (RametClonePlan *plan, const char *volume, const char *path, GPtrArray *findings)
{
  GError *why = NULL;

  if (!ramet_connection_is_local (plan->connection) || access (path, F_OK) < 0)
    return;
  /* then that is what is wrong, and the file is likely that VM's: who would delete it, as the hint says? */
  if (ramet_domain_exists (plan->connection, plan->options->name))
    return;
  ramet_error_set (&why, RAMET_ERROR_STATE, "there is a file '%s' already, of no VM of ramet's", path);
  ramet_error_hint (&why, "take another name; or, if it is of no use: 'virsh vol-delete %s --pool %s'", volume,
                    plan->pool);
  ramet_findings_take (findings, why);
}

static void
plan_overlay (RametClonePlan *plan, const RametDomainDisk *disk, GPtrArray *chain, GPtrArray *findings)
{
  const RametImage *top = g_ptr_array_index (chain, 0);
  RametPlannedVolume *volume = g_new0 (RametPlannedVolume, 1);
  gboolean first = plan->volumes->len == 0;
  RametOverlay *overlay;

  volume->volume = first ? g_strdup_printf ("%s.qcow2", plan->options->name)
                         : g_strdup_printf ("%s-%s.qcow2", plan->options->name, disk->target);
  volume->path = g_build_filename (plan->pool_folder, volume->volume, NULL);
  volume->backing = g_strdup (top->path);
  volume->backing_format = g_strdup (top->format);
  volume->capacity = top->capacity;
  g_ptr_array_add (plan->volumes, volume);
  if (first && plan->options->disk_bytes)
    {
      GError *why = NULL;

      if (plan->options->disk_bytes < top->capacity)
        {
          g_autofree char *has = ramet_text_size (top->capacity);

          ramet_error_set (&why, RAMET_ERROR_USAGE, "--disk-size is smaller than the base's disk, which has %s", has);
          ramet_error_hint (&why, "a disk can only grow");
          ramet_findings_take (findings, why);
        }
      volume->capacity = plan->options->disk_bytes;
    }
  check_volume_free (plan, volume->volume, volume->path, findings);
  ramet_metadata_add_volume (plan->metadata, plan->pool, volume->volume, volume->path);
  overlay = ramet_overlay_new (disk->target, volume->path);
  for (guint i = 0; i < chain->len; i++)
    {
      const RametImage *image = g_ptr_array_index (chain, i);

      RametLayer *layer = ramet_overlay_add_layer (overlay, image->path, image->format);

      layer->own = ramet_clone_is_own_layer (plan, disk->target, image->path);
      ramet_drift_remember (plan->metadata, disk->target, image);
    }
  g_ptr_array_add (plan->identity->overlays, overlay);
}

static void
plan_disk_as_declared (RametClonePlan *plan, const RametDomainDisk *disk)
{
  g_autofree char *file = plan->identity->overlays->len == 0
                            ? g_strdup_printf ("%s.qcow2", plan->options->name)
                            : g_strdup_printf ("%s-%s.qcow2", plan->options->name, disk->target);
  g_autofree char *path = g_build_filename (plan->pool_folder, file, NULL);
  g_autofree char *backing = g_strdup (disk->path);
  RametOverlay *overlay;

  if (backing == NULL && disk->pool && disk->volume)
    backing = ramet_storage_volume_path (plan->connection, disk->pool, disk->volume, NULL);
  if (backing == NULL) /* the rewriting refuses it by its XPath */
    return;
  overlay = ramet_overlay_new (disk->target, path);
  ramet_overlay_add_layer (overlay, backing, disk->format)->own
    = ramet_clone_is_own_layer (plan, disk->target, backing);
  ramet_metadata_add_volume (plan->metadata, plan->pool, file, path);
  g_ptr_array_add (plan->identity->overlays, overlay);
}

static void
plan_disk (RametClonePlan *plan, const RametDomainDisk *disk, GPtrArray *findings)
{
  g_autoptr (GPtrArray) chain = NULL;
  g_autofree char *path = g_strdup (disk->path);
  GError *why = NULL;

  if (path == NULL && disk->pool && disk->volume)
    path = ramet_storage_volume_path (plan->connection, disk->pool, disk->volume, &why);
  if (path)
    chain = ramet_image_inspect (plan->connection, path, disk->format, &why);
  if (chain == NULL)
    {
      if (why) /* a disk that is reached over the network is refused by its XPath */
        g_prefix_error (&why, "disk '%s' of '%s': ", disk->target, plan->base->name);
      ramet_findings_take (findings, why);
      plan_disk_as_declared (plan, disk); /* so that the rewriting finds what else there is */
      return;
    }
  if (chain->len >= RAMET_MAX_CHAIN)
    {
      g_autofree char *all = ramet_image_print_chain (chain);

      ramet_error_set (&why, RAMET_ERROR_REFUSED, "disk '%s' of '%s' stands on %u files; a clone's would stand on more "
                       "than %d: %s", disk->target, plan->base->name, chain->len, RAMET_MAX_CHAIN, all);
      ramet_error_hint (&why, "clone from a base further down, or make the chain shorter with 'qemu-img commit'");
      ramet_findings_take (findings, why);
      return;
    }
  for (guint i = 0; i < chain->len; i++)
    {
      const char *layer = ((RametImage *) g_ptr_array_index (chain, i))->path;

      if (!ramet_clone_is_own_layer (plan, disk->target, layer))
        ramet_clone_check_readable (plan, "disk", layer, findings);
    }
  plan_overlay (plan, disk, chain, findings);
}

/** ramet_clone_plan_disks: an overlay for each writable disk, by what its files are rather than by what is declared */
void
ramet_clone_plan_disks (RametClonePlan *plan, GPtrArray *findings)
{
  for (guint i = 0; i < plan->base->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (plan->base->disks, i);

      if (ramet_domain_disk_wants_overlay (disk))
        plan_disk (plan, disk, findings);
      else if (disk->path && !disk->shareable)
        ramet_clone_check_readable (plan, "medium", disk->path, findings);
    }
}

/** ramet_clone_plan_disks_as_declared: opens none of them */
void
ramet_clone_plan_disks_as_declared (RametClonePlan *plan)
{
  for (guint i = 0; i < plan->base->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (plan->base->disks, i);

      if (ramet_domain_disk_wants_overlay (disk))
        plan_disk_as_declared (plan, disk);
    }
}

/** ramet_clone_plan_nvram: UEFI variables of its own, where the base has some */
void
ramet_clone_plan_nvram (RametClonePlan *plan)
{
  g_autofree char *file = NULL;
  g_autofree char *folder = NULL;
  g_autofree char *path = NULL;

  if (plan->base->nvram == NULL && !plan->base->firmware_efi)
    return;
  plan->nvram_may_miss = plan->base->nvram == NULL;
  if (plan->point && plan->point->nvram)
    plan->nvram_source = g_strdup (plan->point->nvram);
  else if (plan->base->nvram)
    plan->nvram_source = g_strdup (plan->base->nvram);
  else
    plan->nvram_source = g_strdup_printf (DEFAULT_NVRAM_FOLDER "/%s_VARS.fd", plan->base->name);
  file = g_strdup_printf ("%s_VARS.fd", plan->options->name);
  folder = g_path_get_dirname (plan->nvram_source);
  path = g_build_filename (folder, file, NULL);
  ramet_metadata_add_volume (plan->metadata, "", file, path);
  if (plan->base->nvram)
    plan->identity->nvram = g_steal_pointer (&path);
}

/** ramet_clone_check_boot_files: what firmware and kernel are loaded from is shared with the base, and must be there */
void
ramet_clone_check_boot_files (RametClonePlan *plan, GPtrArray *findings)
{
  for (guint i = 0; i < plan->base->boot_files->len && ramet_connection_is_local (plan->connection); i++)
    {
      const char *path = g_ptr_array_index (plan->base->boot_files, i);
      GError *why = NULL;

      if (*path != '/')
        continue;
      if (access (path, F_OK) == 0 || errno == EACCES)
        {
          ramet_clone_check_readable (plan, "firmware or kernel", path, findings);
          continue;
        }
      ramet_error_set (&why, RAMET_ERROR_NOT_FOUND, "'%s' boots from '%s', which is not there: %s", plan->base->name,
                       path, g_strerror (errno));
      ramet_error_hint (&why, "install what it belongs to, or set the right path with 'virsh edit %s'", plan->base->name);
      ramet_findings_take (findings, why);
    }
}

/* What libvirt says of a pool is from when it last looked: room may have been made since. */
static void
look_again (RametClonePlan *plan, guint64 *ret_available)
{
  g_autofree char *folder = NULL;

  ramet_pool_refresh (plan->connection, plan->pool);
  ramet_pool_check (plan->connection, plan->pool, &folder, ret_available, NULL);
}

/** ramet_clone_check_pool: whether there is room for overlays, and where */
void
ramet_clone_check_pool (RametClonePlan *plan, GPtrArray *findings)
{
  guint64 available = 0;
  GError *why = NULL;

  if (!ramet_pool_check (plan->connection, plan->pool, &plan->pool_folder, &available, &why))
    {
      ramet_findings_take (findings, why);
      plan->pool_folder = g_strdup ("/");
      return;
    }
  if (available < LEAST_POOL_ROOM_BYTES)
    look_again (plan, &available);
  if (available < LEAST_POOL_ROOM_BYTES)
    {
      g_autofree char *left = ramet_text_size (available);

      ramet_error_set (&why, RAMET_ERROR_FAILED, "the storage pool '%s' is full: %s left", plan->pool, left);
      ramet_error_hint (&why, "'ramet tree' shows what takes the room");
      ramet_findings_take (findings, why);
    }
}
