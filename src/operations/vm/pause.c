/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/pause.h"

#include "core/stop.h"
#include "core/undo.h"
#include "operations/vm/group.h"
#include "operations/vm/guest-shares.h"
#include "operations/vm/lifecycle.h"

#define RESUME_PATIENCE_S 40
#define SAVES_AT_ONCE 3 /* a connection takes five requests at once, and what aborts a save is one, too */

/* What is done to several VMs, and how each of them was before. All arrays are of RametVm, unowned. */
typedef struct
{
  GPtrArray *all;    /* that are to be saved */
  GPtrArray *frozen; /* that were paused before */
  GPtrArray *woken;  /* of those, the ones that have to run for a moment to let go of their shares */
} Saving;

static void
saving_clear (Saving *saving)
{
  g_clear_pointer (&saving->all, g_ptr_array_unref);
  g_clear_pointer (&saving->frozen, g_ptr_array_unref);
  g_clear_pointer (&saving->woken, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Saving, saving_clear)

static gboolean
check_savable (const RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (!ramet_vm_check_free (vm, "pause", error))
    return FALSE;
  if (vm->run == RAMET_RUN_RUNNING || vm->run == RAMET_RUN_PAUSED || vm->run == RAMET_RUN_SAVED)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot pause '%s': it is %s", name, ramet_run_name (vm->run));
  if (vm->run == RAMET_RUN_OFF)
    ramet_error_hint (error, "'ramet start %s'", name);
  return FALSE;
}

/* What is saved already is fine. */
static gboolean
look (GPtrArray *vms, Saving *saving, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  saving->all = ramet_group_new ();
  saving->woken = ramet_group_new ();
  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);
      GError *why = NULL;

      if (!ramet_domain_get_run (vm->domain, &vm->run, &why) || !check_savable (vm, &why))
        ramet_findings_take (findings, why);
      else if (vm->run != RAMET_RUN_SAVED)
        g_ptr_array_add (saving->all, vm);
    }
  saving->frozen = ramet_group_pick (saving->all, RAMET_RUN_PAUSED);
  for (guint i = 0; i < saving->frozen->len; i++)
    {
      RametVm *vm = g_ptr_array_index (saving->frozen, i);

      if (ramet_guest_shares_has_any (vm))
        g_ptr_array_add (saving->woken, vm);
    }
  return ramet_findings_raise (findings, error);
}

/* Those that were paused before are so again, as far as they run. */
static gboolean
freeze_again (GPtrArray *frozen, RametTask *task, GError **error)
{
  g_autoptr (GPtrArray) running = ramet_group_pick (frozen, RAMET_RUN_RUNNING);

  return running->len == 0 || ramet_group_suspend (running, task, error);
}

static gboolean
undo_waking (gpointer data, GError **error)
{
  g_autofree char *subject = ramet_vms_describe (data);
  g_autoptr (RametTask) task = ramet_task_new (subject, NULL);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  GError *why = NULL;

  ramet_group_reattach (data, &why);
  ramet_findings_take (findings, g_steal_pointer (&why));
  freeze_again (data, task, &why);
  ramet_findings_take (findings, why);
  return ramet_findings_raise (findings, error);
}

/* Starts those again that are saved; drops what is left of images that were not written to their end. */
static gboolean
start_saved (GPtrArray *vms, RametTask *task, GError **error)
{
  static const RametGroupWork work = { ramet_domain_start, NULL, 0, 0 };
  g_autoptr (GPtrArray) saved = ramet_group_pick (vms, RAMET_RUN_SAVED);
  gboolean all = ramet_group_do (saved, task, &work, error);

  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);

      if (!ramet_domain_get_run (vm->domain, &vm->run, NULL))
        continue;
      if (vm->run == RAMET_RUN_RUNNING || vm->run == RAMET_RUN_PAUSED)
        ramet_domain_drop_saved (vm->domain, NULL);
    }
  return all;
}

/*
 * All run again as they did, with their shares; a guest that is not quite right is warned of. One that cannot go on keeps
 * none of the others from it.
 */
static gboolean
undo_saving (gpointer data, GError **error)
{
  Saving *saving = data;
  g_autofree char *subject = ramet_vms_describe (saving->all);
  g_autoptr (RametTask) task = ramet_task_new (subject, NULL);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (GPtrArray) running = NULL;
  g_autoptr (GPtrArray) errors = NULL;
  g_autoptr (GError) not_right = NULL;
  GError *why = NULL;

  ramet_task_step (task, "going on as before");
  ramet_group_reattach (saving->all, &why);
  ramet_findings_take (findings, g_steal_pointer (&why));
  start_saved (saving->all, task, &why);
  ramet_findings_take (findings, g_steal_pointer (&why));
  ramet_group_resume (saving->all, task, &why);
  ramet_findings_take (findings, g_steal_pointer (&why));
  running = ramet_group_pick (saving->all, RAMET_RUN_RUNNING);
  errors = ramet_group_awaken (running, task);
  ramet_errors_raise (errors, &not_right);
  for (const GError *one = not_right; one; one = ramet_error_get_next (one))
    ramet_task_warn (task, "%s", one->message);
  freeze_again (saving->frozen, task, &why);
  ramet_findings_take (findings, why);
  return ramet_findings_raise (findings, error);
}

static gboolean
save_all (Saving *saving, RametTask *task, GError **error)
{
  static const RametGroupWork work = { ramet_domain_save, ramet_domain_abort_job, SAVES_AT_ONCE, 0 };

  ramet_task_step (task, "freezing");
  if (!ramet_group_suspend (saving->all, task, error))
    return FALSE;
  ramet_task_step (task, "saving the memory");
  if (!ramet_group_do (saving->all, task, &work, error))
    {
      /* what was aborted tells of that in libvirt's words */
      if (error)
        {
          g_autoptr (GError) cancelled = NULL;

          if (!ramet_task_check (task, &cancelled))
            {
              g_clear_error (error);
              g_propagate_error (error, g_steal_pointer (&cancelled));
            }
        }
      return FALSE;
    }
  RAMET_STEP ("group-saved");
  return TRUE;
}

