/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/pipe.h"
#include "operations/vm/vm.h"

/* A script of ramet's own that is run by root in a guest, over ssh. */
typedef struct
{
  const char *name;       /* below bootstrap/overlay: "list.sh" */
  const char *const *args; /* %NULL-terminated; or %NULL */
  GBytes *input;          /* or %NULL */
  RametPipeFunc func;     /* told what it prints */
  gpointer data;
  gboolean to_the_end;    /* not to be broken off by Ctrl-C */
} RametGuestScript;

gboolean ramet_guest_ssh_check (const RametVm *vm, GError **error);
char *ramet_guest_ssh_key (void);
gboolean ramet_guest_ssh_wait (RametVm *vm, RametTask *task, guint patience_s, GError **error);
char **ramet_guest_ssh_argv (RametVm *vm, const char *script, const char *const *args, GError **error);
gboolean ramet_guest_ssh_run (RametVm *vm, RametTask *task, const RametGuestScript *script, int *ret_status,
                              char **ret_errors, GError **error);
gboolean ramet_guest_ssh_fail (const RametVm *vm, int status, const char *errors, GError **error);
