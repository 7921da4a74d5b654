/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What the doctor reads in the host's own files and in guests' answers. */

gboolean ramet_nsswitch_knows_mdns (const char *nsswitch);
gboolean ramet_avahi_conf_serves (const char *avahi_conf, const char *bridge, char **ret_why_not);
GPtrArray *ramet_apparmor_list_denials (const char *kernel_log, const char *uuid);
char *ramet_osinfo_get_kernel (const char *agent_answer);
gboolean ramet_kernel_breaks_9p (const char *release);