/**
 * ramet_pause_to_disk:
 * @vms: (element-type RametVm)
 * @error: RAMET_ERROR_STATE if one does not run, another ramet is at work on it, or processes in it use a share;
 *         RAMET_ERROR_TIMEOUT if a guest's agent is needed and does not answer
 *
 * Lets all guests let go of their shares, freezes all at the same time, and saves the memory of each. If one cannot be
 * saved, all go on as before. What is saved already is fine.
 */
gboolean
ramet_pause_to_disk (GPtrArray *vms, RametTask *task, const RametPauseOptions *options, GError **error)
{
  g_auto (Saving) saving = { 0 };
  g_autoptr (RametUndo) undo = ramet_undo_new ();
  RametGuestSharesOptions shares = { .stop_users = options->stop_users, .kill_users = options->kill_users };

  if (!look (vms, &saving, error))
    return FALSE;
  if (saving.woken->len > 0)
    {
      ramet_undo_push (undo, "pause again what was paused", undo_waking, saving.woken, NULL);
      if (!ramet_group_resume (saving.woken, task, error))
        return FALSE;
    }
  shares.deadline_us = g_get_monotonic_time () + options->timeout_s * G_TIME_SPAN_SECOND;
  if (!ramet_guest_shares_detach (saving.all, task, &shares, error))
    {
      ramet_undo_unwind (undo);
      return FALSE;
    }
  ramet_undo_commit (undo);
  ramet_undo_push (undo, "go on with what was paused", undo_saving, &saving, NULL);
  RAMET_STEP ("pause-detached");
  if (!save_all (&saving, task, error))
    {
      ramet_undo_unwind (undo);
      return FALSE;
    }
  ramet_undo_commit (undo);
  return TRUE;
}

/* Starts from saved memory want what every start wants. */
static gboolean
check_one (RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (!ramet_vm_check_free (vm, "resume", error) || !ramet_domain_get_run (vm->domain, &vm->run, error))
    return FALSE;
  if (vm->run == RAMET_RUN_SAVED)
    return ramet_lifecycle_check_start (vm, FALSE, error);
  if (vm->run == RAMET_RUN_PAUSED || vm->run == RAMET_RUN_RUNNING)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot resume '%s': it is %s", name, ramet_run_name (vm->run));
  ramet_error_hint (error, "'ramet start %s'", name);
  return FALSE;
}

/* Which VMs have no error so far, and how it goes on with them. */
static GPtrArray *
pick_good (GPtrArray *vms, RametErrors *errors, RametRun run)
{
  GPtrArray *good = ramet_group_new ();

  for (guint i = 0; i < vms->len; i++)
    if (g_ptr_array_index (errors, i) == NULL && ((RametVm *) g_ptr_array_index (vms, i))->run == run)
      g_ptr_array_add (good, g_ptr_array_index (vms, i));
  return good;
}

/* Does it to those in state @run; they run then, or have an error. */
static void
set_going (GPtrArray *vms, RametTask *task, RametRun run, RametGroupFunc func, RametErrors *errors)
{
  const RametGroupWork work = { func, NULL, 0, run == RAMET_RUN_PAUSED ? RESUME_PATIENCE_S : 0 };
  g_autoptr (GPtrArray) some = pick_good (vms, errors, run);
  g_autoptr (GPtrArray) theirs = ramet_group_call (some, task, &work);

  for (guint i = 0; i < some->len; i++)
    if (g_ptr_array_index (theirs, i) == NULL)
      ((RametVm *) g_ptr_array_index (some, i))->run = RAMET_RUN_RUNNING;
  ramet_group_take_errors (vms, errors, some, theirs);
}

/* A pause to disk that was killed may have come to its end in libvirt meanwhile: then there is memory to take up. */
static void
look_again (GPtrArray *vms, RametErrors *errors)
{
  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);

      if (g_ptr_array_index (errors, i) && vm->run == RAMET_RUN_PAUSED && ramet_domain_get_run (vm->domain, &vm->run, NULL) &&
          vm->run == RAMET_RUN_SAVED)
        ramet_errors_set (errors, i, NULL);
    }
}

/**
 * ramet_resume:
 * @vms: (element-type RametVm): paused, saved or running
 *
 * Lets all go on, the paused ones at the same time, with clocks and names right and the shares attached. What runs is only
 * looked after: it may have been started by somebody who did not know that its shares were detached.
 *
 * Returns: (transfer full): one for each VM
 */
RametErrors *
ramet_resume (GPtrArray *vms, RametTask *task)
{
  RametErrors *errors = ramet_errors_new (vms->len);
  g_autoptr (GPtrArray) running = NULL;
  g_autoptr (GPtrArray) theirs = NULL;

  ramet_task_step (task, "resuming");
  for (guint i = 0; i < vms->len; i++)
    {
      GError *why = NULL;

      check_one (g_ptr_array_index (vms, i), &why);
      ramet_errors_set (errors, i, why);
    }
  set_going (vms, task, RAMET_RUN_PAUSED, ramet_domain_resume, errors);
  look_again (vms, errors);
  set_going (vms, task, RAMET_RUN_SAVED, ramet_domain_start, errors);
  RAMET_STEP ("resume-running");
  running = pick_good (vms, errors, RAMET_RUN_RUNNING);
  theirs = ramet_group_awaken (running, task);
  ramet_group_take_errors (vms, errors, running, theirs);
  return errors;
}
