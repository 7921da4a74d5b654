/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <acl/libacl.h>
#include <errno.h>
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/acl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/access.h"

#define QEMU_UID 64055 /* nobody's files here are this account's */
#define QEMU_GID 64055

static RametAccount *
qemu_account (void)
{
  return ramet_account_new (QEMU_UID, QEMU_GID);
}

static char *
make_folder (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *made = g_dir_make_tmp ("ramet-access-XXXXXX", &error);
  char *canonical;

  g_assert_no_error (error);
  canonical = realpath (made, NULL);
  g_assert_nonnull (canonical);
  g_assert_cmpint (g_chmod (canonical, 0755), ==, 0);
  return canonical;
}

static void
remove_tree (const char *path)
{
  const char *argv[] = { "rm", "-rf", "--", path, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

static void
make_file (const char *path, mode_t mode)
{
  g_assert_true (g_file_set_contents (path, "x", 1, NULL));
  g_assert_cmpint (g_chmod (path, mode), ==, 0);
}

/* Puts "user::rwx,…" on a file; FALSE if its file system keeps no ACLs. */
static gboolean
set_acl (const char *path, const char *text)
{
  acl_t acl = acl_from_text (text);
  int done;

  g_assert_nonnull (acl);
  done = acl_set_file (path, ACL_TYPE_ACCESS, acl);
  if (done < 0)
    g_assert_cmpint (errno, ==, ENOTSUP);
  acl_free (acl);
  return done == 0;
}

/* Mode and ACL of a file, in one line. */
static char *
describe (const char *path)
{
  struct stat st;
  acl_t acl = acl_get_file (path, ACL_TYPE_ACCESS);
  char *text = acl_to_any_text (acl, NULL, ',', TEXT_NUMERIC_IDS);
  char *line;

  g_assert_cmpint (stat (path, &st), ==, 0);
  line = g_strdup_printf ("%04o %d %s", st.st_mode & 07777, acl_extended_file (path), text);
  acl_free (text);
  acl_free (acl);
  return line;
}

static const struct
{
  const char *title;
  const char *acl;
  gboolean as_owner, in_group;
  int mode;
  gboolean may;
} may_rows[] = {
  { "others may", "u::rwx,g::---,o::r-x", FALSE, FALSE, R_OK | X_OK, TRUE },
  { "others may not all of it", "u::rwx,g::---,o::--x", FALSE, FALSE, R_OK | X_OK, FALSE },
  { "the group may not though others may", "u::rwx,g::---,o::r-x", FALSE, TRUE, R_OK, FALSE },
  { "the group may", "u::rwx,g::r-x,o::---", FALSE, TRUE, R_OK | X_OK, TRUE },
  { "the owner may not though others may", "u::---,g::r-x,o::r-x", TRUE, FALSE, R_OK, FALSE },
  { "the owner may", "u::r--,g::---,o::---", TRUE, FALSE, R_OK, TRUE },
  { "named", "u::rwx,u:64055:--x,g::---,m::--x,o::---", FALSE, FALSE, X_OK, TRUE },
  { "named, not for that", "u::rwx,u:64055:--x,g::---,m::r-x,o::r-x", FALSE, FALSE, R_OK, FALSE },
  { "named, held down by the mask", "u::rwx,u:64055:r-x,g::---,m::--x,o::r-x", FALSE, FALSE, R_OK, FALSE },
  { "named before the group", "u::rwx,u:64055:---,g::r-x,m::r-x,o::r-x", FALSE, TRUE, R_OK, FALSE },
  { "another is named", "u::rwx,u:64056:r-x,g::---,m::r-x,o::---", FALSE, FALSE, R_OK, FALSE },
  { "a group is named", "u::rwx,g::---,g:64055:r-x,m::r-x,o::---", FALSE, FALSE, R_OK, TRUE },
  { "any of two groups", "u::rwx,g::---,g:64055:r-x,m::r-x,o::---", FALSE, TRUE, R_OK, TRUE },
  { "two groups do not add up", "u::rwx,g::r--,g:64055:--x,m::r-x,o::---", FALSE, TRUE, R_OK | X_OK, FALSE },
  { "a named group, held down by the mask", "u::rwx,g::---,g:64055:r-x,m::--x,o::r-x", FALSE, FALSE, R_OK, FALSE },
  { "the group is held down by the mask", "u::rwx,u:1:r--,g::r-x,m::---,o::r-x", FALSE, TRUE, R_OK, FALSE },
};

static void
test_may (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *dir = make_folder ();
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GError) error = NULL;
  gboolean may = !may_rows[i].may;
  struct stat st;

  g_assert_cmpint (stat (dir, &st), ==, 0);
  if (may_rows[i].as_owner)
    account->uid = st.st_uid;
  if (may_rows[i].as_owner && st.st_uid == 0)
    {
      account->uid = 12345;
      if (chown (dir, 12345, (gid_t) -1) < 0)
        g_error ("cannot give a folder away: %s", g_strerror (errno));
    }
  if (may_rows[i].in_group)
    {
      account->groups = g_renew (gid_t, account->groups, account->n_groups + 1);
      account->groups[account->n_groups++] = st.st_gid;
    }
  if (!set_acl (dir, may_rows[i].acl))
    g_test_skip ("the file system of the temporary folder keeps no ACLs");
  else
    {
      g_assert_true (ramet_access_may (dir, account, may_rows[i].mode, &may, &error));
      g_assert_no_error (error);
      g_assert_cmpint (may, ==, may_rows[i].may);
    }
  remove_tree (dir);
}

static void
test_may_root (void)
{
  g_autofree char *dir = make_folder ();
  g_autoptr (RametAccount) account = ramet_account_new (0, 0);
  gboolean may = FALSE;

  g_chmod (dir, 0700);
  g_assert_true (ramet_access_may (dir, account, R_OK | X_OK, &may, NULL));
  g_assert_true (may);
  g_assert_cmpstr (account->name, ==, "root");
  remove_tree (dir);
}

static void
test_may_missing (void)
{
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GError) error = NULL;
  gboolean may;

  g_assert_false (ramet_access_may ("/no/such/thing", account, R_OK, &may, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND);
}

/* A tree with seven unreadable entries, behind a closed door. */
static char *
make_project (const char *dir)
{
  g_autofree char *door = g_build_filename (dir, "door", NULL);
  char *project = g_build_filename (door, "project", NULL);
  static const char *const closed[] = { ".env", "a/key", "a/b/key", "1", "2", "3" };

  for (gsize i = 0; i < G_N_ELEMENTS (closed); i++)
    {
      g_autofree char *path = g_build_filename (project, closed[i], NULL);
      g_autofree char *folder = g_path_get_dirname (path);

      g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
      make_file (path, 0600);
    }
  for (const char *const *name = (const char *const[]) { "closed", "open", NULL }; *name; name++)
    {
      g_autofree char *path = g_build_filename (project, *name, NULL);
      g_autofree char *file = g_build_filename (path, "file", NULL);
      g_autofree char *link = g_build_filename (project, "a", *name, NULL);

      g_assert_cmpint (g_mkdir (path, 0755), ==, 0);
      make_file (file, **name == 'c' ? 0600 : 0644);
      g_assert_cmpint (symlink (path, link), ==, 0);
      g_assert_cmpint (g_chmod (path, **name == 'c' ? 0700 : 0755), ==, 0);
    }
  g_assert_cmpint (g_chmod (project, 0755), ==, 0);
  g_assert_cmpint (g_chmod (door, 0700), ==, 0);
  return project;
}

static void
test_survey (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *project = make_project (dir);
  g_autofree char *door = g_path_get_dirname (project);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GError) error = NULL;
  g_auto (RametReach) reach = { 0 };

  g_assert_true (ramet_access_survey (project, account, &reach, &error));
  g_assert_no_error (error);
  g_assert_cmpstr (reach.blocking, ==, door);
  g_assert_cmpuint (reach.n_unreadable, ==, 7); /* six files and a folder, but not what is in it */
  g_assert_cmpuint (g_strv_length (reach.examples), ==, 5);
  for (char **example = reach.examples; *example; example++)
    g_assert_false (g_path_is_absolute (*example));
  g_assert_cmpuint (reach.n_seen, ==, 13);
  g_assert_false (reach.cut);
  remove_tree (dir);
}

