/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/libvirt/domain.h"

/* Moving data between the layers of a disk, done by the QEMU that has them open. */

gboolean ramet_block_pull (RametDomain *domain, RametTask *task, const char *target, const char *base, const char *gone,
                           GError **error);
gboolean ramet_block_commit (RametDomain *domain, RametTask *task, const char *target, const char *base, const char *top,
                             GError **error);
gboolean ramet_block_commit_active (RametDomain *domain, const char *target, const char *base, GError **error);
RametDomain *ramet_block_helper_new (RametConnection *connection, const char *xml, GError **error);
