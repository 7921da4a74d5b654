/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

/* Another ramet that works on one VM, for this one. Fill in what comes before the results. */
typedef struct
{
  char *name;            /* of the VM */
  char **argv;
  char *input;           /* what it reads, or NULL */
  GPtrArray *waits_for;  /* (element-type RametChild), unowned: which have to be done before */

  gboolean done;         /* it ended well, or there was nothing to do */
  GError *error;         /* why not */
  gpointer running;      /* while it runs */
} RametChild;

RametChild *ramet_child_new (const char *name);
void ramet_child_free (RametChild *child);
void ramet_children_run (GPtrArray *children, guint at_once, GCancellable *cancellable);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametChild, ramet_child_free)
