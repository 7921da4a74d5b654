/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>

#include "core/error.h"
#include "host/libvirt/connection.h"
#include "host/libvirt/domain.h"
#include "host/libvirt/trace.h"

virConnectPtr ramet_connection_get (RametConnection *connection);
virDomainPtr ramet_domain_get (RametDomain *domain);
RametDomain *ramet_domain_wrap (RametConnection *connection, virDomainPtr ptr);
void ramet_libvirt_error (GError **error, const char *format, ...) G_GNUC_PRINTF (2, 3);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (virStorageVol, virStorageVolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (virStoragePool, virStoragePoolFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (virStream, virStreamFree)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (virNetwork, virNetworkFree)

/* last, for it gives libvirt's functions another meaning */
#include <ramet-libvirt-calls.h>
