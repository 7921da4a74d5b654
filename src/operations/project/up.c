/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One VM of a project, from whatever it is to what the project's file says. */
#include "operations/project/up.h"

#include <stdlib.h>

#include "core/text.h"
#include "operations/base/versions.h"
#include "operations/clone/steps.h"
#include "operations/clone/clone.h"
#include "operations/clone/defaults.h"
#include "operations/vm/guest-update.h"
#include "operations/vm/lifecycle.h"
#include "operations/vm/reach.h"
#include "operations/vm/settings.h"

/** ramet_up_need_name: (transfer none) (nullable): what was done, in one word */
const char *
ramet_up_need_name (RametUpNeed need)
{
  static const char *const names[] = { NULL, "made", "started", "resumed", "changed" };

  return names[need];
}

/* A VM of that name may be anybody's. */
static gboolean
check_belongs (const RametVm *vm, const RametProject *project, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  const char *other = vm->metadata ? vm->metadata->project : NULL;

  if (ramet_vm_is_clone (vm) && g_strcmp0 (other, project->name) == 0)
    return TRUE;
  if (vm->metadata == NULL)
    ramet_error_set (error, RAMET_ERROR_STATE, "there is a VM '%s' already, which was not made by ramet", name);
  else if (other)
    ramet_error_set (error, RAMET_ERROR_STATE, "there is a VM '%s' already, of the project '%s'", name, other);
  else
    ramet_error_set (error, RAMET_ERROR_STATE, "there is a VM '%s' already, of no project", name);
  ramet_error_hint (error, "give the project or the VM another name in " RAMET_PROJECT_FILE);
  return FALSE;
}

/* (transfer full) (nullable): without @error if it is not made yet */
static RametVm *
open_wanted (RametConnection *connection, const RametProject *project, const RametProjectVm *wanted, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (RametVm) vm = ramet_vm_open (connection, wanted->full_name, &why);

  if (vm == NULL)
    {
      if (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        g_propagate_error (error, g_steal_pointer (&why));
      return NULL;
    }
  return check_belongs (vm, project, error) ? g_steal_pointer (&vm) : NULL;
}

/* In the order of first packages, then scripts, which may need them. */
static GPtrArray *
read_extras (const RametProjectVm *wanted, GError **error)
{
  g_autoptr (GPtrArray) extras = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_extra_free);

  for (char **package = wanted->packages; package && *package; package++)
    g_ptr_array_add (extras, ramet_extra_new_package (*package));
  for (char **script = wanted->run; script && *script; script++)
    {
      RametExtra *extra = ramet_extra_new_script (*script, error);

      if (extra == NULL)
        return NULL;
      g_ptr_array_add (extras, extra);
    }
  return g_steal_pointer (&extras);
}

static RametUpNeed
need_of (const RametVm *vm)
{
  switch (vm->run)
    {
    case RAMET_RUN_PAUSED:
    case RAMET_RUN_SAVED:
      return RAMET_UP_RESUME;
    case RAMET_RUN_RUNNING:
      return RAMET_UP_NOTHING;
    default:
      return RAMET_UP_START;
    }
}

