/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/fingerprint.h"
#include "model/point.h"
#include "model/recipe.h"
#include "model/share.h"
#include "model/template.h"
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
  RAMET_STATE_TEMPLATE,      /* its memory is saved for clones to go on from; it never runs again */
} RametState;

/* A volume that ramet made, so that remove takes just these. */
typedef struct
{
  char *pool;
  char *name;
  char *path; /* absolute, on the host of libvirtd */
  gboolean spare; /* not in use yet, or no longer: it may go whenever no domain has it as a disk */
} RametVolumeRef;

/* Our element in a domain's <metadata>: all the state that ramet keeps of a VM. */
typedef struct
{
  RametState state;
  char *created;   /* ISO 8601, UTC */
  char *base_name;
  char *base_uuid;
  char *base_point; /* the snapshot of it that was cloned, or NULL */
  char *project;   /* or NULL */
  char *user;      /* login name in the guest, or NULL */
  char *host_keys; /* "TYPE BASE64" lines read over the console, or NULL */
  char *console;   /* how a base offers its root console: "ttyS0"; or NULL */
  RametRecipe *recipe;     /* of a base that ramet built, or NULL */
  RametTemplate *template; /* of a template, or NULL */
  char *worker;    /* who makes, removes or changes it, see ramet_worker_self(); or NULL */
  char *setup;     /* SHA-256 of the packages and scripts that it was made with, or NULL */
  gboolean guest_is_behind; /* it was not told yet of shares and disks as they are now */
  GPtrArray *shares;       /* (element-type RametShare) */
  GPtrArray *former_shares; /* (element-type RametShare): none any more, and their tags do not tell what they were of */
  GPtrArray *volumes;      /* (element-type RametVolumeRef) */
  GPtrArray *grants;       /* (element-type utf8): records of ramet_access_grant() */
  GPtrArray *fingerprints; /* (element-type RametFingerprint): of the files that it stands on */
  GPtrArray *points;       /* (element-type RametPoint) */
  char *current;           /* the point that its disks stand on, or NULL: on the base */
} RametMetadata;

RametMetadata *ramet_metadata_new (RametState state);
void ramet_metadata_free (RametMetadata *metadata);
RametMetadata *ramet_metadata_parse (const char *xml, GError **error);
char *ramet_metadata_to_xml (const RametMetadata *metadata);

gboolean ramet_metadata_embed (xmlNode *domain, const char *metadata_xml, GError **error);

const char *ramet_state_name (RametState state);
RametFingerprint *ramet_metadata_add_fingerprint (RametMetadata *metadata, const char *target, const char *path,
                                                  const char *format);
RametVolumeRef *ramet_metadata_add_volume (RametMetadata *metadata, const char *pool, const char *name, const char *path);
RametVolumeRef *ramet_metadata_find_volume (const RametMetadata *metadata, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametMetadata, ramet_metadata_free)
