/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/access.h"

#include <acl/libacl.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/files/acl.h"

#define MAX_EXAMPLES 5
#define MAX_ENTRIES 200000
#define MAX_DEPTH 128 /* folders open at once */
#define READ_FOLDER (R_OK | X_OK)

static void
close_folder (DIR *folder)
{
  closedir (folder);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (DIR, close_folder)

/* A file descriptor that closes itself. */
typedef int Descriptor;

static void
descriptor_close (Descriptor *fd)
{
  if (*fd >= 0)
    close (*fd);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Descriptor, descriptor_close)

/**
 * ramet_account_new:
 * @uid: QEMU's user, as libvirt says it
 * @gid: its group, which need not be the one that the user database names
 *
 * Looks up the name and the groups that libvirt will give to the process.
 */
RametAccount *
ramet_account_new (uid_t uid, gid_t gid)
{
  RametAccount *account = g_new0 (RametAccount, 1);
  struct passwd *entry = getpwuid (uid);
  int n_groups = 64;

  account->uid = uid;
  account->gid = gid;
  account->name = entry ? g_strdup (entry->pw_name) : g_strdup_printf ("%u", (guint) uid);
  account->groups = g_new (gid_t, n_groups);
  account->groups[0] = gid;
  account->n_groups = 1;
  if (entry == NULL)
    return account;
  if (getgrouplist (account->name, gid, account->groups, &n_groups) < 0)
    {
      account->groups = g_renew (gid_t, account->groups, n_groups);
      getgrouplist (account->name, gid, account->groups, &n_groups);
    }
  account->n_groups = (gsize) n_groups;
  return account;
}

void
ramet_account_free (RametAccount *account)
{
  g_free (account->groups);
  g_free (account->name);
  g_free (account);
}

/** ramet_reach_clear: frees what is in @reach and empties it */
void
ramet_reach_clear (RametReach *reach)
{
  g_free (reach->blocking);
  g_strfreev (reach->examples);
  memset (reach, 0, sizeof *reach);
}

/** ramet_account_is_in_group: by its own group or a supplementary one */
gboolean
ramet_account_is_in_group (const RametAccount *account, gid_t gid)
{
  for (gsize i = 0; i < account->n_groups; i++)
    if (account->groups[i] == gid)
      return TRUE;
  return FALSE;
}

/* By owner and mode alone; with an ACL the mode's group bits are its mask. */
static gboolean
mode_allows (const struct stat *st, const RametAccount *account, int mode)
{
  int bits = st->st_mode & 07;

  if (account->uid == 0)
    return TRUE;
  if (st->st_uid == account->uid)
    bits = st->st_mode >> 6 & 07;
  else if (ramet_account_is_in_group (account, st->st_gid))
    bits = st->st_mode >> 3 & 07;
  return (mode & ~bits) == 0;
}

/* Whether there is an ACL that may say something else than the mode; a file system without any has none. */
static gboolean
may_by_acl (const char *path, const struct stat *st, const RametAccount *account, int mode, gboolean by_mode)
{
  g_autoptr (RametAcl) acl = NULL;

  if (account->uid == 0 || acl_extended_file (path) != 1)
    return by_mode;
  acl = acl_get_file (path, ACL_TYPE_ACCESS);
  return acl ? ramet_acl_allows (acl, st, account, mode) : by_mode;
}

static gboolean
fail_about (const char *what, const char *path, int errnum, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);
  RametErrorCode code = errnum == ENOENT || errnum == ENOTDIR           ? RAMET_ERROR_NOT_FOUND
                        : errnum == EACCES || errnum == EPERM || errnum == ELOOP ? RAMET_ERROR_REFUSED
                                                                                 : RAMET_ERROR_FAILED;

  ramet_error_set (error, code, "cannot %s '%s': %s", what, safe, g_strerror (errnum));
  return FALSE;
}

/**
 * ramet_access_may:
 * @mode: R_OK, W_OK and X_OK together
 * @ret_may: (out): whether @account may do all of that to @path itself, whatever the folders above it say
 * @error: RAMET_ERROR_NOT_FOUND if there is no such file, RAMET_ERROR_REFUSED if we may not look
 *
 * Goes by owner, mode and POSIX ACL with its mask. Root may do everything.
 */
