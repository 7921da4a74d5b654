/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/place.h"

gboolean ramet_complete_knows (const char *form);
void ramet_complete (const RametPlace *place);
