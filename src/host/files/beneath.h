/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/*
 * Paths beneath a folder, which lead nowhere else whoever wrote them: no "..", no symlink on the way. All set errno, ELOOP
 * if there is a symlink on the way, and give -1 (or %NULL) on failure.
 */
int ramet_beneath_open (int root_fd, const char *path, int flags, mode_t mode);
int ramet_beneath_open_parent (int root_fd, const char *path, const char **ret_name);
char *ramet_beneath_read_link (int root_fd, const char *path);

extern gboolean ramet_beneath_step_by_step; /* for tests: as on kernels without openat2() */
