/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/domain.h"

/* Something of the user's own that runs after the steps, in the order given. */
typedef struct
{
  char *package;     /* a package's name, or NULL */
  char *script_name; /* where the script came from, for messages */
  char *script;      /* its text, @script_length bytes */
  gsize script_length;
} RametExtra;

RametExtra *ramet_extra_new_package (const char *package);
RametExtra *ramet_extra_new_script (const char *path, GError **error);
void ramet_extra_free (RametExtra *extra);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametExtra, ramet_extra_free)

/* What the first-boot steps are told. Everything is validated by now. */
typedef struct
{
  const char *name;
  const char *user;
  guint uid;
  guint gid;
  const char *gecos;
  const char *ssh_keys; /* lines */
  GPtrArray *shares;    /* (element-type RametShare) */
  GPtrArray *extras;    /* (element-type RametExtra) */
  gboolean link_down;   /* the links are down and come up once the identity is new */
} RametBootstrap;

gboolean ramet_bootstrap_run (RametDomain *domain, RametTask *task, const RametBootstrap *bootstrap,
                              gint64 deadline_us, char **ret_host_keys, GError **error);
gboolean ramet_bootstrap_probe (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);
