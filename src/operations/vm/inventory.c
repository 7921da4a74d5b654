/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/inventory.h"

#include "host/libvirt/storage.h"
#include "model/domain.h"

void
ramet_entry_free (RametEntry *entry)
{
  g_clear_pointer (&entry->vm, ramet_vm_free);
  g_clear_pointer (&entry->macs, g_ptr_array_unref);
  g_clear_pointer (&entry->points, g_ptr_array_unref);
  g_free (entry->uuid);
  g_free (entry->address);
  g_free (entry);
}

/* What files take, each asked for once: many VMs stand on the same. */
static guint64
bytes_of (RametConnection *connection, GHashTable *sizes, const char *path)
{
  guint64 *bytes = g_hash_table_lookup (sizes, path);

  if (bytes == NULL)
    {
      bytes = g_new0 (guint64, 1);
      ramet_volume_get_allocation (connection, path, bytes);
      g_hash_table_insert (sizes, g_strdup (path), bytes);
    }
  return *bytes;
}

static GHashTable *
sizes_new (void)
{
  return g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
}

static void
add_point_cost (RametEntry *entry, const RametPoint *point, RametConnection *connection, GHashTable *sizes)
{
  RametPointCost *cost = g_new0 (RametPointCost, 1);

  cost->point = point;
  for (guint i = 0; i < point->layers->len; i++)
    cost->disk_bytes += bytes_of (connection, sizes, ((RametFingerprint *) g_ptr_array_index (point->layers, i))->path);
  if (point->memory)
    cost->memory_bytes = bytes_of (connection, sizes, point->memory->path);
  g_ptr_array_add (entry->points, cost);
}

/* What ramet remembers of a VM of its own. */
static void
count_ours (RametEntry *entry, RametConnection *connection, GHashTable *sizes)
{
  const RametMetadata *metadata = entry->vm->metadata;
  g_autoptr (GHashTable) counted = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < metadata->volumes->len; i++)
    {
      const char *path = ((RametVolumeRef *) g_ptr_array_index (metadata->volumes, i))->path;

      if (g_hash_table_add (counted, (gpointer) path))
        entry->own_bytes += bytes_of (connection, sizes, path);
    }
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const char *path = ((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, i))->path;

      if (g_hash_table_add (counted, (gpointer) path))
        entry->shared_bytes += bytes_of (connection, sizes, path);
    }
  for (guint i = 0; i < metadata->points->len; i++)
    {
      const RametPoint *point = g_ptr_array_index (metadata->points, i);

      if (!point->dropped && !point->making)
        add_point_cost (entry, point, connection, sizes);
    }
}

/* The disks of somebody else's VM, as far as they are files that it writes to. */
static void
count_others (RametEntry *entry, const RametDomainFacts *facts, RametConnection *connection, GHashTable *sizes)
{
  for (guint i = 0; i < facts->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (facts->disks, i);
      g_autofree char *path = disk->path ? g_strdup (disk->path)
                              : disk->pool && disk->volume
                                ? ramet_storage_volume_path (connection, disk->pool, disk->volume, NULL)
                                : NULL;

      if (path && !disk->readonly)
        entry->own_bytes += bytes_of (connection, sizes, path);
    }
}

/* Takes @vm. */
static RametEntry *
entry_new (RametVm *vm, GHashTable *sizes, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);
  g_autoptr (RametEntry) entry = g_new0 (RametEntry, 1);
  g_autofree char *xml = NULL;
  g_autoptr (RametDomainFacts) facts = NULL;

  entry->vm = vm;
  xml = ramet_domain_get_xml (vm->domain, FALSE, error);
  facts = xml ? ramet_domain_facts_new (xml, error) : NULL;
  if (facts == NULL)
    return NULL;
  entry->uuid = ramet_domain_get_uuid (vm->domain);
  entry->memory_kib = facts->memory_kib;
  entry->vcpus = facts->vcpus;
  entry->macs = g_ptr_array_ref (facts->macs);
  entry->autostart = ramet_domain_get_autostart (vm->domain);
  entry->points = g_ptr_array_new_with_free_func (g_free);
  if (vm->metadata)
    count_ours (entry, connection, sizes);
  else
    count_others (entry, facts, connection, sizes);
  if (vm->run == RAMET_RUN_RUNNING)
    entry->address = ramet_domain_get_lease (vm->domain);
  return g_steal_pointer (&entry);
}

/**
 * ramet_inventory_list:
 * @all: bases and domains that are none of ramet's too
 * @project: (nullable): of this project only
 *
 * Returns: (transfer full) (element-type RametEntry): by name
 */
GPtrArray *
ramet_inventory_list (RametConnection *connection, gboolean all, const char *project, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (connection, error);
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_entry_free);
  g_autoptr (GHashTable) sizes = sizes_new ();

  if (vms == NULL)
    return NULL;
  while (vms->len > 0)
    {
      RametVm *vm = g_ptr_array_steal_index (vms, 0);
      RametEntry *entry;

      if ((!all && !ramet_vm_is_clone (vm)) ||
          (project && (!vm->metadata || g_strcmp0 (vm->metadata->project, project) != 0)))
        {
          ramet_vm_free (vm);
          continue;
        }
      entry = entry_new (vm, sizes, NULL); /* one that has gone since is left out */
      if (entry)
        g_ptr_array_add (entries, entry);
    }
  return g_steal_pointer (&entries);
}

/** ramet_inventory_get: (transfer full) */
RametEntry *
ramet_inventory_get (RametConnection *connection, const char *name, GError **error)
{
  RametVm *vm = ramet_vm_open (connection, name, error);
  g_autoptr (GHashTable) sizes = sizes_new ();

  return vm ? entry_new (vm, sizes, error) : NULL;
}
