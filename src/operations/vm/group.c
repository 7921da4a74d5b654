/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/group.h"

#include <string.h>

#include "core/paths.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/guest/agent.h"
#include "operations/vm/guest-shares.h"

#define REVIVE_S 10
#define ABORT_AGAIN_MS 300
#define CALL_PATIENCE_S 40 /* more than libvirt itself waits if it is busy with the domain */
#define CANCEL_PATIENCE_US (5 * G_TIME_SPAN_SECOND)
#define ALIVE_PATIENCE_US (8 * G_TIME_SPAN_SECOND) /* a guest that was just loaded from disk has much to do */
#define AWAKEN_PATIENCE_US (30 * G_TIME_SPAN_SECOND)
#define ATTACH_PATIENCE_US (90 * G_TIME_SPAN_SECOND) /* services may be slow to start */
#define MAX_LINES 64
#define SCRIPT "bootstrap/guest/extra/awaken.sh"

/** ramet_group_new: (transfer full) (element-type RametVm): of VMs that belong to somebody else */
GPtrArray *
ramet_group_new (void)
{
  return g_ptr_array_new ();
}

/** ramet_group_open: (transfer full) (element-type RametVm): owns them; all are ramet's, or none is opened */
GPtrArray *
ramet_group_open (RametConnection *connection, GPtrArray *names, GError **error)
{
  g_autoptr (GPtrArray) vms = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_vm_free);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; i < names->len; i++)
    {
      GError *why = NULL;
      RametVm *vm = ramet_vm_open_ours (connection, g_ptr_array_index (names, i), &why);

      if (vm)
        g_ptr_array_add (vms, vm);
      ramet_findings_take (findings, why);
    }
  return ramet_findings_raise (findings, error) ? g_steal_pointer (&vms) : NULL;
}

/**
 * ramet_group_reattach:
 *
 * All are as good as new even if libvirtd was restarted; what runs is looked up again. A VM that cannot be asked, or is gone,
 * counts as off: nothing that is done to the others waits for it.
 */
gboolean
ramet_group_reattach (GPtrArray *vms, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  gboolean lost = FALSE;

  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);
      GError *why = NULL;

      vm->run = RAMET_RUN_OFF;
      /* they share one connection, and to wait for it once is enough */
      lost = lost || !ramet_connection_revive (ramet_domain_get_connection (vm->domain), REVIVE_S, &why);
      if (!lost && ramet_domain_reattach (vm->domain, &why))
        ramet_domain_get_run (vm->domain, &vm->run, &why);
      ramet_findings_take (findings, why);
    }
  return ramet_findings_raise (findings, error);
}

/* One of the calls; shared with its thread, which may outlive the waiting. */
typedef struct
{
  gatomicrefcount references;
  RametDomain *domain;
  RametGroupFunc func;
  gboolean begun;
  gint done; /* atomic: the error is written */
  GError *error;
} Call;

static Call *
call_new (RametVm *vm, RametGroupFunc func)
{
  Call *call = g_new0 (Call, 1);

  g_atomic_ref_count_init (&call->references);
  call->domain = ramet_domain_ref (vm->domain);
  call->func = func;
  return call;
}

static void
call_unref (gpointer data)
{
  Call *call = data;

  if (!g_atomic_ref_count_dec (&call->references))
    return;
  ramet_domain_unref (call->domain);
  g_clear_error (&call->error);
  g_free (call);
}

static gpointer
call_main (gpointer data)
{
  Call *call = data;

  call->func (call->domain, &call->error);
  g_atomic_int_set (&call->done, TRUE);
  g_main_context_wakeup (NULL);
  call_unref (call);
  return NULL;
}

static void
call_begin (Call *call)
{
  call->begun = TRUE;
  g_atomic_ref_count_inc (&call->references);
  g_thread_unref (g_thread_new ("call", call_main, call));
}

/* Begins with as many more calls as there is room for; returns how many are under way then. */
static guint
begin_calls (GPtrArray *calls, guint at_once)
{
  guint under_way = 0;

  for (guint i = 0; i < calls->len; i++)
    {
      Call *call = g_ptr_array_index (calls, i);

      if (call->begun && !g_atomic_int_get (&call->done))
        under_way++;
    }
  for (guint i = 0; i < calls->len && under_way < at_once; i++)
    {
      Call *call = g_ptr_array_index (calls, i);

      if (call->begun)
        continue;
      call_begin (call);
      under_way++;
    }
  return under_way;
}