static void
test_survey_open (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *file = g_build_filename (dir, "file", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autofree char *hint = NULL;
  g_auto (RametReach) reach = { 0 };

  make_file (file, 0644);
  g_assert_true (ramet_access_survey (dir, account, &reach, NULL));
  g_assert_null (reach.blocking);
  g_assert_cmpuint (reach.n_unreadable, ==, 0);
  g_assert_nonnull (reach.examples);
  g_assert_null (reach.examples[0]);
  hint = ramet_access_hint (dir, account);
  g_assert_null (hint);
  remove_tree (dir);
}

static void
test_hint (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *door = g_build_filename (dir, "the door", NULL);
  g_autofree char *project = g_build_filename (door, "project", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autofree char *hint = NULL;
  g_autofree char *expected = NULL;

  g_assert_cmpint (g_mkdir_with_parents (project, 0700), ==, 0);
  hint = ramet_access_hint (project, account);
  expected = g_strdup_printf ("setfacl -m u:%s:--x '%s' && setfacl -m u:%s:r-x '%s'", account->name, door,
                              account->name, project);
  g_assert_cmpstr (hint, ==, expected);
  remove_tree (dir);
}

static const struct
{
  const char *title;
  const char *acl;      /* of the closed folder, before */
  const char *while_on; /* its ACL while access is granted, or NULL if that is refused */
} grant_rows[] = {
  { "no ACL", "u::rwx,g::---,o::---", "u::rwx,u:64055:--x,g::---,m::--x,o::---" },
  { "no ACL, a group that may write", "u::rwx,g::rwx,o::---", "u::rwx,u:64055:--x,g::rwx,m::rwx,o::---" },
  { "others are named", "u::rwx,u:7:r-x,g::r--,m::r-x,o::---", "u::rwx,u:7:r-x,u:64055:--x,g::r--,m::r-x,o::---" },
  { "a group is named", "u::rwx,g::---,g:7:r--,m::r--,o::---", "u::rwx,u:64055:--x,g::---,g:7:r--,m::r-x,o::---" },
  { "it has less already", "u::rwx,u:64055:r--,g::---,m::r--,o::---", "u::rwx,u:64055:r-x,g::---,m::r-x,o::---" },
  { "it is shut out by name", "u::rwx,u:64055:---,g::---,m::---,o::r-x", "u::rwx,u:64055:--x,g::---,m::--x,o::r-x" },
  { "it is held down by a mask", "u::rwx,u:64055:r-x,g::---,m::r--,o::---", "u::rwx,u:64055:r-x,g::---,m::r-x,o::---" },
  { "a mask and nobody named", "u::rwx,g::r--,m::r--,o::---", "u::rwx,u:64055:--x,g::r--,m::r-x,o::---" },
  { "the mask holds down others", "u::rwx,u:7:rwx,g::---,m::---,o::---", NULL },
  { "the mask holds down the group", "u::rwx,u:7:r--,g::r-x,m::r--,o::---", NULL },
};

static void
check_granted (const char *door, const char *project, gsize i, GPtrArray *records)
{
  g_autofree char *scratch = make_folder ();
  g_autofree char *during = describe (door);
  g_autofree char *expected = NULL;
  g_autoptr (RametAccount) account = qemu_account ();
  g_auto (RametReach) reach = { 0 };

  g_assert_true (set_acl (scratch, grant_rows[i].while_on));
  expected = describe (scratch);
  g_assert_cmpstr (during, ==, expected);
  g_assert_true (ramet_access_survey (project, account, &reach, NULL));
  g_assert_null (reach.blocking);
  g_assert_cmpuint (records->len, ==, 1); /* the project itself was open */
  g_assert_true (ramet_access_record_serves (records->pdata[0], project));
  g_assert_true (ramet_access_record_serves (records->pdata[0], door));
  g_assert_false (ramet_access_record_serves (records->pdata[0], scratch));
  remove_tree (scratch);
}

/* What is written down beforehand is what then happens; if it never comes to that, taking it back changes nothing. */
static void
check_foreseen (const char *door, const char *project, gboolean refused, const char *before)
{
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GPtrArray) foreseen = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) granted = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *after = NULL;

  g_assert_cmpint (ramet_access_foresee (project, account, FALSE, foreseen, NULL), ==, !refused);
  g_assert_cmpuint (foreseen->len, ==, refused ? 0 : 1);
  if (!refused)
    g_assert_true (ramet_access_revoke (foreseen->pdata[0], NULL));
  after = describe (door);
  g_assert_cmpstr (after, ==, before);
  if (refused)
    return;
  g_assert_true (ramet_access_grant (project, account, granted, NULL));
  g_assert_cmpstr (granted->pdata[0], ==, foreseen->pdata[0]);
  g_assert_true (ramet_access_revoke (foreseen->pdata[0], NULL));
}

