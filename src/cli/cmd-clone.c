/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/patch.h"
#include "core/error.h"
#include "core/task.h"
#include "core/text.h"
#include "model/names.h"
#include "operations/clone/steps.h"
#include "operations/clone/clone.h"
#include "operations/clone/defaults.h"
#include "operations/clone/explain.h"

static struct
{
  char **shares, **macs, **ssh_keys, **share_disks;
  char *cpus, *memory, *disk_size, *network, *user, *project, *pool;
  int timeout;
  gboolean cold, template, drop_host_devices, keep_qemu_args, grant, no_bootstrap, no_wait, keep, dry_run, print_xml;
  GPtrArray *extras; /* (element-type RametExtra): packages and scripts in the order given */
} opt = { .timeout = RAMET_TIMEOUT_NOT_GIVEN };

static gboolean
on_package (const char *option, const char *value, gpointer data, GError **error)
{
  if (!ramet_name_check_package (value, error))
    return FALSE;
  if (opt.extras == NULL)
    opt.extras = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_extra_free);
  g_ptr_array_add (opt.extras, ramet_extra_new_package (value));
  return TRUE;
}

static gboolean
on_run (const char *option, const char *value, gpointer data, GError **error)
{
  RametExtra *extra = ramet_extra_new_script (value, error);

  if (extra == NULL)
    return FALSE;
  if (opt.extras == NULL)
    opt.extras = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_extra_free);
  g_ptr_array_add (opt.extras, extra);
  return TRUE;
}

