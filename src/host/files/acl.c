/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/acl.h"

#include <acl/libacl.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"

/* What an entry of an ACL allows, as R_OK | W_OK | X_OK. */
static int
entry_mode (acl_entry_t entry)
{
  acl_permset_t set;

  acl_get_permset (entry, &set);
  return (acl_get_perm (set, ACL_READ) == 1 ? R_OK : 0) | (acl_get_perm (set, ACL_WRITE) == 1 ? W_OK : 0) |
         (acl_get_perm (set, ACL_EXECUTE) == 1 ? X_OK : 0);
}

static void
entry_set_mode (acl_entry_t entry, int mode)
{
  acl_permset_t set;

  acl_get_permset (entry, &set);
  acl_clear_perms (set);
  if (mode & R_OK)
    acl_add_perm (set, ACL_READ);
  if (mode & W_OK)
    acl_add_perm (set, ACL_WRITE);
  if (mode & X_OK)
    acl_add_perm (set, ACL_EXECUTE);
}

static acl_tag_t
entry_tag (acl_entry_t entry)
{
  acl_tag_t tag = ACL_UNDEFINED_TAG;

  acl_get_tag_type (entry, &tag);
  return tag;
}

/* The uid or gid that an entry of type ACL_USER or ACL_GROUP is about; both are 32 bits here. */
static guint32
entry_id (acl_entry_t entry)
{
  guint32 *qualifier = acl_get_qualifier (entry);
  guint32 id = qualifier ? *qualifier : G_MAXUINT32;

  acl_free (qualifier);
  return id;
}

/* The next entry, the first one after *entry was set to NULL. */
static gboolean
next_entry (acl_t acl, acl_entry_t *entry)
{
  return acl_get_entry (acl, *entry == NULL ? ACL_FIRST_ENTRY : ACL_NEXT_ENTRY, entry) == 1;
}

/** ramet_acl_find: (transfer none) (nullable): the entry of type @tag, and about @uid if that is ACL_USER */
acl_entry_t
ramet_acl_find (acl_t acl, acl_tag_t tag, uid_t uid)
{
  acl_entry_t entry = NULL;

  while (next_entry (acl, &entry))
    if (entry_tag (entry) == tag && (tag != ACL_USER || entry_id (entry) == uid))
      return entry;
  return NULL;
}

/**
 * ramet_acl_allows:
 * @st: of the file that @acl is from
 * @mode: R_OK, W_OK and X_OK together
 *
 * In the kernel's own order: owner, named user, groups (any that allows it all), others. Root gets no privilege here.
 */
gboolean
ramet_acl_allows (acl_t acl, const struct stat *st, const RametAccount *account, int mode)
{
  acl_entry_t masking = ramet_acl_find (acl, ACL_MASK, 0);
  acl_entry_t named = ramet_acl_find (acl, ACL_USER, account->uid);
  acl_entry_t entry = NULL;
  int mask = masking ? entry_mode (masking) : R_OK | W_OK | X_OK;
  gboolean in_group = FALSE;

  if (st->st_uid == account->uid)
    return (mode & ~entry_mode (ramet_acl_find (acl, ACL_USER_OBJ, 0))) == 0;
  if (named != NULL)
    return (mode & ~(entry_mode (named) & mask)) == 0;
  while (next_entry (acl, &entry))
    {
      acl_tag_t tag = entry_tag (entry);

      if ((tag == ACL_GROUP_OBJ && ramet_account_is_in_group (account, st->st_gid)) ||
          (tag == ACL_GROUP && ramet_account_is_in_group (account, entry_id (entry))))
        {
          in_group = TRUE;
          if ((mode & ~(entry_mode (entry) & mask)) == 0)
            return TRUE;
        }
    }
  return !in_group && (mode & ~entry_mode (ramet_acl_find (acl, ACL_OTHER, 0))) == 0;
}

static char *
perms_text (int mode)
{
  return g_strdup_printf ("%c%c%c", mode & R_OK ? 'r' : '-', mode & W_OK ? 'w' : '-', mode & X_OK ? 'x' : '-');
}

static gboolean
parse_perms (const char *text, int *ret_mode)
{
  if (strlen (text) != 3 || strchr ("r-", text[0]) == NULL || strchr ("w-", text[1]) == NULL ||
      strchr ("x-", text[2]) == NULL)
    return FALSE;
  *ret_mode = (text[0] == 'r' ? R_OK : 0) | (text[1] == 'w' ? W_OK : 0) | (text[2] == 'x' ? X_OK : 0);
  return TRUE;
}

/** ramet_grant_to_record: (transfer full): one line, see ramet_access_grant() */
char *
ramet_grant_to_record (const RametGrant *grant)
{
  g_autofree char *had = grant->had_entry ? perms_text (grant->had) : g_strdup ("none");
  g_autofree char *gave = perms_text (grant->gave);
  g_autofree char *mask = grant->had_mask ? perms_text (grant->mask) : g_strdup ("none");

  return g_strdup_printf ("%u %s %s %s %s", (guint) grant->uid, had, gave, mask, grant->path);
}

