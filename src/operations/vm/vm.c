/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/vm.h"

#include "host/libvirt/worker.h"

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
  return vm->metadata && !ramet_vm_is_parent (vm);
}

/** ramet_vm_is_parent: whether ramet made it for others to be made of, and for nothing else */
gboolean
ramet_vm_is_parent (const RametVm *vm)
{
  RametState state = ramet_vm_get_state (vm);

  return state == RAMET_STATE_BASE || state == RAMET_STATE_TEMPLATE;
}

/**
 * ramet_vm_check_free:
 * @verb: what is to be done: "start"
 * @error: RAMET_ERROR_STATE if another ramet is at work on it, on its snapshots, say
 *
 * As it is now, which it may not have been when @vm was opened.
 */
gboolean
ramet_vm_check_free (const RametVm *vm, const char *verb, GError **error)
{
  g_autoptr (RametMetadata) now = NULL;

  if (!ramet_domain_get_metadata (vm->domain, &now, error))
    return FALSE;
  /* of what is half made or half removed the worker tells whether it was cut off */
  if (now == NULL || (now->state != RAMET_STATE_READY && now->state != RAMET_STATE_RAW) ||
      ramet_worker_look (now->worker) != RAMET_WORKER_AT_WORK || ramet_worker_is_self (now->worker))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot %s '%s': another ramet is at work on it", verb, ramet_vm_get_name (vm));
  ramet_error_hint (error, "wait until that is done");
  return FALSE;
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

/* Fails with why @domain could not be read, unless it has gone meanwhile. */
static gboolean
check_gone (RametDomain *domain, const RametVm *vm, const GError *unread, GError **error)
{
  const char *name = ramet_domain_get_name (domain);
  g_autoptr (GError) why = NULL;
  g_autoptr (RametDomain) there = ramet_domain_lookup (ramet_domain_get_connection (domain), name, &why);
  gboolean unknown;

  if (there == NULL && g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
    return TRUE;
  /* libvirt may do better next time, another ramet's metadata stay as they are */
  unknown = g_error_matches (unread, RAMET_ERROR, RAMET_ERROR_REFUSED);
  ramet_error_set (error, unknown ? RAMET_ERROR_STATE : (RametErrorCode) unread->code,
                   "cannot tell whether '%s' stands on '%s': %s", name, ramet_vm_get_name (vm), unread->message);
  if (unknown)
    ramet_error_hint (error, "a newer ramet may have made it: use that; 'virsh metadata %s " RAMET_METADATA_URI "' shows what "
                             "is known of it", name);
  return FALSE;
}

/**
 * ramet_vm_list_others:
 * @error: RAMET_ERROR_STATE if there is one whose metadata are not understood, so that nobody knows what it stands on
 *
 * To be asked before something is done to the disks of @vm.
 *
 * Returns: (transfer full) (element-type RametVm): all domains but @vm
 */
GPtrArray *
ramet_vm_list_others (const RametVm *vm, GError **error)
{
  g_autoptr (GPtrArray) domains = ramet_domain_list (ramet_domain_get_connection (vm->domain), error);
  g_autoptr (GPtrArray) vms = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_vm_free);

  if (domains == NULL)
    return NULL;
  for (guint i = 0; i < domains->len; i++)
    {
      RametDomain *domain = g_ptr_array_index (domains, i);
      g_autoptr (GError) why = NULL;
      RametVm *other;

      if (g_str_equal (ramet_domain_get_name (domain), ramet_vm_get_name (vm)))
        continue;
      other = vm_new (ramet_domain_ref (domain), &why);
      if (other)
        g_ptr_array_add (vms, other);
      else if (!check_gone (domain, vm, why, error))
        return NULL;
    }
  return g_steal_pointer (&vms);
}

/** ramet_vm_host_name: (transfer full): what it answers to in multicast DNS */
char *
ramet_vm_host_name (const char *name)
{
  return g_strconcat (name, ".local", NULL);
}

/** ramet_vms_describe: (transfer full): what a task about some VMs is called: "web", "3 VMs" */
char *
ramet_vms_describe (GPtrArray *vms)
{
  return vms->len == 1 ? g_strdup (ramet_vm_get_name (g_ptr_array_index (vms, 0))) : g_strdup_printf ("%u VMs", vms->len);
}
