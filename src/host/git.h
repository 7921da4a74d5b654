/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/pipe.h"

/*
 * Two trees in a repository of git's for the time of one comparison. Paths and contents go in as a stream, so that no file
 * bears a name that somebody else chose, and no setting or attribute of the user's or the tree's has a say.
 */
typedef struct _RametGit RametGit;

typedef enum
{
  RAMET_GIT_OLD,
  RAMET_GIT_NEW,
} RametGitSide;

typedef enum
{
  RAMET_GIT_PATCH,
  RAMET_GIT_STAT,
  RAMET_GIT_NAMES,
} RametGitForm;

RametGit *ramet_git_new (GError **error);
void ramet_git_free (RametGit *git);
gboolean ramet_git_begin_blob (RametGit *git, guint64 size, guint *ret_mark, GError **error);
gboolean ramet_git_write (RametGit *git, const guint8 *bytes, gsize length, GError **error);
gboolean ramet_git_end_blob (RametGit *git, GError **error);
gboolean ramet_git_begin_tree (RametGit *git, RametGitSide side, GError **error);
gboolean ramet_git_add (RametGit *git, guint mark, mode_t mode, const char *path, GError **error);
gboolean ramet_git_finish (RametGit *git, RametTask *task, GError **error);
gboolean ramet_git_compare (RametGit *git, RametTask *task, RametGitForm form, gboolean nul, guint columns,
                            RametPipeFunc func, gpointer data, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametGit, ramet_git_free)
