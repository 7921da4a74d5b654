/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/inventory.h"

#include "host/storage.h"
#include "model/domain.h"

void
ramet_entry_free (RametEntry *entry)
{
  g_clear_pointer (&entry->vm, ramet_vm_free);
  g_clear_pointer (&entry->macs, g_ptr_array_unref);
  g_free (entry->uuid);
  g_free (entry->address);
  g_free (entry);
}

static guint64
sum_own_bytes (RametVm *vm)
{
  guint64 sum = 0;

  for (guint i = 0; vm->metadata && i < vm->metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (vm->metadata->volumes, i);
      guint64 bytes = 0;

      if (ramet_volume_get_allocation (ramet_domain_get_connection (vm->domain), volume->path, &bytes))
        sum += bytes;
    }
  return sum;
}

/* Takes @vm. */
static RametEntry *
entry_new (RametVm *vm, GError **error)
{
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
  entry->own_bytes = sum_own_bytes (vm);
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
      entry = entry_new (vm, NULL); /* one that has gone since is left out */
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

  return vm ? entry_new (vm, error) : NULL;
}