gboolean
ramet_access_may (const char *path, const RametAccount *account, int mode, gboolean *ret_may, GError **error)
{
  struct stat st;

  if (stat (path, &st) < 0)
    return fail_about ("look at", path, errno, error);
  *ret_may = may_by_acl (path, &st, account, mode, mode_allows (&st, account, mode));
  return TRUE;
}

/* (element-type utf8): "/", "/a", "/a/b" for "/a/b" */
static GPtrArray *
steps_to (const char *path)
{
  GPtrArray *steps = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (steps, g_strdup ("/"));
  for (const char *p = path; *p; p++)
    if (p[0] != '/' && (p[1] == '/' || p[1] == '\0'))
      g_ptr_array_add (steps, g_strndup (path, p + 1 - path));
  return steps;
}

/* What @account needs on the @i-th of the steps: to pass all but the last, and to read that. */
static int
needed_at (const GPtrArray *steps, guint i, int last_mode)
{
  return i + 1 < steps->len ? X_OK : last_mode;
}

typedef struct
{
  const RametAccount *account;
  RametReach *reach;
  GPtrArray *examples;
  dev_t device;
} Survey;

static gboolean survey_folder (Survey *survey, int parent_fd, const char *name, const char *relative, guint depth);

static void
note_unreadable (Survey *survey, const char *relative)
{
  survey->reach->n_unreadable++;
  if (survey->examples->len < MAX_EXAMPLES)
    g_ptr_array_add (survey->examples, g_strdup (relative));
}

