/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/task.h"
#include "model/names.h"
#include "operations/bootstrap.h"
#include "operations/clone.h"

static struct
{
  char **shares, **macs, **ssh_keys, **share_disks;
  char *cpus, *memory, *disk_size, *network, *user, *project, *pool;
  int timeout;
  gboolean drop_host_devices, keep_qemu_args, grant, no_bootstrap, no_wait, keep, dry_run, print_xml;
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
  { "cpus", 0, 0, G_OPTION_ARG_STRING, &opt.cpus, "Virtual CPUs; else as in the base", "N" },
  { "memory", 0, 0, G_OPTION_ARG_STRING, &opt.memory, "Memory, in MiB or with a unit; else as in the base", "SIZE" },
  { "disk-size", 0, 0, G_OPTION_ARG_STRING, &opt.disk_size, "Grow the first disk to so many GiB, or with a unit",
    "SIZE" },
  { "mac", 'm', 0, G_OPTION_ARG_STRING_ARRAY, &opt.macs, "MAC address of the next network interface", "ADDRESS" },
  { "network", 0, 0, G_OPTION_ARG_STRING, &opt.network, "libvirt network for the first interface", "NAME" },
  { "user", 0, 0, G_OPTION_ARG_STRING, &opt.user, "Login name in the guest; else the one here", "NAME" },
  { "ssh-key", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &opt.ssh_keys, "Public key to let in; else your own", "FILE" },
  { "package", 0, 0, G_OPTION_ARG_CALLBACK, on_package, "Install a package in the guest", "NAME" },
  { "run", 0, 0, G_OPTION_ARG_CALLBACK, on_run, "Run a script in the guest as root, once", "SCRIPT" },
  { "project", 0, 0, G_OPTION_ARG_STRING, &opt.project, "Project that it belongs to", "NAME" },
  { "pool", 0, 0, G_OPTION_ARG_STRING, &opt.pool, "Storage pool for its disks; else 'default'", "NAME" },
  { "grant", 0, 0, G_OPTION_ARG_NONE, &opt.grant, "Let QEMU's user reach shares and base by ACL; remove undoes it",
    NULL },
  { "drop-host-devices", 0, 0, G_OPTION_ARG_NONE, &opt.drop_host_devices,
    "Leave out devices of the host and lines to it that only one guest can have", NULL },
  { "keep-qemu-args", 0, 0, G_OPTION_ARG_NONE, &opt.keep_qemu_args,
    "Take over what the base hands to QEMU past libvirt, as it is", NULL },
  { "share-disk", 0, 0, G_OPTION_ARG_STRING_ARRAY, &opt.share_disks,
    "Let base and VM both write to the base's shareable disk TARGET", "TARGET" },
  { "no-bootstrap", 0, 0, G_OPTION_ARG_NONE, &opt.no_bootstrap, "Only make it: not started, root console open", NULL },
  { "no-wait", 0, 0, G_OPTION_ARG_NONE, &opt.no_wait, "Do not wait until it answers by name", NULL },
  { "timeout", 0, 0, G_OPTION_ARG_INT, &opt.timeout, "How long to wait for the guest in all, in seconds; else 600",
    "SECONDS" },
  { "keep", 0, 0, G_OPTION_ARG_NONE, &opt.keep, "If it fails, leave the VM for looking into", NULL },
  { "dry-run", 0, 0, G_OPTION_ARG_NONE, &opt.dry_run, "Check everything and say what would be done", NULL },
  { "print-xml", 0, 0, G_OPTION_ARG_NONE, &opt.print_xml, "Print the domain XML that it would get, and do nothing",
    NULL },
  G_OPTION_ENTRY_NULL,
};

static gboolean
parse_cpus (guint *ret_cpus, GError **error)
{
  guint64 cpus = 0;

  if (opt.cpus == NULL)
    return TRUE;
  if (!g_ascii_string_to_unsigned (opt.cpus, 10, 1, 4096, &cpus, NULL))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--cpus takes a number from 1 to 4096, not '%s'", opt.cpus);
      return FALSE;
    }
  *ret_cpus = (guint) cpus;
  return TRUE;
}

static gboolean
parse_size (const char *option, const char *text, guint64 unit, guint64 least, guint64 *ret_bytes, GError **error)
{
  guint64 bytes = 0;

  if (text == NULL)
    return TRUE;
  if (!ramet_name_parse_size (text, unit, &bytes, error))
    {
      g_prefix_error (error, "%s: ", option);
      return FALSE;
    }
  if (bytes < least)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "%s '%s' is too small", option, text);
      return FALSE;
    }
  *ret_bytes = bytes;
  return TRUE;
}

static gboolean
parse_options (char **args, RametCloneOptions *ret_options, GError **error)
{
  RametCloneOptions options = {
    .base = args[0], .name = args[1], .shares = (const char *const *) opt.shares,
    .macs = (const char *const *) opt.macs, .ssh_keys = (const char *const *) opt.ssh_keys,
    .user = opt.user, .network = opt.network, .project = opt.project, .pool = opt.pool,
    .share_disks = (const char *const *) opt.share_disks, .drop_host_devices = opt.drop_host_devices,
    .keep_qemu_args = opt.keep_qemu_args, .grant = opt.grant, .no_bootstrap = opt.no_bootstrap, .no_wait = opt.no_wait, .keep = opt.keep,
  };

  if (!parse_cpus (&options.vcpus, error) ||
      !ramet_parse_timeout (opt.timeout, RAMET_DEFAULT_TIMEOUT_S, &options.timeout_s, error) ||
      !parse_size ("--memory", opt.memory, 1024 * 1024, 32 * 1024 * 1024, &options.memory_bytes, error) ||
      !parse_size ("--disk-size", opt.disk_size, 1024 * 1024 * 1024, 1, &options.disk_bytes, error))
    return FALSE;
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

static gboolean
make (RametInvocation *invocation, RametTask *task, const RametCloneOptions *options, GError **error)
{
  g_autoptr (RametClonePlan) plan = ramet_clone_plan (invocation->connection, task, options, error);
  g_autofree char *address = NULL;

  if (plan == NULL)
    return FALSE;
  if (opt.dry_run)
    {
      g_autofree char *text = ramet_clone_plan_describe (plan);

      g_print ("%s", text);
      return TRUE;
    }
  if (!ramet_clone_execute (plan, task, &address, error))
    return FALSE;
  ramet_talk_lock ();
  print_made (invocation, ramet_clone_plan_get_vm (plan), address);
  return TRUE;
}

gboolean
ramet_cmd_clone (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new (args[1], invocation->cancellable);
  RametCloneOptions options;

  if (!parse_options (args, &options, error))
    return FALSE;
  if (opt.print_xml)
    {
      g_autofree char *xml = ramet_clone_print_xml (invocation->connection, task, &options, error);

      if (xml)
        g_print ("%s", xml);
      return xml != NULL;
    }
  return make (invocation, task, &options, error);
}
