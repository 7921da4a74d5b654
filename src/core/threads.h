/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

/* One of several calls that block, each made in a thread of its own. */
typedef struct
{
  gpointer data;
  GError *error; /* why it failed, once it has ended */
  gboolean begun;
  gboolean ended;
  gint64 took_us;
} RametThread;

typedef gboolean (*RametThreadFunc) (gpointer data, GError **error);
typedef void (*RametThreadAbortFunc) (gpointer data);

RametThread *ramet_threads_run (RametTask *task, RametThreadFunc func, RametThreadAbortFunc abort_func, gpointer *data,
                                guint n, gboolean *ret_cancelled);
void ramet_threads_free (RametThread *threads, guint n);
