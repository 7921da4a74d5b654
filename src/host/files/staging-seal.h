/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "host/files/staging-private.h"

/*
 * What stands in a shared folder can come out of a branch or an archive that a guest wrote, a journal too. So ramet seals
 * what it writes there by a key that it keeps out of the folder, and each seal holds for one folder alone: by its name and
 * its inode, which nobody knows before the folder is made. Not by its device: some filesystems get another number by every
 * reboot, and what was cut off by one is to be put back behind it.
 */
char *staging_seal (const StagingFolder *folder, const char *text, gsize length, GError **error);
