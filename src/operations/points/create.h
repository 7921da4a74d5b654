/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/points/points.h"

typedef struct
{
  gboolean disk_only;  /* no memory, so that no share is detached */
  gboolean stop_users; /* services that hold a share are stopped, and started again */
  gboolean kill_users; /* other processes that hold one are ended */
} RametPointsCreateOptions;

char *ramet_points_default_name (void);
gboolean ramet_points_create (RametConnection *connection, RametTask *task, GPtrArray *names, const char *snapshot,
                              const RametPointsCreateOptions *options, GError **error);
