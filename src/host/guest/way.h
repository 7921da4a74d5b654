/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * A way into a guest: what runs steps there as root, by the runner of bootstrap/console at its other end. See
 * ramet_console_open() and ramet_agent_way_open(). Deadlines are monotonic times in microseconds, see
 * g_get_monotonic_time().
 */
typedef struct _RametWay RametWay;

void ramet_way_free (RametWay *way);
gboolean ramet_way_meet (RametWay *way, const char *runner, gint64 deadline_us, GError **error);
gboolean ramet_way_set_environment (RametWay *way, const char *const *pairs, gint64 deadline_us, GError **error);
gboolean ramet_way_put_files (RametWay *way, const char *const *pairs, gint64 deadline_us, GError **error);
gboolean ramet_way_run_file (RametWay *way, const char *name, gint64 deadline_us, guint *ret_status, char **ret_output,
                             GError **error);
gboolean ramet_way_run (RametWay *way, const char *script, gsize length, gint64 deadline_us, guint *ret_status,
                        char **ret_output, GError **error);
void ramet_way_leave (RametWay *way, gint64 deadline_us);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametWay, ramet_way_free)
