/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/points/create.h"

#include "core/stop.h"
#include "core/undo.h"
#include "host/guest/agent.h"
#include "operations/points/merge.h"
#include "operations/points/plan.h"
#include "operations/points/take.h"
#include "operations/vm/group.h"
#include "operations/vm/guest-shares.h"

#define GUEST_PATIENCE_S 30
#define ALIVE_PATIENCE_S 2 /* a guest without an agent, or one that hangs */
#define SYNC_PATIENCE_S 10

/* Several VMs that become one point in time. */
typedef struct
{
  RametConnection *connection;
  RametTask *task;
  const RametPointsCreateOptions *options;
  RametUndo *undo;
  GPtrArray *members; /* (element-type RametPointMember) */
  GPtrArray *running; /* (element-type RametVm), unowned: those that ran when it began */
} Create;

static gint64
deadline (guint seconds)
{
  return g_get_monotonic_time () + seconds * G_USEC_PER_SEC;
}

/** ramet_points_default_name: (transfer full): by the clock: "2026-11-21-1405" */
char *
ramet_points_default_name (void)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_local ();

  return g_date_time_format (now, "%Y-%m-%d-%H%M");
}

static gboolean
undo_record (gpointer data, GError **error)
{
  return ramet_point_member_unrecord (data, error);
}

/* Writes down what is going to be made, before it is. */
static gboolean
record_all (Create *create, GError **error)
{
  for (guint i = 0; i < create->members->len; i++)
    {
      RametPointMember *member = g_ptr_array_index (create->members, i);
      g_autofree char *what = g_strdup_printf ("forget the snapshot of '%s'", ramet_point_vm_name (member->pvm));

      ramet_undo_push (create->undo, what, undo_record, member, NULL);
      if (!ramet_point_member_record (member, error))
        return FALSE;
      RAMET_STEP ("point-recorded");
    }
  return TRUE;
}

/*
 * What the guests have in their caches goes to their disks, as far as they do it, while their shares are detached: a clone of
 * the point then starts cleaner. (transfer full) (element-type RametAgentJob)
 */
static GPtrArray *
begin_flush (Create *create)
{
  static const char *const argv[] = { "/bin/sync", NULL };
  GPtrArray *jobs = g_ptr_array_new ();

  for (guint i = 0; i < create->running->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (create->running, i);

      if (ramet_vm_get_state (vm) == RAMET_STATE_READY) /* others have no agent */
        g_ptr_array_add (jobs, ramet_agent_begin_run (vm->domain, argv, NULL, deadline (ALIVE_PATIENCE_S),
                                                      deadline (SYNC_PATIENCE_S)));
    }
  return jobs;
}

static void
end_flush (Create *create, GPtrArray *jobs)
{
  if (jobs->len > 0)
    ramet_task_step (create->task, "writing caches to disk");
  for (guint i = 0; i < jobs->len; i++)
    {
      g_autoptr (RametAgentJob) job = g_ptr_array_index (jobs, i);
      g_auto (RametAgentOutcome) outcome = { 0 };
      g_autoptr (GError) why = NULL;

      if (!ramet_agent_wait (job, create->task, &outcome, &why))
        ramet_task_note (create->task, "%s", why->message);
    }
}

static gboolean
detach_shares (Create *create, GError **error)
{
  const RametGuestSharesOptions options = { .stop_users = create->options->stop_users,
                                            .kill_users = create->options->kill_users,
                                            .deadline_us = deadline (GUEST_PATIENCE_S) };

  if (create->options->disk_only)
    return TRUE;
  if (!ramet_guest_shares_detach (create->running, create->task, &options, error))
    return FALSE;
  ramet_undo_push (create->undo, "attach the shares again", ramet_guest_shares_attach_undo, create->running, NULL);
  return TRUE;
}

static gboolean
suspend_all (Create *create, GError **error)
{
  ramet_task_step (create->task, "freezing");
  ramet_undo_push (create->undo, "resume the VMs", ramet_group_resume_undo, create->running, NULL);
  return ramet_group_suspend (create->running, create->task, error);
}

/* From here on the point is whole, and stays, whatever comes. */
static gboolean
finish_all (Create *create, GError **error)
{
  for (guint i = 0; i < create->members->len; i++)
    if (!ramet_point_member_read (g_ptr_array_index (create->members, i), error))
      return FALSE;
  if (!ramet_task_check (create->task, error))
    return FALSE;
  for (guint i = 0; i < create->members->len; i++)
    {
      if (!ramet_point_member_finish (g_ptr_array_index (create->members, i), error))
        return FALSE;
      RAMET_STEP ("point-whole");
    }
  ramet_undo_commit (create->undo);
  return TRUE;
}

/* The snapshot is made. Guests that stood still are not left without shares and clock by a Ctrl-C that comes now. */
static gboolean
let_go_on (Create *create, GError **error)
{
  g_autofree char *subject = ramet_vms_describe (create->running);
  g_autoptr (RametTask) own = ramet_task_new (subject, NULL);
  g_autoptr (GPtrArray) errors = NULL;

  ramet_task_step (create->task, "resuming");
  if (!ramet_group_resume (create->running, own, error))
    return FALSE;
  RAMET_STEP ("point-resumed");
  errors = create->options->disk_only ? NULL : ramet_group_awaken (create->running, own);
  if (errors && !ramet_errors_raise (errors, error))
    return FALSE;
  if (!ramet_task_check (create->task, NULL))
    ramet_task_warn (create->task, "the snapshot was whole when Ctrl-C came, and stays: 'ramet snapshot delete' deletes it");
  return TRUE;
}

static gboolean
make (Create *create, GError **error)
{
  g_autoptr (RametUndo) undo = ramet_undo_new ();
  g_autoptr (GPtrArray) flushes = NULL;
  gboolean detached;

  create->undo = undo;
  if (!record_all (create, error))
    return FALSE;
  flushes = begin_flush (create);
  detached = detach_shares (create, error);
  end_flush (create, flushes);
  return detached && ramet_task_check (create->task, error) && suspend_all (create, error) &&
         ramet_point_members_take (create->members, create->running, create->task, undo, error) && finish_all (create, error) &&
         let_go_on (create, error);
}

/**
 * ramet_points_create:
 * @names: (element-type utf8): of VMs
 * @snapshot: checked
 * @error: all that stands in the way; RAMET_ERROR_STATE if there is a snapshot or file of that name, or if a VM is not in a
 * state for it
 *
 * Makes one point in time of all VMs: those that run are frozen together, saved, and go on together. If one fails, none has
 * it. Once it is whole Ctrl-C comes too late: that is warned of, and no error.
 */
gboolean
ramet_points_create (RametConnection *connection, RametTask *task, GPtrArray *names, const char *snapshot,
                     const RametPointsCreateOptions *options, GError **error)
{
  g_autoptr (GPtrArray) members = NULL;
  g_autoptr (GPtrArray) running = ramet_group_new ();
  Create create = { .connection = connection, .task = task, .options = options, .running = running };
  gboolean done;

  ramet_task_step (task, "looking at what there is");
  members = create.members = ramet_point_members_plan (connection, task, names, snapshot, options->disk_only, error);
  if (members == NULL)
    return FALSE;
  for (guint i = 0; i < members->len; i++)
    {
      RametVm *vm = ((RametPointMember *) g_ptr_array_index (members, i))->pvm->vm;

      if (vm->run == RAMET_RUN_RUNNING)
        g_ptr_array_add (running, vm);
    }
  done = make (&create, error);
  ramet_point_members_release (members);
  return done;
}
