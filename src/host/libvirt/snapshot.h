/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/domain.h"

/* libvirt's snapshots of a domain: what virsh and virt-manager show of ramet's points, and what others made. */

GPtrArray *ramet_snapshot_names (RametDomain *domain, GError **error);
char *ramet_snapshot_current (RametDomain *domain);
gboolean ramet_snapshot_take (RametDomain *domain, const char *xml, gboolean memory, gboolean layers_made, GError **error);
void ramet_snapshot_abort (RametDomain *domain);
char *ramet_snapshot_get_xml (RametDomain *domain, const char *name, GError **error);
gboolean ramet_snapshot_forget (RametDomain *domain, const char *name, GError **error);
gboolean ramet_snapshot_set_current (RametDomain *domain, const char *name, GError **error);
gboolean ramet_snapshot_restore (RametConnection *connection, const char *memory, const char *xml, GError **error);
guint64 ramet_snapshot_memory_bytes (RametDomain *domain, guint64 most);
gboolean ramet_snapshot_drop_saved (RametDomain *domain, GError **error);
