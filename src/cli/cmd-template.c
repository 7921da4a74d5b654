/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/table.h"
#include "core/error.h"
#include "core/task.h"
#include "core/text.h"
#include "host/libvirt/storage.h"
#include "model/names.h"
#include "operations/clone/defaults.h"
#include "operations/clone/steps.h"
#include "operations/clone/template.h"
#include "operations/template/templates.h"
#include "operations/vm/lifecycle.h"

static struct
{
  char **ssh_keys;
  char *cpus, *memory, *user, *pool;
  int timeout, slots;
  gboolean yes;
  GPtrArray *packages; /* (element-type RametExtra) */
} opt = { .timeout = RAMET_TIMEOUT_NOT_GIVEN, .slots = RAMET_TEMPLATE_DEFAULT_SLOTS };

static gboolean
on_package (const char *option, const char *value, gpointer data, GError **error)
{
  if (!ramet_name_check_package (value, error))
    return FALSE;
  if (opt.packages == NULL)
    opt.packages = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_extra_free);
  g_ptr_array_add (opt.packages, ramet_extra_new_package (value));
  return TRUE;
}

const GOptionEntry ramet_options_template_create[] = {
  { "cpus", 0, 0, G_OPTION_ARG_STRING, &opt.cpus, "Virtual CPUs; else as set, or as in the base", "N" },
  { "memory", 0, 0, G_OPTION_ARG_STRING, &opt.memory, "Memory, in MiB or with a unit; else as set, or as in the base", "SIZE" },
  { "package", 0, 0, G_OPTION_ARG_CALLBACK, on_package, "Install a package in the guest", "PACKAGE" },
  { "shares", 0, 0, G_OPTION_ARG_INT, &opt.slots, "How many folders its clones may share; else 4", "N" },
  { "user", 0, 0, G_OPTION_ARG_STRING, &opt.user, "Login name in the guest; else as set, or the one here", "USER" },
  { "ssh-key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.ssh_keys, "Public key to let in; else as set, or your own", "FILE" },
  { "pool", 0, 0, G_OPTION_ARG_STRING, &opt.pool, "Storage pool for its disk; else as set, or 'default'", "POOL" },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long to wait for the guest in all, in seconds; else 600",
    "SECONDS" },
  G_OPTION_ENTRY_NULL,
};

const GOptionEntry ramet_options_template_remove[] = {
  { "yes", 'y', 0, G_OPTION_ARG_NONE, &opt.yes, "Do not ask", NULL },
  G_OPTION_ENTRY_NULL,
};

gboolean
ramet_cmd_template_create (RametInvocation *invocation, char **args, GError **error)
{
  const char *base = args[0] ? args[0] : ramet_defaults_base (invocation->config, "template create", error);
  g_autoptr (RametTask) task = ramet_task_new (base ? base : "", invocation->cancellable);
  RametCloneOptions clone = {
    .base = base, .ssh_keys = (const char *const *) opt.ssh_keys, .user = opt.user, .pool = opt.pool,
  };
  RametTemplateOptions options = { .base = base };
  g_autofree char *name = NULL;

  if (base == NULL)
    return FALSE;
  if (opt.slots < 0 || opt.slots > RAMET_TEMPLATE_MAX_SLOTS)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--shares wants a number from 0 to %d", RAMET_TEMPLATE_MAX_SLOTS);
      return FALSE;
    }
  options.n_slots = (guint) opt.slots;
  if (opt.packages == NULL)
    opt.packages = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_extra_free);
  options.packages = opt.packages;
  if (!ramet_parse_cpus (opt.cpus, &clone.vcpus, error) ||
      !ramet_parse_timeout (opt.timeout, RAMET_DEFAULT_TIMEOUT_S, &options.timeout_s, error) ||
      !ramet_parse_memory (opt.memory, &clone.memory_bytes, error))
    return FALSE;
  /* as of the clones that are to go on from it */
  ramet_defaults_fill (invocation->config, &clone);
  options.ssh_keys = clone.ssh_keys;
  options.ssh_keys_from = clone.ssh_keys_from;
  options.user = clone.user;
  options.pool = clone.pool;
  options.vcpus = clone.vcpus;
  options.memory_bytes = clone.memory_bytes;
  if (!ramet_template_create (invocation->connection, task, &options, &name, error))
    return FALSE;
  ramet_talk_lock ();
  if (!invocation->quiet)
    g_print ("%s is ready: ramet clone %s NAME goes on from it\n", name, base);
  return TRUE;
}

typedef struct
{
  guint64 disk_bytes;
  guint64 memory_bytes; /* of its saved memory, as it lies on the disk */
  GPtrArray *users;     /* (element-type utf8) */
  char *why_not;        /* or NULL */
} Look;

static void
look_clear (Look *look)
{
  g_clear_pointer (&look->users, g_ptr_array_unref);
  g_free (look->why_not);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Look, look_clear)

