/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/clone/plan.h"

char *ramet_clone_explain (RametClonePlan *plan, GError **error);
GPtrArray *ramet_clone_explain_steps (RametClonePlan *plan, GError **error);
char *ramet_clone_explain_diff (RametClonePlan *plan, GError **error);
