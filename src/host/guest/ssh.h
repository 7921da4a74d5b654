/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

#define RAMET_SSH_PORT 22

/* What it takes to call OpenSSH's ssh for one VM. All strings are borrowed. */
typedef struct
{
  const char *program;     /* absolute path of ramet */
  const char *uri;         /* of the libvirt connection */
  const char *name;        /* of the VM */
  const char *user;        /* account in the guest */
  const char *private_key; /* absolute path, or NULL for those that ssh finds by itself */
} RametSshTarget;

gboolean ramet_ssh_check_public_key (const char *line);
gboolean ramet_ssh_read_public_key (const char *path_or_key, char **ret_line, GError **error);
gboolean ramet_ssh_public_keys (GPtrArray *ret_keys, gboolean may_make, char **ret_private_key, GError **error);
gboolean ramet_ssh_make_host_key (RametTask *task, char **ret_private_key, char **ret_public_key, GError **error);
char *ramet_ssh_parse_host_keys (const char *console_output);

gboolean ramet_ssh_banner (RametTask *task, const char *address, guint port, gint64 deadline_us, GError **error);
gboolean ramet_ssh_listens (RametTask *task, const char *address, guint port, gint64 deadline_us, GError **error);
gboolean ramet_ssh_has_key (RametTask *task, const char *address, guint port, const char *host_keys,
                            gint64 deadline_us, GError **error);

int ramet_ssh_connect_fd (const char *address, guint port, GError **error);
gboolean ramet_ssh_pass_fd (int fd, GError **error);

char **ramet_ssh_argv (const RametSshTarget *target, char **command);
gboolean ramet_ssh_config (const char *program, const char *uri, const char *private_key,
                           const RametSshTarget *const *exceptions, char **ret_text, GError **error);
