/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/guest-shares.h"

#include <string.h>

#include "core/stop.h"
#include "core/text.h"
#include "host/guest/agent.h"
#include "model/share-users.h"

#define HELPER "/usr/local/lib/ramet/share"
#define HELD 4            /* the helper's exit statuses */
#define TOO_OLD 2
#define REPLY_S 2         /* of the patience at least, for the helper to put things back and say so */
#define REPLY_SHARE 4     /* a fourth of it, for guests on a busy host */
#define ALIVE_PATIENCE_US (15 * G_TIME_SPAN_SECOND)
#define RESTORE_ALIVE_US (8 * G_TIME_SPAN_SECOND) /* an undo must not wait long for a guest that hangs */
#define UNDO_PATIENCE_US (60 * G_TIME_SPAN_SECOND)
#define UNDO_REVIVE_S 10
#define SILENT_PATIENCE_US (5 * G_TIME_SPAN_SECOND)

/** ramet_guest_shares_has_any: only a VM that was set up has the helper for them, too */
gboolean
ramet_guest_shares_has_any (const RametVm *vm)
{
  return vm->metadata && vm->metadata->state == RAMET_STATE_READY && vm->metadata->shares->len > 0;
}

static RametAgentJob *
begin_release (RametVm *vm, const RametGuestSharesOptions *options)
{
  gint64 left_s = (options->deadline_us - g_get_monotonic_time ()) / G_USEC_PER_SEC;
  gint64 patience_s = left_s - MAX (REPLY_S, left_s / REPLY_SHARE);
  g_autofree char *patience = g_strdup_printf ("--patience=%" G_GINT64_FORMAT, CLAMP (patience_s, 1, 600));
  const char *argv[6] = { HELPER, "release", patience };
  gsize n = 3;

  if (options->stop_users)
    argv[n++] = "--stop-users";
  if (options->kill_users)
    argv[n++] = "--kill-users";
  return ramet_agent_begin_run (vm->domain, argv, NULL, g_get_monotonic_time () + ALIVE_PATIENCE_US, options->deadline_us);
}

static RametAgentJob *
begin_restore (RametVm *vm, gint64 deadline_us)
{
  static const char *const argv[] = { HELPER, "restore", NULL };

  return ramet_agent_begin_run (vm->domain, argv, NULL, g_get_monotonic_time () + RESTORE_ALIVE_US, deadline_us);
}

/* What the helper did, for the curious: "stopped web.service" */
static void
note_deeds (RametTask *task, const char *name, const char *output)
{
  g_auto (GStrv) lines = g_strsplit (output, "\n", 64);

  for (char **line = lines; *line; line++)
    if (g_str_has_prefix (*line, "stopped\t") || g_str_has_prefix (*line, "killed\t") ||
        g_str_has_prefix (*line, "started\t"))
      {
        g_autofree char *safe = ramet_text_escape (*line, (gssize) MIN (strlen (*line), 300));

        ramet_task_note (task, "'%s': %s", name, safe);
      }
}

/* (transfer full): the last line that the helper said on stderr, without its own prefix, safe to print */
static char *
last_words (const RametAgentOutcome *outcome)
{
  g_autofree char *text = g_strdup (outcome->errors);
  const char *line;
  const char *said;
  g_autofree char *safe = NULL;

  g_strchomp (text);
  line = strrchr (text, '\n');
  line = line ? line + 1 : text;
  said = g_str_has_prefix (line, "ramet share: ") ? line + strlen ("ramet share: ") : line;
  safe = ramet_text_escape (said, -1);
  return *safe ? ramet_text_clip (safe, 200) : g_strdup_printf ("its helper ended with status %d", outcome->status);
}