/* After Ctrl-C: nothing more is begun. Asked again and again, for between two stages there may be nothing to abort. */
static void
give_up (GPtrArray *calls, const RametGroupWork *work)
{
  for (guint i = 0; i < calls->len; i++)
    {
      Call *call = g_ptr_array_index (calls, i);

      if (!call->begun)
        {
          call->begun = TRUE;
          ramet_error_set (&call->error, RAMET_ERROR_CANCELLED, "interrupted");
          g_atomic_int_set (&call->done, TRUE);
        }
      else if (!g_atomic_int_get (&call->done) && work->abort)
        work->abort (call->domain, NULL);
    }
}

static gboolean
on_time (gpointer data)
{
  return G_SOURCE_CONTINUE;
}

static void
wait_for_calls (GPtrArray *calls, RametTask *task, const RametGroupWork *work)
{
  guint timer = g_timeout_add (ABORT_AGAIN_MS, on_time, NULL);
  gint64 deadline_us = work->patience_s ? g_get_monotonic_time () + work->patience_s * G_TIME_SPAN_SECOND : G_MAXINT64;
  gboolean cancelled = FALSE;

  while (begin_calls (calls, work->at_once ? work->at_once : calls->len) > 0 && g_get_monotonic_time () < deadline_us)
    {
      g_main_context_iteration (NULL, TRUE);
      if (ramet_task_check (task, NULL))
        continue;
      give_up (calls, work);
      if (!cancelled && work->patience_s)
        deadline_us = MIN (deadline_us, g_get_monotonic_time () + CANCEL_PATIENCE_US);
      cancelled = TRUE;
    }
  g_source_remove (timer);
}

/**
 * ramet_group_call:
 *
 * Calls @work for all domains at the same time, each in a thread, and waits until all have returned, Ctrl-C or not, or
 * the patience is at its end. The live line goes on meanwhile.
 *
 * Returns: (transfer full): one for each VM; RAMET_ERROR_CANCELLED where Ctrl-C came before the call, RAMET_ERROR_TIMEOUT
 * where it has not returned
 */
RametErrors *
ramet_group_call (GPtrArray *vms, RametTask *task, const RametGroupWork *work)
{
  RametErrors *errors = ramet_errors_new (vms->len);
  g_autoptr (GPtrArray) calls = g_ptr_array_new_with_free_func (call_unref);

  for (guint i = 0; i < vms->len; i++)
    g_ptr_array_add (calls, call_new (g_ptr_array_index (vms, i), work->func));
  wait_for_calls (calls, task, work);
  for (guint i = 0; i < vms->len; i++)
    {
      Call *call = g_ptr_array_index (calls, i);
      const char *name = ramet_domain_get_name (call->domain);
      GError *why = NULL;

      if (g_atomic_int_get (&call->done))
        why = g_steal_pointer (&call->error);
      else
        {
          ramet_error_set (&why, RAMET_ERROR_TIMEOUT, "libvirt does not answer for '%s': its QEMU seems to hang", name);
          ramet_error_hint (&why, "'ramet stop --force %s' ends it", name);
        }
      ramet_errors_set (errors, i, why);
    }
  return errors;
}

/** ramet_group_take_errors: moves what went wrong with @some of @vms to their places in @errors */
void
ramet_group_take_errors (GPtrArray *vms, RametErrors *errors, GPtrArray *some, RametErrors *theirs)
{
  for (guint i = 0; i < some->len; i++)
    {
      guint place;

      if (g_ptr_array_find (vms, g_ptr_array_index (some, i), &place))
        ramet_errors_set (errors, place, g_steal_pointer (&g_ptr_array_index (theirs, i)));
    }
}

/** ramet_group_do: ramet_group_call() and ramet_errors_raise() */
gboolean
ramet_group_do (GPtrArray *vms, RametTask *task, const RametGroupWork *work, GError **error)
{
  g_autoptr (GPtrArray) errors = ramet_group_call (vms, task, work);

  return ramet_errors_raise (errors, error);
}

/** ramet_group_pick: (transfer container): those that are in one state, as far as was looked */
GPtrArray *
ramet_group_pick (GPtrArray *vms, RametRun run)
{
  GPtrArray *picked = ramet_group_new ();

  for (guint i = 0; i < vms->len; i++)
    if (((RametVm *) g_ptr_array_index (vms, i))->run == run)
      g_ptr_array_add (picked, g_ptr_array_index (vms, i));
  return picked;
}

