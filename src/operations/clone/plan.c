/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/plan.h"

#include <pwd.h>
#include <sys/random.h>
#include <unistd.h>

#include "core/text.h"
#include "host/guest/ssh.h"
#include "host/libvirt/worker.h"
#include "model/names.h"
#include "model/template-machine.h"
#include "operations/base/versions.h"
#include "operations/clone/go-on.h"
#include "operations/vm/log.h"

static void
volume_free (gpointer data)
{
  RametPlannedVolume *volume = data;

  g_free (volume->volume);
  g_free (volume->path);
  g_free (volume->backing);
  g_free (volume->backing_format);
  g_free (volume);
}

/** ramet_planned_grant_free: as a GDestroyNotify */
void
ramet_planned_grant_free (gpointer data)
{
  RametPlannedGrant *grant = data;

  g_free (grant->path);
  g_free (grant);
}

void
ramet_clone_plan_free (RametClonePlan *plan)
{
  ramet_connection_unref (plan->connection);
  g_free (plan->base_xml);
  g_clear_pointer (&plan->base, ramet_domain_facts_free);
  g_clear_pointer (&plan->source, ramet_metadata_free);
  g_clear_pointer (&plan->then, ramet_metadata_free);
  g_clear_pointer (&plan->identity, ramet_identity_free);
  g_clear_pointer (&plan->metadata, ramet_metadata_free);
  g_clear_pointer (&plan->qemu, ramet_account_free);
  g_clear_pointer (&plan->vm, ramet_vm_free);
  g_ptr_array_unref (plan->volumes);
  g_ptr_array_unref (plan->grants);
  g_free (plan->pool);
  g_free (plan->pool_folder);
  g_free (plan->nvram_source);
  g_free (plan->ssh_keys);
  g_free (plan->user);
  g_free (plan->gecos);
  g_free (plan->memory_of);
  g_free (plan->why_it_boots);
  g_clear_pointer (&plan->template, ramet_template_free);
  g_clear_pointer (&plan->steps, g_ptr_array_unref);
  ramet_template_state_clear (&plan->state);
  g_free (plan->state_path);
  g_free (plan);
}

/** ramet_clone_plan_get_vm: (transfer none) (nullable): the VM, once it was made */
RametVm *
ramet_clone_plan_get_vm (RametClonePlan *plan)
{
  return plan->vm;
}

static RametClonePlan *
plan_new (RametConnection *connection, const RametCloneOptions *options)
{
  RametClonePlan *plan = g_new0 (RametClonePlan, 1);
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();

  plan->connection = ramet_connection_ref (connection);
  plan->options = options;
  plan->volumes = g_ptr_array_new_with_free_func (volume_free);
  plan->grants = g_ptr_array_new_with_free_func (ramet_planned_grant_free);
  plan->pool = g_strdup (options->pool ? options->pool : RAMET_DEFAULT_POOL);
  plan->identity = ramet_identity_new (options->name);
  plan->identity->vcpus = options->vcpus;
  plan->identity->memory_kib = options->memory_bytes / 1024;
  plan->identity->network = g_strdup (options->network);
  plan->identity->serial_log = ramet_log_serial_path (connection, options->name, plan->identity->uuid);
  plan->identity->drop_host_devices = options->drop_host_devices;
  plan->identity->keep_qemu_args = options->keep_qemu_args;
  plan->identity->share_disks = g_strdupv ((char **) options->share_disks);
  plan->metadata = ramet_metadata_new (RAMET_STATE_CREATING);
  plan->metadata->created = g_date_time_format (now, "%Y-%m-%dT%H:%M:%SZ");
  plan->metadata->project = g_strdup (options->project);
  plan->metadata->setup = options->extras ? ramet_extras_digest (options->extras) : NULL;
  plan->metadata->worker = ramet_worker_self ();
  return plan;
}

