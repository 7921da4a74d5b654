/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* A host folder that a guest sees, read-only below an overlay of its own. */
typedef struct
{
  char *source; /* absolute, canonical folder on the host */
  char *target; /* absolute path in the guest */
  char *tag;    /* 9p mount tag, at most 31 bytes */
} RametShare;

RametShare *ramet_share_new (const char *source, const char *target, const char *tag);
void ramet_share_free (RametShare *share);
char *ramet_share_tag_for (const char *source, const char *target);

gboolean ramet_share_parse (const char *spec, const char *cwd, char **ret_source, char **ret_target, GError **error);
gboolean ramet_share_check_source (const char *canonical, const char *home, GError **error);
gboolean ramet_share_check_target (const char *target, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametShare, ramet_share_free)
