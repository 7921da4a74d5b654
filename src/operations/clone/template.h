/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/clone/clone.h"

#define RAMET_TEMPLATE_DEFAULT_SLOTS 4

/* What a user asks for. Strings are as typed. */
typedef struct
{
  const char *base;
  const char *const *ssh_keys; /* as of a clone */
  const char *ssh_keys_from;
  GPtrArray *packages;         /* (element-type RametExtra) */
  const char *user;
  const char *pool;
  guint vcpus;
  guint64 memory_bytes;
  guint n_slots;               /* how many shares its clones may have */
  guint timeout_s;
} RametTemplateOptions;

gboolean ramet_template_create (RametConnection *connection, RametTask *task, const RametTemplateOptions *options,
                                char **ret_name, GError **error);
