/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "operations/vm/vm.h"

/* The versions of a base: what `ramet base update` has made beside the first one. */

const char *ramet_version_of (const RametVm *base);
GPtrArray *ramet_versions_list (RametConnection *connection, const char *version_of, GError **error);
RametVm *ramet_versions_open_newest (RametConnection *connection, const char *name, GError **error);