static gboolean
look_at (RametConnection *connection, RametVm *vm, Look *ret_look, GError **error)
{
  const RametTemplate *template = vm->metadata->template;
  guint64 bytes;

  for (guint i = 0; i < vm->metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (vm->metadata->volumes, i);
      gboolean is_memory = template && g_str_equal (volume->path, template->memory.print->path);

      if (ramet_volume_get_allocation (connection, volume->path, &bytes))
        *(is_memory ? &ret_look->memory_bytes : &ret_look->disk_bytes) += bytes;
    }
  ret_look->users = ramet_lifecycle_known_clones_of (vm, error);
  return ret_look->users && ramet_template_why_unusable (vm, &ret_look->why_not, error);
}

static void
add_json (JsonBuilder *builder, const RametVm *vm, const Look *look)
{
  const RametTemplate *template = vm->metadata->template;

  json_builder_begin_object (builder);
  ramet_json_add_string (builder, "name", ramet_vm_get_name (vm));
  ramet_json_add_string (builder, "base", vm->metadata->base_name);
  ramet_json_add_string (builder, "created", vm->metadata->created);
  ramet_json_add_int (builder, "cpus", template ? template->vcpus : 0);
  ramet_json_add_int (builder, "memory", template ? (gint64) template->memory_kib * 1024 : 0);
  ramet_json_add_int (builder, "shares", template ? template->n_slots : 0);
  if (template)
    ramet_json_add_strings (builder, "packages", template->packages);
  ramet_json_add_int (builder, "disk-bytes", (gint64) look->disk_bytes);
  ramet_json_add_int (builder, "memory-bytes", (gint64) look->memory_bytes);
  ramet_json_add_strings (builder, "users", look->users);
  ramet_json_add_string (builder, "unusable", look->why_not);
  json_builder_end_object (builder);
}

static void
add_row (RametTable *table, const RametVm *vm, const Look *look)
{
  const RametTemplate *template = vm->metadata->template;
  g_autofree char *cpus = g_strdup_printf ("%u", template ? template->vcpus : 0);
  g_autofree char *memory = ramet_text_size (template ? template->memory_kib * 1024 : 0);
  g_autofree char *costs = ramet_text_size (look->disk_bytes + look->memory_bytes);
  g_autofree char *users = g_strdup_printf ("%u", look->users->len);
  g_autofree char *state = look->why_not ? g_strdup_printf ("unusable: %s", look->why_not) : g_strdup ("usable");
  const char *cells[] = { ramet_vm_get_name (vm), vm->metadata->base_name ? vm->metadata->base_name : "-", cpus, memory,
                          costs, users, state };

  for (gsize i = 0; i < G_N_ELEMENTS (cells); i++)
    ramet_table_add (table, cells[i]);
}

gboolean
ramet_cmd_template_list (RametInvocation *invocation, char **args, GError **error)
{
  static const RametColumn columns[] = {
    { "TEMPLATE", 0, 0, FALSE }, { "BASE", 1, 6, FALSE }, { "CPUS", 4, 0, TRUE },   { "MEMORY", 3, 0, TRUE },
    { "COSTS", 2, 0, TRUE },     { "CLONES", 5, 0, TRUE }, { "STATE", 0, 0, FALSE },
  };
  g_autoptr (GPtrArray) templates = ramet_templates_list (invocation->connection, error);
  g_autoptr (RametTable) table = ramet_table_new_columns (columns, G_N_ELEMENTS (columns));
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  if (templates == NULL)
    return FALSE;
  json_builder_begin_array (builder);
  for (guint i = 0; i < templates->len; i++)
    {
      RametVm *vm = g_ptr_array_index (templates, i);
      g_auto (Look) look = { 0 };

      if (!look_at (invocation->connection, vm, &look, error))
        return FALSE;
      add_json (builder, vm, &look);
      add_row (table, vm, &look);
    }
  json_builder_end_array (builder);
  if (invocation->json)
    ramet_print_json (builder);
  else if (templates->len > 0)
    ramet_table_print (table);
  else if (!invocation->quiet)
    g_printerr ("no templates yet: 'ramet template create BASE' makes one\n");
  return TRUE;
}

gboolean
ramet_cmd_template_remove (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[0], invocation->cancellable);
  g_autoptr (RametVm) vm = ramet_vm_open_ours (invocation->connection, args[0], error);

  /* whoever mistypes a name should learn it before the question; what is no template is refused before anything is done */
  if (vm && ramet_vm_get_state (vm) != RAMET_STATE_TEMPLATE && ramet_vm_get_state (vm) != RAMET_STATE_REMOVING)
    return ramet_template_remove (vm, task, error);
  return vm && ramet_confirm_removal (args, opt.yes, error) && ramet_template_remove (vm, task, error);
}