/* One entry of a folder that is open as @fd. Returns FALSE if the survey must end here. */
static gboolean
survey_entry (Survey *survey, int fd, const struct dirent *entry, const char *above, guint depth)
{
  g_autofree char *relative = NULL;
  g_autofree char *reached = NULL;
  struct stat st;
  int mode;

  if (survey->reach->n_seen >= MAX_ENTRIES)
    return FALSE;
  survey->reach->n_seen++;
  /* a link is read by its folder's leave; a socket or the like is of no use in the guest anyway */
  if (entry->d_type != DT_UNKNOWN && entry->d_type != DT_DIR && entry->d_type != DT_REG)
    return TRUE;
  if (fstatat (fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
    return TRUE; /* just gone, or not for us to see */
  if ((!S_ISDIR (st.st_mode) && !S_ISREG (st.st_mode)) || st.st_dev != survey->device)
    return TRUE;
  mode = S_ISDIR (st.st_mode) ? READ_FOLDER : R_OK;
  relative = *above ? g_build_filename (above, entry->d_name, NULL) : g_strdup (entry->d_name);
  if (!mode_allows (&st, survey->account, mode))
    {
      reached = g_strdup_printf ("/proc/self/fd/%d/%s", fd, entry->d_name);
      if (!may_by_acl (reached, &st, survey->account, mode, FALSE))
        {
          note_unreadable (survey, relative);
          return TRUE;
        }
    }
  return !S_ISDIR (st.st_mode) || survey_folder (survey, fd, entry->d_name, relative, depth + 1);
}

static gboolean
survey_folder (Survey *survey, int parent_fd, const char *name, const char *relative, guint depth)
{
  g_autoptr (DIR) folder = NULL;
  struct dirent *entry;
  int fd;

  if (depth > MAX_DEPTH)
    return FALSE;
  fd = openat (parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0)
    return TRUE; /* what we may not see ourselves is not counted */
  folder = fdopendir (fd);
  while ((entry = readdir (folder)) != NULL)
    if (!g_str_equal (entry->d_name, ".") && !g_str_equal (entry->d_name, "..") &&
        !survey_entry (survey, fd, entry, relative, depth))
      return FALSE;
  return TRUE;
}

/* The first of the steps to @path that @account may not go, or NULL. */
static gboolean
find_blocking (const char *path, const RametAccount *account, int last_mode, char **ret_blocking, GError **error)
{
  g_autoptr (GPtrArray) steps = steps_to (path);

  for (guint i = 0; i < steps->len; i++)
    {
      gboolean may;

      if (!ramet_access_may (steps->pdata[i], account, needed_at (steps, i, last_mode), &may, error))
        return FALSE;
      if (!may)
        {
          *ret_blocking = g_strdup (steps->pdata[i]);
          return TRUE;
        }
    }
  *ret_blocking = NULL;
  return TRUE;
}

/**
 * ramet_access_survey:
 * @dir: absolute, canonical
 * @ret_reach: (out): clear with ramet_reach_clear()
 * @error: RAMET_ERROR_NOT_FOUND if it is not there, RAMET_ERROR_REFUSED if we may not look at it
 *
 * What @account could read of @dir and below. Follows no link, stays on one file system, and gives up after some
 * 200 000 entries. Below @dir an ACL is asked only where the mode says no, so one that takes away is not seen there.
 */
gboolean
ramet_access_survey (const char *dir, const RametAccount *account, RametReach *ret_reach, GError **error)
{
  g_auto (RametReach) reach = { 0 };
  g_autoptr (GPtrArray) examples = g_ptr_array_new_with_free_func (g_free);
  Survey survey = { account, &reach, examples, 0 };
  struct stat st;

  if (!find_blocking (dir, account, READ_FOLDER, &reach.blocking, error))
    return FALSE;
  if (stat (dir, &st) < 0)
    return fail_about ("look at", dir, errno, error);
  survey.device = st.st_dev;
  reach.cut = !survey_folder (&survey, AT_FDCWD, dir, "", 0);
  g_ptr_array_add (examples, NULL);
  reach.examples = (char **) g_ptr_array_steal (examples, NULL);
  *ret_reach = reach;
  memset (&reach, 0, sizeof reach);
  return TRUE;
}

static void
append_setfacl (GString *line, gboolean sudo, const RametAccount *account, const char *perms, const char *paths)
{
  if (*paths == '\0')
    return;
  g_string_append_printf (line, "%s%ssetfacl -m u:%s:%s%s", line->len > 0 ? " && " : "", sudo ? "sudo " : "",
                          account->name, perms, paths);
}

/**
 * ramet_access_hint:
 * @path: absolute, canonical; a folder or a file
 *
 * Returns: (transfer full) (nullable): one shell line, safe to print, that lets @account read @path, or %NULL if it
 *          can or nobody knows
 */
char *
ramet_access_hint (const char *path, const RametAccount *account)
{
  g_autoptr (GPtrArray) steps = steps_to (path);
  g_autoptr (GString) pass = g_string_new (NULL);
  g_autoptr (GString) read = g_string_new (NULL);
  g_autoptr (GString) line = g_string_new (NULL);
  g_autofree char *safe = NULL;
  gboolean sudo = FALSE;
  struct stat st;

  if (stat (path, &st) < 0)
    return NULL;
  for (guint i = 0; i < steps->len; i++)
    {
      const char *step = steps->pdata[i];
      gboolean last = i + 1 == steps->len;
      int mode = needed_at (steps, i, S_ISDIR (st.st_mode) ? READ_FOLDER : R_OK);
      g_autofree char *quoted = g_shell_quote (step);
      struct stat step_st;
      gboolean may;

      if (!ramet_access_may (step, account, mode, &may, NULL) || may || stat (step, &step_st) < 0)
        continue;
      g_string_append_printf (last ? read : pass, " %s", quoted);
      sudo = sudo || (geteuid () != 0 && geteuid () != step_st.st_uid);
    }
  append_setfacl (line, sudo, account, "--x", pass->str);
  append_setfacl (line, sudo, account, S_ISDIR (st.st_mode) ? "r-x" : "r--", read->str);
  safe = ramet_text_escape (line->str, -1);
  return *safe ? g_steal_pointer (&safe) : NULL;
}

/* Opens @path, link by link refused, for nothing but its ACL; -1 with errno set on failure. */
static int
open_step (const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);
  g_auto (Descriptor) fd = open ("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  int last;

  for (char **part = parts; fd >= 0 && *part; part++)
    {
      int next;
      struct stat st;

      if (**part == '\0')
        continue;
      next = openat (fd, *part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
      if (next >= 0 && fstat (next, &st) == 0 && S_ISLNK (st.st_mode))
        {
          close (next);
          next = -1;
          errno = ELOOP;
        }
      close (fd);
      fd = next;
    }
  last = fd;
  fd = -1;
  return last;
}

/* libacl knows no O_PATH descriptors, but this link leads to just that file whatever became of its name. */
static char *
descriptor_path (int fd)
{
  return g_strdup_printf ("/proc/self/fd/%d", fd);
}

static gboolean
fail_to_open (const char *path, int errnum, const RametAccount *account, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);
  g_autofree char *line = ramet_access_hint (path, account);

  ramet_error_set (error, errnum == EPERM || errnum == ENOTSUP ? RAMET_ERROR_REFUSED : RAMET_ERROR_FAILED,
                   "cannot open '%s' for '%s': %s", safe, account->name,
                   errnum == EPERM     ? "it belongs to somebody else"
                   : errnum == ENOTSUP ? "its file system keeps no ACLs"
                                       : g_strerror (errnum));
  if (errnum == ENOTSUP)
    ramet_error_hint (error, "move the folder elsewhere, or open it to everybody by chmod");
  else if (line != NULL)
    ramet_error_hint (error, "run: %s", line);
  return FALSE;
}

static gboolean
refuse_to_open (const char *path, const RametAccount *account, const char *why, const char *command, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);

  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot open '%s' for '%s': %s", safe, account->name, why);
  ramet_error_hint (error, "open the way by hand, see: %s %s", command, safe);
  return FALSE;
}

/*
 * Gives @mode on the file behind @fd unless @account has it already; a record of what was done goes to @granted. With
 * @only_foresee nothing is done but the record.
 */
static gboolean
grant_step (int fd, const char *path, const RametAccount *account, int mode, gboolean only_foresee, GPtrArray *granted,
            GError **error)
{
  g_autofree char *reached = descriptor_path (fd);
  RametGrant grant = { .uid = account->uid, .path = path };
  acl_t acl;
  g_autoptr (RametAcl) owned = NULL;
  struct stat st;
  gboolean may, fits;

  if (!ramet_access_may (reached, account, mode, &may, error))
    return FALSE;
  if (may)
    return TRUE;
  if (fstat (fd, &st) == 0 && st.st_uid == account->uid)
    return refuse_to_open (path, account, "it is the owner and has locked itself out", "chmod u+rx", error);
  acl = acl_get_file (reached, ACL_TYPE_ACCESS);
  if (acl == NULL)
    return fail_to_open (path, errno, account, error);
  fits = ramet_acl_give (&acl, mode, &grant);
  owned = acl;
  if (!fits)
    return refuse_to_open (path, account, "widening its ACL's mask would give more to others too",
                           "getfacl", error);
  if (!only_foresee && acl_set_file (reached, ACL_TYPE_ACCESS, acl) < 0)
    return fail_to_open (path, errno, account, error);
  if (!only_foresee)
    RAMET_STEP ("grant-made");
  g_ptr_array_add (granted, ramet_grant_to_record (&grant));
  return TRUE;
}

/* Takes back what was granted before a later step failed. */
static void
take_back (GPtrArray *granted)
{
  for (guint i = granted->len; i-- > 0;)
    {
      g_autoptr (GError) error = NULL;

      if (!ramet_access_revoke (granted->pdata[i], &error))
        g_warning ("could not take back access: %s", error->message);
    }
}

static gboolean
grant_way (const char *path, const RametAccount *account, mode_t type, gboolean only_foresee, GPtrArray *ret_granted,
           GError **error)
{
  g_autoptr (GPtrArray) steps = steps_to (path);
  g_autoptr (GPtrArray) granted = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < steps->len; i++)
    {
      const char *step = steps->pdata[i];
      gboolean last = i + 1 == steps->len;
      int mode = needed_at (steps, i, type == S_IFDIR ? READ_FOLDER : R_OK);
      g_auto (Descriptor) fd = open_step (step);
      gboolean done = FALSE;
      struct stat st;

      if (fd < 0 || fstat (fd, &st) < 0)
        fail_about ("open", step, errno, error);
      else if ((st.st_mode & S_IFMT) != (last ? type : S_IFDIR))
        fail_about ("open", step, last && type == S_IFREG ? EINVAL : ENOTDIR, error);
      else
        done = grant_step (fd, step, account, mode, only_foresee, granted, error);
      if (!done)
        {
          if (!only_foresee)
            take_back (granted);
          return FALSE;
        }
    }
  g_ptr_array_extend_and_steal (ret_granted, g_steal_pointer (&granted));
  return TRUE;
}

