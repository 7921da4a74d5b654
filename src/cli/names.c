/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/names.h"

#include <unistd.h>

#include "cli/output.h"
#include "core/error.h"

static gboolean
add_project (GPtrArray *expanded, GPtrArray *vms, const char *project, GError **error)
{
  guint before = expanded->len;

  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);

      if (vm->metadata && g_strcmp0 (vm->metadata->project, project) == 0)
        g_ptr_array_add (expanded, g_strdup (ramet_vm_get_name (vm)));
    }
  if (expanded->len > before)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "no VM belongs to a project '%s'", project);
  ramet_error_hint (error, "'ramet list' shows VMs and their projects");
  return FALSE;
}

/**
 * ramet_expand_names:
 * @names: as typed; "@PROJECT" stands for all VMs of a project
 *
 * Returns: (transfer full) (element-type utf8): each name once
 */
GPtrArray *
ramet_expand_names (RametInvocation *invocation, char **names, GError **error)
{
  g_autoptr (GPtrArray) all = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) vms = NULL;
  g_autoptr (GHashTable) seen = g_hash_table_new (g_str_hash, g_str_equal);
  GPtrArray *expanded;

  for (; *names; names++)
    {
      if (**names != '@')
        {
          g_ptr_array_add (all, g_strdup (*names));
          continue;
        }
      if (vms == NULL && !(vms = ramet_vm_list (invocation->connection, error)))
        return NULL;
      if (!add_project (all, vms, *names + 1, error))
        return NULL;
    }
  expanded = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; i < all->len; i++)
    if (g_hash_table_add (seen, g_ptr_array_index (all, i)))
      g_ptr_array_add (expanded, g_strdup (g_ptr_array_index (all, i)));
  return expanded;
}

static gboolean
do_one (RametInvocation *invocation, const char *name, RametEachFunc func, gpointer data, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (name, invocation->cancellable);
  g_autoptr (RametVm) vm = ramet_vm_open_ours (invocation->connection, name, error);

  return vm && func (vm, task, data, error);
}

/**
 * ramet_each_vm:
 * @error: the only error there was; RAMET_ERROR_PARTLY if some of several VMs are done, the errors of the others told
 *
 * Does it with one VM after the other, and goes on where one fails; not after Ctrl-C.
 */
gboolean
ramet_each_vm (RametInvocation *invocation, char **names, RametEachFunc func, gpointer data, GError **error)
{
  g_autoptr (GPtrArray) expanded = ramet_expand_names (invocation, names, error);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  if (expanded == NULL)
    return FALSE;
  for (guint i = 0; i < expanded->len; i++)
    {
      GError *why = NULL;

      if (do_one (invocation, g_ptr_array_index (expanded, i), func, data, &why))
        continue;
      if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED))
        {
          g_propagate_error (error, why);
          return FALSE;
        }
      ramet_findings_take (findings, why);
    }
  if (findings->len == 0 || findings->len == expanded->len)
    return ramet_findings_raise (findings, error);
  for (guint i = 0; i < findings->len; i++)
    ramet_print_error (g_ptr_array_index (findings, i));
  ramet_error_set (error, RAMET_ERROR_PARTLY, "done for %u of %u VMs", expanded->len - findings->len, expanded->len);
  return FALSE;
}

/**
 * ramet_confirm_removal:
 * @yes: the answer is known
 *
 * Asks once, about all. Without a terminal nobody can be asked.
 */
gboolean
ramet_confirm_removal (char **names, gboolean yes, GError **error)
{
  g_autofree char *list = g_strjoinv ("', '", names);
  g_autofree char *question = g_strdup_printf ("Delete '%s' with all that is in it?", list);

  if (yes)
    return TRUE;
  if (!isatty (STDIN_FILENO) || !isatty (STDERR_FILENO))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "cannot ask whether to delete '%s': there is no terminal", list);
      ramet_error_hint (error, "give --yes");
      return FALSE;
    }
  if (ramet_ask (question))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_CANCELLED, "nothing was deleted");
  return FALSE;
}
