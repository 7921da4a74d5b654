/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/events.h"

#include "host/libvirt/connection-private.h"

#define N_KINDS 3

struct _RametEvents
{
  virConnectPtr conn;
  int ids[N_KINDS]; /* -1: not registered */
  gboolean happened;
};

static int
on_lifecycle (virConnectPtr conn, virDomainPtr domain, int event, int detail, void *data)
{
  ((RametEvents *) data)->happened = TRUE;
  return 0;
}

static void
on_metadata (virConnectPtr conn, virDomainPtr domain, int type, const char *uri, void *data)
{
  ((RametEvents *) data)->happened = TRUE;
}

/* The guest agent has come or gone, and with it perhaps an address. */
static void
on_agent (virConnectPtr conn, virDomainPtr domain, int state, int reason, void *data)
{
  ((RametEvents *) data)->happened = TRUE;
}

/** ramet_events_new: they arrive while the default main context runs */
RametEvents *
ramet_events_new (RametConnection *connection, GError **error)
{
  g_autoptr (RametEvents) events = g_new0 (RametEvents, 1);
  const struct
  {
    int kind;
    virConnectDomainEventGenericCallback callback;
  } kinds[N_KINDS] = {
    { VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK (on_lifecycle) },
    { VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK (on_metadata) },
    { VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK (on_agent) },
  };

  events->conn = ramet_connection_get (connection);
  virConnectRef (events->conn);
  for (guint i = 0; i < N_KINDS; i++)
    events->ids[i] = -1;
  for (guint i = 0; i < N_KINDS; i++)
    {
      events->ids[i] = virConnectDomainEventRegisterAny (events->conn, NULL, kinds[i].kind, kinds[i].callback, events, NULL);
      if (events->ids[i] < 0)
        {
          ramet_libvirt_error (error, "cannot watch the events of VMs");
          return NULL;
        }
    }
  return g_steal_pointer (&events);
}

void
ramet_events_free (RametEvents *events)
{
  for (guint i = 0; i < N_KINDS; i++)
    if (events->ids[i] >= 0)
      virConnectDomainEventDeregisterAny (events->conn, events->ids[i]);
  virConnectClose (events->conn);
  g_free (events);
}

/** ramet_events_take: whether anything happened since this was asked last */
gboolean
ramet_events_take (RametEvents *events)
{
  gboolean happened = events->happened;

  events->happened = FALSE;
  return happened;
}