/**
 * ramet_access_grant:
 * @dir: absolute, canonical
 * @ret_granted: (out) (element-type utf8): one record per folder that was changed is added, see below
 * @error: RAMET_ERROR_REFUSED if an ACL cannot or should not open the way, RAMET_ERROR_NOT_FOUND if @dir is not there;
 *         then nothing is changed
 *
 * Lets @account pass the folders above @dir and read @dir itself, by the least that does it. Nothing below is touched.
 *
 * A record is "UID HAD GAVE MASK PATH": what the user's own entry allowed before ("none" if there was no entry), what
 * was added to it, and the ACL's mask before ("none" if there was none). PATH is the rest of the line.
 */
gboolean
ramet_access_grant (const char *dir, const RametAccount *account, GPtrArray *ret_granted, GError **error)
{
  return grant_way (dir, account, S_IFDIR, FALSE, ret_granted, error);
}

/** ramet_access_grant_file: the same for one regular file, which becomes readable */
gboolean
ramet_access_grant_file (const char *file, const RametAccount *account, GPtrArray *ret_granted, GError **error)
{
  return grant_way (file, account, S_IFREG, FALSE, ret_granted, error);
}

/**
 * ramet_access_foresee:
 * @path: a folder, or a regular file
 * @ret_records: (out) (element-type utf8): what ramet_access_grant() or ramet_access_grant_file() would add is added
 *
 * Changes nothing. To be written down before the grant, for a crash may come between the two: a record of what was never
 * granted can be revoked without harm.
 */
