/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/base/versions.h"

/**
 * ramet_version_of: (transfer none) (nullable): the name that all versions of @base are cloned by, its own if there is but one;
 * %NULL for what ramet did not build
 */
const char *
ramet_version_of (const RametVm *base)
{
  if (ramet_vm_get_state (base) != RAMET_STATE_BASE)
    return NULL;
  return base->metadata->recipe ? base->metadata->recipe->version_of : ramet_vm_get_name (base);
}

static int
compare_age (gconstpointer a, gconstpointer b)
{
  const RametVm *one = *(RametVm **) a;
  const RametVm *other = *(RametVm **) b;
  int by_time = g_strcmp0 (one->metadata->created, other->metadata->created);

  return by_time ? by_time : g_strcmp0 (ramet_vm_get_name (one), ramet_vm_get_name (other));
}

/**
 * ramet_versions_list:
 *
 * Returns: (transfer full) (element-type RametVm): all versions of the base @version_of, oldest first
 */
GPtrArray *
ramet_versions_list (RametConnection *connection, const char *version_of, GError **error)
{
  g_autoptr (GPtrArray) domains = ramet_domain_list (connection, error);
  g_autoptr (GPtrArray) versions = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_vm_free);

  if (domains == NULL)
    return NULL;
  for (guint i = 0; i < domains->len; i++)
    {
      const char *name = ramet_domain_get_name (g_ptr_array_index (domains, i));
      RametVm *vm;

      /* by name first: only a few of many VMs are asked for what they are */
      if (!g_str_equal (name, version_of) && !ramet_recipe_is_version_name (name, version_of))
        continue;
      vm = ramet_vm_open (connection, name, NULL);
      if (vm && g_strcmp0 (ramet_version_of (vm), version_of) == 0)
        g_ptr_array_add (versions, vm);
      else
        g_clear_pointer (&vm, ramet_vm_free);
    }
  g_ptr_array_sort (versions, compare_age);
  return g_steal_pointer (&versions);
}

/**
 * ramet_versions_open_newest:
 * @name: of a base
 *
 * The name of a base stands for its newest version; a version's own name, and that of any other VM, for itself.
 *
 * Returns: (transfer full)
 */
RametVm *
ramet_versions_open_newest (RametConnection *connection, const char *name, GError **error)
{
  g_autoptr (GPtrArray) versions = ramet_versions_list (connection, name, NULL);
  g_autoptr (RametVm) vm = NULL;

  if (versions == NULL || versions->len == 0)
    return ramet_vm_open (connection, name, error);
  vm = g_ptr_array_steal_index (versions, versions->len - 1);
  if (!g_str_equal (ramet_vm_get_name (vm), name))
    {
      g_autoptr (RametVm) itself = ramet_vm_open (connection, name, NULL);

      /* one that ramet did not build is meant itself */
      if (itself && g_strcmp0 (ramet_version_of (itself), name) != 0)
        return g_steal_pointer (&itself);
    }
  return g_steal_pointer (&vm);
}
