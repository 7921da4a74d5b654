/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/entries.h"
#include "cli/names.h"
#include "core/error.h"
#include "core/task.h"
#include "core/text.h"
#include "model/names.h"
#include "operations/base/update.h"
#include "operations/base/versions.h"
#include "operations/vm/lifecycle.h"

#define DEFAULT_MEMORY_BYTES (1024ULL * 1024 * 1024)
#define DEFAULT_TIMEOUT_S 300

static struct
{
  char *image, *suite, *init, *mirror, *pool, *network, *size, *memory;
  int timeout;
  gboolean uefi, emulate, yes;
} opt = { .timeout = RAMET_TIMEOUT_NOT_GIVEN };

const GOptionEntry ramet_options_base_build[] = {
  { "suite", 0, 0, G_OPTION_ARG_STRING, &opt.suite, "Debian suite; else " RAMET_DEFAULT_SUITE, "SUITE" },
  { "init", 0, 0, G_OPTION_ARG_STRING, &opt.init, "What starts its services; else systemd", "systemd|openrc|sysvinit" },
  { "mirror", 0, 0, G_OPTION_ARG_STRING, &opt.mirror, "Where packages come from; else as this host's apt", "URL" },
  { "image", 0, 0, G_OPTION_ARG_FILENAME, &opt.image, "Take this qcow2 image rather than build one", "FILE" },
  { "size", 0, 0, G_OPTION_ARG_STRING, &opt.size, "Size of the disk in GiB, or with a unit; else 8G", "SIZE" },
  { "memory", 0, 0, G_OPTION_ARG_STRING, &opt.memory, "Memory of its clones, in MiB or with a unit; else 1G", "SIZE" },
  { "network", 0, 0, G_OPTION_ARG_STRING, &opt.network, "libvirt network of its clones; else 'default'", "NETWORK" },
  { "pool", 0, 0, G_OPTION_ARG_STRING, &opt.pool, "Storage pool for its disk; else as set in config.ini, or 'default'", "POOL" },
  { "uefi", 0, 0, G_OPTION_ARG_NONE, &opt.uefi, "Boot by UEFI rather than BIOS", NULL },
  { "emulate", 0, 0, G_OPTION_ARG_NONE, &opt.emulate, "Do not use KVM even where it works", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long the trial boot may take, in seconds; else 300",
    "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_base_update[] = {
  { "image", 0, 0, G_OPTION_ARG_FILENAME, &opt.image, "Take this qcow2 image rather than build one", "FILE" },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long the trial boot may take, in seconds; else 300",
    "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_base_remove[] = {
  { "yes", 'y', 0, G_OPTION_ARG_NONE, &opt.yes, "Do not ask", NULL },
  G_OPTION_ENTRY_NULL,
};

gboolean
ramet_cmd_base_build (RametInvocation *invocation, char **args, GError **error)
{
  const char *name = args[0] ? args[0] : RAMET_DEFAULT_BASE;
  g_autoptr (RametTask) task = ramet_task_new (name, invocation->cancellable);
  RametBaseOptions options = {
    .name = name, .image = opt.image, .suite = opt.suite, .init = opt.init, .mirror = opt.mirror,
    .pool = opt.pool ? opt.pool : invocation->config->values[RAMET_CONFIG_POOL],
    .network = opt.network, .memory_bytes = DEFAULT_MEMORY_BYTES, .uefi = opt.uefi, .emulate = opt.emulate,
  };

  if (!ramet_parse_timeout (opt.timeout, DEFAULT_TIMEOUT_S, &options.timeout_s, error))
    return FALSE;
  if (!ramet_parse_disk_size ("--size", opt.size, &options.disk_bytes, error) ||
      !ramet_parse_memory (opt.memory, &options.memory_bytes, error))
    return FALSE;
  if (!ramet_base_build (invocation->connection, task, &options, error))
    return FALSE;
  ramet_talk_lock ();
  if (!invocation->quiet)
    g_print ("%s is ready: ramet clone %s NAME -d .\n", name, name);
  return TRUE;
}

/* Which version is what by now: the older ones are needed still, or can be removed. */
static gboolean
print_versions (RametInvocation *invocation, const char *newest, GError **error)
{
  g_autoptr (RametVm) vm = ramet_vm_open (invocation->connection, newest, error);
  const char *version_of = vm ? ramet_version_of (vm) : NULL;
  g_autoptr (GPtrArray) versions
    = version_of ? ramet_versions_list (invocation->connection, version_of, error) : NULL;

  if (versions)
    g_print ("%s is ready, and what 'ramet clone %s NAME' takes from now on\n", newest, version_of);
  for (guint i = 0; versions && i < versions->len; i++)
    {
      RametVm *version = g_ptr_array_index (versions, i);
      const char *name = ramet_vm_get_name (version);
      g_autoptr (GPtrArray) clones = NULL;
      g_autofree char *names = NULL;

      if (g_str_equal (name, newest))
        continue;
      clones = ramet_lifecycle_known_clones_of (version, error);
      if (clones == NULL)
        return FALSE;
      g_ptr_array_add (clones, NULL);
      names = g_strjoinv (" ", (char **) clones->pdata);
      if (*names)
        g_print ("%s stays: clones stand on it: %s\n", name, names);
      else
        g_print ("%s has no clones: 'ramet base remove %s' deletes it\n", name, name);
    }
  return versions != NULL;
}

gboolean
ramet_cmd_base_update (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[0], invocation->cancellable);
  g_autofree char *name = NULL;
  guint timeout_s = 0;

  if (!ramet_parse_timeout (opt.timeout, DEFAULT_TIMEOUT_S, &timeout_s, error))
    return FALSE;
  name = ramet_base_update (invocation->connection, task, args[0], opt.image, timeout_s, error);
  if (name == NULL)
    return FALSE;
  ramet_talk_lock ();
  if (invocation->quiet)
    return TRUE;
  return print_versions (invocation, name, error);
}

