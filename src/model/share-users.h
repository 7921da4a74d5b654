/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A process in a guest that holds a share: all of it is the guest's own word. */
typedef struct
{
  gint64 pid;
  char *service; /* "web.service", "1000/web.service" if it is a user's own, or NULL */
  char *command; /* may hold anything but a line end */
} RametShareUser;

void ramet_share_user_free (RametShareUser *user);
GPtrArray *ramet_share_users_parse (const char *text);
char *ramet_share_users_describe (GPtrArray *users);
void ramet_share_users_count (GPtrArray *users, guint *ret_services, guint *ret_processes);
