/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "host/files/staging.h"

struct FTW;

/* A folder "tree" with some files, beside a folder "outside". */
typedef struct
{
  char *dir;
  char *tree;
  int fd;
  RametTask *task;
} Fixture;

typedef struct
{
  const char *name;
  void (*func) (Fixture *, gconstpointer);
  gconstpointer data;
} StagingTest;

#define assert_text(path, wanted)                                                                                       \
  G_STMT_START                                                                                                         \
  {                                                                                                                    \
    g_autofree char *text_ = get (f, path);                                                                            \
    g_assert_cmpstr (text_, ==, wanted);                                                                               \
  }                                                                                                                    \
  G_STMT_END

void put (const Fixture *f, const char *path, const char *text);
char *get (const Fixture *f, const char *path);
void set_up (Fixture *f, gconstpointer data);
int remove_one (const char *path, const struct stat *st, int flag, struct FTW *ftw);
void tear_down (Fixture *f, gconstpointer data);
RametStagingExpected look (const Fixture *f, const char *path);
void plan_put (const Fixture *f, RametStaging *staging, const char *path, const char *text);
void plan_all (const Fixture *f, RametStaging *staging);
guint count_entries (const Fixture *f);
void assert_before (const Fixture *f);
void assert_after (const Fixture *f);
int run_staging_tests (int *argc, char ***argv, const StagingTest *tests, gsize n_tests);
