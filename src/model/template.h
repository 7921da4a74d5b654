/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/fingerprint.h"
#include "model/xml.h"

#define RAMET_TEMPLATE_MAX_SLOTS 16
#define RAMET_TEMPLATE_MAX_PACKAGES 1000

/* A file of a template's, whose content vouches for it: QEMU could write to it. */
typedef struct
{
  RametFingerprint *print;
  char *sha256; /* of all of it, in lower-case hex */
} RametTemplateFile;

/*
 * What is recorded of a template beside what is recorded of any clone: what its saved memory was made of and made with.
 *
 * It is an element of our metadata in the definition of the template's VM, which is off for good: that VM owns the disk that
 * clones stand on, and it has its base's fingerprints, its volumes and its setup as every clone has. So one thing in one place
 * says all, goes in and out in one call of libvirt's, and a plain member of the group reads it.
 */
typedef struct
{
  char *content;       /* names it by what is in its files, see ramet_template_content() */
  RametTemplateFile memory; /* the guest's RAM, just as long as that */
  RametTemplateFile state;  /* the save image without it */
  GPtrArray *disks;    /* (element-type RametFingerprint): its own, as they were when its memory was saved */

  /* the machine, see ramet_template_read_machine() */
  guint vcpus;
  guint64 memory_kib;
  guint n_slots;       /* devices for shares, tagged by ramet_template_slot_tag() from 0 on */
  char *mac;           /* what the guest takes its network interface to be */
  char *machine;       /* "pc-q35-7.2" */
  char *cpu;           /* a model or a mode: "host-passthrough" */
  char *ram_block;     /* the RAM's name in the save image: "pc.ram" */

  /* where it was made */
  char *qemu;          /* version: "7.2.0" */
  char *libvirt;
  char *host_cpu;      /* see ramet_template_host_cpu() */

  /* of what */
  char *definition;    /* see ramet_template_definition_digest(): of its base's definition */
  guint uid;           /* of the metadata's user */
  char *ssh_keys;      /* SHA-256 of the lines that let the user in */
  char *steps;         /* SHA-256 of the first-boot steps that set it up; or NULL: that was not recorded, so it fits nobody */
  GPtrArray *packages; /* (element-type utf8): asked for by name; the metadata's setup vouches for them */
} RametTemplate;

RametTemplate *ramet_template_new (void);
void ramet_template_free (RametTemplate *template);
RametTemplate *ramet_template_read (xmlNode *node);
void ramet_template_add (const RametTemplate *template, xmlNode *parent);

char *ramet_template_slot_tag (guint i);
char *ramet_template_content (const char *memory_sha256, const char *state_sha256);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametTemplate, ramet_template_free)
