/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/reach.h"

#include "core/text.h"
#include "host/guest/agent.h"
#include "host/guest/ssh.h"
#include "host/libvirt/interface.h"
#include "host/libvirt/network.h"
#include "host/resolver.h"

#define MDNS_PATIENCE_US (2 * G_TIME_SPAN_SECOND)
#define MDNS_GLANCE_US (G_TIME_SPAN_SECOND / 4) /* where there is time for another look */
#define DOUBT_PATIENCE_US (2 * G_TIME_SPAN_SECOND)
#define LEASE_PATIENCE_US (15 * G_TIME_SPAN_SECOND) /* for STP, and a DHCP server that looks whether an address is free */
#define RETRY_MS 100
#define SETTLE_US (G_TIME_SPAN_SECOND / 4)
#define EXPLAIN_AFTER_US (8 * G_TIME_SPAN_SECOND) /* of waiting for an address: most have one by then */
#define AGENT_PATIENCE_US G_TIME_SPAN_SECOND
#define ANSWER_PATIENCE_US (3 * G_TIME_SPAN_SECOND) /* at first; a lost packet is sent again within it */
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

/*
 * One round: the name by mDNS, held against libvirt's lease; else the lease. %TRUE with no address: not yet. *@ret_sure: the
 * address is the VM's by more than its name, which avahi may remember of another.
 */
