/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/libvirt/domain.h"
#include "operations/clone/steps.h"

char *ramet_bootstrap_machine_id (const char *uuid);
char *ramet_bootstrap_seed (void);
char *ramet_bootstrap_share_lines (GPtrArray *shares);

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
  GPtrArray *steps;     /* (element-type RametConfigFile): by name, as they are run */
  GPtrArray *extras;    /* (element-type RametExtra) */
  gboolean link_down;   /* the links are down and come up once the identity is new */
  gboolean by_agent;    /* the console is sealed: the guest agent is the way in */
  gboolean keeps_uid;   /* a user that the guest has keeps its numbers, and another gets free ones */
  gboolean must_grow;   /* the root filesystem is to fill a disk that was made larger */
} RametBootstrap;

/* A console that was closed for good, and is being tried from outside. */
typedef struct _RametSeal RametSeal;

gboolean ramet_bootstrap_run (RametDomain *domain, RametTask *task, const RametBootstrap *bootstrap,
                              gint64 deadline_us, char **ret_host_keys, RametSeal **ret_seal, GError **error);
RametSeal *ramet_seal_open (RametDomain *domain, RametTask *task, GError **error);
gboolean ramet_seal_check (RametSeal *seal, GError **error);
void ramet_seal_free (RametSeal *seal);
gboolean ramet_bootstrap_probe (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametSeal, ramet_seal_free)
