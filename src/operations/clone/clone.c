/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/clone.h"

#include "core/paths.h"
#include "core/stop.h"
#include "core/undo.h"
#include "host/files/access.h"
#include "host/files/lock.h"
#include "host/libvirt/storage.h"
#include "host/libvirt/worker.h"
#include "operations/clone/bootstrap.h"
#include "operations/clone/go-on.h"
#include "operations/clone/plan.h"
#include "operations/template/store.h"
#include "operations/vm/grants.h"
#include "operations/vm/log.h"
#include "operations/vm/reach.h"

#define REVIVE_PATIENCE_S 20

/* One clone being made. */
typedef struct
{
  RametClonePlan *plan;
  RametTask *task;
  RametUndo *undo;
  RametDomain *domain;
  RametSeal *seal; /* once the console is closed */
  RametLock *turn; /* while it goes on from memory and becomes somebody, where that was waited for */
  gint64 deadline_us;
} Make;

static gboolean
undo_destroy (gpointer data, GError **error)
{
  return ramet_domain_reattach (data, error) && ramet_domain_destroy (data, error);
}

/* A volume to be deleted again. */
typedef struct
{
  RametConnection *connection;
  char *pool;
  char *name;
  char *path;
} MadeVolume;

static void
made_volume_free (gpointer data)
{
  MadeVolume *made = data;

  ramet_connection_unref (made->connection);
  g_free (made->pool);
  g_free (made->name);
  g_free (made->path);
  g_free (made);
}

static gboolean
undo_volume (gpointer data, GError **error)
{
  MadeVolume *made = data;

  return ramet_volume_delete (made->connection, made->pool, made->name, made->path, error);
}

static void
push_volume (Make *make, const char *pool, const char *name, const char *path)
{
  MadeVolume *made = g_new0 (MadeVolume, 1);
  g_autofree char *what = g_strdup_printf ("delete '%s'", path);

  made->connection = ramet_connection_ref (make->plan->connection);
  made->pool = g_strdup (pool);
  made->name = g_strdup (name);
  made->path = g_strdup (path);
  ramet_undo_push (make->undo, what, undo_volume, made, made_volume_free);
}

/* What the metadata lists goes with the VM, even if making it is cut off: nobody else's file may be among it. */
static gboolean
check_volumes_free (RametClonePlan *plan, GError **error)
{
  for (guint i = 0; i < plan->metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (plan->metadata->volumes, i);
      gboolean there = FALSE;

      if (!ramet_volume_is_there (plan->connection, volume->path, &there, error))
        return FALSE;
      if (there)
        {
          ramet_error_set (error, RAMET_ERROR_STATE, "there is a file '%s' already, of no VM of ramet's", volume->path);
          ramet_error_hint (error, "take another name, or move the file away if it is of no use");
          return FALSE;
        }
    }
  return TRUE;
}

/* Why it was not defined: somebody else was faster; or only libvirt's answer got lost, and then it is to be taken back. */
static void
explain_undefined (Make *make, GError **error)
{
  const char *name = make->plan->options->name;
  g_autoptr (RametDomain) found = ramet_domain_lookup (make->plan->connection, name, NULL);
  g_autofree char *uuid = found ? ramet_domain_get_uuid (found) : NULL;

  if (g_strcmp0 (uuid, make->plan->identity->uuid) == 0)
    make->domain = g_steal_pointer (&found);
  else if (found)
    {
      g_clear_error (error);
      ramet_error_set (error, RAMET_ERROR_STATE, "there is a VM '%s' already", name);
      ramet_error_hint (error, "take another name, or 'ramet remove %s' first", name);
    }
}

/* Of many who define one name at once exactly one wins: this reserves it. */
static gboolean
define (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;
  g_autofree char *xml = ramet_clone_plan_xml (plan, error);

  if (xml == NULL)
    return FALSE;
  make->domain = check_volumes_free (plan, error) ? ramet_domain_define (plan->connection, xml, error) : NULL;
  if (make->domain == NULL)
    {
      explain_undefined (make, error);
      return FALSE;
    }
  RAMET_STEP ("clone-defined");
  return TRUE;
}

