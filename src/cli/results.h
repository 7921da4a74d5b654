/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* What became of each of the VMs of one command, and how that is told: the one place for it. */
typedef struct _RametResults RametResults;

RametResults *ramet_results_new (void);
void ramet_results_free (RametResults *results);
void ramet_results_add (RametResults *results, const char *name, const char *did, GError *error);
void ramet_results_add_notes (RametResults *results, GPtrArray *notes);
gboolean ramet_results_tell (RametResults *results, RametInvocation *invocation, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametResults, ramet_results_free)
