/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "model/config.h"
#include "operations/project/project.h"

/* How VMs of a project are brought up. */
typedef struct
{
  gboolean grant;  /* set the ACLs that QEMU's user needs */
  gboolean keep;   /* leave a VM that failed for looking into */
  guint timeout_s; /* seconds, for all the waiting on one guest */
  const RametConfig *config; /* for what the file leaves open in a VM that is made */
} RametUpOptions;

/* What a VM of the project needs. */
typedef enum
{
  RAMET_UP_NOTHING,
  RAMET_UP_MAKE,
  RAMET_UP_START,
  RAMET_UP_RESUME,
  RAMET_UP_CHANGE, /* it runs, and is to be changed as it does */
} RametUpNeed;

const char *ramet_up_need_name (RametUpNeed need);
gboolean ramet_up_look (RametConnection *connection, RametTask *task, const RametProject *project,
                        const RametProjectVm *wanted, RametUpNeed *ret_need, GPtrArray *ret_notes, GError **error);
gboolean ramet_up_one (RametConnection *connection, RametTask *task, const RametProject *project,
                       const RametProjectVm *wanted, const RametUpOptions *options, GError **error);
