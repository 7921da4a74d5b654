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
gboolean ramet_console_run (RametConsole *console, const char *script, gsize length, gint64 deadline_us,
                            guint *ret_status, char **ret_output, GError **error);
gboolean ramet_console_answers_root (RametConsole *console, guint patience_ms, gboolean *ret_answers, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametConsole, ramet_console_free)
