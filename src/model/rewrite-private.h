/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/error.h"
#include "model/identity.h"
#include "model/xml.h"

/* One pass over a base's XML. */
typedef struct
{
  const RametIdentity *identity;
  RametFindings *findings; /* what cannot be cloned safely */
  GPtrArray *notes;        /* (element-type utf8): what a clone lacks or shares; for the user */
  GPtrArray *dropped;      /* (element-type xmlNode): taken out at the end, so that every XPath is the base's */
  guint n_interfaces;      /* seen so far */
  guint n_slots_taken;     /* devices that carry one of the identity's shares from now on */
  gboolean has_serial;     /* the first serial port, which carries the root console, was seen */
  gboolean has_console;
  gboolean has_agent;
} RametRewrite;

typedef void (*RametRewriteRule) (RametRewrite *rewrite, xmlNode *node);

/*
 * What may stand in a base. An element that has no row, and an attribute that its row does not list, may name something
 * outside the guest and is refused.
 */
typedef struct
{
  const char *path;       /* element names below <domain>, with slashes between; in devices, the device's may be "*" */
  const char *attributes; /* that may stand there, with spaces between; NULL: any, and whatever is inside as well */
  RametRewriteRule rule;  /* done first; may be NULL */
} RametRewriteRow;

extern const RametRewriteRow ramet_rewrite_rows[];
extern const gsize ramet_rewrite_n_rows;

void ramet_rewrite_note (RametRewrite *rewrite, const char *format, ...) G_GNUC_PRINTF (2, 3);
void ramet_rewrite_refuse (RametRewrite *rewrite, xmlNode *node, const char *why, const char *hint);
void ramet_rewrite_drop (RametRewrite *rewrite, xmlNode *node);
void ramet_rewrite_drop_children (RametRewrite *rewrite, xmlNode *parent, const char *name);
gboolean ramet_rewrite_leave_out (RametRewrite *rewrite, xmlNode *node, const char *why);
void ramet_rewrite_settle (xmlNode *node);
gboolean ramet_rewrite_is_done (const xmlNode *node);
xmlNode *ramet_rewrite_add (xmlNode *parent, const char *name, const char *text);

/* rewrite-domain.c: what is no device */
void ramet_rule_name (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_uuid (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_genid (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_drop (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_metadata (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_vcpu (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_vcpus (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_memory (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_cpu (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_loader (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_nvram (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_acpi_table (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_sysinfo (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_seclabel (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_host_part (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_qemu (RametRewrite *rewrite, xmlNode *node);

/* rewrite-devices.c */
void ramet_rule_disk (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_interface (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_chardev (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_log (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_channel (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_graphics (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_input (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_rng (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_tpm (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_spice_only (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_audio (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_memory_device (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_crypto (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_vsock (RametRewrite *rewrite, xmlNode *node);
void ramet_rule_filesystem (RametRewrite *rewrite, xmlNode *node);
