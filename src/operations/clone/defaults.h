/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/config.h"
#include "operations/clone/clone.h"

const char *ramet_defaults_base (const RametConfig *config, const char *command, GError **error);
void ramet_defaults_fill (const RametConfig *config, RametCloneOptions *options);
