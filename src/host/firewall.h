/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

gboolean ramet_firewall_blocks_mdns (RametTask *task, const char *bridge, char **ret_rule, GError **error);
gboolean ramet_firewall_has_program (const char *name);
