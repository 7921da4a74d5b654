/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

#define RAMET_QEMU_URI "http://libvirt.org/schemas/domain/qemu/1.0"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlDoc, xmlFreeDoc)

xmlDoc *ramet_xml_parse (const char *text, const char *root, GError **error);
char *ramet_xml_dump (xmlDoc *doc);
gboolean ramet_xml_can_hold (const char *text);
char *ramet_xml_where (xmlNode *node);

xmlNode *ramet_xml_first (xmlNode *parent, const char *name);
xmlNode *ramet_xml_next (xmlNode *node, const char *name);
xmlNode *ramet_xml_at (xmlNode *node, const char *path);
gboolean ramet_xml_is (xmlNode *node, const char *name);

char *ramet_xml_get (xmlNode *node, const char *attribute);
gboolean ramet_xml_has (xmlNode *node, const char *attribute, const char *value);
void ramet_xml_set (xmlNode *node, const char *attribute, const char *value);
void ramet_xml_unset (xmlNode *node, const char *attribute);
char *ramet_xml_text (xmlNode *node);
void ramet_xml_set_text (xmlNode *node, const char *text);

xmlNode *ramet_xml_add (xmlNode *parent, const char *name, const char *text);
void ramet_xml_drop (xmlNode *node);
void ramet_xml_drop_children (xmlNode *parent, const char *name);
