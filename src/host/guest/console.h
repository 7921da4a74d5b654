/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/guest/way.h"
#include "host/libvirt/domain.h"

/* A root shell in the guest, reached over its first serial port. */
typedef struct _RametConsole RametConsole;

RametConsole *ramet_console_open (RametDomain *domain, RametTask *task, GError **error);
void ramet_console_free (RametConsole *console);
RametWay *ramet_console_get_way (RametConsole *console);

void ramet_console_listen (RametConsole *console, gboolean shows);
gboolean ramet_console_check_alive (RametConsole *console, GError **error);
gint64 ramet_console_heard_us (RametConsole *console);
gint64 ramet_console_login_us (RametConsole *console);
void ramet_console_watch_silence (RametConsole *console);
gboolean ramet_console_check_silent (RametConsole *console, gint64 deadline_us, gboolean *ret_silent, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametConsole, ramet_console_free)
