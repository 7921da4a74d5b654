/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>


typedef struct
{
  char *path;
  char *format; /* "qcow2", "raw", … as probed */
  gboolean own; /* the VM's own: libvirt may give it to QEMU's user */
} RametLayer;

/* A disk of the base that the clone gets an overlay of its own for. */
typedef struct
{
  char *target;      /* "vda" */
  char *overlay;     /* path of the clone's qcow2 file */
  GPtrArray *layers; /* (element-type RametLayer): the backing chain, nearest first */
} RametOverlay;

/* All that is new in a clone: with the base's XML it gives the clone's, and nothing else does. */
typedef struct
{
  char *name;
  char *uuid;
  GPtrArray *macs;      /* (element-type utf8): one for each interface of the base, in order */
  GPtrArray *overlays;  /* (element-type RametOverlay) */
  GPtrArray *shares;    /* (element-type RametShare) */
  char *metadata;       /* our element in no namespace */
  char *nvram;          /* the clone's own variables file, or NULL if the base declares none */
  char *serial_log;     /* where the serial console is logged, or NULL: nowhere, or as other files of the base's */
  char *network;        /* for the first interface, or NULL as in the base */
  guint vcpus;          /* 0: as in the base */
  guint64 memory_kib;   /* 0: as in the base */
  gboolean link_down;   /* start with every link down */
  gboolean goes_on;     /* its guest goes on from saved memory, so all that it sees of its machine stays as it is */
  char *slot_folder;    /* with goes_on: what a share's device shows that none of @shares has a use for */
  gboolean drop_host_devices; /* leave out what belongs to the host or to one guest, rather than refuse it */
  gboolean keep_qemu_args;    /* take over what is handed to QEMU past libvirt */
  char **share_disks;         /* targets of writable shareable disks that base and clone may both use; or NULL */
} RametIdentity;

RametIdentity *ramet_identity_new (const char *name);
void ramet_identity_free (RametIdentity *identity);
RametOverlay *ramet_overlay_new (const char *target, const char *path);
void ramet_overlay_free (RametOverlay *overlay);
RametLayer *ramet_overlay_add_layer (RametOverlay *overlay, const char *path, const char *format);
const RametOverlay *ramet_identity_find_overlay (const RametIdentity *identity, const char *target);
char *ramet_identity_own_path (const RametIdentity *identity, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametIdentity, ramet_identity_free)
