/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/acl.h>
#include <sys/stat.h>

#include "host/files/access.h"

typedef struct __acl_ext RametAcl; /* what an acl_t points to */

/* What was added to one file's ACL for one user, and what was there before. */
typedef struct
{
  uid_t uid;
  gboolean had_entry;
  int had;  /* R_OK | W_OK | X_OK, as are the others: what the user's own entry allowed */
  int gave;
  gboolean had_mask;
  int mask;
  const char *path; /* borrowed */
} RametGrant;

char *ramet_grant_to_record (const RametGrant *grant);
gboolean ramet_grant_from_record (const char *record, RametGrant *ret_grant, GError **error);

acl_entry_t ramet_acl_find (acl_t acl, acl_tag_t tag, uid_t uid);
gboolean ramet_acl_allows (acl_t acl, const struct stat *st, const RametAccount *account, int mode);
gboolean ramet_acl_give (acl_t *acl, int mode, RametGrant *grant);
void ramet_acl_take (acl_t acl, const RametGrant *grant);

static inline void
ramet_acl_free (RametAcl *acl)
{
  acl_free (acl);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametAcl, ramet_acl_free)
