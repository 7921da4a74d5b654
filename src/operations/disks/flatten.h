/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "operations/vm/vm.h"

typedef struct
{
  gboolean force; /* although the base has changed since the clone was made */
} RametFlattenOptions;

gboolean ramet_flatten (RametVm *vm, RametTask *task, const RametFlattenOptions *options, GError **error);
