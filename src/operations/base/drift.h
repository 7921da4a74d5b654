/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "host/files/image.h"
#include "operations/vm/vm.h"

/* Whether the files that a clone stands on are still what they were when it was made. */

void ramet_drift_remember (RametMetadata *metadata, const char *target, const RametImage *image);
void ramet_drift_fill (RametFingerprint *print, const RametImage *image);
char *ramet_drift_describe (const RametFingerprint *print, const RametImage *image, gboolean moved);
char *ramet_drift_compare (const RametFingerprint *print, const RametImage *image, gboolean moved);
GPtrArray *ramet_drift_find (RametConnection *connection, const RametMetadata *metadata, GError **error);
char *ramet_drift_tell (RametConnection *connection, const RametMetadata *metadata, GError **error);
gboolean ramet_drift_check (const RametVm *vm, GError **error);
