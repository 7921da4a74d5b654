/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/connection.h"

/* A network of libvirt's. Clear with ramet_network_clear(). */
typedef struct
{
  gboolean active;
  gboolean autostart;
  gboolean has_dhcp; /* it gives addresses out, and libvirt tells which */
  char *bridge; /* or NULL */
} RametNetwork;

gboolean ramet_network_look (RametConnection *connection, const char *name, RametNetwork *ret_network, GError **error);
void ramet_network_clear (RametNetwork *network);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametNetwork, ramet_network_clear)
