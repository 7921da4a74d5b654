/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/libvirt/domain.h"
#include "model/agent.h"

/*
 * The QEMU guest agent of a running domain. Deadlines are monotonic times in microseconds, see g_get_monotonic_time().
 * Errors: RAMET_ERROR_TIMEOUT if no agent answers in time, RAMET_ERROR_STATE if the domain does not run,
 * RAMET_ERROR_REFUSED if it has no agent or the agent may not do it, RAMET_ERROR_LOST if libvirtd goes away,
 * RAMET_ERROR_CANCELLED.
 */
gboolean ramet_agent_ping (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);
gboolean ramet_agent_set_time (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);
gboolean ramet_agent_freeze (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);
gboolean ramet_agent_thaw (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error);
gboolean ramet_agent_run (RametDomain *domain, RametTask *task, const char *const *argv, const char *input,
                          gint64 deadline_us, RametAgentOutcome *ret_outcome, GError **error);
char *ramet_agent_ask (RametDomain *domain, RametTask *task, const char *command, gint64 deadline_us, GError **error);

#define RAMET_AGENT_NOW "@now" /* an argument that becomes the time: seconds since 1970, with a fraction */

/* The same without waiting, so that several domains can be at it side by side. */
typedef struct _RametAgentJob RametAgentJob;

RametAgentJob *ramet_agent_begin_set_time (RametDomain *domain, gint64 deadline_us);
RametAgentJob *ramet_agent_begin_run (RametDomain *domain, const char *const *argv, const char *input, gint64 alive_by_us,
                                      gint64 deadline_us);
gboolean ramet_agent_wait (RametAgentJob *job, RametTask *task, RametAgentOutcome *ret_outcome, GError **error);
void ramet_agent_drop (RametAgentJob *job);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametAgentJob, ramet_agent_drop)
