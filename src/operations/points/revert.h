/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/points/points.h"

gboolean ramet_points_revert (RametConnection *connection, RametTask *task, GPtrArray *names, const char *snapshot,
                              GError **error);