/*
 * Whether libvirt may have made the file even though it says no: its answer can get lost on the way. Nothing was there
 * of that name when all was checked, and what came there since is told by an error of its own.
 */
static gboolean
may_be_made (const GError *why)
{
  return !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_STATE);
}

static gboolean
create_volumes (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;

  for (guint i = 0; i < plan->volumes->len; i++)
    {
      const RametPlannedVolume *volume = g_ptr_array_index (plan->volumes, i);
      g_autoptr (GError) why = NULL;
      g_autofree char *path
        = ramet_volume_create_overlay (plan->connection, plan->pool, volume->volume, volume->capacity,
                                       volume->backing, volume->backing_format, plan->options->makes != NULL, &why);

      if (path)
        RAMET_STEP ("clone-volume");
      if (path || may_be_made (why))
        push_volume (make, plan->pool, volume->volume, path ? path : volume->path);
      if (path && !g_str_equal (path, volume->path))
        ramet_error_set (&why, RAMET_ERROR_FAILED, "libvirt made '%s' where '%s' was expected", path, volume->path);
      if (why)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      if (!ramet_task_check (make->task, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
copy_nvram (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;
  g_autofree char *file = NULL;
  g_autofree char *path = NULL;
  g_autofree char *folder = NULL;
  g_autoptr (GError) why = NULL;
  gboolean copied;

  if (plan->nvram_source == NULL)
    return TRUE;
  folder = g_path_get_dirname (plan->nvram_source);
  file = g_strdup_printf ("%s_VARS.fd", plan->options->name);
  path = g_build_filename (folder, file, NULL);
  copied = ramet_volume_copy (plan->connection, plan->nvram_source, file, &why);
  if (copied || may_be_made (why))
    push_volume (make, "", file, path);
  if (!copied && !(plan->nvram_may_miss && g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND)))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  /* else libvirt makes them from the firmware's template at the first start */
  if (!copied)
    ramet_task_note (make->task, "'%s' has no UEFI variables yet: the clone starts with fresh ones", plan->base->name);
  RAMET_STEP ("clone-nvram");
  return TRUE;
}

static gboolean
set_state (Make *make, RametState state, GError **error)
{
  make->plan->metadata->state = state;
  return ramet_grants_write (make->domain, make->plan->metadata, error);
}

/* Written down before it is done, so that it can be taken back whatever comes in between. */
static gboolean
foresee_grants (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;

  for (guint i = 0; i < plan->grants->len; i++)
    {
      const RametPlannedGrant *grant = g_ptr_array_index (plan->grants, i);

      if (!ramet_access_foresee (grant->path, plan->qemu, grant->is_file, plan->metadata->grants, error))
        return FALSE;
    }
  if (!ramet_domain_set_metadata (make->domain, plan->metadata, error))
    return FALSE;
  RAMET_STEP ("clone-foreseen");
  return TRUE;
}

static gboolean
make_grants (Make *make, GPtrArray *records, GError **error)
{
  RametClonePlan *plan = make->plan;

  for (guint i = 0; i < plan->grants->len; i++)
    {
      const RametPlannedGrant *grant = g_ptr_array_index (plan->grants, i);

      if (!(grant->is_file ? ramet_access_grant_file (grant->path, plan->qemu, records, error)
                           : ramet_access_grant (grant->path, plan->qemu, records, error)))
        return FALSE;
    }
  for (guint i = 0; i < records->len; i++)
    ramet_task_note (make->task, "granted QEMU's user access: %s", (const char *) g_ptr_array_index (records, i));
  return TRUE;
}

static gboolean
grant_access (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;
  GPtrArray *grants = plan->metadata->grants;
  g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (RametLock) lock = NULL;
  guint n_before;

  if (plan->grants->len == 0)
    return TRUE;
  lock = ramet_lock_grants ();
  if (!ramet_grants_keep (make->domain, plan->metadata, error))
    return FALSE;
  n_before = grants->len;
  if (!foresee_grants (make, error) || !make_grants (make, records, error))
    return FALSE;
  /* of what was foreseen, some may not have been needed */
  g_ptr_array_set_size (grants, (int) n_before);
  g_ptr_array_extend_and_steal (grants, g_steal_pointer (&records));
  return ramet_domain_set_metadata (make->domain, plan->metadata, error);
}

static gboolean
start (Make *make, GError **error)
{
  g_autofree char *what = g_strdup_printf ("switch '%s' off", make->plan->options->name);

  ramet_task_step (make->task, "starting");
  if (!set_state (make, RAMET_STATE_BOOTSTRAPPING, error))
    return FALSE;
  RAMET_STEP ("clone-bootstrapping");
  ramet_undo_push (make->undo, what, undo_destroy, ramet_domain_ref (make->domain),
                   (GDestroyNotify) ramet_domain_unref);
  if (!ramet_domain_start (make->domain, error))
    return FALSE;
  RAMET_STEP ("clone-started");
  return TRUE;
}

static gboolean
bootstrap (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;
  RametBootstrap steps = {
    .name = plan->options->name, .uuid = plan->identity->uuid, .user = plan->user, .uid = plan->uid, .gid = plan->gid,
    .keeps_uid = plan->keeps_uid, .gecos = plan->gecos,
    .ssh_keys = plan->ssh_keys, .shares = plan->identity->shares, .steps = plan->steps, .extras = plan->options->extras,
    .link_down = plan->identity->link_down, .by_agent = plan->point != NULL,
    .must_grow = plan->options->disk_bytes > 0,
  };

  if (!ramet_bootstrap_run (make->domain, make->task, &steps, make->deadline_us, &plan->metadata->host_keys,
                            &make->seal, error) ||
      !ramet_grants_write (make->domain, plan->metadata, error))
    return FALSE;
  RAMET_STEP ("clone-keys");
  return TRUE;
}

/*
 * A guest that goes on keeps a processor busy until it is reached. More of them at once than there are processors would only
 * keep each other from it, and those of whom nothing is heard for too long are given up.
 */
static gboolean
wait_for_turn (Make *make, GError **error)
{
  return !ramet_connection_is_local (make->plan->connection) ||
         ramet_lock_turn (make->task, g_get_num_processors (), &make->turn, error);
}

static gboolean
go_on (Make *make, GError **error)
{
  g_autofree char *what = g_strdup_printf ("switch '%s' off", make->plan->options->name);
  gint64 since_us = g_get_monotonic_time ();

  if (!wait_for_turn (make, error) || !set_state (make, RAMET_STATE_BOOTSTRAPPING, error))
    return FALSE;
  RAMET_STEP ("clone-bootstrapping");
  ramet_undo_push (make->undo, what, undo_destroy, ramet_domain_ref (make->domain),
                   (GDestroyNotify) ramet_domain_unref);
  if (!ramet_clone_restore (make->plan, make->domain, make->task, error))
    return FALSE;
  /* the guest is given its time whole: what was waited and copied for it is none of its doing */
  make->deadline_us += g_get_monotonic_time () - since_us;
  make->seal = ramet_seal_open (make->domain, make->task, error);
  if (make->seal == NULL ||
      !ramet_clone_become (make->plan, make->domain, make->task, make->deadline_us, error) || !ramet_grants_write (make->domain, make->plan->metadata, error))
    return FALSE;
  RAMET_STEP ("clone-keys");
  return TRUE;
}

static gboolean
open_made (Make *make, GError **error)
{
  g_clear_pointer (&make->plan->vm, ramet_vm_free);
  make->plan->vm = ramet_vm_open (make->plan->connection, make->plan->options->name, error);
  return make->plan->vm != NULL;
}

static gboolean
wait_for_it (Make *make, char **ret_address, GError **error)
{
  RametReachBy by;

  if (!open_made (make, error) || !ramet_reach_wait (make->plan->vm, make->task, make->deadline_us, ret_address, &by, error))
    return FALSE;
  if (by == RAMET_REACH_LEASE)
    ramet_task_warn (make->task, "%s.local is not answered by multicast DNS; %s is libvirt's word for it",
                     make->plan->options->name, *ret_address);
  RAMET_STEP ("clone-reached");
  return TRUE;
}

/* The name is ours by now: of several who want it at once, only one writes its log. */
static void
open_log (Make *make)
{
  g_autofree char *log = ramet_paths_log (make->plan->options->name);
  g_autoptr (GError) why = NULL;

  if (!make->plan->options->no_bootstrap && !ramet_task_open_log (make->task, log, &why))
    ramet_task_warn (make->task, "%s", why->message);
  RAMET_STEP ("clone-log");
}

static gboolean
finish (Make *make, RametState state, GError **error)
{
  if (!set_state (make, state, error))
    return FALSE;
  RAMET_STEP ("clone-finished");
  return open_made (make, error);
}

static gboolean
make_more (Make *make, GError **error)
{
  const RametCloneMakes *makes = make->plan->options->makes;

  return ramet_seal_check (make->seal, error) &&
         makes->finish (make->plan, make->domain, make->task, make->deadline_us, makes->data, error);
}

static gboolean
make_all (Make *make, char **ret_address, GError **error)
{
  const RametCloneOptions *options = make->plan->options;

  if (!define (make, error))
    return FALSE;
  open_log (make);
  if (!ramet_clone_check_point_stays (make->plan, error) || !ramet_clone_check_parent_stays (make->plan, error))
    return FALSE;
  if (!ramet_task_check (make->task, error) || !create_volumes (make, error) ||
      !copy_nvram (make, error) || !grant_access (make, error) || !ramet_task_check (make->task, error))
    return FALSE;
  if (options->no_bootstrap)
    return finish (make, RAMET_STATE_RAW, error);
  if (!(make->plan->memory_of ? go_on (make, error) : start (make, error) && bootstrap (make, error)))
    return FALSE;
  if (options->makes && !make_more (make, error))
    return FALSE;
  /* the console is tried from outside all the while */
  if (!options->no_wait && !wait_for_it (make, ret_address, error))
    return FALSE;
  g_clear_pointer (&make->turn, ramet_lock_free);
  if (!options->makes && !ramet_seal_check (make->seal, error))
    return FALSE;
  RAMET_STEP ("clone-silent");
  return finish (make, options->makes ? RAMET_STATE_TEMPLATE : RAMET_STATE_READY, error);
}

static void
tell_what_is_left (Make *make, gboolean clean, GError **error)
{
  const char *log = ramet_task_get_log (make->task);
  const char *name = make->plan->options->name;

  if (make->domain == NULL || *error == NULL)
    return;
  if (make->plan->options->keep)
    ramet_error_hint (error, "'%s' is kept as it is: 'virsh console %s' looks inside, 'ramet remove %s' clears it%s%s",
                      name, name, name, log ? "; its log: " : "", log ? log : "");
  else if (!clean)
    ramet_error_hint (error, "not all could be taken back: 'ramet remove %s' clears what is left%s%s", name,
                      log ? "; its log: " : "", log ? log : "");
  else if (ramet_error_get_hint (*error) == NULL && log)
    ramet_error_hint (error, "nothing is left of '%s' but its log: %s", name, log);
  else if (log)
    ramet_task_warn (make->task, "the log of what happened: %s", log);
}

/* So that nobody takes it for cut off. */
static void
mark_kept (Make *make)
{
  RametMetadata *metadata = make->plan->metadata;
  g_autoptr (GError) why = NULL;

  g_free (metadata->worker);
  metadata->worker = g_strdup (RAMET_WORKER_KEPT_RECORD);
  if (!ramet_grants_write (make->domain, metadata, &why))
    ramet_task_warn (make->task, "%s", why->message);
}

/* What is to be taken back is on the far side of a connection that may be what failed. */
static void
prepare_unwinding (Make *make)
{
  g_autoptr (GError) why = NULL;

  ramet_task_step (make->task, "taking back what was made");
  if (!ramet_connection_revive (make->plan->connection, REVIVE_PATIENCE_S, &why))
    ramet_task_warn (make->task, "%s", why->message);
}

/* Saved memory and state, in a folder of ramet's own: they are written down before they are made, and not on the undo stack. */
static gboolean
take_back_saved (const RametVm *vm, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);

  for (guint i = 0; vm->metadata && i < vm->metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (vm->metadata->volumes, i);

      if (g_str_has_prefix (volume->path, RAMET_TEMPLATE_FOLDER "/") &&
          !ramet_volume_delete (connection, volume->pool, volume->name, volume->path, error))
        return FALSE;
    }
  return TRUE;
}

/* The definition goes last, and only after all the rest: it is what knows of the rest. */
static gboolean
take_back_definition (Make *make, GError **error)
{
  G_GNUC_UNUSED g_autoptr (RametLock) lock = ramet_lock_grants ();
  g_autoptr (RametVm) vm = NULL;

  if (!ramet_domain_reattach (make->domain, error))
    return FALSE;
  vm = ramet_vm_open (make->plan->connection, make->plan->options->name, error);
  if (vm)
    ramet_log_remove (vm, make->task, FALSE);
  return vm && take_back_saved (vm, error) && ramet_grants_take_back (vm, make->task, error) &&
         ramet_domain_undefine (make->domain, error);
}

static gboolean
take_back (Make *make)
{
  g_autoptr (GError) why = NULL;

  prepare_unwinding (make);
  if (!ramet_undo_unwind (make->undo))
    return FALSE;
  if (take_back_definition (make, &why))
    return TRUE;
  g_warning ("could not undefine '%s': %s", make->plan->options->name, why->message);
  return FALSE;
}

/**
 * ramet_clone_execute:
 * @ret_address: (out): the numeric address it answers at; not written with no_bootstrap or no_wait
 *
 * Makes the clone. On failure, Ctrl-C or a lost connection everything made so far is taken away again, unless the
 * user asked to keep it.
 */
gboolean
ramet_clone_execute (RametClonePlan *plan, RametTask *task, char **ret_address, GError **error)
{
  const RametCloneOptions *options = plan->options;
  g_autoptr (RametUndo) undo = ramet_undo_new ();
  Make make = { .plan = plan, .task = task, .undo = undo };
  g_autoptr (GError) why = NULL;
  gboolean clean = TRUE;
  gboolean made;

  make.deadline_us = g_get_monotonic_time () + (gint64) options->timeout_s * G_USEC_PER_SEC;
  ramet_task_step (task, "creating");
  RAMET_STEP ("clone-planned");
  made = make_all (&make, ret_address, &why);
  g_clear_pointer (&make.seal, ramet_seal_free);
  g_clear_pointer (&make.turn, ramet_lock_free);
  if (made || options->keep)
    ramet_undo_commit (undo);
  if (!made && options->keep && make.domain)
    mark_kept (&make);
  else if (!made && make.domain)
    clean = take_back (&make);
  tell_what_is_left (&make, clean, &why);
  g_clear_pointer (&make.domain, ramet_domain_unref);
  if (why)
    g_propagate_error (error, g_steal_pointer (&why));
  return made;
}

/* Whether it may be tried once more in the way that takes longer: nothing stands in that way's way. */
static gboolean
may_boot_instead (RametClonePlan *plan, const GError *why)
{
  const RametCloneOptions *options = plan->options;

  return plan->memory_of && plan->point == NULL && options->from == RAMET_CLONE_ANY && !options->keep &&
         !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED) && !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_LOST) &&
         !ramet_domain_exists (plan->connection, options->name);
}

/**
 * ramet_clone_make:
 * @options: must outlive the plan; if going on from a template fails, they come to say so
 *
 * Plans and makes a clone. One that cannot go on from a template after all boots.
 *
 * Returns: (transfer full): the plan that was executed
 */
RametClonePlan *
ramet_clone_make (RametConnection *connection, RametTask *task, RametCloneOptions *options, char **ret_address,
                  GError **error)
{
  g_autoptr (RametClonePlan) plan = ramet_clone_plan (connection, task, options, error);
  g_autoptr (RametClonePlan) again = NULL;
  g_autoptr (GError) why = NULL;

  if (plan == NULL || ramet_clone_execute (plan, task, ret_address, &why))
    return g_steal_pointer (&plan);
  if (!may_boot_instead (plan, why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return NULL;
    }
  ramet_task_warn (task, "it could not go on from '%s', so it boots: %s", plan->memory_of, why->message);
  options->from = RAMET_CLONE_COLD;
  again = ramet_clone_plan (connection, task, options, error);
  return again && ramet_clone_execute (again, task, ret_address, error) ? g_steal_pointer (&again) : NULL;
}
