/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/domain-watch.h"

#include "host/libvirt/connection-private.h"

struct _RametDomainWatch
{
  RametDomain *domain;
  int lifecycle_id;
  int reboot_id;
  const char *ended; /* how it stopped to run, or NULL */
  gboolean rebooted;
};

static int
on_lifecycle (virConnectPtr conn, virDomainPtr domain, int event, int detail, void *data)
{
  RametDomainWatch *watch = data;

  if (event == VIR_DOMAIN_EVENT_STOPPED)
    watch->ended = detail == VIR_DOMAIN_EVENT_STOPPED_CRASHED ? "crashed" : "was switched off";
  else if (event == VIR_DOMAIN_EVENT_CRASHED)
    watch->ended = "panicked";
  return 0;
}

static void
on_reboot (virConnectPtr conn, virDomainPtr domain, void *data)
{
  ((RametDomainWatch *) data)->rebooted = TRUE;
}

/** ramet_domain_watch_new: its events arrive while the default main context runs */
RametDomainWatch *
ramet_domain_watch_new (RametDomain *domain, GError **error)
{
  virConnectPtr conn = ramet_connection_get (ramet_domain_get_connection (domain));
  g_autoptr (RametDomainWatch) watch = g_new0 (RametDomainWatch, 1);

  watch->domain = ramet_domain_ref (domain);
  watch->reboot_id = -1;
  watch->lifecycle_id = virConnectDomainEventRegisterAny (conn, ramet_domain_get (domain), VIR_DOMAIN_EVENT_ID_LIFECYCLE,
                                                          VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle), watch, NULL);
  if (watch->lifecycle_id >= 0)
    watch->reboot_id = virConnectDomainEventRegisterAny (conn, ramet_domain_get (domain), VIR_DOMAIN_EVENT_ID_REBOOT,
                                                         VIR_DOMAIN_EVENT_CALLBACK (on_reboot), watch, NULL);
  if (watch->lifecycle_id < 0 || watch->reboot_id < 0)
    {
      ramet_libvirt_error (error, "cannot watch the events of '%s'", ramet_domain_get_name (domain));
      return NULL;
    }
  return g_steal_pointer (&watch);
}

void
ramet_domain_watch_free (RametDomainWatch *watch)
{
  virConnectPtr conn = ramet_connection_get (ramet_domain_get_connection (watch->domain));

  if (watch->lifecycle_id >= 0)
    virConnectDomainEventDeregisterAny (conn, watch->lifecycle_id);
  if (watch->reboot_id >= 0)
    virConnectDomainEventDeregisterAny (conn, watch->reboot_id);
  ramet_domain_unref (watch->domain);
  g_free (watch);
}

/**
 * ramet_domain_watch_check:
 * @error: RAMET_ERROR_LOST if it has stopped or, unless @may_reboot, rebooted since the watch began; or if libvirtd
 *         has gone
 */
gboolean
ramet_domain_watch_check (RametDomainWatch *watch, gboolean may_reboot, GError **error)
{
  const char *name = ramet_domain_get_name (watch->domain);

  if (watch->ended)
    ramet_error_set (error, RAMET_ERROR_LOST, "the guest '%s' %s in the middle of it", name, watch->ended);
  else if (watch->rebooted && !may_reboot)
    ramet_error_set (error, RAMET_ERROR_LOST, "the guest '%s' rebooted in the middle of it", name);
  else if (virConnectIsAlive (ramet_connection_get (ramet_domain_get_connection (watch->domain))) != 1)
    ramet_error_set (error, RAMET_ERROR_LOST, "the connection to libvirt was lost");
  else
    return TRUE;
  return FALSE;
}

/** ramet_domain_watch_ended: whether it has stopped to run since the watch began */
gboolean
ramet_domain_watch_ended (RametDomainWatch *watch)
{
  return watch->ended != NULL;
}
