/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

gboolean ramet_name_check_vm (const char *name, GError **error);
gboolean ramet_name_check_project (const char *name, GError **error);
gboolean ramet_name_check_snapshot (const char *name, GError **error);
gboolean ramet_name_split_point (const char *text, char **ret_vm, char **ret_snapshot);
gboolean ramet_name_check_base (const char *name, GError **error);
gboolean ramet_name_check_package (const char *name, GError **error);
gboolean ramet_name_check_user (const char *name, GError **error);
gboolean ramet_name_is_renameable (const char *name);

gboolean ramet_name_parse_mac (const char *text, char **ret_mac, GError **error);
char *ramet_name_mac_from_bytes (const guint8 bytes[3]);

gboolean ramet_name_parse_size (const char *text, guint64 unit_default, guint64 *ret_bytes, GError **error);
