/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

/* A piece of work that a person waits for: what it is at, its log, and whether it is still wanted. */
typedef struct _RametTask RametTask;

typedef enum
{
  RAMET_TALK_QUIET = -1, /* errors only */
  RAMET_TALK_NORMAL = 0,
  RAMET_TALK_VERBOSE = 1, /* notes for the curious too */
} RametTalkLevel;

#define RAMET_TALK_VARIABLE "RAMET_TALK_FD" /* in the environment: where another ramet listens */

void ramet_talk_init (RametTalkLevel level);
gboolean ramet_talk_is_verbose (void);
void ramet_talk_trace (const char *format, ...) G_GNUC_PRINTF (1, 2);
gboolean ramet_talk_send (const char *kind, const char *text);
void ramet_talk_lock (void);
void ramet_talk_unlock (void);
gboolean ramet_talk_colour (int fd);
guint ramet_terminal_columns (int fd);

RametTask *ramet_task_new (const char *subject, GCancellable *cancellable);
void ramet_task_free (RametTask *task);
const char *ramet_task_get_subject (RametTask *task);

void ramet_task_step (RametTask *task, const char *format, ...) G_GNUC_PRINTF (2, 3);
void ramet_task_status (RametTask *task, const char *status);
void ramet_task_note (RametTask *task, const char *format, ...) G_GNUC_PRINTF (2, 3);
void ramet_task_warn (RametTask *task, const char *format, ...) G_GNUC_PRINTF (2, 3);

gboolean ramet_task_check (RametTask *task, GError **error);
gboolean ramet_task_iterate (RametTask *task, gint64 deadline_us, const char *awaited, GError **error);
gboolean ramet_task_sleep (RametTask *task, guint milliseconds, GError **error);

gboolean ramet_task_open_log (RametTask *task, const char *path, GError **error);
const char *ramet_task_get_log (RametTask *task);
void ramet_task_log (RametTask *task, const char *format, ...) G_GNUC_PRINTF (2, 3);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametTask, ramet_task_free)
