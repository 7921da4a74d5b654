/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/names.h"
#include "core/error.h"
#include "core/text.h"
#include "model/names.h"
#include "operations/vm/settings.h"

static struct
{
  char *cpus, *memory, *disk_size;
  char **add_shares, **remove_shares;
  gboolean grant;
} opt;

const GOptionEntry ramet_options_set[] = {
  { "cpus", 0, 0, G_OPTION_ARG_STRING, &opt.cpus, "Virtual CPUs", "N" },
  { "memory", 0, 0, G_OPTION_ARG_STRING, &opt.memory, "Memory, in MiB or with a unit", "SIZE" },
  { "disk-size", 0, 0, G_OPTION_ARG_STRING, &opt.disk_size, "Grow the first disk to so many GiB, or with a unit", "SIZE" },
  { "add-share", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.add_shares, "Share one more folder, as 'clone --dir' does",
    "DIR[:GUESTDIR]" },
  { "remove-share", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.remove_shares, "Share a folder no more", "SHARE" },
  { "grant", 0, 0, G_OPTION_ARG_NONE, &opt.grant, "Let QEMU's user reach the shares by ACL; remove undoes it", NULL },
  G_OPTION_ENTRY_NULL,
};

/* What is to be set, and for the results what was. */
typedef struct
{
  RametInvocation *invocation;
  RametSettings settings;
} Set;

static gboolean
set_one (RametVm *vm, RametTask *task, gpointer data, GError **error)
{
  const Set *set = data;
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);

  ramet_task_step (task, "changing");
  if (!ramet_settings_apply (vm, task, &set->settings, notes, error))
    return FALSE;
  ramet_talk_lock ();
  for (guint i = 0; !set->invocation->json && !set->invocation->quiet && i < notes->len; i++)
    {
      g_autofree char *safe = ramet_text_escape (g_ptr_array_index (notes, i), -1);

      g_print ("%s: %s\n", ramet_vm_get_name (vm), safe);
    }
  if (notes->len == 0 && !set->invocation->json && !set->invocation->quiet)
    g_print ("%s: nothing to do: it is so already\n", ramet_vm_get_name (vm));
  ramet_talk_unlock ();
  return TRUE;
}

gboolean
ramet_cmd_set (RametInvocation *invocation, char **args, GError **error)
{
  Set set = { .invocation = invocation, .settings = { .grant = opt.grant } };

  set.settings.add_shares = (const char *const *) opt.add_shares;
  set.settings.remove_shares = (const char *const *) opt.remove_shares;
  if (!opt.cpus && !opt.memory && !opt.disk_size && !opt.add_shares && !opt.remove_shares)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'ramet set' wants something to set");
      ramet_error_hint (error, "'ramet set --help'");
      return FALSE;
    }
  return ramet_parse_cpus (opt.cpus, &set.settings.vcpus, error) &&
         ramet_parse_memory (opt.memory, &set.settings.memory_bytes, error) &&
         ramet_parse_disk_size ("--disk-size", opt.disk_size, &set.settings.disk_bytes, error) &&
         ramet_each_vm (invocation, args, RAMET_NAMES_AS_WRITTEN, set_one, &set, error);
}
