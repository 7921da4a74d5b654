/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A fork of a VM that runs: a snapshot of it with its memory, a clone that goes on from that, and no snapshot any more. */
#include "operations/clone/fork.h"

#include "model/names.h"
#include "operations/points/create.h"
#include "operations/points/delete.h"
#include "operations/template/store.h"

static gboolean
check_forkable (RametConnection *connection, const RametForkOptions *options, GError **error)
{
  g_autoptr (RametVm) vm = ramet_vm_open_ours (connection, options->name, error);

  if (vm == NULL || !ramet_name_check_vm (options->new_name, error))
    return FALSE;
  if (vm->run != RAMET_RUN_RUNNING && vm->run != RAMET_RUN_PAUSED)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot fork '%s': it is %s", options->name, ramet_run_name (vm->run));
      ramet_error_hint (error, "'ramet start %s' first; or clone a snapshot of it, which boots", options->name);
      return FALSE;
    }
  if (ramet_domain_exists (connection, options->new_name))
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "there is a VM '%s' already", options->new_name);
      ramet_error_hint (error, "take another name, or 'ramet remove %s' first", options->new_name);
      return FALSE;
    }
  return TRUE;
}

/* Its layers stay for as long as somebody stands on them; the memory and the name go. */
static gboolean
drop_point (RametConnection *connection, const RametForkOptions *options, const char *point, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (options->name, NULL);

  return ramet_points_delete (connection, task, options->name, point, TRUE, error);
}

static gboolean
make (RametConnection *connection, RametTask *task, const RametForkOptions *options, const char *point, char **ret_address,
      GError **error)
{
  g_autofree char *source = g_strdup_printf ("%s@%s", options->name, point);
  RametCloneOptions clone = { .base = source, .name = options->new_name, .timeout_s = options->timeout_s,
                              .from = RAMET_CLONE_MEMORY };
  g_autoptr (RametClonePlan) plan = ramet_clone_plan (connection, task, &clone, error);

  return plan && ramet_clone_execute (plan, task, ret_address, error);
}

/**
 * ramet_fork:
 * @ret_address: (out): the numeric address that the new one answers at
 *
 * The VM goes on; the new one has its processes, memory and disk as they were at one moment, and an identity of its own.
 */
gboolean
ramet_fork (RametConnection *connection, RametTask *task, const RametForkOptions *options, char **ret_address, GError **error)
{
  const RametPointsCreateOptions taking = { .stop_users = options->stop_users, .kill_users = options->kill_users };
  g_autofree char *point = g_strdup_printf ("fork-%s", options->new_name);
  g_autoptr (GPtrArray) names = g_ptr_array_new ();
  g_autoptr (GError) why = NULL;
  gboolean made;

  if (!check_forkable (connection, options, error) || !ramet_template_store_ensure (connection, error))
    return FALSE;
  g_ptr_array_add (names, (gpointer) options->name);
  if (!ramet_points_create (connection, task, names, point, &taking, error))
    return FALSE;
  made = make (connection, task, options, point, ret_address, error);
  if (!drop_point (connection, options, point, &why))
    ramet_task_warn (task, "the snapshot that it was made of stays: 'ramet snapshot delete %s@%s': %s", options->name, point,
                     why->message);
  return made;
}
