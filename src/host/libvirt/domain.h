/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/libvirt/connection.h"
#include "model/metadata.h"

/* A domain of libvirt's, ramet's own or not. */
typedef struct _RametDomain RametDomain;

typedef enum
{
  RAMET_RUN_OFF,
  RAMET_RUN_SAVED, /* off, with its memory in a managed save image */
  RAMET_RUN_RUNNING,
  RAMET_RUN_PAUSED,
  RAMET_RUN_STOPPING,
  RAMET_RUN_CRASHED,
} RametRun;

char *ramet_domain_name_nearest (RametConnection *connection, const char *typed);
RametDomain *ramet_domain_lookup (RametConnection *connection, const char *name, GError **error);
gboolean ramet_domain_exists (RametConnection *connection, const char *name);
GPtrArray *ramet_domain_list (RametConnection *connection, GError **error);
RametDomain *ramet_domain_define (RametConnection *connection, const char *xml, GError **error);
RametDomain *ramet_domain_ref (RametDomain *domain);
void ramet_domain_unref (RametDomain *domain);
gboolean ramet_domain_reattach (RametDomain *domain, GError **error);

const char *ramet_domain_get_name (RametDomain *domain);
RametConnection *ramet_domain_get_connection (RametDomain *domain);
char *ramet_domain_get_uuid (RametDomain *domain);
char *ramet_domain_get_definition (RametDomain *domain, GError **error);
char *ramet_domain_get_xml (RametDomain *domain, gboolean inactive, GError **error);
gboolean ramet_domain_get_run (RametDomain *domain, RametRun *ret_run, GError **error);
const char *ramet_run_name (RametRun run);
gboolean ramet_domain_get_metadata (RametDomain *domain, RametMetadata **ret_metadata, GError **error);
gboolean ramet_domain_set_metadata (RametDomain *domain, const RametMetadata *metadata, GError **error);
gboolean ramet_domain_get_autostart (RametDomain *domain);
gboolean ramet_domain_set_autostart (RametDomain *domain, gboolean autostart, GError **error);

gboolean ramet_domain_start (RametDomain *domain, GError **error);
gboolean ramet_domain_ask_off (RametDomain *domain, gboolean by_acpi, GError **error);
gboolean ramet_domain_destroy (RametDomain *domain, GError **error);
gboolean ramet_domain_suspend (RametDomain *domain, GError **error);
gboolean ramet_domain_resume (RametDomain *domain, GError **error);
gboolean ramet_domain_save (RametDomain *domain, GError **error);
gboolean ramet_domain_save_to (RametDomain *domain, const char *path, GError **error);
gboolean ramet_domain_abort_job (RametDomain *domain, GError **error);
gboolean ramet_domain_drop_saved (RametDomain *domain, GError **error);
gboolean ramet_domain_undefine (RametDomain *domain, GError **error);
gboolean ramet_domain_has_snapshots (RametDomain *domain);
gboolean ramet_domain_set_links (RametDomain *domain, gboolean up, GError **error);
char *ramet_domain_get_lease (RametDomain *domain);
gboolean ramet_domain_get_disk_size (RametDomain *domain, const char *target, guint64 *ret_bytes, GError **error);
gboolean ramet_domain_grow_disk (RametDomain *domain, const char *target, guint64 bytes, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametDomain, ramet_domain_unref)
