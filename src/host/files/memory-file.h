/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "model/migration.h"
#include "model/save-image.h"

/* A save image's two halves, each of which is of use to many VMs: the guest's RAM as a file, and what is left. */
typedef struct
{
  int save_fd;           /* at the save image's first byte: a file, or a pipe */
  const char *save_name; /* for messages */
  RametMigrationRam ram;
  const char *memory_path; /* there is nothing yet; the new file is its owner's alone, and as long as the RAM */
  int state_fd;            /* gets QEMU's stream without the RAM, from where it stands */
  const char *state_name;
} RametMemorySplit;

/* The two again in one, as if they had never been split. */
typedef struct
{
  int state_fd; /* at QEMU's stream without the RAM */
  const char *state_name;
  int memory_fd; /* a file */
  const char *memory_name;
  RametMigrationRam ram; /* as the state has it, and as it shall be */
  int save_fd; /* gets QEMU's stream with the RAM, from where it stands */
  const char *save_name;
} RametMemoryJoin;

RametSaveImage *ramet_memory_read_head (int fd, const char *name, goffset *ret_stream_at, GError **error);
RametSaveImage *ramet_memory_split (RametTask *task, const RametMemorySplit *split, GError **error);
gboolean ramet_memory_join (RametTask *task, const RametMemoryJoin *join, GError **error);
char *ramet_memory_hash (RametTask *task, int fd, const char *name, GError **error);
