/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm.h"

/* Takes @domain. */
static RametVm *
vm_new (RametDomain *domain, GError **error)
{
  g_autoptr (RametVm) vm = g_new0 (RametVm, 1);

  vm->domain = domain;
  if (!ramet_domain_get_metadata (domain, &vm->metadata, error) ||
      !ramet_domain_get_run (domain, &vm->run, error))
    return NULL;
  return g_steal_pointer (&vm);
}

void
ramet_vm_free (RametVm *vm)
{
  g_clear_pointer (&vm->domain, ramet_domain_unref);
  g_clear_pointer (&vm->metadata, ramet_metadata_free);
  g_free (vm);
}

/** ramet_vm_get_name: (transfer none) */
const char *
ramet_vm_get_name (const RametVm *vm)
{
  return ramet_domain_get_name (vm->domain);
}

RametState
ramet_vm_get_state (const RametVm *vm)
{
  return vm->metadata ? vm->metadata->state : RAMET_STATE_FOREIGN;
}

/** ramet_vm_is_clone: whether ramet made it from a base, finished or not */
gboolean
ramet_vm_is_clone (const RametVm *vm)
{
  return vm->metadata && vm->metadata->state != RAMET_STATE_BASE;
}

/** ramet_vm_open: (transfer full): any domain of that name */
RametVm *
ramet_vm_open (RametConnection *connection, const char *name, GError **error)
{
  RametDomain *domain = ramet_domain_lookup (connection, name, error);

  return domain ? vm_new (domain, error) : NULL;
}

/**
 * ramet_vm_open_ours:
 * @error: RAMET_ERROR_REFUSED if it was not made by ramet, which changes nothing that it has not made
 *
 * Returns: (transfer full)
 */
RametVm *
ramet_vm_open_ours (RametConnection *connection, const char *name, GError **error)
{
  g_autoptr (RametVm) vm = ramet_vm_open (connection, name, error);

  if (vm == NULL)
    return NULL;
  if (vm->metadata == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' was not made by ramet", name);
      ramet_error_hint (error, "ramet leaves it alone; 'virsh' manages it");
      return NULL;
    }
  return g_steal_pointer (&vm);
}

/** ramet_vm_list: (transfer full) (element-type RametVm): all domains by name; one that has just gone is left out */
GPtrArray *
ramet_vm_list (RametConnection *connection, GError **error)
{
  g_autoptr (GPtrArray) domains = ramet_domain_list (connection, error);
  GPtrArray *vms;

  if (domains == NULL)
    return NULL;
  vms = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_vm_free);
  for (guint i = 0; i < domains->len; i++)
    {
      RametDomain *domain = g_ptr_array_index (domains, i);
      g_autoptr (GError) why = NULL;
      RametVm *vm = vm_new (ramet_domain_ref (domain), &why);

      if (vm)
        g_ptr_array_add (vms, vm);
      else if (ramet_domain_exists (connection, ramet_domain_get_name (domain)))
        g_warning ("%s", why->message);
    }
  return vms;
}

/** ramet_vm_host_name: (transfer full): what it answers to in multicast DNS */
char *
ramet_vm_host_name (const char *name)
{
  return g_strconcat (name, ".local", NULL);
}
