/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/clone/clone.h"

/* What a user asks for. Strings are as typed. */
typedef struct
{
  const char *name;
  const char *new_name;
  gboolean stop_users; /* services that hold a share are stopped, and started again in both */
  gboolean kill_users; /* other processes that hold one are ended */
  guint timeout_s;
} RametForkOptions;

gboolean ramet_fork (RametConnection *connection, RametTask *task, const RametForkOptions *options, char **ret_address,
                     GError **error);
