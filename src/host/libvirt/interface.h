/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/domain.h"

/* The first network interface of a VM that runs, as its host sees it. Clear with ramet_interface_clear(). */
typedef struct
{
  char *network;      /* libvirt's, which has a DHCP server mostly; or NULL */
  char *bridge;       /* or NULL */
  char *neighbour;    /* an address that this host has seen it use, or NULL */
  gboolean link_down;
  gboolean held_back; /* its bridge does not let it talk yet */
  gint64 sent;        /* packets from the guest; -1: nobody knows */
} RametInterface;

char *ramet_interface_get_network (RametDomain *domain);
gboolean ramet_interface_look (RametDomain *domain, RametInterface *ret_interface);
void ramet_interface_clear (RametInterface *interface);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametInterface, ramet_interface_clear)
