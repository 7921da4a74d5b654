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
  const char *uuid;
  const char *user;
  guint uid;
  guint gid;
  const char *gecos;
  const char *ssh_keys; /* lines */
  GPtrArray *shares;    /* (element-type RametShare) */
  GPtrArray *extras;    /* (element-type RametExtra) */
  gboolean link_down;   /* the links are down and come up once the identity is new */
  gboolean must_grow;   /* the root filesystem is to fill a disk that was made larger */
} RametBootstrap;

/* A console that was closed for good, and is being tried from outside. */
typedef struct _RametSeal RametSeal;

gboolean ramet_bootstrap_run (RametDomain *domain, RametTask *task, const RametBootstrap *bootstrap,
                              gint64 deadline_us, char **ret_host_keys, RametSeal **ret_seal, GError **error);
gboolean ramet_seal_check (RametSeal *seal, GError **error);
void ramet_seal_free (RametSeal *seal);
gboolean ramet_bootstrap_probe (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametSeal, ramet_seal_free)
