/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

/* Who QEMU runs as, on this host. */
typedef struct
{
  uid_t uid;
  gid_t gid;
  gid_t *groups; /* all of them, gid among them */
  gsize n_groups;
  char *name; /* the uid in digits if it has none */
} RametAccount;

/* How far an account gets with a folder. Clear with ramet_reach_clear(). */
typedef struct
{
  char *blocking;       /* the first folder on the way, or the folder itself, that it may not pass; or NULL */
  guint64 n_unreadable; /* entries below that it cannot read; what lies in such a folder is not counted */
  char **examples;      /* up to five of them, relative to the folder; NULL-terminated, never NULL */
  guint64 n_seen;
  gboolean cut; /* there was more than is ever looked at */
} RametReach;

RametAccount *ramet_account_new (uid_t uid, gid_t gid);
void ramet_account_free (RametAccount *account);
gboolean ramet_account_is_in_group (const RametAccount *account, gid_t gid);
void ramet_reach_clear (RametReach *reach);

gboolean ramet_access_may (const char *path, const RametAccount *account, int mode, gboolean *ret_may, GError **error);
gboolean ramet_access_survey (const char *dir, const RametAccount *account, RametReach *ret_reach, GError **error);
char *ramet_access_hint (const char *path, const RametAccount *account);

/* A record is one line that says what a grant changed: "UID HAD GAVE MASK PATH", see ramet_access_grant(). */
gboolean ramet_access_grant (const char *dir, const RametAccount *account, GPtrArray *ret_granted, GError **error);
gboolean ramet_access_grant_file (const char *file, const RametAccount *account, GPtrArray *ret_granted,
                                  GError **error);
gboolean ramet_access_foresee (const char *path, const RametAccount *account, gboolean is_file, GPtrArray *ret_records,
                               GError **error);
gboolean ramet_access_revoke (const char *record, GError **error);
gboolean ramet_access_record_serves (const char *record, const char *path);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametAccount, ramet_account_free)
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametReach, ramet_reach_clear)
