/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which VM of a project comes before which. */
#include "model/project-private.h"

/** ramet_project_find_vm: (transfer none) (nullable): by its name in the file, or its whole name */
const RametProjectVm *
ramet_project_find_vm (const RametProject *project, const char *name)
{
  for (guint i = 0; i < project->vms->len; i++)
    {
      const RametProjectVm *vm = g_ptr_array_index (project->vms, i);

      if (g_str_equal (vm->name, name) || g_strcmp0 (vm->full_name, name) == 0)
        return vm;
    }
  return NULL;
}

/*
 * Adds @vm to @order behind all that it comes after.
 * @path: (element-type RametProjectVm): those that led here
 * Returns: (nullable): the names of a circle
 */
static char *
visit (const RametProject *project, const RametProjectVm *vm, GPtrArray *path, GPtrArray *order)
{
  guint at;

  if (g_ptr_array_find (order, vm, NULL))
    return NULL;
  if (g_ptr_array_find (path, vm, &at))
    {
      GString *circle = g_string_new (NULL);

      for (; at < path->len; at++)
        g_string_append_printf (circle, "%s → ", ((RametProjectVm *) g_ptr_array_index (path, at))->name);
      g_string_append (circle, vm->name);
      return g_string_free (circle, FALSE);
    }
  g_ptr_array_add (path, (gpointer) vm);
  for (char **after = vm->after; after && *after; after++)
    {
      const RametProjectVm *other = ramet_project_find_vm (project, *after);
      char *circle = other ? visit (project, other, path, order) : NULL;

      if (circle)
        return circle;
    }
  g_ptr_array_set_size (path, (int) path->len - 1);
  g_ptr_array_add (order, (gpointer) vm);
  return NULL;
}

/** ramet_project_find_order: (transfer container) (nullable): @ret_circle is set where there is no order */
GPtrArray *
ramet_project_find_order (const RametProject *project, char **ret_circle)
{
  g_autoptr (GPtrArray) order = g_ptr_array_new ();

  for (guint i = 0; i < project->vms->len; i++)
    {
      g_autoptr (GPtrArray) path = g_ptr_array_new ();

      *ret_circle = visit (project, g_ptr_array_index (project->vms, i), path, order);
      if (*ret_circle)
        return NULL;
    }
  return g_steal_pointer (&order);
}

/** ramet_project_order: (transfer container) (element-type RametProjectVm): each behind all that it comes after */
GPtrArray *
ramet_project_order (const RametProject *project)
{
  g_autofree char *circle = NULL;

  return ramet_project_find_order (project, &circle);
}