/** ramet_group_resume: those of @vms that are paused run again, as far as they do; no clock is set */
gboolean
ramet_group_resume (GPtrArray *vms, RametTask *task, GError **error)
{
  static const RametGroupWork work = { ramet_domain_resume, NULL, 0, CALL_PATIENCE_S };
  g_autoptr (GPtrArray) paused = ramet_group_pick (vms, RAMET_RUN_PAUSED);
  gboolean all = ramet_group_do (paused, task, &work, error);

  for (guint i = 0; i < paused->len; i++)
    {
      RametVm *vm = g_ptr_array_index (paused, i);

      ramet_domain_get_run (vm->domain, &vm->run, NULL);
    }
  RAMET_STEP ("group-resumed");
  return all;
}

/**
 * ramet_group_resume_undo:
 * @vms: a #GPtrArray of #RametVm
 *
 * A #RametUndoFunc: ramet_group_resume(), even if libvirtd was restarted. All that can be resumed are.
 */
gboolean
ramet_group_resume_undo (gpointer vms, GError **error)
{
  g_autofree char *subject = ramet_vms_describe (vms);
  g_autoptr (RametTask) task = ramet_task_new (subject, NULL);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  GError *why = NULL;

  ramet_group_reattach (vms, &why);
  ramet_findings_take (findings, g_steal_pointer (&why));
  ramet_group_resume (vms, task, &why);
  ramet_findings_take (findings, why);
  return ramet_findings_raise (findings, error);
}

static gboolean
check_suspendable (GPtrArray *vms, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);
      const char *name = ramet_vm_get_name (vm);
      GError *why = NULL;

      if (!ramet_vm_check_free (vm, "pause", &why) || vm->run == RAMET_RUN_RUNNING || vm->run == RAMET_RUN_PAUSED)
        {
          ramet_findings_take (findings, why);
          continue;
        }
      ramet_error_set (&why, RAMET_ERROR_STATE, "cannot pause '%s': it is %s", name, ramet_run_name (vm->run));
      if (vm->run == RAMET_RUN_OFF || vm->run == RAMET_RUN_SAVED)
        ramet_error_hint (&why, "'ramet start %s'", name);
      ramet_findings_take (findings, why);
    }
  return ramet_findings_raise (findings, error);
}

/**
 * ramet_group_suspend:
 * @error: RAMET_ERROR_STATE if one does not run, or another ramet is at work on it; RAMET_ERROR_CANCELLED
 *
 * Freezes all at the same time; how they run is as it was last looked at, for each further look takes time. If one cannot be,
 * those that were not frozen before run again. What is paused already is fine.
 */