const GOptionEntry ramet_options_clone[] = {
  { "dir", 'd', 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.shares,
    "Share a folder, read-only below an overlay of the guest's own; at the same path inside, or at GUESTDIR",
    "DIR[:GUESTDIR]" },
  { "cpus", 0, 0, G_OPTION_ARG_STRING, &opt.cpus, "Virtual CPUs; else as set in config.ini, or in the base", "N" },
  { "memory", 0, 0, G_OPTION_ARG_STRING, &opt.memory, "Memory, in MiB or with a unit; else as set, or in the base", "SIZE" },
  { "disk-size", 0, 0, G_OPTION_ARG_STRING, &opt.disk_size, "Grow the first disk to so many GiB, or with a unit",
    "SIZE" },
  { "mac", 'm', 0, G_OPTION_ARG_STRING_ARRAY, &opt.macs, "MAC address of the next network interface", "ADDRESS" },
  { "network", 0, 0, G_OPTION_ARG_STRING, &opt.network, "libvirt network for the first interface", "NETWORK" },
  { "user", 0, 0, G_OPTION_ARG_STRING, &opt.user, "Login name in the guest; else as set, or the one here", "USER" },
  { "ssh-key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.ssh_keys, "Public key to let in; else as set, or your own", "FILE" },
  { "package", 0, 0, G_OPTION_ARG_CALLBACK, on_package, "Install a package in the guest", "PACKAGE" },
  { "run", 0, 0, G_OPTION_ARG_CALLBACK, on_run, "Run a script in the guest as root, once", "SCRIPT" },
  { "project", 0, 0, G_OPTION_ARG_STRING, &opt.project, "Project that it belongs to", "PROJECT" },
  { "pool", 0, 0, G_OPTION_ARG_STRING, &opt.pool, "Storage pool for its disks; else as set, or 'default'", "POOL" },
  { "grant", 0, 0, G_OPTION_ARG_NONE, &opt.grant, "Let QEMU's user reach shares and base by ACL; remove undoes it",
    NULL },
  { "drop-host-devices", 0, 0, G_OPTION_ARG_NONE, &opt.drop_host_devices,
    "Leave out devices of the host and lines to it that only one guest can have", NULL },
  { "keep-qemu-args", 0, 0, G_OPTION_ARG_NONE, &opt.keep_qemu_args,
    "Take over what the base hands to QEMU past libvirt, as it is", NULL },
  { "share-disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt.share_disks,
    "Let base and VM both write to the base's shareable disk TARGET", "TARGET" },
  { "cold", 0, 0, G_OPTION_ARG_NONE, &opt.cold, "Boot it, though a template may fit", NULL },
  { "template", 0, 0, G_OPTION_ARG_NONE, &opt.template, "Let it go on from a template, or fail", NULL },
  { "no-bootstrap", 0, 0, G_OPTION_ARG_NONE, &opt.no_bootstrap, "Only make it: not started, root console open", NULL },
  { "no-wait", 0, 0, G_OPTION_ARG_NONE, &opt.no_wait, "Do not wait until it answers by name", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long to wait for the guest in all, in seconds; else 600",
    "SECONDS" },
  { "keep", 0, 0, G_OPTION_ARG_NONE, &opt.keep, "If it fails, leave the VM for looking into", NULL },
  { "dry-run", 0, 0, G_OPTION_ARG_NONE, &opt.dry_run, "Check everything and show what would be done", NULL },
  { "print-xml", 0, 0, G_OPTION_ARG_NONE, &opt.print_xml, "Print the domain XML that it would get, and do nothing",
    NULL },
  G_OPTION_ENTRY_NULL,
};

static gboolean
parse_options (RametInvocation *invocation, char **args, RametCloneOptions *ret_options, GError **error)
{
  RametCloneOptions options = {
    .base = args[1] ? args[0] : ramet_defaults_base (invocation->config, "clone", error), .name = args[args[1] ? 1 : 0], .shares = (const char *const *) opt.shares,
    .macs = (const char *const *) opt.macs, .ssh_keys = (const char *const *) opt.ssh_keys,
    .user = opt.user, .network = opt.network, .project = opt.project, .pool = opt.pool,
    .share_disks = (const char *const *) opt.share_disks, .drop_host_devices = opt.drop_host_devices,
    .keep_qemu_args = opt.keep_qemu_args, .grant = opt.grant, .dry_run = opt.dry_run, .no_bootstrap = opt.no_bootstrap, .no_wait = opt.no_wait, .keep = opt.keep,
  };

  if (options.base == NULL || !ramet_parse_cpus (opt.cpus, &options.vcpus, error) ||
      !ramet_parse_timeout (opt.timeout, RAMET_DEFAULT_TIMEOUT_S, &options.timeout_s, error) ||
      !ramet_parse_memory (opt.memory, &options.memory_bytes, error) ||
      !ramet_parse_disk_size ("--disk-size", opt.disk_size, &options.disk_bytes, error))
    return FALSE;
  if (opt.cold && opt.template)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--cold and --template exclude each other");
      return FALSE;
    }
  options.from = opt.cold ? RAMET_CLONE_COLD : opt.template ? RAMET_CLONE_TEMPLATE : RAMET_CLONE_ANY;
  if (opt.extras == NULL)
    opt.extras = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_extra_free);
  options.extras = opt.extras;
  if (options.no_bootstrap && (opt.extras->len > 0 || opt.shares || opt.user || opt.ssh_keys))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE,
                       "--no-bootstrap sets nothing up, so --dir, --user, --ssh-key, --package and --run cannot be "
                       "given with it");
      return FALSE;
    }
  ramet_defaults_fill (invocation->config, &options);
  *ret_options = options;
  return TRUE;
}

static void
print_made (RametInvocation *invocation, const RametVm *vm, const char *address)
{
  const char *name = ramet_vm_get_name (vm);
  g_autofree char *host_name = ramet_vm_host_name (name);

  if (invocation->json)
    {
      g_autoptr (JsonBuilder) builder = json_builder_new ();
      g_autofree char *uuid = ramet_domain_get_uuid (vm->domain);

      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "name", name);
      ramet_json_add_string (builder, "uuid", uuid);
      ramet_json_add_string (builder, "state", ramet_state_name (ramet_vm_get_state (vm)));
      ramet_json_add_string (builder, "host", host_name);
      ramet_json_add_string (builder, "address", address);
      ramet_json_add_string (builder, "user", vm->metadata->user);
      json_builder_end_object (builder);
      ramet_print_json (builder);
    }
  else if (invocation->quiet)
    return;
  else if (ramet_vm_get_state (vm) == RAMET_STATE_RAW)
    g_print ("%s is made, and off: 'virsh console %s' reaches its root console once it runs\n", name, name);
  else
    g_print ("%s is ready%s%s: ramet ssh %s\n", name, address ? " at " : "", address ? address : "", name);
}

