/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

char *ramet_paths_data (const char *name);
char *ramet_paths_log (const char *vm);
char *ramet_paths_ssh_key (void);
char *ramet_paths_program (void);
