/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

char *ramet_paths_beside (const char *program, const char *installed, const char *data);
char *ramet_paths_data (const char *name);
char *ramet_paths_log (const char *vm);
char *ramet_paths_ssh_key (void);
char *ramet_paths_program (void);
char *ramet_paths_put_back (void);
char *ramet_paths_apply_key (void);
char *ramet_paths_turns (void);
