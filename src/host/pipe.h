/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"

/* Told what a program prints, piece by piece; a %FALSE ends it. */
typedef gboolean (*RametPipeFunc) (const guint8 *bytes, gsize length, gpointer data, GError **error);

typedef struct
{
  const char *const *argv;
  GBytes *input;          /* or %NULL for nothing */
  gboolean to_the_end;    /* Ctrl-C on the terminal does not reach it, and is heeded only once it has ended */
  guint silence_s;        /* how long it may print nothing */
  RametPipeFunc func;
  gpointer data;
} RametPipe;

gboolean ramet_pipe_run (RametTask *task, const RametPipe *pipe, int *ret_status, char **ret_errors, GError **error);