static gboolean
check_names (RametClonePlan *plan, RametTask *task, GError **error)
{
  const RametCloneOptions *options = plan->options;

  if (!ramet_name_check_vm (options->name, error) || !ramet_name_check_base (options->base, error) ||
      (options->project && !ramet_name_check_project (options->project, error)))
    return FALSE;
  if (ramet_name_is_renameable (options->name))
    ramet_task_warn (task, "names ending in '-NUMBER' are what avahi falls back to when two hosts have one name");
  return TRUE;
}

/* Whether a clone of it can be made now, going by what it is and does. */
static gboolean
check_base_state (const RametVm *base, GError **error)
{
  const char *name = ramet_vm_get_name (base);

  if (ramet_vm_get_state (base) == RAMET_STATE_READY)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED,
                       "cannot clone '%s': its root console is sealed, so a clone could not get an identity of its own",
                       name);
      ramet_error_hint (error, "clone a snapshot of it: 'ramet snapshot create %s@NOW', then 'ramet clone %s@NOW NAME'; or clone "
                               "from '%s'", name, name, base->metadata->base_name ? base->metadata->base_name : "its base");
    }
  else if (ramet_vm_get_state (base) == RAMET_STATE_TEMPLATE)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a template", name);
      ramet_error_hint (error, "'ramet clone %s NAME' goes on from it where it fits", base->metadata->base_name);
    }
  else if (base->run == RAMET_RUN_SAVED)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot clone '%s': its memory is saved, so its disk is half way", name);
      ramet_error_hint (error, "start and stop it once, or 'virsh managedsave-remove %s'", name);
    }
  else if (base->run != RAMET_RUN_OFF)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot clone '%s': it is %s", name, ramet_run_name (base->run));
      ramet_error_hint (error, "shut it down first: '%s %s'", base->metadata ? "ramet stop" : "virsh shutdown", name);
    }
  else if (ramet_vm_is_clone (base) && ramet_vm_get_state (base) != RAMET_STATE_RAW)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot clone '%s': it is half made", name);
      ramet_error_hint (error, "'ramet remove %s' clears it", name);
    }
  else
    return TRUE;
  return FALSE;
}