/* (transfer full): whoever mistypes a name should learn it before the question */
static RametVm *
open_base (RametInvocation *invocation, const char *name, GError **error)
{
  g_autoptr (GError) why = NULL;
  RametVm *vm = ramet_vm_open_ours (invocation->connection, name, &why);

  if (why && g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "there is no base '%s'", name);
      ramet_error_hint (error, "'ramet base list' shows the bases");
    }
  else if (why)
    g_propagate_error (error, g_steal_pointer (&why));
  return vm;
}

gboolean
ramet_cmd_base_remove (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[0], invocation->cancellable);
  g_autoptr (RametVm) vm = open_base (invocation, args[0], error);

  return vm && ramet_confirm_removal (args, opt.yes, error) &&
         ramet_base_remove (invocation->connection, task, args[0], error);
}

/* (transfer none) (nullable): what a base is among its versions, if there may be several */
static const char *
version_word (const RametEntry *entry, GPtrArray *entries)
{
  if (ramet_version_of (entry->vm) == NULL)
    return NULL;
  return ramet_entry_is_newest (entry, entries) ? "newest" : "older";
}

gboolean
ramet_cmd_base_list (RametInvocation *invocation, char **args, GError **error)
{
  static const RametColumn columns[] = {
    { "BASE", 0, 0, FALSE }, { "VERSION", 3, 0, FALSE }, { "MADE BY", 4, 0, FALSE },
    { "DISK", 2, 0, TRUE },  { "CREATED", 5, 0, FALSE }, { "CLONES", 1, 12, FALSE },
  };
  g_autoptr (GPtrArray) entries = ramet_inventory_list (invocation->connection, TRUE, NULL, error);
  g_autoptr (RametTable) table = ramet_table_new_columns (columns, G_N_ELEMENTS (columns));

  if (entries == NULL)
    return FALSE;
  for (guint i = entries->len; i-- > 0;)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);

      if (ramet_vm_get_state (entry->vm) != RAMET_STATE_BASE && !ramet_entry_is_parent (entry, entries))
        g_ptr_array_remove_index (entries, i);
    }
  if (invocation->json)
    {
      ramet_entries_print_json (entries, TRUE);
      return TRUE;
    }
  for (guint i = 0; i < entries->len; i++)
    {
      RametEntry *entry = g_ptr_array_index (entries, i);
      g_autoptr (GPtrArray) clones = ramet_lifecycle_known_clones_of (entry->vm, error);
      g_autofree char *disk = ramet_text_size (entry->own_bytes);
      g_autofree char *names = NULL;

      if (clones == NULL)
        return FALSE;
      g_ptr_array_add (clones, NULL);
      names = g_strjoinv (" ", (char **) clones->pdata);
      ramet_table_add (table, ramet_vm_get_name (entry->vm));
      ramet_table_add (table, version_word (entry, entries));
      ramet_table_add (table, entry->vm->metadata ? "ramet" : "others");
      ramet_table_add (table, entry->vm->metadata ? disk : NULL);
      ramet_table_add (table, entry->vm->metadata ? entry->vm->metadata->created : NULL);
      ramet_table_add (table, names);
    }
  if (entries->len > 0)
    ramet_table_print (table);
  else if (!invocation->quiet)
    g_printerr ("no bases yet: 'ramet base build' makes one\n");
  return TRUE;
}
