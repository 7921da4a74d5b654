/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

gboolean ramet_avahi_find_daemon (gint *ret_pid, GError **error);
gboolean ramet_avahi_shares_our_network (gint pid, gboolean *ret_shares, GError **error);
