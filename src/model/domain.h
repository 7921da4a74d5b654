/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

typedef struct
{
  char *target;   /* "vda" */
  char *type;     /* "file", "block", "volume", "network", … */
  char *device;   /* "disk", "cdrom", "floppy", "lun" */
  char *path;     /* of a file or block device, or NULL (an empty drive, or another type) */
  char *pool;     /* of type volume, or NULL */
  char *volume;
  char *format;   /* as declared; "raw" where nothing is */
  gboolean readonly;
  gboolean shareable;
} RametDomainDisk;

/* What ramet wants to know of a domain's XML. */
typedef struct
{
  char *name;
  char *uuid;
  char *type; /* "kvm", "qemu", … */
  guint64 memory_kib;
  guint vcpus;
  gboolean firmware_efi; /* firmware='efi': libvirt picks loader and NVRAM when it starts */
  char *nvram;           /* path of the variables as declared, or NULL */
  GPtrArray *boot_files; /* (element-type utf8): loader, kernel, initrd and dtb, as far as declared */
  gboolean has_console;  /* a serial port with a pty */
  char *serial_log;      /* where the first serial port is logged, or NULL */
  char *metadata;        /* our element, or NULL */
  GPtrArray *disks;      /* (element-type RametDomainDisk) */
  guint n_interfaces;
  char *network;         /* libvirt network of the first interface, or NULL */
  GPtrArray *macs;       /* (element-type utf8): lower case; not every interface need have one */
  GPtrArray *tags;       /* (element-type utf8): of its filesystems */
  GPtrArray *folders;    /* (element-type utf8): what each of these shows, "" where that is no folder */
} RametDomainFacts;

RametDomainFacts *ramet_domain_facts_new (const char *xml, GError **error);
void ramet_domain_facts_free (RametDomainFacts *facts);
gboolean ramet_domain_disk_wants_overlay (const RametDomainDisk *disk);
gboolean ramet_domain_xml_collect_macs (const char *xml, GHashTable *macs);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametDomainFacts, ramet_domain_facts_free)