/** ramet_grant_from_record: the path in @ret_grant points into @record */
gboolean
ramet_grant_from_record (const char *record, RametGrant *ret_grant, GError **error)
{
  g_auto (GStrv) words = g_strsplit (record, " ", 5);
  RametGrant grant = { 0 };
  guint64 uid;

  if (g_strv_length (words) == 5 && words[4][0] == '/' &&
      g_ascii_string_to_unsigned (words[0], 10, 0, G_MAXUINT32, &uid, NULL))
    {
      grant.uid = (uid_t) uid;
      grant.had_entry = !g_str_equal (words[1], "none");
      grant.had_mask = !g_str_equal (words[3], "none");
      grant.path = record + strlen (record) - strlen (words[4]);
      if ((!grant.had_entry || parse_perms (words[1], &grant.had)) && parse_perms (words[2], &grant.gave) &&
          (!grant.had_mask || parse_perms (words[3], &grant.mask)))
        {
          *ret_grant = grant;
          return TRUE;
        }
    }
  ramet_error_set (error, RAMET_ERROR_FAILED, "a record of access that was granted does not parse");
  return FALSE;
}

/* What the entries that the mask holds down allow, apart from those of @uid. */
static int
held_by_others (acl_t acl, uid_t uid)
{
  acl_entry_t entry = NULL;
  int held = 0;

  while (next_entry (acl, &entry))
    {
      acl_tag_t tag = entry_tag (entry);

      if (tag == ACL_GROUP || tag == ACL_GROUP_OBJ || (tag == ACL_USER && entry_id (entry) != uid))
        held |= entry_mode (entry);
    }
  return held;
}

static gboolean
has_named_entries (acl_t acl)
{
  acl_entry_t entry = NULL;

  while (next_entry (acl, &entry))
    if (entry_tag (entry) == ACL_USER || entry_tag (entry) == ACL_GROUP)
      return TRUE;
  return FALSE;
}

/* Sets the permissions of an entry, made if need be; entries found before are no longer valid. */
static void
put_entry (acl_t *acl, acl_tag_t tag, uid_t uid, int mode)
{
  acl_entry_t entry = ramet_acl_find (*acl, tag, uid);

  if (entry == NULL)
    {
      if (acl_create_entry (acl, &entry) < 0)
        g_error ("out of memory");
      acl_set_tag_type (entry, tag);
      if (tag == ACL_USER)
        acl_set_qualifier (entry, &uid);
    }
  entry_set_mode (entry, mode);
}

/**
 * ramet_acl_give:
 * @acl: (inout): adding entries may move it
 * @grant: names the uid; what was there before is noted in it
 *
 * Returns: %FALSE, with nothing done, where the mask would have to be widened and thereby give somebody else more than
 *          they have now
 */
gboolean
ramet_acl_give (acl_t *acl, int mode, RametGrant *grant)
{
  acl_entry_t entry = ramet_acl_find (*acl, ACL_USER, grant->uid);
  acl_entry_t masking = ramet_acl_find (*acl, ACL_MASK, 0);

  grant->had_entry = entry != NULL;
  grant->had = entry ? entry_mode (entry) : 0;
  grant->gave = mode;
  grant->had_mask = masking != NULL;
  /* without a mask, the group's own entry is what must stay in force */
  grant->mask = entry_mode (masking ? masking : ramet_acl_find (*acl, ACL_GROUP_OBJ, 0));
  if (masking && (held_by_others (*acl, grant->uid) & mode & ~grant->mask) != 0)
    return FALSE;
  put_entry (acl, ACL_USER, grant->uid, grant->had | mode);
  put_entry (acl, ACL_MASK, 0, grant->mask | mode);
  return TRUE;
}

/**
 * ramet_acl_take:
 *
 * The inverse of ramet_acl_give(), whatever else was changed in between: only bits that were added go. Records of one
 * path may be taken back in any order, so an entry or a mask that the later one found goes with the last of them too.
 */
void
ramet_acl_take (acl_t acl, const RametGrant *grant)
{
  acl_entry_t entry = ramet_acl_find (acl, ACL_USER, grant->uid);
  acl_entry_t masking = ramet_acl_find (acl, ACL_MASK, 0);
  acl_entry_t group = ramet_acl_find (acl, ACL_GROUP_OBJ, 0);
  int left, mask, held, widened;

  if (entry == NULL || masking == NULL)
    return;
  left = entry_mode (entry) & ~(grant->gave & ~grant->had);
  mask = entry_mode (masking);
  held = held_by_others (acl, grant->uid);
  widened = grant->gave & ~(grant->had_mask ? grant->mask : 0);
  entry_set_mode (entry, left);
  if (left == 0 && !(grant->had_entry && grant->had == 0))
    {
      acl_delete_entry (acl, entry);
      masking = ramet_acl_find (acl, ACL_MASK, 0);
      group = ramet_acl_find (acl, ACL_GROUP_OBJ, 0);
    }
  if (has_named_entries (acl) || (grant->had_mask && !grant->had_entry))
    {
      entry_set_mode (masking, mask & ~(widened & ~held));
      return;
    }
  /* a chmod meanwhile has set the mask only, and what it took from the group stays taken */
  entry_set_mode (group, entry_mode (group) & mask);
  acl_delete_entry (acl, ramet_acl_find (acl, ACL_MASK, 0));
}
