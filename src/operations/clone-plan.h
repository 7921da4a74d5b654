/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/access.h"
#include "model/domain.h"
#include "model/rewrite.h"
#include "operations/bootstrap.h"
#include "operations/clone.h"

/* A disk to be made. */
typedef struct
{
  char *volume;   /* its name in the pool */
  char *path;
  char *backing;
  char *backing_format;
  guint64 capacity; /* bytes */
} RametPlannedVolume;

/* A file or folder to be opened to QEMU's user. */
typedef struct
{
  char *path;
  gboolean is_file;
} RametPlannedGrant;

struct _RametClonePlan
{
  RametConnection *connection;
  const RametCloneOptions *options;
  char *base_xml;
  RametDomainFacts *base;
  RametIdentity *identity;
  RametMetadata *metadata;
  GPtrArray *volumes; /* (element-type RametPlannedVolume) */
  GPtrArray *grants;  /* (element-type RametPlannedGrant) */
  char *pool;
  char *pool_folder;
  char *nvram_source; /* variables to copy, or NULL */
  gboolean nvram_may_miss; /* a base that never ran has none yet */
  char *ssh_keys;     /* lines */
  char *user;
  guint uid;
  guint gid;
  char *gecos;
  RametAccount *qemu; /* looked up when first needed */
  RametVm *vm;        /* once made */
};

char *ramet_clone_plan_xml (RametClonePlan *plan, GError **error);

/* clone-access.c: what QEMU's user must be able to reach */
void ramet_clone_check_readable (RametClonePlan *plan, const char *what, const char *path, GPtrArray *findings);
void ramet_clone_plan_shares (RametClonePlan *plan, RametTask *task, gboolean survey, GPtrArray *findings);

/* clone-disks.c: overlays, UEFI variables and the room for them */
void ramet_clone_check_pool (RametClonePlan *plan, GPtrArray *findings);
void ramet_clone_plan_disks (RametClonePlan *plan, GPtrArray *findings);
void ramet_clone_plan_disks_as_declared (RametClonePlan *plan);
void ramet_clone_plan_nvram (RametClonePlan *plan);
void ramet_clone_check_boot_files (RametClonePlan *plan, GPtrArray *findings);
