/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/connection.h"

/* Whether anything happens to any domain. */
typedef struct _RametEvents RametEvents;

RametEvents *ramet_events_new (RametConnection *connection, GError **error);
void ramet_events_free (RametEvents *events);
gboolean ramet_events_take (RametEvents *events);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametEvents, ramet_events_free)
