/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* A connection to libvirtd. libvirt's own types are in host/libvirt/connection-private.h and stay in this folder. */
typedef struct _RametConnection RametConnection;

RametConnection *ramet_connection_open (const char *uri, GError **error);
RametConnection *ramet_connection_open_to_look (const char *uri, GError **error);
RametConnection *ramet_connection_ref (RametConnection *connection);
void ramet_connection_unref (RametConnection *connection);
const char *ramet_connection_get_uri (RametConnection *connection);
gboolean ramet_connection_revive (RametConnection *connection, guint patience_s, GError **error);
gboolean ramet_connection_is_local (RametConnection *connection);
gboolean ramet_connection_is_system (RametConnection *connection);
gboolean ramet_connection_get_qemu_user (RametConnection *connection, uid_t *ret_uid, gid_t *ret_gid, GError **error);
gboolean ramet_connection_get_versions (RametConnection *connection, char **ret_qemu, char **ret_libvirt, GError **error);
char *ramet_connection_get_capabilities (RametConnection *connection, GError **error);
gboolean ramet_connection_has_security (RametConnection *connection, const char *model);
gboolean ramet_connection_has_network (RametConnection *connection, const char *name, gboolean *ret_active);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametConnection, ramet_connection_unref)