static gboolean
read_plain_base (RametClonePlan *plan, RametTask *task, GError **error)
{
  g_autoptr (RametVm) base = ramet_versions_open_newest (plan->connection, plan->options->base, error);

  if (base == NULL)
    {
      if (error && g_error_matches (*error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        {
          g_autofree char *nearest = ramet_domain_name_nearest (plan->connection, plan->options->base);

          g_clear_error (error);
          ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "there is no base '%s'", plan->options->base);
          ramet_error_hint (error, "%s%s%s'ramet base list' shows the bases, 'ramet base build' makes one",
                            nearest ? "did you mean '" : "", nearest ? nearest : "", nearest ? "'? " : "");
        }
      return FALSE;
    }
  if (!g_str_equal (ramet_vm_get_name (base), plan->options->base))
    ramet_task_note (task, "'%s' is the newest version of '%s'", ramet_vm_get_name (base), plan->options->base);
  if (!check_base_state (base, error))
    return FALSE;
  plan->base_xml = ramet_domain_get_definition (base->domain, error);
  plan->base = plan->base_xml ? ramet_domain_facts_new (plan->base_xml, error) : NULL;
  if (plan->base == NULL)
    return FALSE;
  /* ramet's own bases have no identity that could meet their clones' on the network; others' may */
  plan->identity->link_down = !plan->options->no_bootstrap && ramet_vm_get_state (base) != RAMET_STATE_BASE;
  plan->metadata->base_name = g_strdup (plan->base->name);
  plan->metadata->base_uuid = g_strdup (plan->base->uuid);
  return TRUE;
}

/* A domain's name may hold an '@', and goes first. */
static gboolean
read_base (RametClonePlan *plan, RametTask *task, GError **error)
{
  const char *base = plan->options->base;
  g_autofree char *name = NULL;
  g_autofree char *point = NULL;

  if (ramet_name_split_point (base, &name, &point) && !ramet_domain_exists (plan->connection, base))
    return ramet_clone_read_point (plan, name, point, error);
  return read_plain_base (plan, task, error);
}

static void
check_name_free (RametClonePlan *plan, GPtrArray *findings)
{
  const char *name = plan->options->name;
  g_autoptr (RametVm) taken = ramet_vm_open (plan->connection, name, NULL);
  GError *why = NULL;

  if (taken == NULL)
    return;
  ramet_error_set (&why, RAMET_ERROR_STATE, "there is a VM '%s' already%s", name,
                   taken->metadata ? "" : ", which was not made by ramet");
  if (ramet_vm_is_clone (taken))
    ramet_error_hint (&why, "take another name, or 'ramet remove %s' first", name);
  else
    ramet_error_hint (&why, "take another name");
  ramet_findings_take (findings, why);
}

static char *
new_mac (GHashTable *taken)
{
  for (;;)
    {
      guint8 bytes[3];
      g_autofree char *mac = NULL;

      if (getrandom (bytes, sizeof bytes, 0) != sizeof bytes)
        g_error ("the kernel gives no random bytes");
      mac = ramet_name_mac_from_bytes (bytes);
      if (g_hash_table_add (taken, g_strdup (mac)))
        return g_steal_pointer (&mac);
    }
}

static gboolean
collect_macs (RametConnection *connection, GHashTable *taken, GError **error)
{
  g_autoptr (GPtrArray) domains = ramet_domain_list (connection, error);

  if (domains == NULL)
    return FALSE;
  for (guint i = 0; i < domains->len; i++)
    {
      g_autofree char *xml = ramet_domain_get_xml (g_ptr_array_index (domains, i), TRUE, NULL);

      if (xml)
        ramet_domain_xml_collect_macs (xml, taken);
    }
  return TRUE;
}

/* One of the MACs asked for, checked against all that there are. */
static char *
take_mac (const char *text, GHashTable *taken, GPtrArray *findings)
{
  GError *why = NULL;
  char *mac = NULL;

  if (!ramet_name_parse_mac (text, &mac, &why))
    ramet_findings_take (findings, why);
  else if (!g_hash_table_add (taken, g_strdup (mac)))
    {
      ramet_error_set (&why, RAMET_ERROR_STATE, "the MAC address '%s' belongs to another VM", mac);
      ramet_findings_take (findings, why);
    }
  return mac;
}

static void
choose_macs (RametClonePlan *plan, GPtrArray *findings)
{
  const char *const *asked = plan->options->macs;
  g_autoptr (GHashTable) taken = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  guint n_asked = asked ? g_strv_length ((char **) asked) : 0;
  GError *why = NULL;

  if (!collect_macs (plan->connection, taken, &why))
    ramet_findings_take (findings, g_steal_pointer (&why));
  if (n_asked > plan->base->n_interfaces)
    {
      ramet_error_set (&why, RAMET_ERROR_USAGE, "--mac was given %u times, and '%s' has %u network interfaces", n_asked,
                       plan->base->name, plan->base->n_interfaces);
      ramet_findings_take (findings, why);
    }
  for (guint i = 0; i < plan->base->n_interfaces; i++)
    g_ptr_array_add (plan->identity->macs,
                     i < n_asked ? take_mac (asked[i], taken, findings) : new_mac (taken));
}

/* Same name, uid and gid as outside, so that the files of a share fit. */
static void
plan_user (RametClonePlan *plan, GPtrArray *findings)
{
  const struct passwd *self = getpwuid (getuid ());
  const char *own = self ? self->pw_name : "root";
  const char *before = plan->then ? plan->then->user : NULL;
  const char *user = plan->options->user ? plan->options->user : before ? before : own;
  gboolean is_root = g_str_equal (user, "root");
  GError *why = NULL;

  if (!ramet_name_check_user (user, &why))
    ramet_findings_take (findings, why);
  plan->user = g_strdup (user);
  plan->uid = is_root ? 0 : getuid () ? getuid () : 1000;
  plan->gid = is_root ? 0 : getuid () ? getgid () : 1000;
  plan->keeps_uid = plan->point != NULL && !is_root;
  plan->gecos = g_strdup (self && g_str_equal (user, own) && self->pw_gecos ? self->pw_gecos : "");
  g_strdelimit (plan->gecos, ",:\n\r\t", ' ');
  plan->metadata->user = g_strdup (user);
}

static void
plan_ssh_keys (RametClonePlan *plan, GPtrArray *findings)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *private_key = NULL;
  GError *why = NULL;

  for (const char *const *key = plan->options->ssh_keys; key && *key; key++)
    {
      char *line = NULL;

      if (ramet_ssh_read_public_key (*key, &line, &why))
        {
          g_ptr_array_add (keys, line);
          continue;
        }
      if (plan->options->ssh_keys_from)
        g_prefix_error (&why, "%s: ", plan->options->ssh_keys_from);
      ramet_findings_take (findings, g_steal_pointer (&why));
    }
  if (keys->len == 0 && !(plan->options->ssh_keys && *plan->options->ssh_keys) &&
      !ramet_ssh_public_keys (keys, !plan->options->dry_run, &private_key, &why))
    ramet_findings_take (findings, why);
  g_ptr_array_add (keys, NULL);
  plan->ssh_keys = g_strjoinv ("\n", (char **) keys->pdata);
}

