/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "operations/vm/vm.h"

typedef struct
{
  const char *base; /* where the base is known not to be found by its UUID; or NULL */
  gboolean force;   /* although the base is not what it was when the clone was made */
} RametRebaseOptions;

gboolean ramet_rebase (RametVm *vm, RametTask *task, const RametRebaseOptions *options, GError **error);
