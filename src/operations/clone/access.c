/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/plan.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "core/text.h"

/** qemu_account: (transfer none): looked up when first needed */
static const RametAccount *
qemu_account (RametClonePlan *plan, GError **error)
{
  uid_t uid;
  gid_t gid;

  if (plan->qemu == NULL && ramet_connection_get_qemu_user (plan->connection, &uid, &gid, error))
    plan->qemu = ramet_account_new (uid, gid);
  return plan->qemu;
}

static void
plan_grant (RametClonePlan *plan, const char *path, gboolean is_file, gboolean is_closed)
{
  RametPlannedGrant *grant = g_new0 (RametPlannedGrant, 1);

  grant->path = g_strdup (path);
  grant->is_file = is_file;
  grant->is_closed = is_closed;
  g_ptr_array_add (plan->grants, grant);
}

/* Cheaper than asking libvirt who QEMU is, and true of every base that ramet built. */
static gboolean
is_open_to_all (const char *path)
{
  g_autofree char *at = g_strdup (path);
  struct stat st;

  if (stat (at, &st) < 0 || !(st.st_mode & S_IROTH))
    return FALSE;
  while (!g_str_equal (at, "/") && !g_str_equal (at, "."))
    {
      char *up = g_path_get_dirname (at);

      g_free (at);
      at = up;
      if (stat (at, &st) < 0 || !(st.st_mode & S_IXOTH))
        return FALSE;
    }
  return TRUE;
}

/**
 * ramet_clone_check_readable:
 * @what: "disk", say: what of the base's @path is
 *
 * The owner of a base's file is left alone, so QEMU's user must be able to read it as it is. Whoever may not look
 * leaves the finding to QEMU.
 */
void
ramet_clone_check_readable (RametClonePlan *plan, const char *what, const char *path, GPtrArray *findings)
{
  g_autofree char *hint = NULL;
  g_autoptr (GError) ignored = NULL;
  const RametAccount *qemu;
  GError *why = NULL;

  if (!ramet_connection_is_local (plan->connection) || is_open_to_all (path))
    return;
  qemu = qemu_account (plan, &ignored);
  hint = qemu ? ramet_access_hint (path, qemu) : NULL;
  if (qemu && plan->options->grant)
    plan_grant (plan, path, TRUE, hint != NULL);
  if (hint == NULL || plan->options->grant)
    return;
  ramet_error_set (&why, RAMET_ERROR_REFUSED, "QEMU's user '%s' cannot read the base's %s '%s'", qemu->name, what,
                   path);
  ramet_error_hint (&why, "give --grant, or: %s", hint);
  ramet_findings_take (findings, why);
}

static void
survey_share (RametClonePlan *plan, RametTask *task, const char *source, GPtrArray *findings)
{
  g_auto (RametReach) reach = { 0 };
  const RametAccount *qemu;
  GError *why = NULL;

  qemu = qemu_account (plan, &why);
  if (qemu == NULL || !ramet_access_survey (source, qemu, &reach, &why))
    {
      ramet_findings_take (findings, why);
      return;
    }
  if (plan->options->grant)
    plan_grant (plan, source, FALSE, reach.blocking != NULL);
  else if (reach.blocking)
    {
      g_autofree char *hint = ramet_access_hint (source, qemu);

      ramet_error_set (&why, RAMET_ERROR_REFUSED, "QEMU's user '%s' cannot reach '%s': it may not pass '%s'",
                       qemu->name, source, reach.blocking);
      ramet_error_hint (&why, "give --grant, or: %s", hint ? hint : "");
      ramet_findings_take (findings, why);
    }
  if (reach.n_unreadable > 0)
    {
      g_autofree char *examples = g_strjoinv ("', '", reach.examples);
      g_autofree char *safe = ramet_text_escape (examples, -1);

      ramet_task_warn (task,
                       "the guest will not be able to read %" G_GUINT64_FORMAT " of %s%" G_GUINT64_FORMAT
                       " files in '%s', closed to QEMU's user '%s': '%s'%s",
                       reach.n_unreadable, reach.cut ? "more than " : "", reach.n_seen, source, qemu->name, safe,
                       reach.n_unreadable > g_strv_length (reach.examples) ? ", …" : "");
    }
}

/* The folder that @spec names, with all links followed. */
static char *
find_share_source (const char *source, GError **error)
{
  g_autofree char *canonical = realpath (source, NULL);
  struct stat st;

  if (canonical == NULL)
    ramet_error_set (error, errno == ENOENT ? RAMET_ERROR_NOT_FOUND : RAMET_ERROR_FAILED, "cannot share '%s': %s",
                     source, g_strerror (errno));
  else if (stat (canonical, &st) < 0 || !S_ISDIR (st.st_mode))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "cannot share '%s': it is no folder", source);
      ramet_error_hint (error, "share the folder that it is in");
    }
  else
    return g_strdup (canonical);
  return NULL;
}