gboolean
ramet_group_suspend (GPtrArray *vms, RametTask *task, GError **error)
{
  static const RametGroupWork work = { ramet_domain_suspend, NULL, 0, CALL_PATIENCE_S };
  g_autoptr (GPtrArray) running = NULL;
  g_autoptr (GError) why = NULL;
  g_autoptr (GError) also = NULL;

  if (!check_suspendable (vms, error))
    return FALSE;
  running = ramet_group_pick (vms, RAMET_RUN_RUNNING);
  ramet_group_do (running, task, &work, &why);
  RAMET_STEP ("group-suspended");
  if (why || !ramet_task_check (task, &why))
    {
      /* a call that failed with its connection may still have been heard */
      ramet_group_resume_undo (running, &also);
      for (const GError *one = also; one; one = ramet_error_get_next (one))
        ramet_task_warn (task, "%s", one->message);
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  for (guint i = 0; i < running->len; i++)
    ((RametVm *) g_ptr_array_index (running, i))->run = RAMET_RUN_PAUSED;
  return TRUE;
}

static RametAgentJob *
begin_awakening (RametVm *vm, const char *script)
{
  gboolean has_shares = ramet_guest_shares_has_any (vm);
  const char *const argv[] = { "/bin/sh", "-s", RAMET_AGENT_NOW, has_shares ? "shares" : "", NULL };
  gint64 now_us = g_get_monotonic_time ();
  gint64 patience_us = AWAKEN_PATIENCE_US + (has_shares ? ATTACH_PATIENCE_US : 0);

  return ramet_agent_begin_run (vm->domain, argv, script, now_us + ALIVE_PATIENCE_US, now_us + patience_us);
}

/* One line of the script: its first word, and the rest safe to print. */
static void
tell_line (const char *line, RametTask *task)
{
  const char *tab = strchr (line, '\t');
  g_autofree char *rest = ramet_text_escape (tab ? tab + 1 : "", -1);
  g_autofree char *clipped = ramet_text_clip (rest, 100);

  if (g_str_has_prefix (line, "clock\t"))
    ramet_task_warn (task, "its clock could not be set: %s", clipped);
  else if (g_str_has_prefix (line, "renamed\t"))
    ramet_task_warn (task, "it had taken the name '%s.local', and has its own again", clipped);
  else if (g_str_has_prefix (line, "stays\t"))
    ramet_task_warn (task, "it answers as '%s.local': another machine seems to have its name", clipped);
}

/* (transfer full) (nullable): the script that sets a guest right */
static char *
read_script (GError **error)
{
  g_autofree char *path = ramet_paths_data (SCRIPT);
  g_autoptr (GError) why = NULL;
  char *text;

  if (g_file_get_contents (path, &text, NULL, &why))
    return text;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read '%s': %s", path, why->message);
  ramet_error_hint (error, "install ramet anew, or set RAMET_DATADIR to its checkout");
  return NULL;
}

/* Some agents run no programs, but set the clock. */
static void
set_clock_alone (RametVm *vm, RametTask *own, RametTask *task, const GError *refusal)
{
  g_autoptr (GError) why = NULL;

  if (!g_error_matches (refusal, RAMET_ERROR, RAMET_ERROR_REFUSED) ||
      !ramet_agent_set_time (vm->domain, task, g_get_monotonic_time () + ALIVE_PATIENCE_US, &why))
    ramet_task_warn (own, "its clock was not set: %s", refusal->message);
}

/* Waits for one; what is amiss with its clock or name is told under its own name. Fails if its shares stay detached. */
static gboolean
wait_for_one (RametVm *vm, RametAgentJob *job, RametTask *task, GError **error)
{
  g_autoptr (RametTask) own = ramet_task_new (ramet_vm_get_name (vm), NULL);
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_auto (GStrv) lines = NULL;
  g_autoptr (GError) why = NULL;

  if (ramet_agent_wait (job, task, &outcome, &why))
    {
      lines = g_strsplit (outcome.output, "\n", MAX_LINES);
      for (char **line = lines; *line; line++)
        tell_line (*line, own);
      return !g_strv_contains ((const char *const *) lines, "restoring") ||
             ramet_guest_shares_check_restored (vm, task, &outcome, error);
    }
  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  set_clock_alone (vm, own, task, why);
  return TRUE;
}

/**
 * ramet_group_awaken:
 * @vms: (element-type RametVm): running ones that stood still
 *
 * Sets the guests' clocks and names right, and attaches shares that are detached still. A guest whose agent does not answer
 * is warned of, and no error; one that was never set up is left alone.
 *
 * Returns: (transfer full): one for each VM: RAMET_ERROR_CANCELLED, or its shares cannot be attached again
 */
RametErrors *
ramet_group_awaken (GPtrArray *vms, RametTask *task)
{
  RametErrors *errors = ramet_errors_new (vms->len);
  g_autoptr (GPtrArray) jobs = g_ptr_array_new ();
  gboolean cancelled = FALSE;
  GError *why = NULL;
  g_autofree char *script = vms->len ? read_script (&why) : NULL;

  if (why)
    ramet_errors_set (errors, 0, why);
  if (script == NULL)
    return errors;
  for (guint i = 0; i < vms->len; i++)
    {
      RametVm *vm = g_ptr_array_index (vms, i);

      g_ptr_array_add (jobs, ramet_vm_get_state (vm) == RAMET_STATE_READY ? begin_awakening (vm, script) : NULL);
    }
  for (guint i = 0; i < vms->len; i++)
    {
      g_autoptr (RametAgentJob) job = g_ptr_array_index (jobs, i);

      why = NULL;
      if (job == NULL || cancelled || wait_for_one (g_ptr_array_index (vms, i), job, task, &why))
        continue;
      cancelled = g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED);
      ramet_errors_set (errors, i, why);
    }
  return errors;
}

/** ramet_group_awaken_one: ramet_group_awaken() of a single VM */
gboolean
ramet_group_awaken_one (RametVm *vm, RametTask *task, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_group_new ();
  g_autoptr (GPtrArray) errors = NULL;

  g_ptr_array_add (vms, vm);
  errors = ramet_group_awaken (vms, task);
  return ramet_errors_raise (errors, error);
}
