/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/files/access.h"
#include "model/domain.h"
#include "model/rewrite.h"
#include "operations/clone/bootstrap.h"
#include "operations/clone/clone.h"
#include "operations/template/store.h"

/* A disk to be made. */
typedef struct
{
  char *volume;   /* its name in the pool */
  char *path;
  char *backing;
  char *backing_format;
  guint64 capacity; /* bytes */
} RametPlannedVolume;

/* A file or folder to be opened to QEMU's user; one that is open may be so for another VM's sake, and not for long. */
typedef struct
{
  char *path;
  gboolean is_file;
  gboolean is_closed; /* now */
} RametPlannedGrant;

void ramet_planned_grant_free (gpointer data);

struct _RametClonePlan
{
  RametConnection *connection;
  const RametCloneOptions *options;
  char *base_xml;
  RametDomainFacts *base;
  RametMetadata *source;   /* of the VM whose snapshot is cloned, as it is now; or NULL */
  const RametPoint *point; /* that snapshot, in @source; or NULL */
  RametMetadata *then;     /* of that VM as it was then; or NULL */
  RametIdentity *identity;
  RametMetadata *metadata;
  GPtrArray *volumes; /* (element-type RametPlannedVolume) */
  GPtrArray *grants;  /* (element-type RametPlannedGrant) */
  GPtrArray *steps;   /* (element-type RametConfigFile): of its first boot, read once; or NULL: nothing is set up */
  char *pool;
  char *pool_folder;
  char *nvram_source; /* variables to copy, or NULL */
  gboolean nvram_may_miss; /* a base that never ran has none yet */
  char *ssh_keys;     /* lines */
  char *user;
  guint uid;
  guint gid;
  gboolean keeps_uid; /* the guest knows the user's numbers, or finds some */
  char *gecos;
  RametAccount *qemu; /* looked up when first needed */
  char *memory_of;    /* what it goes on from, or NULL: it boots. Without @point that is a template */
  char *why_it_boots; /* what is wrong with the templates that there are; NULL if it does not boot, or there are none */
  RametTemplate *template; /* whose memory it is, or NULL: @state has it all */
  RametTemplateState state;
  char *state_path;   /* what it is restored from */
  RametVm *vm;        /* once made */
};

char *ramet_clone_plan_xml (RametClonePlan *plan, GError **error);

/* clone-access.c: what QEMU's user must be able to reach */
void ramet_clone_check_readable (RametClonePlan *plan, const char *what, const char *path, GPtrArray *findings);
void ramet_clone_plan_shares (RametClonePlan *plan, RametTask *task, gboolean survey, GPtrArray *findings);

/* clone-point.c: what is cloned as it was at a snapshot */
gboolean ramet_clone_read_point (RametClonePlan *plan, const char *name, const char *point, GError **error);
gboolean ramet_clone_is_own_layer (const RametClonePlan *plan, const char *target, const char *path);
const RametShare *ramet_clone_find_then_share (const RametClonePlan *plan, const char *source, const char *target);
gboolean ramet_clone_check_point_stays (RametClonePlan *plan, GError **error);

/* clone-disks.c: overlays, UEFI variables and the room for them */
void ramet_clone_check_pool (RametClonePlan *plan, GPtrArray *findings);
void ramet_clone_plan_disks (RametClonePlan *plan, GPtrArray *findings);
void ramet_clone_plan_disks_as_declared (RametClonePlan *plan);
void ramet_clone_plan_nvram (RametClonePlan *plan);
void ramet_clone_check_boot_files (RametClonePlan *plan, GPtrArray *findings);
