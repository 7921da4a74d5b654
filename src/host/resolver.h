/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

gboolean ramet_resolver_resolve (RametTask *task, const char *host_name, const char *wanted, gint64 deadline_us,
                                 char **ret_address, GError **error);
