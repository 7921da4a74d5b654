/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

/*
 * What QEMU is told past libvirt, so that a guest's RAM is a copy-on-write view of a file: libvirt has no word for it. It
 * stands in the XML that a guest is restored with, and so in that of everything that is saved of it afterwards, but never in
 * its definition.
 */
#define RAMET_MEMORY_BLOCK "ramet.ram" /* the RAM's name in QEMU, and so in every stream that is saved of it from then on */

void ramet_memory_arguments_add (xmlNode *domain, const char *path, guint64 bytes);
gboolean ramet_memory_arguments_drop (xmlNode *domain, char **ret_path, guint64 *ret_bytes);
