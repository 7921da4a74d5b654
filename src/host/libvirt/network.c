/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/network.h"

#include "host/libvirt/connection-private.h"
#include "model/xml.h"

/** ramet_network_clear: frees what is in @network and empties it */
void
ramet_network_clear (RametNetwork *network)
{
  g_clear_pointer (&network->bridge, g_free);
}

/** ramet_network_look: @error is RAMET_ERROR_NOT_FOUND if there is no such network */
gboolean
ramet_network_look (RametConnection *connection, const char *name, RametNetwork *ret_network, GError **error)
{
  g_autoptr (virNetwork) found = virNetworkLookupByName (ramet_connection_get (connection), name);
  g_autofree char *xml = found ? virNetworkGetXMLDesc (found, 0) : NULL;
  g_autoptr (xmlDoc) doc = NULL;
  int autostart = 0;

  if (xml == NULL)
    {
      ramet_libvirt_error (error, "cannot look at the network '%s'", name);
      return FALSE;
    }
  doc = ramet_xml_parse (xml, "network", error);
  if (doc == NULL)
    return FALSE;
  ret_network->active = virNetworkIsActive (found) == 1;
  ret_network->autostart = virNetworkGetAutostart (found, &autostart) == 0 && autostart;
  for (xmlNode *ip = ramet_xml_first (xmlDocGetRootElement (doc), "ip"); ip; ip = ramet_xml_next (ip, "ip"))
    ret_network->has_dhcp |= ramet_xml_first (ip, "dhcp") != NULL;
  ret_network->bridge = ramet_xml_get (ramet_xml_first (xmlDocGetRootElement (doc), "bridge"), "name");
  return TRUE;
}
