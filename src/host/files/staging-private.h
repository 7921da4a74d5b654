/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

#include "host/files/staging.h"
#include "model/upper.h"

#define STAGING_JOURNAL "journal"
#define STAGING_JOURNAL_PART STAGING_JOURNAL ".part"

typedef enum
{
  STAGING_PUT = 'P',
  STAGING_REMOVE = 'D',
  STAGING_MAKE_FOLDER = 'M',
  STAGING_REMOVE_FOLDER = 'R',
} StagingKind;

/* One change to come, and all that is needed to take it back. */
typedef struct
{
  StagingKind kind;
  guint number;     /* its file in new/ or old/ */
  mode_t mode;      /* of a folder to be removed */
  char *path;
  RametStagingExpected expected; /* of which size and times are in the journal */
  RametStagingExpected staged;   /* the file to put there; of which inode, size and mtime are in the journal */
} StagingOp;

/* The folder that a staging lives in. */
typedef struct
{
  int root_fd; /* borrowed */
  int fd;      /* locked as long as somebody works in it */
  int new_fd;
  int old_fd;
  char *name;  /* beneath the root */
  char *path;  /* for messages: with the root's, and escaped */
  gboolean with_git; /* changes may lead into folders of git's own */
} StagingFolder;

gboolean staging_folder_make (int root_fd, const char *root_path, StagingFolder *ret_folder, GError **error);
gboolean staging_folder_open (int root_fd, const char *root_path, const char *name, StagingFolder *ret_folder,
                              GError **error);
void staging_folder_close (StagingFolder *folder);
void staging_folder_delete (StagingFolder *folder);
gboolean staging_look (int dir_fd, const char *name, RametStagingExpected *ret_found);
char *staging_read_file (int dir_fd, const char *name, gsize max, gsize *ret_length);

void staging_op_free (gpointer op);
gboolean staging_journal_write (const StagingFolder *folder, GPtrArray *ops, GError **error);
gboolean staging_journal_read (StagingFolder *folder, GPtrArray **ret_ops, GError **error);
gboolean staging_journal_end (const StagingFolder *folder, GError **error);
gboolean staging_take_back (const StagingFolder *folder, GPtrArray *ops, GError **error);
