/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/interface.h"

#include <stdlib.h>
#include <string.h>

#include "host/libvirt/connection-private.h"
#include "model/xml.h"

#define BRIDGE_PORT_FORWARDS '3' /* in sysfs; what is lower is a port that STP has not opened yet */

/** ramet_interface_clear: frees what is in @interface and empties it */
void
ramet_interface_clear (RametInterface *interface)
{
  g_clear_pointer (&interface->network, g_free);
  g_clear_pointer (&interface->bridge, g_free);
  g_clear_pointer (&interface->neighbour, g_free);
}

/* Where the bridge is on this machine. */
static gboolean
is_held_back (RametDomain *domain, const char *device)
{
  g_autofree char *path = device && !strchr (device, '/') ? g_strdup_printf ("/sys/class/net/%s/brport/state", device) : NULL;
  g_autofree char *state = NULL;

  return path && ramet_connection_is_local (ramet_domain_get_connection (domain)) &&
         g_file_get_contents (path, &state, NULL, NULL) && *state < BRIDGE_PORT_FORWARDS;
}

/* (transfer full) (nullable): as the host's table of neighbours has it */
static char *
find_neighbour (RametDomain *domain, const char *mac)
{
  virDomainInterfacePtr *interfaces = NULL;
  int n = virDomainInterfaceAddresses (ramet_domain_get (domain), &interfaces, VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_ARP, 0);
  char *address = NULL;

  for (int i = 0; i < n; i++)
    {
      if (address == NULL && interfaces[i]->naddrs > 0 && interfaces[i]->hwaddr && mac &&
          g_ascii_strcasecmp (interfaces[i]->hwaddr, mac) == 0)
        address = g_strdup (interfaces[i]->addrs[0].addr);
      virDomainInterfaceFree (interfaces[i]);
    }
  free (interfaces);
  return address;
}

/** ramet_interface_get_network: (transfer full) (nullable): libvirt's network that the first interface is in */
char *
ramet_interface_get_network (RametDomain *domain)
{
  g_autofree char *xml = ramet_domain_get_xml (domain, FALSE, NULL);
  g_autoptr (xmlDoc) doc = xml ? ramet_xml_parse (xml, "domain", NULL) : NULL;
  xmlNode *node = doc ? ramet_xml_at (xmlDocGetRootElement (doc), "devices/interface") : NULL;

  return node ? ramet_xml_get (ramet_xml_first (node, "source"), "network") : NULL;
}

/** ramet_interface_look: %FALSE if it has none, or does not run */
gboolean
ramet_interface_look (RametDomain *domain, RametInterface *ret_interface)
{
  g_autofree char *xml = ramet_domain_get_xml (domain, FALSE, NULL);
  g_autoptr (xmlDoc) doc = xml ? ramet_xml_parse (xml, "domain", NULL) : NULL;
  xmlNode *node = doc ? ramet_xml_at (xmlDocGetRootElement (doc), "devices/interface") : NULL;
  xmlNode *source = ramet_xml_first (node, "source");
  g_autofree char *device = ramet_xml_get (ramet_xml_first (node, "target"), "dev");
  g_autofree char *mac = ramet_xml_get (ramet_xml_first (node, "mac"), "address");
  virDomainInterfaceStatsStruct stats = { .rx_packets = -1 };

  if (node == NULL)
    return FALSE;
  ret_interface->network = ramet_xml_get (source, "network");
  ret_interface->bridge = ramet_xml_get (source, "bridge");
  ret_interface->link_down = ramet_xml_has (ramet_xml_first (node, "link"), "state", "down");
  ret_interface->held_back = is_held_back (domain, device);
  ret_interface->neighbour = find_neighbour (domain, mac);
  if (device == NULL || virDomainInterfaceStats (ramet_domain_get (domain), device, &stats, sizeof stats) < 0)
    stats.tx_packets = -1;
  ret_interface->sent = stats.tx_packets;
  return TRUE;
}