static gboolean
look_once (RametVm *vm, RametTask *task, gint64 until_us, char **ret_address, RametReachBy *ret_by, gboolean *ret_sure,
           GError **error)
{
  g_autofree char *host_name = ramet_vm_host_name (ramet_vm_get_name (vm));
  g_autofree char *leased = ramet_domain_get_lease (vm->domain);
  g_autofree char *named = NULL;
  g_autoptr (GError) why = NULL;

  if (!ramet_resolver_resolve (task, host_name, NULL, until_us, &named, &why) && is_final (why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  /* avahi counts a name up on a conflict, so another machine may hold ours: the lease knows our MAC */
  if (named && leased && !g_str_equal (named, leased))
    {
      ramet_task_note (task, "'%s' is answered by %s, but its lease says %s", host_name, named, leased);
      g_clear_pointer (&named, g_free);
    }
  *ret_sure = leased != NULL;
  *ret_by = named ? RAMET_REACH_MDNS : RAMET_REACH_LEASE;
  *ret_address = named ? g_steal_pointer (&named) : g_steal_pointer (&leased);
  return TRUE;
}

/* What a guest that sends nothing is at. */
static const char *
why_silent (RametVm *vm, RametTask *task)
{
  return ramet_agent_ping (vm->domain, task, g_get_monotonic_time () + AGENT_PATIENCE_US, NULL)
           ? "guest has sent no DHCP request, though it has booted: its network is not set up"
           : "guest has sent no DHCP request, nor anything else: it is booting still, or hangs";
}

/* (transfer full): why there is no address, as far as can be seen from outside */
static char *
why_no_address (RametVm *vm, RametTask *task)
{
  g_auto (RametInterface) found = { 0 };

  if (!ramet_interface_look (vm->domain, &found))
    return g_strdup ("it has no network interface");
  if (found.link_down)
    return g_strdup ("its network cable is unplugged");
  if (found.held_back)
    return g_strdup_printf ("the bridge '%s' holds it back for some seconds (STP)", found.bridge);
  if (found.sent == 0)
    return g_strdup (why_silent (vm, task));
  if (found.neighbour)
    return g_strdup_printf ("guest uses %s, for which it has sent no DHCP request", found.neighbour);
  if (found.network == NULL && found.sent > 0)
    return g_strdup_printf ("guest has sent %" G_GINT64_FORMAT " packets, and its addresses are not libvirt's to know", found.sent);
  if (found.sent < 0)
    return g_strdup ("libvirt does not tell what the guest has sent");
  return g_strdup_printf ("guest has sent %" G_GINT64_FORMAT " packets, and no DHCP request that was answered in the network '%s'",
                          found.sent, found.network);
}

/* Where the address of a VM may be of another, it is looked for: */
typedef struct
{
  gint64 mdns_us;  /* how long for the name in each round */
  gint64 doubt_us; /* how long for more than the name; 0 if that will do */
} Patience;

/* A guest that has just been given an address takes a moment to use it, and an ARP request too early is sent again after a second. */
static gboolean
settle (RametTask *task, gint64 leased_us, GError **error)
{
  gint64 left_us = leased_us + SETTLE_US - g_get_monotonic_time ();

  return left_us <= 0 || ramet_task_sleep (task, (guint) (left_us / G_TIME_SPAN_MILLISECOND), error);
}

static gboolean
find (RametVm *vm, RametTask *task, const Patience *patience, gint64 deadline_us, char **ret_address, RametReachBy *ret_by,
      GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  gint64 doubt_until_us = g_get_monotonic_time () + patience->doubt_us;
  gint64 explain_us = g_get_monotonic_time () + EXPLAIN_AFTER_US;

  while (g_get_monotonic_time () < deadline_us)
    {
      gint64 since_us = g_get_monotonic_time ();
      g_autofree char *address = NULL;
      gboolean sure = FALSE;

      if (!ramet_domain_get_run (vm->domain, &vm->run, error))
        return FALSE;
      if (vm->run != RAMET_RUN_RUNNING)
        {
          ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is %s", name, ramet_run_name (vm->run));
          ramet_error_hint (error, vm->run == RAMET_RUN_PAUSED ? "'ramet resume %s'" : "'ramet start %s'", name);
          return FALSE;
        }
      if (!look_once (vm, task, soon_us (patience->mdns_us, deadline_us), &address, ret_by, &sure, error))
        return FALSE;
      if (address && (sure || g_get_monotonic_time () >= doubt_until_us))
        {
          *ret_address = g_steal_pointer (&address);
          return *ret_by != RAMET_REACH_LEASE || patience->doubt_us == 0 || settle (task, since_us, error);
        }
      if (g_get_monotonic_time () >= explain_us)
        {
          g_autofree char *why = why_no_address (vm, task);
          g_autofree char *safe = ramet_text_escape (why, -1);

          ramet_task_step (task, "no address yet: %s", safe);
          explain_us = G_MAXINT64;
        }
      if (!ramet_task_sleep (task, RETRY_MS, error))
        return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_TIMEOUT, "'%s' has no address: neither %s.local nor a DHCP lease is there", name,
                   name);
  ramet_error_hint (error, "'ramet console %s' shows what the guest is doing", name);
  return FALSE;
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
  static const Patience patience = { MDNS_PATIENCE_US, 0 };

  return find (vm, task, &patience, deadline_us, ret_address, ret_by, error);
}

/*
 * ssh answers by now: the name should too, if this host listens to multicast DNS at all. Who had the name before may be
 * remembered for a moment.
 */
static gboolean
wait_for_name (RametVm *vm, RametTask *task, gint64 deadline_us, const char *address, RametReachBy *ret_by,
               GError **error)
{
  g_autofree char *host_name = ramet_vm_host_name (ramet_vm_get_name (vm));
  g_autofree char *named = NULL;
  g_autoptr (GError) why = NULL;

  ramet_task_step (task, "waiting for %s", host_name);
  if (!ramet_resolver_resolve (task, host_name, address, soon_us (NAME_PATIENCE_US, deadline_us), &named, &why) &&
      is_final (why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  *ret_by = named ? RAMET_REACH_MDNS : RAMET_REACH_LEASE;
  return TRUE;
}

/* How long what only its name stands for is held back, of a VM that asks for an address. */
static gint64
lease_patience_us (RametVm *vm)
{
  g_autofree char *name = ramet_interface_get_network (vm->domain);
  g_auto (RametNetwork) network = { 0 };
  gboolean is_leased = name && ramet_network_look (ramet_domain_get_connection (vm->domain), name, &network, NULL) &&
                       network.has_dhcp;

  return is_leased ? LEASE_PATIENCE_US : DOUBT_PATIENCE_US;
}

/*
 * Until a connection is taken, or with @greeted an ssh server has said its first words. The address may be one that avahi
 * remembers of another VM that had the name before: it is held back while libvirt may yet say better, and after a while
 * without an answer looked for anew.
 */
static gboolean
find_answering (RametVm *vm, RametTask *task, gint64 doubt_us, gint64 deadline_us, gboolean greeted, char **ret_address,
                RametReachBy *ret_by, GError **error)
{
  const Patience patience = { MDNS_GLANCE_US, doubt_us };
  gint64 patience_us = ANSWER_PATIENCE_US;
  g_autofree char *last = NULL;

  while (TRUE)
    {
      g_autofree char *address = NULL;
      g_autoptr (GError) why = NULL;
      gint64 until_us;

      if (!find (vm, task, &patience, deadline_us, &address, ret_by, error))
        return FALSE;
      if (g_strcmp0 (address, last) != 0)
        ramet_task_step (task, "waiting for ssh at %s", address);
      until_us = soon_us (patience_us, deadline_us);
      if (greeted ? ramet_ssh_banner (task, address, RAMET_SSH_PORT, until_us, &why)
                  : ramet_ssh_listens (task, address, RAMET_SSH_PORT, until_us, &why))
        {
          *ret_address = g_steal_pointer (&address);
          return TRUE;
        }
      if (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT) || until_us == deadline_us)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      /* a guest may just be slow */
      patience_us *= 2;
      g_free (last);
      last = g_steal_pointer (&address);
    }
}

/**
 * ramet_reach_wait:
 * @deadline_us: monotonic time in microseconds
 *
 * Waits until an ssh server answers at the VM's address and holds the host key that was read over its console, or that it was
 * given.
 */
gboolean
ramet_reach_wait (RametVm *vm, RametTask *task, gint64 deadline_us, char **ret_address, RametReachBy *ret_by,
                  GError **error)
{
  const char *keys = vm->metadata ? vm->metadata->host_keys : NULL;
  g_autofree char *address = NULL;
  RametReachBy by = RAMET_REACH_LEASE;

  ramet_task_step (task, "waiting for %s.local", ramet_vm_get_name (vm));
  /* to prove a key takes a connection of its own, and each is dear to a guest */
  if (!find_answering (vm, task, lease_patience_us (vm), deadline_us, keys == NULL, &address, &by, error) ||
      (keys && !ramet_ssh_has_key (task, address, RAMET_SSH_PORT, keys, deadline_us, error)))
    return FALSE;
  if (by == RAMET_REACH_LEASE && !wait_for_name (vm, task, deadline_us, address, &by, error))
    return FALSE;
  *ret_address = g_steal_pointer (&address);
  *ret_by = by;
  return TRUE;
}

/**
 * ramet_reach_again:
 * @deadline_us: monotonic time in microseconds
 *
 * Waits until a VM that stood still, or whose memory was brought back, has its name again and takes connections. Its ssh
 * server proved its key before, so it is not asked once more.
 */
gboolean
ramet_reach_again (RametVm *vm, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autofree char *address = NULL;
  RametReachBy by = RAMET_REACH_LEASE;

  ramet_task_step (task, "waiting for %s.local", ramet_vm_get_name (vm));
  /* it may go on with an address that libvirt has forgotten meanwhile */
  return find_answering (vm, task, DOUBT_PATIENCE_US, deadline_us, FALSE, &address, &by, error) &&
         (by == RAMET_REACH_MDNS || wait_for_name (vm, task, deadline_us, address, &by, error));
}
