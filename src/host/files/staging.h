/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

/*
 * Changes to a folder that are made all or not at all. What is to be put there is written to a folder beside it first; only
 * then are files exchanged, each by a rename. Whoever is killed meanwhile leaves a journal, by which the next one puts back
 * what was there. Paths are taken beneath the folder, see host/files/beneath.h.
 */
typedef struct _RametStaging RametStaging;

/* What has to be at a path still when its turn comes. */
typedef struct
{
  gboolean exists;
  guint64 device;
  guint64 inode;
  guint64 size;
  gint64 mtime_ns;
  gint64 ctime_ns;
} RametStagingExpected;

RametStaging *ramet_staging_new (int root_fd, const char *root_path, GError **error);
void ramet_staging_allow_git (RametStaging *staging);
void ramet_staging_free (RametStaging *staging);
gboolean ramet_staging_recover (int root_fd, const char *root_path, guint *ret_n_taken_back, GError **error);

int ramet_staging_create (RametStaging *staging, guint *ret_number, GError **error);
gboolean ramet_staging_create_link (RametStaging *staging, const char *target, guint *ret_number, GError **error);
void ramet_staging_forget (RametStaging *staging, guint number);

void ramet_staging_plan_put (RametStaging *staging, guint number, const char *path, const RametStagingExpected *expected);
void ramet_staging_plan_remove (RametStaging *staging, const char *path, const RametStagingExpected *expected);
void ramet_staging_plan_make_folder (RametStaging *staging, const char *path);
void ramet_staging_plan_remove_folder (RametStaging *staging, const char *path);
gboolean ramet_staging_commit (RametStaging *staging, RametTask *task, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametStaging, ramet_staging_free)
