/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/resolver.h"

#include <avahi-client/client.h>
#include <avahi-client/lookup.h>
#include <avahi-common/error.h>
#include <avahi-glib/glib-watch.h>

#include "core/error.h"
#include "core/text.h"

#define DAEMON_GRACE_US (2 * G_USEC_PER_SEC) /* a restart takes less */
#define RETRY_MS 250
#define CORRECT_US (1 * G_USEC_PER_SEC) /* within which who has a name now answers, and is told from who had it */
#define MAX_OTHERS 5 /* times that the answer was another: then whoever has the name answers so */

/* Callbacks only take notes here; avahi's objects are made and freed outside of them. */
typedef struct
{
  AvahiGLibPoll *poll;
  AvahiClient *client;
  AvahiHostNameResolver *resolver;
  AvahiClientState state;
  const char *wanted; /* the only address that will do, or NULL for any */
  gboolean answered;
  gint64 other_us; /* when there was first an answer that will not do; or 0 */
  char *address; /* or NULL if the answer was none */
} Lookup;

static void
lookup_clear (Lookup *lookup)
{
  if (lookup->client)
    avahi_client_free (lookup->client); /* its resolver with it */
  if (lookup->poll)
    avahi_glib_poll_free (lookup->poll);
  g_free (lookup->address);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Lookup, lookup_clear)

static void
on_client (AvahiClient *client, AvahiClientState state, void *data)
{
  Lookup *lookup = data;

  lookup->state = state;
}

static void
on_answer (AvahiHostNameResolver *resolver, AvahiIfIndex interface, AvahiProtocol protocol, AvahiResolverEvent event,
           const char *name, const AvahiAddress *address, AvahiLookupResultFlags flags, void *data)
{
  Lookup *lookup = data;
  char text[AVAHI_ADDRESS_STR_MAX];

  if (event != AVAHI_RESOLVER_FOUND || lookup->address != NULL)
    {
      lookup->answered = TRUE;
      return;
    }
  avahi_address_snprint (text, sizeof text, address);
  if (lookup->wanted && !g_str_equal (text, lookup->wanted))
    {
      /* what avahi remembers; as long as somebody wants to know it asks the network, too */
      if (lookup->other_us == 0)
        lookup->other_us = g_get_monotonic_time ();
      return;
    }
  lookup->answered = TRUE;
  lookup->address = g_strdup (text);
}

static void
drop_resolver (Lookup *lookup)
{
  if (lookup->resolver)
    avahi_host_name_resolver_free (lookup->resolver);
  lookup->resolver = NULL;
  lookup->answered = FALSE;
  lookup->other_us = 0;
}

/* Whether the daemon is there to be asked. Connects again if the bus itself was lost. */
static gboolean
is_daemon_there (Lookup *lookup)
{
  if (lookup->client && lookup->state == AVAHI_CLIENT_FAILURE)
    {
      lookup->resolver = NULL;
      avahi_client_free (lookup->client);
      lookup->client = NULL;
    }
  if (lookup->client == NULL)
    lookup->client =
      avahi_client_new (avahi_glib_poll_get (lookup->poll), AVAHI_CLIENT_NO_FAIL, on_client, lookup, NULL);
  return lookup->client != NULL && lookup->state != AVAHI_CLIENT_CONNECTING && lookup->state != AVAHI_CLIENT_FAILURE;
}

static gboolean
start_resolver (Lookup *lookup, const char *host_name, GError **error)
{
  int errnum;

  lookup->resolver =
    avahi_host_name_resolver_new (lookup->client, AVAHI_IF_UNSPEC, AVAHI_PROTO_INET, host_name, AVAHI_PROTO_INET,
                                  AVAHI_LOOKUP_USE_MULTICAST, on_answer, lookup);
  if (lookup->resolver != NULL)
    return TRUE;
  errnum = avahi_client_errno (lookup->client);
  if (errnum == AVAHI_ERR_INVALID_HOST_NAME || errnum == AVAHI_ERR_INVALID_DOMAIN_NAME)
    {
      g_autofree char *safe = ramet_text_escape (host_name, -1);

      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot look up '%s': %s", safe, avahi_strerror (errnum));
      return FALSE;
    }
  lookup->answered = TRUE; /* the daemon went away just now: tried again like any failure */
  return TRUE;
}

/**
 * ramet_resolver_resolve:
 * @host_name: "web.local"
 * @wanted: (nullable): the only address that will do
 * @deadline_us: monotonic time in microseconds, see g_get_monotonic_time()
 * @ret_address: (out): numeric IPv4 address
 * @error: RAMET_ERROR_TIMEOUT if nobody answers, RAMET_ERROR_CANCELLED, RAMET_ERROR_NOT_FOUND within some two seconds
 *         if there is no avahi-daemon to ask
 *
 * Asks by mDNS on all interfaces until somebody answers. Who that is, is for the caller to check: avahi remembers the
 * last holder of a name for up to two minutes, and on a conflict gives it to somebody else.
 */
gboolean
ramet_resolver_resolve (RametTask *task, const char *host_name, const char *wanted, gint64 deadline_us,
                        char **ret_address, GError **error)
{
  g_auto (Lookup) lookup = { .state = AVAHI_CLIENT_CONNECTING, .wanted = wanted };
  g_autofree char *safe = ramet_text_escape (host_name, -1);
  g_autofree char *awaited = g_strdup_printf ("'%s' to answer by mDNS", safe);
  gint64 seen_us = g_get_monotonic_time ();
  guint n_others = 0;

  lookup.poll = avahi_glib_poll_new (NULL, G_PRIORITY_DEFAULT);
  while (lookup.address == NULL)
    {
      if (!is_daemon_there (&lookup))
        {
          drop_resolver (&lookup);
          if (g_get_monotonic_time () - seen_us > DAEMON_GRACE_US)
            {
              ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "avahi-daemon is not running");
              ramet_error_hint (error, "start it: 'systemctl start avahi-daemon', or 'avahi-daemon -D'");
              return FALSE;
            }
          if (!ramet_task_sleep (task, RETRY_MS, error))
            return FALSE;
          continue;
        }
      seen_us = g_get_monotonic_time ();
      if (lookup.other_us && g_get_monotonic_time () - lookup.other_us > CORRECT_US)
        {
          drop_resolver (&lookup);
          if (++n_others == MAX_OTHERS)
            {
              ramet_error_set (error, RAMET_ERROR_TIMEOUT, "'%s' is answered by another address than '%s'", safe, wanted);
              return FALSE;
            }
        }
      if (lookup.answered)
        {
          drop_resolver (&lookup);
          if (!ramet_task_sleep (task, RETRY_MS, error))
            return FALSE;
          continue; /* the daemon may have gone meanwhile */
        }
      if (lookup.resolver == NULL && !start_resolver (&lookup, host_name, error))
        return FALSE;
      if (!ramet_task_iterate (task, deadline_us, awaited, error))
        return FALSE;
    }
  *ret_address = g_steal_pointer (&lookup.address);
  return TRUE;
}
