/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/clone/bootstrap.h"
#include "operations/clone/plan.h"

/* A clone that goes on from a template's saved memory, rather than to boot. */

gboolean ramet_clone_pick_template (RametClonePlan *plan, RametTask *task, GPtrArray *findings, GError **error);
gboolean ramet_clone_check_parent_stays (RametClonePlan *plan, GError **error);
gboolean ramet_clone_restore (RametClonePlan *plan, RametDomain *domain, RametTask *task, GError **error);
gboolean ramet_clone_become (RametClonePlan *plan, RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);