static void
hint_at_users (GPtrArray *users, const RametGuestSharesOptions *options, const char *name, const char *why, GError **error)
{
  guint services;
  guint processes;

  ramet_share_users_count (users, &services, &processes);
  if ((services == 0 || options->stop_users) && (processes == 0 || options->kill_users))
    ramet_error_hint (error, "%s; end them in the guest: 'ramet ssh %s'", why, name);
  else if (processes == 0 || options->kill_users)
    ramet_error_hint (error, "'--stop-users' stops these services, and starts them again afterwards");
  else if (services == 0 || options->stop_users)
    ramet_error_hint (error, "leave the folder in the guest, or give '--kill-users', which ends these processes");
  else
    ramet_error_hint (error, "'--stop-users' stops the services, and starts them again afterwards; '--kill-users' ends the "
                             "other processes");
}

static gboolean
check_release (RametVm *vm, RametTask *task, const RametGuestSharesOptions *options, const RametAgentOutcome *outcome,
               GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autoptr (GPtrArray) users = ramet_share_users_parse (outcome->output);
  g_autofree char *why = last_words (outcome);
  g_autofree char *who = ramet_share_users_describe (users);

  note_deeds (task, name, outcome->output);
  if (outcome->status == 0)
    return TRUE;
  if (outcome->status == TOO_OLD)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot detach the shares of '%s': it was made by an older ramet", name);
      ramet_error_hint (error, "make it anew, with 'ramet clone'");
    }
  else if (outcome->status == HELD && users->len > 0)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot detach the shares of '%s': in use by %s", name, who);
      hint_at_users (users, options, name, why, error);
    }
  else
    ramet_error_set (error, outcome->status == HELD ? RAMET_ERROR_STATE : RAMET_ERROR_FAILED,
                     "cannot detach the shares of '%s': %s", name, why);
  return FALSE;
}

/**
 * ramet_guest_shares_check_restored:
 * @outcome: what the helper has printed, and how it ended
 * @error: the shares are not mounted again, or not all services run
 */
gboolean
ramet_guest_shares_check_restored (RametVm *vm, RametTask *task, const RametAgentOutcome *outcome, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autofree char *why = last_words (outcome);

  note_deeds (task, name, outcome->output);
  if (outcome->status == 0 || outcome->status == TOO_OLD)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot attach the shares of '%s' again: %s", name, why);
  ramet_error_hint (error, "look there: 'ramet ssh %s -- sudo %s attach'", name, HELPER);
  return FALSE;
}

/* (element-type RametAgentJob): one for each VM, %NULL where there is nothing to do; @options: %NULL to restore */
static GPtrArray *
begin_all (GPtrArray *vms, const RametGuestSharesOptions *options, gint64 deadline_us)
{
  GPtrArray *jobs = g_ptr_array_new ();

  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);

      if (!ramet_guest_shares_has_any (vm))
        g_ptr_array_add (jobs, NULL);
      else
        g_ptr_array_add (jobs, options ? begin_release (vm, options) : begin_restore (vm, deadline_us));
    }
  return jobs;
}

/* What is known of a VM that was to detach its shares, and that is to attach them since another could not. */
typedef struct
{
  GPtrArray *detached; /* (element-type RametVm): they are, or may be */
  GPtrArray *silent;   /* (element-type RametVm): they may be, but the guest does not answer */
} Aftermath;

static void
take_down (Aftermath *aftermath, RametVm *vm, const GError *why, gboolean answered)
{
  if (aftermath == NULL || (why && answered))
    return; /* the helper itself puts things back when it fails */
  g_ptr_array_add (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT) ? aftermath->silent : aftermath->detached, vm);
}

/* Waits for all, but not after Ctrl-C. */
static void
wait_for_all (GPtrArray *vms, GPtrArray *jobs, RametTask *task, const RametGuestSharesOptions *options,
              Aftermath *aftermath, RametErrors *errors)
{
  gboolean cancelled = FALSE;

  for (guint i = 0; i < jobs->len; i++)
    {
      g_autoptr (RametAgentJob) job = g_ptr_array_index (jobs, i);
      RametVm *vm = g_ptr_array_index (vms, i);
      g_auto (RametAgentOutcome) outcome = { 0 };
      gboolean answered;
      GError *why = NULL;

      if (job == NULL)
        continue;
      answered = !cancelled && ramet_agent_wait (job, task, &outcome, &why);
      if (answered && options)
        check_release (vm, task, options, &outcome, &why);
      else if (answered)
        ramet_guest_shares_check_restored (vm, task, &outcome, &why);
      take_down (aftermath, vm, why, answered);
      cancelled = cancelled || g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED);
      ramet_errors_set (errors, i, why);
    }
}

