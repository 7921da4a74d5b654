/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

char *ramet_text_diff (const char *old_label, const char *old_text, const char *new_label, const char *new_text,
                       GError **error);
