/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/reach.h"

#include "host/resolver.h"
#include "host/ssh.h"

#define MDNS_PATIENCE_US (2 * G_TIME_SPAN_SECOND)
#define RETRY_MS 250
#define NAME_PATIENCE_US (15 * G_TIME_SPAN_SECOND) /* for the name, once ssh answers at the leased address */

static gint64
soon_us (gint64 patience_us, gint64 deadline_us)
{
  return MIN (deadline_us, g_get_monotonic_time () + patience_us);
}

/* Errors that mean "not yet" or "not this way", as against those that end the waiting. */
static gboolean
is_final (const GError *error)
{
  return g_error_matches (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
}

/* One round: the name by mDNS, held against libvirt's lease; else the lease. %TRUE with no address: not yet. */
static gboolean
look_once (RametVm *vm, RametTask *task, gint64 deadline_us, char **ret_address, RametReachBy *ret_by, GError **error)
{
  g_autofree char *host_name = ramet_vm_host_name (ramet_vm_get_name (vm));
  g_autofree char *named = NULL;
  g_autofree char *leased = NULL;
  g_autoptr (GError) why = NULL;

  if (!ramet_resolver_resolve (task, host_name, soon_us (MDNS_PATIENCE_US, deadline_us), &named, &why) &&
      is_final (why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  leased = ramet_domain_get_lease (vm->domain);
  /* avahi counts a name up on a conflict, so another machine may hold ours: the lease knows our MAC */
  if (named && leased && !g_str_equal (named, leased))
    {
      ramet_task_note (task, "'%s' is answered by %s, but its lease says %s", host_name, named, leased);
      g_clear_pointer (&named, g_free);
    }
  *ret_by = named ? RAMET_REACH_MDNS : RAMET_REACH_LEASE;
  *ret_address = named ? g_steal_pointer (&named) : g_steal_pointer (&leased);
  return TRUE;
}

/**
 * ramet_reach_find:
 * @deadline_us: monotonic time in microseconds
 * @ret_address: (out): numeric
 * @error: RAMET_ERROR_STATE if the VM does not run, RAMET_ERROR_TIMEOUT if it has no address
 */
gboolean
ramet_reach_find (RametVm *vm, RametTask *task, gint64 deadline_us, char **ret_address, RametReachBy *ret_by,
                  GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  while (g_get_monotonic_time () < deadline_us)
    {
      g_autofree char *address = NULL;

      if (!ramet_domain_get_run (vm->domain, &vm->run, error))
        return FALSE;
      if (vm->run != RAMET_RUN_RUNNING)
        {
          ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is %s", name, ramet_run_name (vm->run));
          ramet_error_hint (error, vm->run == RAMET_RUN_PAUSED ? "'ramet resume %s'" : "'ramet start %s'", name);
          return FALSE;
        }
      if (!look_once (vm, task, deadline_us, &address, ret_by, error))
        return FALSE;
      if (address)
        {
          *ret_address = g_steal_pointer (&address);
          return TRUE;
        }
      if (!ramet_task_sleep (task, RETRY_MS, error))
        return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_TIMEOUT, "'%s' has no address: neither %s.local nor a DHCP lease is there", name,
                   name);
  ramet_error_hint (error, "'ramet console %s' shows what the guest is doing", name);
  return FALSE;
}

/* ssh answers by now: the name should too, if this host listens to multicast DNS at all. */
static gboolean
wait_for_name (RametVm *vm, RametTask *task, gint64 deadline_us, const char *address, RametReachBy *ret_by,
               GError **error)
{
  g_autofree char *host_name = ramet_vm_host_name (ramet_vm_get_name (vm));
  g_autofree char *named = NULL;
  g_autoptr (GError) why = NULL;

  ramet_task_step (task, "waiting for %s", host_name);
  if (!ramet_resolver_resolve (task, host_name, soon_us (NAME_PATIENCE_US, deadline_us), &named, &why) &&
      is_final (why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  *ret_by = g_strcmp0 (named, address) == 0 ? RAMET_REACH_MDNS : RAMET_REACH_LEASE;
  return TRUE;
}

/**
 * ramet_reach_wait:
 * @deadline_us: monotonic time in microseconds
 *
 * Waits until an ssh server answers at the VM's address and holds the host key that was read over its console.
 */
gboolean
ramet_reach_wait (RametVm *vm, RametTask *task, gint64 deadline_us, char **ret_address, RametReachBy *ret_by,
                  GError **error)
{
  g_autofree char *address = NULL;
  RametReachBy by = RAMET_REACH_LEASE;

  ramet_task_step (task, "waiting for %s.local", ramet_vm_get_name (vm));
  if (!ramet_reach_find (vm, task, deadline_us, &address, &by, error))
    return FALSE;
  ramet_task_step (task, "waiting for ssh at %s", address);
  if (!ramet_ssh_banner (task, address, RAMET_SSH_PORT, deadline_us, error))
    return FALSE;
  if (vm->metadata && vm->metadata->host_keys &&
      !ramet_ssh_has_key (task, address, RAMET_SSH_PORT, vm->metadata->host_keys, deadline_us, error))
    return FALSE;
  if (by == RAMET_REACH_LEASE && !wait_for_name (vm, task, deadline_us, address, &by, error))
    return FALSE;
  *ret_address = g_steal_pointer (&address);
  *ret_by = by;
  return TRUE;
}