static gboolean
any_has_shares (GPtrArray *vms)
{
  for (guint i = 0; i < vms->len; i++)
    if (ramet_guest_shares_has_any (g_ptr_array_index (vms, i)))
      return TRUE;
  return FALSE;
}

/*
 * Mounts what was unmounted, and starts what was stopped, even after Ctrl-C, when libvirtd was restarted, and when one of
 * them is gone; waits for a release that is still under way in the guest. What is attached stays so.
 */
static gboolean
attach_again (GPtrArray *vms, gint64 patience_us, GError **error)
{
  g_autofree char *subject = ramet_vms_describe (vms);
  g_autoptr (RametTask) task = ramet_task_new (subject, NULL);
  g_autoptr (GPtrArray) there = g_ptr_array_new ();
  g_autoptr (GPtrArray) errors = ramet_errors_new (vms->len);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (GPtrArray) jobs = NULL;
  GError *why = NULL;

  if (!any_has_shares (vms))
    return TRUE;
  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);

      if (!ramet_connection_revive (ramet_domain_get_connection (vm->domain), UNDO_REVIVE_S, error))
        return FALSE;
      if (ramet_domain_reattach (vm->domain, &why))
        g_ptr_array_add (there, vm);
      ramet_findings_take (findings, g_steal_pointer (&why));
    }
  ramet_task_step (task, "attaching the shares");
  jobs = begin_all (there, NULL, g_get_monotonic_time () + patience_us);
  wait_for_all (there, jobs, task, NULL, NULL, errors);
  ramet_errors_raise (errors, &why);
  ramet_findings_take (findings, why);
  return ramet_findings_raise (findings, error);
}

/** ramet_guest_shares_attach_undo: a #RametUndoFunc: takes ramet_guest_shares_detach() back; @vms: a #GPtrArray of #RametVm */
gboolean
ramet_guest_shares_attach_undo (gpointer vms, GError **error)
{
  return attach_again (vms, UNDO_PATIENCE_US, error);
}

static void
put_back (const Aftermath *aftermath, RametTask *task)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GError) also = NULL;

  if (!attach_again (aftermath->detached, UNDO_PATIENCE_US, &why))
    ramet_task_warn (task, "%s", why->message);
  /* a guest that hangs is not waited for as long once more */
  if (!attach_again (aftermath->silent, SILENT_PATIENCE_US, &also))
    ramet_task_note (task, "%s", also->message);
}

/**
 * ramet_guest_shares_detach:
 * @vms: (element-type RametVm): running ones, side by side
 * @error: RAMET_ERROR_STATE names who holds a share, with a hint; all VMs that have one are told of
 *
 * All shares of all VMs are detached, or attached as before. VMs without shares need no agent.
 */
gboolean
ramet_guest_shares_detach (GPtrArray *vms, RametTask *task, const RametGuestSharesOptions *options, GError **error)
{
  g_autoptr (GPtrArray) jobs = NULL;
  g_autoptr (GPtrArray) detached = g_ptr_array_new ();
  g_autoptr (GPtrArray) silent = g_ptr_array_new ();
  g_autoptr (GPtrArray) errors = ramet_errors_new (vms->len);
  Aftermath aftermath = { detached, silent };

  if (!any_has_shares (vms))
    return TRUE;
  ramet_task_step (task, "detaching the shares");
  jobs = begin_all (vms, options, options->deadline_us);
  wait_for_all (vms, jobs, task, options, &aftermath, errors);
  RAMET_STEP ("shares-detached");
  if (ramet_errors_raise (errors, error))
    return TRUE;
  put_back (&aftermath, task);
  return FALSE;
}
