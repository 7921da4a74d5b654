/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/metadata.h"

/* The host, and a template's base and files on it, as they are now. */
typedef struct
{
  const char *qemu;     /* version */
  const char *libvirt;
  const char *host_cpu; /* see ramet_template_host_cpu() */
  const char *base_definition; /* see ramet_template_definition_digest(); or NULL: there is no such base any more */
  const char *disk_change;     /* in one line, what of its own and its base's disks is not what it was; or NULL or "" */
  const RametFingerprint *memory; /* or NULL: it is gone */
  const RametFingerprint *state;
} RametTemplateNow;

/* A clone as it is wanted, with all that was left open taken from the base. */
typedef struct
{
  guint vcpus;
  guint64 memory_kib;
  guint n_shares;
  guint n_interfaces;
  gboolean larger_disk; /* its root filesystem has to grow */
  const char *user;
  guint uid;
  const char *ssh_keys; /* SHA-256, as in the template */
  const char *setup;    /* as in the metadata */
  const char *steps;    /* SHA-256, as in the template */
} RametTemplateWanted;

char *ramet_template_why_stale (const RametMetadata *metadata, const RametTemplateNow *now);
char *ramet_template_why_not (const RametMetadata *metadata, const RametTemplateWanted *wanted);
