/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone.h"

#include "core/paths.h"
#include "core/stop.h"
#include "core/undo.h"
#include "host/access.h"
#include "host/storage.h"
#include "host/worker.h"
#include "operations/bootstrap.h"
#include "operations/clone-plan.h"
#include "operations/reach.h"

#define REVIVE_PATIENCE_S 20

/* One clone being made. */
typedef struct
{
  RametClonePlan *plan;
  RametTask *task;
  RametUndo *undo;
  RametDomain *domain;
  RametSeal *seal; /* once the console is closed */
  gint64 deadline_us;
} Make;

static gboolean
undo_destroy (gpointer data, GError **error)
{
  return ramet_domain_reattach (data, error) && ramet_domain_destroy (data, error);
}

static gboolean
undo_grant (gpointer data, GError **error)
{
  return ramet_access_revoke (data, error);
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
                                       volume->backing, volume->backing_format, &why);

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
  return ramet_domain_set_metadata (make->domain, make->plan->metadata, error);
}

/* Written down before it is done, so that remove can take it back whatever comes in between. */
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
  return plan->grants->len == 0 || ramet_domain_set_metadata (make->domain, plan->metadata, error);
}

/* What was really granted goes to the metadata with the next state. */
static gboolean
grant_access (Make *make, GError **error)
{
  RametClonePlan *plan = make->plan;

  if (!foresee_grants (make, error))
    return FALSE;
  RAMET_STEP ("clone-foreseen");
  g_ptr_array_set_size (plan->metadata->grants, 0);
  for (guint i = 0; i < plan->grants->len; i++)
    {
      const RametPlannedGrant *grant = g_ptr_array_index (plan->grants, i);
      g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);

      if (!(grant->is_file ? ramet_access_grant_file (grant->path, plan->qemu, records, error)
                           : ramet_access_grant (grant->path, plan->qemu, records, error)))
        return FALSE;
      for (guint j = 0; j < records->len; j++)
        {
          const char *record = g_ptr_array_index (records, j);
          g_autofree char *what = g_strdup_printf ("take back the access %s", record);

          ramet_undo_push (make->undo, what, undo_grant, g_strdup (record), g_free);
          g_ptr_array_add (plan->metadata->grants, g_strdup (record));
          ramet_task_note (make->task, "granted QEMU's user access: %s", record);
        }
    }
  return TRUE;
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
    .name = plan->options->name, .uuid = plan->identity->uuid, .user = plan->user, .uid = plan->uid, .gid = plan->gid, .gecos = plan->gecos,
    .ssh_keys = plan->ssh_keys, .shares = plan->identity->shares, .extras = plan->options->extras,
    .link_down = plan->identity->link_down, .must_grow = plan->options->disk_bytes > 0,
  };

  if (!ramet_bootstrap_run (make->domain, make->task, &steps, make->deadline_us, &plan->metadata->host_keys,
                            &make->seal, error) ||
      !ramet_domain_set_metadata (make->domain, plan->metadata, error))
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
make_all (Make *make, char **ret_address, GError **error)
{
  const RametCloneOptions *options = make->plan->options;

  if (!define (make, error))
    return FALSE;
  open_log (make);
  if (!ramet_task_check (make->task, error) || !create_volumes (make, error) ||
      !copy_nvram (make, error) || !grant_access (make, error) || !ramet_task_check (make->task, error))
    return FALSE;
  if (options->no_bootstrap)
    return finish (make, RAMET_STATE_RAW, error);
  if (!start (make, error) || !bootstrap (make, error))
    return FALSE;
  /* the console is tried from outside all the while */
  if (!options->no_wait && !wait_for_it (make, ret_address, error))
    return FALSE;
  if (!ramet_seal_check (make->seal, error))
    return FALSE;
  RAMET_STEP ("clone-silent");
  return finish (make, RAMET_STATE_READY, error);
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
  if (!ramet_domain_set_metadata (make->domain, metadata, &why))
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

/* The definition goes last, and only after all the rest: it is what knows of the rest. */
static gboolean
take_back (Make *make)
{
  g_autoptr (GError) why = NULL;

  prepare_unwinding (make);
  if (!ramet_undo_unwind (make->undo))
    return FALSE;
  if (ramet_domain_reattach (make->domain, &why) && ramet_domain_undefine (make->domain, &why))
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
  made = make_all (&make, ret_address, &why);
  g_clear_pointer (&make.seal, ramet_seal_free);
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
