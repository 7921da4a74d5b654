/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct
{
  const char *name;
  const char *type; /* "kvm" or "qemu" */
  const char *disk; /* absolute path of its qcow2 file */
  const char *network;
  guint64 memory_kib;
  gboolean uefi;
  const char *metadata; /* our element in no namespace */
} RametBaseParameters;

char *ramet_base_domain_xml (const char *template_xml, const RametBaseParameters *parameters, GError **error);