static void
check_console (RametClonePlan *plan, GPtrArray *findings)
{
  GError *why = NULL;

  if (plan->base->has_console || plan->options->no_bootstrap || plan->memory_of)
    return;
  ramet_error_set (&why, RAMET_ERROR_REFUSED, "'%s' has no serial port, so there is no root console to set a clone up",
                   plan->base->name);
  ramet_error_hint (&why, "add <serial type='pty'/> to it with 'virsh edit', see bootstrap/base/README.md; or give "
                          "--no-bootstrap");
  ramet_findings_take (findings, why);
}

/* A shareable disk that is named and is none would otherwise be believed to be shared. */
static void
check_share_disks (RametClonePlan *plan, GPtrArray *findings)
{
  for (const char *const *target = plan->options->share_disks; target && *target; target++)
    {
      gboolean found = FALSE;
      GError *why = NULL;

      for (guint i = 0; i < plan->base->disks->len; i++)
        {
          const RametDomainDisk *disk = g_ptr_array_index (plan->base->disks, i);

          found |= disk->shareable && g_strcmp0 (disk->target, *target) == 0;
        }
      if (found)
        continue;
      ramet_error_set (&why, RAMET_ERROR_NOT_FOUND, "'%s' has no shareable disk '%s'", plan->base->name, *target);
      ramet_error_hint (&why, "--share-disk takes the target of a disk with <shareable/>: vdb, say");
      ramet_findings_take (findings, why);
    }
}

static void
check_network (RametClonePlan *plan, GPtrArray *findings)
{
  const char *network = plan->options->network;
  gboolean active = FALSE;
  GError *why = NULL;

  if (network == NULL)
    return;
  if (!ramet_connection_has_network (plan->connection, network, &active))
    {
      ramet_error_set (&why, RAMET_ERROR_NOT_FOUND, "there is no network '%s'", network);
      ramet_error_hint (&why, "'virsh net-list --all' shows what there is");
    }
  else if (!active)
    {
      ramet_error_set (&why, RAMET_ERROR_FAILED, "the network '%s' is not active", network);
      ramet_error_hint (&why, "'virsh net-start %s'", network);
    }
  ramet_findings_take (findings, why);
}

/* What a clone that goes on from saved memory is like from its next start on. */
static char *
rewrite_saved (RametClonePlan *plan, GPtrArray *notes, GError **error)
{
  const char *memory_path = plan->template ? plan->template->memory.print->path : NULL;
  g_autofree char *running = NULL;
  char *definition = NULL;

  return ramet_template_clone_xml (plan->base_xml, plan->identity, memory_path, notes, &definition, &running, error)
           ? definition
           : NULL;
}