static void
note (GPtrArray *notes, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
note (GPtrArray *notes, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (notes, g_strdup_vprintf (format, args));
  va_end (args);
}

/* A base's name stands for all its versions. */
static gboolean
stands_on (RametVm *vm, const char *base)
{
  const char *name = vm->metadata->base_name;
  g_autoptr (RametVm) opened = NULL;

  if (name == NULL || g_str_equal (name, base))
    return TRUE;
  opened = ramet_vm_open (ramet_domain_get_connection (vm->domain), name, NULL);
  return opened && g_strcmp0 (ramet_version_of (opened), base) == 0;
}

/* What cannot be changed of a VM that there is. */
static void
note_fixed (RametVm *vm, const RametSettingsNow *now, const RametProjectVm *wanted, GPtrArray *notes)
{
  g_autofree char *again = g_strdup_printf ("only a new VM has it: 'ramet remove %s', then 'ramet up %s'",
                                            wanted->full_name, wanted->name);
  g_autoptr (GPtrArray) extras = vm->metadata->setup ? read_extras (wanted, NULL) : NULL;
  g_autofree char *setup = extras ? ramet_extras_digest (extras) : NULL;

  if (!stands_on (vm, wanted->base))
    note (notes, "base: it was cloned from '%s', not '%s'; %s", vm->metadata->base_name, wanted->base, again);
  if (wanted->network && g_strcmp0 (now->network, wanted->network) != 0)
    note (notes, "network: it is in '%s', not '%s'; %s", now->network ? now->network : "none", wanted->network, again);
  if (wanted->user && g_strcmp0 (vm->metadata->user, wanted->user) != 0)
    note (notes, "user: it is '%s', not '%s'; %s", vm->metadata->user ? vm->metadata->user : "none", wanted->user, again);
  if (wanted->disk_bytes && now->disk_bytes > wanted->disk_bytes)
    {
      g_autofree char *has = ramet_text_size (now->disk_bytes);
      g_autofree char *wants = ramet_text_size (wanted->disk_bytes);

      note (notes, "disk-size: %s does not shrink to %s; %s", has, wants, again);
    }
  if (setup && !g_str_equal (setup, vm->metadata->setup))
    note (notes, "packages or run: these are for the first boot, and have changed since; %s", again);
  if (now->is_behind)
    note (notes, "it runs as it was before: 'ramet restart %s' lets its changes in", wanted->full_name);
}

/* (transfer full): mount tags of shares that it has, and that the file does not want: of one folder another may stay */
static char **
list_unwanted (const RametVm *vm, const RametProject *project, const RametProjectVm *wanted)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();

  for (guint i = 0; wanted->shares && i < vm->metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (vm->metadata->shares, i);
      gboolean found = FALSE;

      for (char **spec = wanted->shares; *spec && !found; spec++)
        {
          g_autofree char *source = NULL;
          g_autofree char *target = NULL;
          g_autofree char *canonical = NULL;

          if (!ramet_share_parse (*spec, project->folder, &source, &target, NULL))
            continue;
          canonical = realpath (source, NULL);
          found = g_str_equal (share->target, target) && g_str_equal (share->source, canonical ? canonical : source);
        }
      if (!found)
        g_strv_builder_add (builder, share->tag);
    }
  return g_strv_builder_end (builder);
}

/* Lets the VM have what the file says, as far as that goes; @dry_run: only says so. */
static gboolean
change (RametVm *vm, RametTask *task, const RametProject *project, const RametProjectVm *wanted, gboolean grant,
        gboolean dry_run, GPtrArray *ret_notes, GError **error)
{
  g_auto (GStrv) unwanted = list_unwanted (vm, project, wanted);
  g_auto (RametSettingsNow) now = { 0 };
  RametSettings settings = { .vcpus = wanted->vcpus, .memory_bytes = wanted->memory_bytes, .grant = grant,
                             .add_shares = (const char *const *) wanted->shares,
                             .remove_tags = (const char *const *) unwanted, .dry_run = dry_run };

  if (!ramet_settings_look (vm, &now, error))
    return FALSE;
  if (wanted->disk_bytes > now.disk_bytes)
    settings.disk_bytes = wanted->disk_bytes;
  return ramet_settings_apply (vm, task, &settings, ret_notes, error);
}

/* What is to be done with a VM that there is. */
static gboolean
look_at (RametVm *vm, RametTask *task, const RametProject *project, const RametProjectVm *wanted, RametUpNeed *ret_need,
         GPtrArray *ret_notes, GError **error)
{
  g_auto (RametSettingsNow) now = { 0 };
  guint n_before = ret_notes->len;

  *ret_need = need_of (vm);
  if (ramet_vm_get_state (vm) != RAMET_STATE_READY)
    return TRUE; /* what is wrong with it is told when it is to be started */
  if (!change (vm, task, project, wanted, FALSE, TRUE, ret_notes, error) || !ramet_settings_look (vm, &now, error))
    return FALSE;
  if (ret_notes->len > n_before && *ret_need == RAMET_UP_NOTHING)
    *ret_need = RAMET_UP_CHANGE;
  if (*ret_need == RAMET_UP_NOTHING && ramet_guest_update_is_due (vm))
    {
      note (ret_notes, "the guest was not told yet of its shares and disk size");
      *ret_need = RAMET_UP_CHANGE;
    }
  note_fixed (vm, &now, wanted, ret_notes);
  return TRUE;
}