gboolean
ramet_access_foresee (const char *path, const RametAccount *account, gboolean is_file, GPtrArray *ret_records,
                      GError **error)
{
  return grant_way (path, account, is_file ? S_IFREG : S_IFDIR, TRUE, ret_records, error);
}

/**
 * ramet_access_revoke:
 * @record: from ramet_access_grant()
 * @error: RAMET_ERROR_REFUSED if a link has taken the path's place, RAMET_ERROR_FAILED if the ACL cannot be set
 *
 * Takes back just what was added. Where nothing else was changed since, mode and ACL are as they were before. A path
 * that is gone, or an entry that somebody has taken away already, is fine.
 */
gboolean
ramet_access_revoke (const char *record, GError **error)
{
  RametGrant grant;
  g_auto (Descriptor) fd = -1;
  g_autofree char *reached = NULL;
  g_autoptr (RametAcl) acl = NULL;

  if (!ramet_grant_from_record (record, &grant, error))
    return FALSE;
  fd = open_step (grant.path);
  if (fd < 0)
    return errno == ENOENT || errno == ENOTDIR || fail_about ("take back access to", grant.path, errno, error);
  reached = descriptor_path (fd);
  if (acl_extended_file (reached) == 0)
    return TRUE;
  acl = acl_get_file (reached, ACL_TYPE_ACCESS);
  if (acl == NULL)
    return fail_about ("take back access to", grant.path, errno, error);
  if (ramet_acl_find (acl, ACL_USER, grant.uid) == NULL)
    return TRUE;
  ramet_acl_take (acl, &grant);
  if (acl_set_file (reached, ACL_TYPE_ACCESS, acl) < 0)
    return fail_about ("take back access to", grant.path, errno, error);
  return TRUE;
}

/**
 * ramet_access_record_serves:
 * @record: from ramet_access_grant()
 * @path: absolute, canonical; what another VM shares
 *
 * Returns: %TRUE if what was granted lies on the way to @path, so that it must outlive the VM it was granted for
 */
gboolean
ramet_access_record_serves (const char *record, const char *path)
{
  RametGrant grant;
  gsize length;

  if (!ramet_grant_from_record (record, &grant, NULL))
    return FALSE;
  length = g_str_equal (grant.path, "/") ? 0 : strlen (grant.path);
  return strncmp (path, grant.path, length) == 0 && (path[length] == '/' || path[length] == '\0');
}