/* What the rewriting itself refuses, found now rather than when half is made. */
static char *
rewrite (RametClonePlan *plan, RametTask *task, GError **error)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  char *xml;

  g_free (plan->identity->metadata);
  plan->identity->metadata = ramet_metadata_to_xml (plan->metadata);
  xml = plan->memory_of ? rewrite_saved (plan, notes, error)
                       : ramet_rewrite_domain (plan->base_xml, plan->identity, notes, error);
  if (xml && plan->options->makes)
    {
      g_autofree char *plain = xml;

      xml = ramet_template_machine_xml (plain, RAMET_TEMPLATE_SLOT_FOLDER, plan->options->makes->n_slots, error);
    }
  for (guint i = 0; task && i < notes->len; i++)
    ramet_task_warn (task, "%s", (const char *) g_ptr_array_index (notes, i));
  return xml;
}

/** ramet_clone_plan_xml: (transfer full): the clone's definition, with the metadata as it is now */
char *
ramet_clone_plan_xml (RametClonePlan *plan, GError **error)
{
  return rewrite (plan, NULL, error);
}

static void
take_all (GPtrArray *findings, const GError *error)
{
  for (const GError *at = error; at; at = ramet_error_get_next (at))
    {
      GError *copy = g_error_new_literal (at->domain, at->code, at->message);

      if (ramet_error_get_hint (at))
        ramet_error_hint (&copy, "%s", ramet_error_get_hint (at));
      ramet_findings_take (findings, copy);
    }
}

/**
 * ramet_clone_plan:
 * @options: must outlive the plan
 * @error: everything that stands in the way, see ramet_error_get_next()
 *
 * Checks all that can be checked beforehand and changes nothing; but without dry_run it makes an ssh key for a user who has
 * none.
 *
 * Returns: (transfer full)
 */
RametClonePlan *
ramet_clone_plan (RametConnection *connection, RametTask *task, const RametCloneOptions *options, GError **error)
{
  g_autoptr (RametClonePlan) plan = plan_new (connection, options);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (GError) refused = NULL;
  g_autofree char *xml = NULL;

  if (!check_names (plan, task, error) || !read_base (plan, task, error) ||
      (!options->no_bootstrap && !(plan->steps = ramet_steps_read (error))))
    return NULL;
  check_name_free (plan, findings);
  plan_user (plan, findings);
  if (!options->no_bootstrap)
    plan_ssh_keys (plan, findings);
  if (!ramet_clone_pick_template (plan, task, findings, error))
    return NULL;
  choose_macs (plan, findings);
  check_console (plan, findings);
  check_network (plan, findings);
  check_share_disks (plan, findings);
  ramet_clone_check_pool (plan, findings);
  ramet_clone_plan_disks (plan, findings);
  ramet_clone_plan_nvram (plan);
  ramet_clone_check_boot_files (plan, findings);
  ramet_clone_plan_shares (plan, task, TRUE, findings);
  xml = rewrite (plan, findings->len == 0 ? task : NULL, &refused);
  take_all (findings, refused);
  if (!ramet_findings_raise (findings, error))
    return NULL;
  if (plan->why_it_boots)
    ramet_task_step (task, "it will boot: %s", plan->why_it_boots);
  return g_steal_pointer (&plan);
}

/**
 * ramet_clone_print_xml:
 *
 * Opens no disk and changes nothing: formats are as declared.
 *
 * Returns: (transfer full): the XML that a clone would get
 */
char *
ramet_clone_print_xml (RametConnection *connection, RametTask *task, const RametCloneOptions *options, GError **error)
{
  g_autoptr (RametClonePlan) plan = plan_new (connection, options);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  if (!check_names (plan, task, error) || !read_base (plan, task, error))
    return NULL;
  choose_macs (plan, findings);
  ramet_clone_check_pool (plan, findings);
  ramet_clone_plan_disks_as_declared (plan);
  ramet_clone_plan_nvram (plan);
  plan_user (plan, findings);
  ramet_clone_plan_shares (plan, task, FALSE, findings);
  if (!ramet_findings_raise (findings, error))
    return NULL;
  return rewrite (plan, task, error);
}