/**
 * ramet_up_look:
 * @ret_notes: (element-type utf8): what the file says otherwise than the VM is, and what becomes of that, is added here
 * @error: what can be seen beforehand that will fail
 *
 * The current folder is the project's.
 */
gboolean
ramet_up_look (RametConnection *connection, RametTask *task, const RametProject *project, const RametProjectVm *wanted,
               RametUpNeed *ret_need, GPtrArray *ret_notes, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (RametVm) vm = open_wanted (connection, project, wanted, &why);
  g_autoptr (GPtrArray) extras = NULL;

  if (why)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (vm)
    return look_at (vm, task, project, wanted, ret_need, ret_notes, error);
  *ret_need = RAMET_UP_MAKE;
  extras = read_extras (wanted, error);
  return extras != NULL;
}

/* The current folder is the project's, so that shares are told from there. */
static gboolean
make (RametConnection *connection, RametTask *task, const RametProject *project, const RametProjectVm *wanted,
      const RametUpOptions *up, GError **error)
{
  g_autoptr (GPtrArray) extras = read_extras (wanted, error);
  RametCloneOptions options = {
    .base = wanted->base, .name = wanted->full_name, .shares = (const char *const *) wanted->shares, .extras = extras,
    .user = wanted->user, .network = wanted->network, .project = project->name, .pool = wanted->pool,
    .vcpus = wanted->vcpus, .memory_bytes = wanted->memory_bytes, .disk_bytes = wanted->disk_bytes,
    .timeout_s = up->timeout_s, .grant = up->grant, .keep = up->keep,
  };
  g_autofree char *address = NULL;
  g_autoptr (RametClonePlan) plan = NULL;

  ramet_defaults_fill (up->config, &options);
  plan = extras ? ramet_clone_make (connection, task, &options, &address, error) : NULL;
  return plan != NULL;
}

static gboolean
start (RametVm *vm, RametTask *task, guint timeout_s, GError **error)
{
  const RametLifecycleOptions options = { .timeout_s = timeout_s };
  gint64 deadline_us = g_get_monotonic_time () + (gint64) timeout_s * G_USEC_PER_SEC;
  RametUpNeed need = need_of (vm);
  g_autofree char *address = NULL;
  RametReachBy by;

  if (need == RAMET_UP_NOTHING)
    return ramet_lifecycle_start (vm, task, &options, error);
  if (!(need == RAMET_UP_RESUME ? ramet_lifecycle_resume (vm, task, &options, error)
                                : ramet_lifecycle_start (vm, task, &options, error)))
    return FALSE;
  /* what was never set up need not answer anybody */
  return ramet_vm_get_state (vm) == RAMET_STATE_RAW || ramet_reach_wait (vm, task, deadline_us, &address, &by, error);
}

/**
 * ramet_up_one:
 *
 * Makes the VM if it is not there; else changes it to what the file says, starts or resumes it if it does not run, and
 * waits until it answers. The current folder is the project's.
 */
gboolean
ramet_up_one (RametConnection *connection, RametTask *task, const RametProject *project, const RametProjectVm *wanted,
              const RametUpOptions *options, GError **error)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) why = NULL;
  g_autoptr (RametVm) vm = open_wanted (connection, project, wanted, &why);

  if (why)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  if (vm == NULL)
    return make (connection, task, project, wanted, options, error);
  ramet_task_step (task, "looking");
  return (ramet_vm_get_state (vm) != RAMET_STATE_READY ||
          change (vm, task, project, wanted, options->grant, FALSE, notes, error)) &&
         start (vm, task, options->timeout_s, error);
}
