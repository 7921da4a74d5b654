/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "operations/vm/vm.h"

/* Several VMs at once. A group is an array of RametVm, each of another domain. */

/* One libvirt call on one domain, made in a thread of its own: no RametTask, no RametVm may be touched. */
typedef gboolean (*RametGroupFunc) (RametDomain *domain, GError **error);

typedef struct
{
  RametGroupFunc func;
  RametGroupFunc abort; /* makes a @func that is under way give up, after Ctrl-C; or NULL */
  guint at_once;        /* 0: all */
  guint patience_s;     /* 0: no end; a QEMU that hangs keeps libvirt waiting for good */
} RametGroupWork;

GPtrArray *ramet_group_new (void);
GPtrArray *ramet_group_open (RametConnection *connection, GPtrArray *names, GError **error);
gboolean ramet_group_reattach (GPtrArray *vms, GError **error);
GPtrArray *ramet_group_pick (GPtrArray *vms, RametRun run);
void ramet_group_take_errors (GPtrArray *vms, RametErrors *errors, GPtrArray *some, RametErrors *theirs);
RametErrors *ramet_group_call (GPtrArray *vms, RametTask *task, const RametGroupWork *work);
gboolean ramet_group_do (GPtrArray *vms, RametTask *task, const RametGroupWork *work, GError **error);

gboolean ramet_group_suspend (GPtrArray *vms, RametTask *task, GError **error);
gboolean ramet_group_resume (GPtrArray *vms, RametTask *task, GError **error);
gboolean ramet_group_resume_undo (gpointer vms, GError **error);
RametErrors *ramet_group_awaken (GPtrArray *vms, RametTask *task);
gboolean ramet_group_awaken_one (RametVm *vm, RametTask *task, GError **error);
