/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/names.h"
#include "operations/disks/flatten.h"
#include "operations/disks/rebase.h"

static char *opt_base;
static gboolean opt_force;

const GOptionEntry ramet_options_rebase[] = {
  { "base", 0, 0, G_OPTION_ARG_STRING, &opt_base, "The base, if it was defined anew under another UUID", "BASE" },
  { "force", 'f', 0, G_OPTION_ARG_NONE, &opt_force, "Although the base does not look as it did when they were cloned",
    NULL },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_flatten[] = {
  { "force", 'f', 0, G_OPTION_ARG_NONE, &opt_force, "Although the base has changed since they were cloned", NULL },
  G_OPTION_ENTRY_NULL,
};

/* What it stands on now. */
static void
print_result (const RametInvocation *invocation, const RametVm *vm)
{
  const char *base = vm->metadata ? vm->metadata->base_name : NULL;

  if (invocation->quiet || invocation->json)
    return;
  ramet_talk_lock ();
  g_print ("%s stands %s%s\n", ramet_vm_get_name (vm), base ? "on " : "alone", base ? base : "");
  ramet_talk_unlock ();
}

static gboolean
rebase_one (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  const RametRebaseOptions options = { .base = opt_base, .force = opt_force };

  if (!ramet_rebase (vm, task, &options, error))
    return FALSE;
  print_result (data, vm);
  return TRUE;
}

gboolean
ramet_cmd_rebase (RametInvocation *invocation, char **args, GError **error)
{
  return ramet_each_vm (invocation, args, RAMET_NAMES_AS_WRITTEN, rebase_one, invocation, error);
}

static gboolean
flatten_one (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  const RametFlattenOptions options = { .force = opt_force };

  if (!ramet_flatten (vm, task, &options, error))
    return FALSE;
  print_result (data, vm);
  return TRUE;
}

gboolean
ramet_cmd_flatten (RametInvocation *invocation, char **args, GError **error)
{
  return ramet_each_vm (invocation, args, RAMET_NAMES_AS_WRITTEN, flatten_one, invocation, error);
}
