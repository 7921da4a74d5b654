/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/base/base.h"

char *ramet_base_update (RametConnection *connection, RametTask *task, const char *name, const char *image,
                         guint timeout_s, GError **error);
