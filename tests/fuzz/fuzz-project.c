/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/names.h"
#include "model/project.h"
#include "model/share.h"

#define FOLDER "/home/ada/src"
#define MAX_BYTES 2048
#define MAX_COLUMNS (4 * MAX_BYTES + 300) /* of a message: a whole path may stand in it, escaped */
#define LABEL "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"

static void
check_list (char **list, const char *pattern)
{
  guint n = 0;

  for (; list && *list; list++, n++)
    {
      g_assert_cmpstr (*list, !=, "");
      if (pattern)
        g_assert_true (fuzz_matches (*list, pattern));
    }
  g_assert_cmpuint (n, <=, RAMET_PROJECT_MAX_ITEMS);
}

static void
check_vm (const RametProject *project, const RametProjectVm *vm)
{
  g_assert_true (fuzz_matches (vm->full_name, LABEL));
  g_assert_cmpuint (strlen (vm->full_name), <=, 63);
  g_assert_true (g_str_has_prefix (vm->full_name, project->name));
  g_assert_cmpstr (vm->full_name + strlen (project->name) + 1, ==, vm->name);
  g_assert_true (ramet_project_find_vm (project, vm->name) == vm);
  g_assert_nonnull (vm->base);
  g_assert_cmpuint (vm->vcpus, <=, 4096);
  g_assert_true (vm->memory_bytes == 0 || vm->memory_bytes >= 32 * 1024 * 1024);
  check_list (vm->packages, "^[A-Za-z0-9][A-Za-z0-9+._:~=@/-]*$");
  check_list (vm->run, "^/");
  check_list (vm->after, LABEL);
  check_list (vm->shares, NULL);
  for (char **spec = vm->shares; spec && *spec; spec++)
    {
      g_autofree char *source = NULL;
      g_autofree char *target = NULL;

      g_assert_true (ramet_share_parse (*spec, FOLDER, &source, &target, NULL));
    }
}

/* All VMs, each behind those it comes after. */
static void
check_order (const RametProject *project)
{
  g_autoptr (GPtrArray) order = ramet_project_order (project);

  g_assert_nonnull (order);
  g_assert_cmpuint (order->len, ==, project->vms->len);
  for (guint i = 0; i < order->len; i++)
    {
      const RametProjectVm *vm = g_ptr_array_index (order, i);

      for (char **after = vm->after; after && *after; after++)
        {
          guint at;

          g_assert_true (g_ptr_array_find (order, ramet_project_find_vm (project, *after), &at));
          g_assert_cmpuint (at, <, i);
        }
    }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  size_t length = MIN (size, MAX_BYTES);
  g_autofree char *text = g_malloc (length + 1);
  g_autoptr (RametProject) project = NULL;
  g_autoptr (GError) error = NULL;

  memcpy (text, data, length); /* NULs and what is no UTF-8 stay */
  text[length] = '\0';
  project = ramet_project_parse (text, length, FOLDER, "ramet.ini", &error);
  if (project == NULL)
    {
      fuzz_check_refusal (error, MAX_COLUMNS);
      return 0;
    }
  g_assert_no_error (error);
  g_assert_null (memchr (text, '\0', length)); /* nothing was left out of account */
  g_assert_cmpuint (project->vms->len, >=, 1);
  g_assert_cmpuint (project->vms->len, <=, RAMET_PROJECT_MAX_VMS);
  g_assert_true (ramet_name_check_project (project->name, NULL));
  for (guint i = 0; i < project->vms->len; i++)
    check_vm (project, g_ptr_array_index (project->vms, i));
  check_order (project);
  return 0;
}