static void
add_volumes (JsonBuilder *builder, const RametClonePlan *plan)
{
  json_builder_set_member_name (builder, "volumes");
  json_builder_begin_array (builder);
  for (guint i = 0; i < plan->volumes->len; i++)
    {
      const RametPlannedVolume *volume = g_ptr_array_index (plan->volumes, i);

      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "path", volume->path);
      ramet_json_add_int (builder, "bytes", (gint64) volume->capacity);
      ramet_json_add_string (builder, "backing", volume->backing);
      ramet_json_add_string (builder, "backing_format", volume->backing_format);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
}

static gboolean
explain_as_json (RametClonePlan *plan, GError **error)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();
  g_autoptr (GPtrArray) steps = ramet_clone_explain_steps (plan, error);
  g_autofree char *xml = steps ? ramet_clone_plan_xml (plan, error) : NULL;
  g_autoptr (GPtrArray) grants = g_ptr_array_new ();

  if (xml == NULL)
    return FALSE;
  for (guint i = 0; i < plan->grants->len; i++)
    if (((RametPlannedGrant *) g_ptr_array_index (plan->grants, i))->is_closed)
      g_ptr_array_add (grants, ((RametPlannedGrant *) g_ptr_array_index (plan->grants, i))->path);
  json_builder_begin_object (builder);
  ramet_json_add_string (builder, "name", plan->options->name);
  ramet_json_add_string (builder, "uuid", plan->identity->uuid);
  ramet_json_add_string (builder, "base", plan->metadata->base_name);
  ramet_json_add_string (builder, "base_snapshot", plan->metadata->base_point);
  ramet_json_add_string (builder, "goes_on_from", plan->memory_of);
  ramet_json_add_string (builder, "user", plan->user);
  ramet_json_add_strings (builder, "macs", plan->identity->macs);
  add_volumes (builder, plan);
  ramet_json_add_strings (builder, "grants", grants);
  ramet_json_add_strings (builder, "steps", steps);
  ramet_json_add_string (builder, "xml", xml);
  json_builder_end_object (builder);
  ramet_print_json (builder);
  return TRUE;
}

/* Names of files and scripts are among it. */
static void
print_plan (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line; line++)
    {
      g_autofree char *safe = ramet_text_escape (*line, -1);

      g_print ("%s%s", line == lines ? "\n" : "", safe);
      if (line[1])
        g_print ("\n");
    }
}

/* The diff first: it is long, and what stands last is read first. */
static gboolean
explain (RametInvocation *invocation, RametTask *task, const RametCloneOptions *options, GError **error)
{
  g_autoptr (RametClonePlan) plan = ramet_clone_plan (invocation->connection, task, options, error);
  g_autofree char *text = NULL;
  g_autofree char *diff = NULL;

  if (plan == NULL)
    return FALSE;
  ramet_talk_lock ();
  if (invocation->json)
    return explain_as_json (plan, error);
  text = ramet_clone_explain (plan, error);
  diff = text ? ramet_clone_explain_diff (plan, error) : NULL;
  if (diff == NULL)
    return FALSE;
  ramet_patch_print (diff);
  print_plan (text);
  return TRUE;
}

static gboolean
make (RametInvocation *invocation, RametTask *task, RametCloneOptions *options, GError **error)
{
  g_autofree char *address = NULL;
  g_autoptr (RametClonePlan) plan = ramet_clone_make (invocation->connection, task, options, &address, error);

  if (plan == NULL)
    return FALSE;
  ramet_talk_lock ();
  print_made (invocation, ramet_clone_plan_get_vm (plan), address);
  return TRUE;
}

gboolean
ramet_cmd_clone (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[args[1] ? 1 : 0], invocation->cancellable);
  RametCloneOptions options;

  if (!parse_options (invocation, args, &options, error))
    return FALSE;
  if (opt.print_xml)
    {
      g_autofree char *xml = ramet_clone_print_xml (invocation->connection, task, &options, error);

      if (xml)
        g_print ("%s", xml);
      return xml != NULL;
    }
  return opt.dry_run ? explain (invocation, task, &options, error) : make (invocation, task, &options, error);
}