static void
test_grant (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *dir = make_folder ();
  g_autofree char *door = g_build_filename (dir, "a door", NULL);
  g_autofree char *project = g_build_filename (door, "project", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  g_assert_cmpint (g_mkdir_with_parents (project, 0755), ==, 0);
  if (!set_acl (door, grant_rows[i].acl))
    {
      g_test_skip ("the file system of the temporary folder keeps no ACLs");
      remove_tree (dir);
      return;
    }
  before = describe (door);
  check_foreseen (door, project, grant_rows[i].while_on == NULL, before);
  if (grant_rows[i].while_on == NULL)
    {
      g_assert_false (ramet_access_grant (project, account, records, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
      g_assert_cmpuint (records->len, ==, 0);
    }
  else
    {
      g_assert_true (ramet_access_grant (project, account, records, &error));
      g_assert_no_error (error);
      check_granted (door, project, i, records);
      for (guint k = 0; k < 2; k++) /* the second time there is nothing left to do */
        {
          g_assert_true (ramet_access_revoke (records->pdata[0], &error));
          g_assert_no_error (error);
        }
    }
  after = describe (door);
  g_assert_cmpstr (after, ==, before);
  remove_tree (dir);
}

/* Two grants on one path, for a share below it and for itself, taken back in either order. */
static void
test_grant_twice (gconstpointer data)
{
  gboolean oldest_first = GPOINTER_TO_INT (data);
  g_autofree char *dir = make_folder ();
  g_autofree char *project = g_build_filename (dir, "project", NULL);
  g_autofree char *below = g_build_filename (project, "below", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  g_assert_cmpint (g_mkdir_with_parents (below, 0755), ==, 0);
  g_chmod (below, 0755);
  g_chmod (project, 0750);
  if (!set_acl (dir, "u::rwx,g::r-x,o::r-x"))
    {
      g_test_skip ("the file system of the temporary folder keeps no ACLs");
      remove_tree (dir);
      return;
    }
  before = describe (project);
  g_assert_true (ramet_access_grant (below, account, records, &error));
  g_assert_true (ramet_access_grant (project, account, records, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (records->len, ==, 2);
  g_assert_true (ramet_access_revoke (records->pdata[oldest_first ? 0 : 1], &error));
  g_assert_true (ramet_access_revoke (records->pdata[oldest_first ? 1 : 0], &error));
  g_assert_no_error (error);
  after = describe (project);
  g_assert_cmpstr (after, ==, before);
  remove_tree (dir);
}

/* The second folder on the way cannot be opened, so the first one is closed again. */
static void
test_grant_all_or_nothing (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *outer = g_build_filename (dir, "outer", NULL);
  g_autofree char *inner = g_build_filename (outer, "inner", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;

  g_assert_cmpint (g_mkdir_with_parents (inner, 0700), ==, 0);
  before = describe (outer);
  if (!set_acl (inner, "u::rwx,u:7:rwx,g::---,m::---,o::---"))
    g_test_skip ("the file system of the temporary folder keeps no ACLs");
  else
    {
      g_assert_false (ramet_access_grant (inner, account, records, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
      g_assert_cmpuint (records->len, ==, 0);
      after = describe (outer);
      g_assert_cmpstr (after, ==, before);
    }
  remove_tree (dir);
}

static void
test_grant_file (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *file = g_build_filename (dir, "file", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *before = NULL;
  g_autofree char *after = NULL;
  gboolean may = FALSE;

  make_file (file, 0600);
  before = describe (file);
  if (!set_acl (dir, "u::rwx,g::---,o::---"))
    g_test_skip ("the file system of the temporary folder keeps no ACLs");
  else
    {
      g_assert_false (ramet_access_grant (file, account, records, &error));
      g_clear_error (&error);
      g_assert_true (ramet_access_grant_file (file, account, records, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (records->len, ==, 2);
      g_assert_true (ramet_access_may (file, account, R_OK, &may, NULL));
      g_assert_true (may);
      g_assert_true (ramet_access_may (file, account, W_OK, &may, NULL));
      g_assert_false (may);
      for (guint i = 0; i < records->len; i++)
        g_assert_true (ramet_access_revoke (records->pdata[i], NULL));
      after = describe (file);
      g_assert_cmpstr (after, ==, before);
    }
  remove_tree (dir);
}

static void
test_grant_through_link (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *real = g_build_filename (dir, "real", NULL);
  g_autofree char *link = g_build_filename (dir, "link", NULL);
  g_autoptr (RametAccount) account = qemu_account ();
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *record = NULL;

  g_assert_cmpint (g_mkdir (real, 0700), ==, 0);
  g_assert_cmpint (symlink (real, link), ==, 0);
  g_assert_false (ramet_access_grant (link, account, records, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_clear_error (&error);
  record = g_strdup_printf ("%u none r-x none %s", QEMU_UID, link);
  g_assert_false (ramet_access_revoke (record, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  remove_tree (dir);
}

/* What somebody else did to the ACL meanwhile stays done. */
static void
test_revoke_after_change (void)
{
  g_autofree char *dir = make_folder ();
  g_autofree char *record = g_strdup_printf ("%u none r-x none %s", QEMU_UID, dir);
  g_autofree char *after = NULL;

  if (!set_acl (dir, "u::rwx,u:7:rw-,u:64055:r-x,g::r-x,m::rwx,o::---"))
    g_test_skip ("the file system of the temporary folder keeps no ACLs");
  else
    {
      g_assert_true (ramet_access_revoke (record, NULL));
      after = describe (dir);
      g_assert_true (g_str_has_suffix (after, "user::rwx,user:7:rw-,group::r-x,mask::rwx,other::---"));
      /* a chmod while the entry was there has set the mask */
      g_assert_true (set_acl (dir, "u::rwx,u:64055:r-x,g::rwx,m::r-x,o::---"));
      g_assert_true (ramet_access_revoke (record, NULL));
      g_clear_pointer (&after, g_free);
      after = describe (dir);
      g_assert_cmpstr (after, ==, "0750 0 user::rwx,group::r-x,other::---");
    }
  remove_tree (dir);
}

static const struct
{
  const char *title, *record;
  gboolean fine;
} record_rows[] = {
  { "a path that is gone", "64055 none --x none /no/such/folder", TRUE },
  { "empty", "", FALSE },
  { "no path", "64055 none --x none", FALSE },
  { "a relative path", "64055 none --x none tmp", FALSE },
  { "no uid", "x none --x none /tmp", FALSE },
  { "bad permissions", "64055 none x none /tmp", FALSE },
  { "a bad mask", "64055 none --x rwxx /tmp", FALSE },
};

static void
test_record (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (ramet_access_revoke (record_rows[i].record, &error), ==, record_rows[i].fine);
  if (!record_rows[i].fine)
    g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
}

static void
add_row (const char *group, const char *title, gpointer data, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/access/%s/%s", group, title);

  g_test_add_data_func (path, data, func);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (may_rows); i++)
    add_row ("may", may_rows[i].title, GSIZE_TO_POINTER (i), test_may);
  for (gsize i = 0; i < G_N_ELEMENTS (grant_rows); i++)
    add_row ("grant", grant_rows[i].title, GSIZE_TO_POINTER (i), test_grant);
  for (gsize i = 0; i < G_N_ELEMENTS (record_rows); i++)
    add_row ("record", record_rows[i].title, GSIZE_TO_POINTER (i), test_record);
  g_test_add_func ("/access/may/root", test_may_root);
  g_test_add_func ("/access/may/missing", test_may_missing);
  g_test_add_func ("/access/survey/closed", test_survey);
  g_test_add_func ("/access/survey/open", test_survey_open);
  g_test_add_func ("/access/hint", test_hint);
  add_row ("grant", "twice, the newest goes first", GINT_TO_POINTER (FALSE), test_grant_twice);
  add_row ("grant", "twice, the oldest goes first", GINT_TO_POINTER (TRUE), test_grant_twice);
  g_test_add_func ("/access/grant/all or nothing", test_grant_all_or_nothing);
  g_test_add_func ("/access/grant/a file", test_grant_file);
  g_test_add_func ("/access/grant/through a link", test_grant_through_link);
  g_test_add_func ("/access/revoke/after a change", test_revoke_after_change);
  return g_test_run ();
}
