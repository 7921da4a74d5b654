/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/libvirt/connection.h"

#define RAMET_DEFAULT_BASE "debian-12"
#define RAMET_DEFAULT_SUITE "bookworm"

typedef struct
{
  const char *name;
  const char *version_of; /* what it is cloned by, with the other versions of it; or NULL: its own name */
  const char *image;   /* a ready qcow2 file, or NULL: build one */
  const char *suite;   /* or NULL: RAMET_DEFAULT_SUITE */
  const char *init;    /* or NULL: systemd */
  const char *mirror;  /* or NULL: the host's */
  const char *pool;    /* or NULL: RAMET_DEFAULT_POOL */
  const char *network; /* or NULL: "default" */
  guint64 disk_bytes;  /* virtual size; 0: the builder's own default */
  guint64 memory_bytes;
  guint timeout_s;     /* seconds for the trial boot */
  gboolean uefi;
  gboolean emulate;    /* no KVM even where it works */
} RametBaseOptions;

gboolean ramet_base_build (RametConnection *connection, RametTask *task, const RametBaseOptions *options,
                           GError **error);
gboolean ramet_base_remove (RametConnection *connection, RametTask *task, const char *name, GError **error);