/* A whole home, whoever's, holds keys and mail that no project needs. */
static gboolean
check_no_home (const char *canonical, GError **error)
{
  gboolean is_home = FALSE;
  const struct passwd *account;

  setpwent ();
  while (!is_home && (account = getpwent ()) != NULL)
    is_home = account->pw_uid >= 1000 && g_str_has_prefix (account->pw_dir, "/home/") &&
              g_str_equal (account->pw_dir, canonical);
  endpwent ();
  if (is_home)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot share '%s': it is somebody's whole home", canonical);
      ramet_error_hint (error, "share the project's own folder");
    }
  return !is_home;
}

/* The rest of what the guest cannot do without is the model's to know. */
static gboolean
check_not_over_home (RametClonePlan *plan, const char *target, GError **error)
{
  g_autofree char *home = g_build_filename ("/home", plan->user, NULL);

  if (!g_str_equal (target, home))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot put a share over '%s' in the guest: it is the user's home", target);
  ramet_error_hint (error, "name another place behind a colon, as in '-d DIR:%s/project'", target);
  return FALSE;
}

/* What the guest has written above a share of a snapshot is of use above the same folder only. */
static char *
plain_tag (const RametClonePlan *plan, const char *source, const char *target)
{
  const RametShare *before = ramet_clone_find_then_share (plan, source, target);

  return before ? g_strdup (before->tag) : ramet_share_tag_for (source, target);
}

static char *
choose_tag (const RametClonePlan *plan, const char *source, const char *target)
{
  if (plan->memory_of && plan->point == NULL)
    return ramet_template_slot_tag (plan->identity->shares->len);
  return plain_tag (plan, source, target);
}

static void
add_share (RametClonePlan *plan, RametTask *task, const char *source, const char *target, gboolean survey,
           GPtrArray *findings)
{
  g_autofree char *canonical = NULL;
  g_autofree char *tag = NULL;
  GError *why = NULL;

  if (!(canonical = find_share_source (source, &why)) || !ramet_share_check_source (canonical, g_get_home_dir (), &why) || !check_no_home (canonical, &why) ||
      !ramet_share_check_target (target, &why) || !check_not_over_home (plan, target, &why))
    {
      ramet_findings_take (findings, why);
      return;
    }
  for (guint i = 0; i < plan->identity->shares->len; i++)
    if (g_str_equal (((RametShare *) g_ptr_array_index (plan->identity->shares, i))->target, target))
      {
        ramet_error_set (&why, RAMET_ERROR_USAGE, "two shares would be at '%s' in the guest", target);
        ramet_findings_take (findings, why);
        return;
      }
  tag = choose_tag (plan, canonical, target);
  if (survey)
    survey_share (plan, task, canonical, findings);
  g_ptr_array_add (plan->identity->shares, ramet_share_new (canonical, target, tag));
  g_ptr_array_add (plan->metadata->shares, ramet_share_new (canonical, target, tag));
}

static void
plan_share (RametClonePlan *plan, RametTask *task, const char *spec, gboolean survey, GPtrArray *findings)
{
  g_autofree char *cwd = g_get_current_dir ();
  g_autofree char *source = NULL;
  g_autofree char *target = NULL;
  GError *why = NULL;

  if (ramet_share_parse (spec, cwd, &source, &target, &why))
    add_share (plan, task, source, target, survey, findings);
  else
    ramet_findings_take (findings, why);
}

/** ramet_clone_plan_shares: @survey: look at the folders, too, and not only at their names */
void
ramet_clone_plan_shares (RametClonePlan *plan, RametTask *task, gboolean survey, GPtrArray *findings)
{
  const char *const *spec = plan->options->shares;
  GError *why = NULL;

  if (spec && *spec && !ramet_connection_is_local (plan->connection))
    {
      ramet_error_set (&why, RAMET_ERROR_REFUSED, "folders cannot be shared with a VM on another host");
      ramet_findings_take (findings, why);
      return;
    }
  for (; spec && *spec; spec++)
    plan_share (plan, task, *spec, survey, findings);
  for (guint i = 0; plan->then && plan->options->shares == NULL && i < plan->then->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (plan->then->shares, i);

      add_share (plan, task, share->source, share->target, survey, findings);
    }
}
