/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

gboolean ramet_virtualization_has_kvm (char **ret_why_not);
