/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/identity.h"
#include "model/template.h"

/* The machine of a template: what its clones cannot have otherwise, since their guests have seen it already. */
char *ramet_template_machine_xml (const char *clone_xml, const char *slot_folder, guint n_slots, GError **error);
gboolean ramet_template_read_machine (RametTemplate *template, const char *saved_xml, GError **error);
char *ramet_template_definition_digest (const char *base_xml, GError **error);
char *ramet_template_host_cpu (const char *capabilities_xml, GError **error);

gboolean ramet_template_clone_xml (const char *saved_xml, const RametIdentity *identity, const char *memory_path,
                                   GPtrArray *ret_notes, char **ret_definition, char **ret_running, GError **error);
