/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/points/points.h"

gboolean ramet_points_delete (RametConnection *connection, RametTask *task, const char *name, const char *snapshot,
                              gboolean despite_clones, GError **error);
