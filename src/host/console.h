/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/domain.h"

/* A root shell in the guest, reached over its first serial port. */
typedef struct _RametConsole RametConsole;

RametConsole *ramet_console_open (RametDomain *domain, RametTask *task, GError **error);
void ramet_console_free (RametConsole *console);

gboolean ramet_console_meet (RametConsole *console, const char *runner, gint64 deadline_us, GError **error);
gboolean ramet_console_set_environment (RametConsole *console, const char *const *pairs, gint64 deadline_us,
                                        GError **error);
gboolean ramet_console_put_files (RametConsole *console, const char *const *pairs, gint64 deadline_us, GError **error);
gboolean ramet_console_run_file (RametConsole *console, const char *name, gint64 deadline_us, guint *ret_status,
                                 char **ret_output, GError **error);
gboolean ramet_console_run (RametConsole *console, const char *script, gsize length, gint64 deadline_us,
                            guint *ret_status, char **ret_output, GError **error);

void ramet_console_leave (RametConsole *console);
gboolean ramet_console_check_silent (RametConsole *console, gint64 deadline_us, gboolean *ret_silent, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametConsole, ramet_console_free)
