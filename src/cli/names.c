/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/names.h"

#include <unistd.h>

#include "cli/output.h"
#include "core/error.h"

/**
 * ramet_names_check_given:
 * @or_name: whether a name would do as well
 *
 * For a command without a name, which then means the project of this folder: is there one?
 */
gboolean
ramet_names_check_given (const char *command, gboolean or_name, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autofree char *path = ramet_project_find_file (&why);

  if (path)
    return TRUE;
  if (why)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet %s' wants a %s: there is no " RAMET_PROJECT_FILE
                   " in this folder or above", command, or_name ? "name" : "project");
  if (or_name)
    ramet_error_hint (error, "'ramet %s NAME'; or 'ramet init' makes this folder a project", command);
  else
    ramet_error_hint (error, "'ramet init' makes this folder a project");
  return FALSE;
}

/* Which file that was, for those who wonder. */
static RametProject *
load_here (RametInvocation *invocation, GError **error)
{
  g_autofree char *path = ramet_project_find_file (error);
  RametProject *project = path ? ramet_project_load (path, error) : NULL;

  if (project)
    {
      g_autoptr (RametTask) task = ramet_task_new (project->name, invocation->cancellable);

      ramet_task_note (task, "the project file is '%s'", path);
    }
  return project;
}

/** ramet_names_set_no_project: sets @error to say that there is no VM of the project @name */
void
ramet_names_set_no_project (const char *name, GError **error)
{
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "no VM belongs to a project '%s'", name);
  ramet_error_hint (error, "'ramet list --all-projects' shows VMs and their projects");
}

/* As typed; the name may be that of a file in this folder. */
static GPtrArray *
expand_project (RametInvocation *invocation, const char *name, RametNamesOrder order, GError **error)
{
  g_autoptr (RametProject) file = ramet_project_load_here (NULL);
  g_autoptr (GPtrArray) names = NULL;

  if (file && !g_str_equal (file->name, name))
    g_clear_pointer (&file, ramet_project_free);
  names = ramet_project_list_names (invocation->connection, name, file, order == RAMET_NAMES_AS_WRITTEN, error);
  if (names && names->len == 0)
    {
      ramet_names_set_no_project (name, error);
      return NULL;
    }
  return g_steal_pointer (&names);
}

static GPtrArray *
expand_here (RametInvocation *invocation, RametNamesOrder order, GError **error)
{
  g_autoptr (RametProject) file = load_here (invocation, error);

  return file ? ramet_project_list_names (invocation->connection, file->name, file, order == RAMET_NAMES_AS_WRITTEN, error)
              : NULL;
}

/* The names of a project behind those there are, each once. */
static void
add_names (GPtrArray *expanded, GPtrArray *names, RametNamesOrder order)
{
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, order == RAMET_NAMES_LAST_FIRST ? names->len - 1 - i : i);

      if (!g_ptr_array_find_with_equal_func (expanded, name, g_str_equal, NULL))
        g_ptr_array_add (expanded, g_strdup (name));
    }
}

/**
 * ramet_expand_names:
 * @names: as typed; "@PROJECT" stands for all VMs of a project; none at all for those of this folder's
 * @order: of a project's VMs; names that were typed stay in their order
 *
 * Returns: (transfer full) (element-type utf8): each name once; those that a project's file names may not be there
 */
GPtrArray *
ramet_expand_names (RametInvocation *invocation, char **names, RametNamesOrder order, GError **error)
{
  g_autoptr (GPtrArray) expanded = g_ptr_array_new_with_free_func (g_free);

  if (*names == NULL)
    {
      g_autoptr (GPtrArray) all = expand_here (invocation, order, error);

      if (all == NULL)
        return NULL;
      add_names (expanded, all, order);
    }
  for (; *names; names++)
    {
      g_autoptr (GPtrArray) some = NULL;

      if (**names == '@')
        some = expand_project (invocation, *names + 1, order, error);
      else
        {
          some = g_ptr_array_new ();
          g_ptr_array_add (some, *names);
        }
      if (some == NULL)
        return NULL;
      add_names (expanded, some, order);
    }
  return g_steal_pointer (&expanded);
}

/** ramet_only_name: (transfer full): the one VM of this folder's project */
char *
ramet_only_name (RametInvocation *invocation, GError **error)
{
  char *none[] = { NULL };
  g_autoptr (GPtrArray) names = ramet_expand_names (invocation, none, RAMET_NAMES_AS_WRITTEN, error);
  g_autofree char *list = NULL;

  if (names == NULL)
    return NULL;
  if (names->len == 1)
    return g_strdup (g_ptr_array_index (names, 0));
  g_ptr_array_add (names, NULL);
  list = g_strjoinv (", ", (char **) names->pdata);
  ramet_error_set (error, RAMET_ERROR_USAGE, "this project has several VMs: %s", list);
  ramet_error_hint (error, "name one: 'ramet ssh %s'", (char *) g_ptr_array_index (names, 0));
  return NULL;
}

/** ramet_names_add_project_hint: a VM that is not there may be one that this folder's project wants */
void
ramet_names_add_project_hint (const char *name, GError **error)
{
  g_autoptr (RametProject) file = NULL;
  const RametProjectVm *vm;

  if (error == NULL || !g_error_matches (*error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
    return;
  file = ramet_project_load_here (NULL);
  vm = file ? ramet_project_find_vm (file, name) : NULL;
  if (vm == NULL)
    return;
  if (g_str_equal (vm->full_name, name))
    ramet_error_hint (error, "'ramet up %s' makes it", vm->name);
  else
    ramet_error_hint (error, "in this project '%s' is the VM '%s'", name, vm->full_name);
}

/** ramet_open_named: (transfer full): as ramet_vm_open_ours(), with a hint that knows this folder's project */
RametVm *
ramet_open_named (RametInvocation *invocation, const char *name, GError **error)
{
  RametVm *vm = ramet_vm_open_ours (invocation->connection, name, error);

  if (vm == NULL)
    ramet_names_add_project_hint (name, error);
  return vm;
}

static gboolean
do_one (RametInvocation *invocation, const char *name, RametEachFunc func, gpointer data, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (name, invocation->cancellable);
  g_autoptr (RametVm) vm = NULL;

  if (g_cancellable_is_cancelled (invocation->cancellable))
    {
      ramet_error_set (error, RAMET_ERROR_CANCELLED, "interrupted");
      return FALSE;
    }
  vm = ramet_open_named (invocation, name, error);
  return vm && func (vm, task, data, error);
}

/**
 * ramet_each_vm:
 * @error: see ramet_results_tell(), which is how the end is told
 *
 * Does it with one VM after the other, and goes on where one fails; not after Ctrl-C.
 */
gboolean
ramet_each_vm (RametInvocation *invocation, char **names, RametNamesOrder order, RametEachFunc func, gpointer data,
               GError **error)
{
  g_autoptr (GPtrArray) expanded = ramet_expand_names (invocation, names, order, error);
  g_autoptr (RametResults) results = ramet_results_new ();

  if (expanded == NULL)
    return FALSE;
  for (guint i = 0; i < expanded->len; i++)
    {
      GError *why = NULL;

      do_one (invocation, g_ptr_array_index (expanded, i), func, data, &why);
      ramet_results_add (results, g_ptr_array_index (expanded, i), NULL, why);
    }
  return ramet_results_tell (results, invocation, error);
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
