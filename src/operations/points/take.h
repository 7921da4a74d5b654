/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/undo.h"
#include "operations/points/plan.h"

gboolean ramet_point_members_take (GPtrArray *members, GPtrArray *running, RametTask *task, RametUndo *undo,
                                   GError **error);
gboolean ramet_point_member_read (RametPointMember *member, GError **error);
