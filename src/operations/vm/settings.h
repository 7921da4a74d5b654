/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "operations/vm/vm.h"

/* What is to be changed of a VM that there is. */
typedef struct
{
  guint vcpus;                      /* 0: as it is */
  guint64 memory_bytes;             /* 0: as it is */
  guint64 disk_bytes;               /* of the first disk; 0: as it is */
  const char *const *add_shares;    /* DIR[:GUESTDIR], DIR from the current folder; or NULL */
  const char *const *remove_shares; /* host folders, from the current one; or NULL */
  const char *const *remove_tags;   /* mount tags of single shares, or NULL */
  gboolean grant;                   /* set the ACLs that QEMU's user needs */
  gboolean dry_run;                 /* only say what would be changed */
} RametSettings;

/* What ramet can tell apart of a VM's settings. */
typedef struct
{
  guint vcpus;
  guint64 memory_bytes;
  guint64 disk_bytes; /* of the first disk; 0 if it has none of ramet's */
  char *disk;         /* its target: "vda"; or NULL */
  char *disk_path;
  char *network;      /* of the first interface, or NULL */
  gboolean is_behind; /* it runs with other CPUs, memory or shares than it will have after the next start */
} RametSettingsNow;

gboolean ramet_settings_look (RametVm *vm, RametSettingsNow *ret_now, GError **error);
void ramet_settings_now_clear (RametSettingsNow *now);
gboolean ramet_settings_apply (RametVm *vm, RametTask *task, const RametSettings *settings, GPtrArray *ret_notes,
                               GError **error);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametSettingsNow, ramet_settings_now_clear)
