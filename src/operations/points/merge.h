/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/points/points.h"

gboolean ramet_points_delete_file (RametPointVm *pvm, const char *path, GError **error);
gboolean ramet_points_collect (RametPointVm *pvm, RametTask *task, gboolean *ret_written, GError **error);
gboolean ramet_points_mend (RametPointVm *pvm, RametTask *task, gboolean *ret_mended, GError **error);
gboolean ramet_points_read_layers (RametPointVm *pvm, RametPoint *point, GError **error);
