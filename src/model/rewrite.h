/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/error.h"
#include "model/identity.h"

char *ramet_rewrite_domain (const char *base_xml, const RametIdentity *identity, GPtrArray *ret_notes,
                            GError **error);
