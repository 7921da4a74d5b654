/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest is told of changes to its shares and disks, once it runs with them: the first-boot steps, once more. */
#include "operations/vm/guest-update.h"

#include <string.h>

#include "core/text.h"
#include "host/files/config.h"
#include "host/guest/agent.h"
#include "operations/vm/grants.h"
#include "operations/vm/settings.h"

#define ASK_AGAIN_MS 500
#define GROW_PATIENCE_S 60

static char *
list_shares (const RametMetadata *metadata)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (metadata->shares, i);

      g_string_append_printf (text, "%s%s\t%s", i ? "\n" : "", share->tag, share->target);
    }
  return g_string_free (text, FALSE);
}

/* The last line of what a guest printed, safe to show. */
static char *
last_line (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text ? text : "", "\n", -1);
  const char *last = "";

  for (char **line = lines; *line; line++)
    if (*g_strstrip (*line))
      last = *line;
  return ramet_text_escape (last, -1);
}

/* @variable, with @value, is what the step looks at. */
static gboolean
run_step (RametVm *vm, RametTask *task, const char *step, const char *variable, const char *value, gint64 deadline_us,
          GError **error)
{
  static const char *const argv[] = { "/bin/sh", "-s", NULL };
  g_autoptr (GPtrArray) steps = ramet_config_list (RAMET_CONFIG_STEPS, "bootstrap/guest", error);
  const RametConfigFile *file = steps ? ramet_config_find (steps, step) : NULL;
  g_autofree char *quoted = g_shell_quote (value);
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autofree char *input = NULL;
  g_autofree char *last = NULL;

  if (steps == NULL)
    return FALSE;
  if (file == NULL || file->text == NULL) /* switched off */
    return TRUE;
  input = g_strdup_printf ("export %s=%s\n%s", variable, quoted, file->text);
  if (!ramet_agent_run (vm->domain, task, argv, input, deadline_us, &outcome, error))
    return FALSE;
  if (outcome.status == 0)
    return TRUE;
  last = last_line (outcome.errors && *outcome.errors ? outcome.errors : outcome.output);
  ramet_error_set (error, RAMET_ERROR_FAILED, "in the guest '%s', '%s' failed with status %d%s%s", ramet_vm_get_name (vm),
                   step, outcome.status, *last ? ": " : "", last);
  return FALSE;
}

/* Whether what failed with @why may do when tried again: a guest that boots does not answer, one that is paused (a snapshot
 * is made of it) cannot be asked. */
static gboolean
may_pass (RametVm *vm, const GError *why)
{
  RametRun run;

  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_TIMEOUT))
    return TRUE;
  return g_error_matches (why, RAMET_ERROR, RAMET_ERROR_STATE) && ramet_domain_get_run (vm->domain, &run, NULL) &&
         (run == RAMET_RUN_RUNNING || run == RAMET_RUN_PAUSED);
}

static gboolean
wait_for_agent (RametVm *vm, RametTask *task, gint64 deadline_us, GError **error)
{
  for (;;)
    {
      g_autoptr (GError) why = NULL;
      gint64 soon_us = MIN (deadline_us, g_get_monotonic_time () + 5 * G_USEC_PER_SEC);

      if (ramet_agent_ping (vm->domain, task, soon_us, &why))
        return TRUE;
      if (g_get_monotonic_time () >= deadline_us || !may_pass (vm, why))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      if (!ramet_task_sleep (task, ASK_AGAIN_MS, error))
        return FALSE;
    }
}

/* Whoever wrote the rest of the metadata while the guest was waited for has what they wrote. */
static gboolean
note_told (RametVm *vm, const char *told, GError **error)
{
  g_autoptr (RametMetadata) now = NULL;
  g_autofree char *shares = NULL;

  if (!ramet_domain_get_metadata (vm->domain, &now, error))
    return FALSE;
  shares = now ? list_shares (now) : NULL;
  /* shares that changed meanwhile are still to be told */
  if (g_strcmp0 (shares, told) != 0)
    return TRUE;
  now->guest_is_behind = FALSE;
  if (!ramet_grants_write (vm->domain, now, error))
    return FALSE;
  vm->metadata->guest_is_behind = FALSE;
  return TRUE;
}

/**
 * ramet_guest_update:
 * @deadline_us: monotonic time in microseconds
 *
 * Tells the running guest of its shares, which are attached then, and lets its root filesystem fill the disk.
 */
gboolean
ramet_guest_update (RametVm *vm, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autofree char *shares = list_shares (vm->metadata);

  ramet_task_step (task, "waiting for the guest's agent");
  if (!wait_for_agent (vm, task, deadline_us, error))
    return FALSE;
  ramet_task_step (task, "telling the guest of its shares and disk");
  if (!run_step (vm, task, "60-shares.sh", "RAMET_SHARES", shares, deadline_us, error) ||
      !run_step (vm, task, "30-grow.sh", "RAMET_GROW", "", deadline_us, error))
    return FALSE;
  return note_told (vm, shares, error);
}

/** ramet_guest_grow: lets the running guest's root filesystem fill the disk; where that fails, the next start tries again */
gboolean
ramet_guest_grow (RametVm *vm, RametTask *task)
{
  gint64 deadline_us = g_get_monotonic_time () + GROW_PATIENCE_S * G_USEC_PER_SEC;
  g_autoptr (GError) why = NULL;

  if (run_step (vm, task, "30-grow.sh", "RAMET_GROW", "1", deadline_us, &why))
    return TRUE;
  ramet_task_warn (task, "the disk has grown, and the guest's filesystem will when it next starts: %s", why->message);
  return FALSE;
}

/**
 * ramet_guest_update_after_start:
 * @error: RAMET_ERROR_CANCELLED alone
 *
 * If there is anything to tell. Where that fails, the VM runs all the same, and it is no failure to start it.
 */
gboolean
ramet_guest_update_after_start (RametVm *vm, RametTask *task, GError **error)
{
  gint64 deadline_us = g_get_monotonic_time () + RAMET_GUEST_UPDATE_PATIENCE_S * G_USEC_PER_SEC;
  g_autoptr (GError) why = NULL;

  if (vm->metadata == NULL || !vm->metadata->guest_is_behind || ramet_guest_update (vm, task, deadline_us, &why))
    return TRUE;
  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
    {
      ramet_error_hint (&why, "it runs; 'ramet start %s' tells the guest of its new shares and disk size", ramet_vm_get_name (vm));
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  ramet_task_warn (task, "the guest was not told of its new shares and disk size; 'ramet start %s' tries again: %s",
                   ramet_vm_get_name (vm), why->message);
  return TRUE;
}

/** ramet_guest_update_is_due: whether a guest that runs was not told what it could be told now */
gboolean
ramet_guest_update_is_due (RametVm *vm)
{
  g_auto (RametSettingsNow) now = { 0 };

  return vm->run == RAMET_RUN_RUNNING && vm->metadata && vm->metadata->guest_is_behind &&
         ramet_settings_look (vm, &now, NULL) && !now.is_behind;
}
