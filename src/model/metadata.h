/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/recipe.h"
#include "model/share.h"
#include "model/xml.h"

#define RAMET_METADATA_URI "urn:ramet:1"
#define RAMET_METADATA_PREFIX "ramet"

typedef enum
{
  RAMET_STATE_FOREIGN,       /* not made by ramet: no metadata of ours */
  RAMET_STATE_CREATING,      /* defined; disks are being made */
  RAMET_STATE_BOOTSTRAPPING, /* first-boot steps run */
  RAMET_STATE_READY,         /* a clone to work with; its console is sealed */
  RAMET_STATE_RAW,           /* a clone made with --no-bootstrap: its root console is open */
  RAMET_STATE_REMOVING,      /* being taken apart */
  RAMET_STATE_BASE,          /* made by `ramet base build` */
} RametState;

/* A volume that ramet made, so that remove takes just these. */
typedef struct
{
  char *pool;
  char *name;
  char *path; /* absolute, on the host of libvirtd */
} RametVolumeRef;

/* What a file looked like when a clone was made from it. What was not known then is 0 or NULL. */
typedef struct
{
  char *target;     /* the disk's target in the base: "vda" */
  char *path;       /* absolute */
  char *format;     /* as probed: "qcow2", "raw" */
  guint64 inode;    /* which file it is; device numbers do not last over a reboot */
  guint64 size;     /* bytes of the file */
  gint64 mtime_ns;  /* nanoseconds since 1970 */
  guint64 capacity; /* virtual size in bytes */
  char *header;     /* SHA-256 of its first RAMET_DISK_HEADER_BYTES, in lower-case hex */
} RametFingerprint;

/* Our element in a domain's <metadata>: all the state that ramet keeps of a VM. */
typedef struct
{
  RametState state;
  char *created;   /* ISO 8601, UTC */
  char *base_name;
  char *base_uuid;
  char *project;   /* or NULL */
  char *user;      /* login name in the guest, or NULL */
  char *host_keys; /* "TYPE BASE64" lines read over the console, or NULL */
  char *console;   /* how a base offers its root console: "ttyS0"; or NULL */
  RametRecipe *recipe;     /* of a base that ramet built, or NULL */
  char *worker;    /* who makes or removes it, see ramet_worker_self(); means nothing once it is made; or NULL */
  GPtrArray *shares;       /* (element-type RametShare) */
  GPtrArray *volumes;      /* (element-type RametVolumeRef) */
  GPtrArray *grants;       /* (element-type utf8): records of ramet_access_grant() */
  GPtrArray *fingerprints; /* (element-type RametFingerprint) */
} RametMetadata;

RametMetadata *ramet_metadata_new (RametState state);
void ramet_metadata_free (RametMetadata *metadata);
RametMetadata *ramet_metadata_parse (const char *xml, GError **error);
char *ramet_metadata_to_xml (const RametMetadata *metadata);

gboolean ramet_metadata_embed (xmlNode *domain, const char *metadata_xml, GError **error);

const char *ramet_state_name (RametState state);
RametFingerprint *ramet_metadata_add_fingerprint (RametMetadata *metadata, const char *target, const char *path,
                                                  const char *format);
void ramet_metadata_add_volume (RametMetadata *metadata, const char *pool, const char *name, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametMetadata, ramet_metadata_free)
