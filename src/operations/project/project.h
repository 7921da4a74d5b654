/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/project.h"
#include "operations/vm/vm.h"

char *ramet_project_find_file (GError **error);
RametProject *ramet_project_load (const char *path, GError **error);
RametProject *ramet_project_load_here (GError **error);
GPtrArray *ramet_project_list_names (RametConnection *connection, const char *project, const RametProject *file,
                                     gboolean as_written, GError **error);
