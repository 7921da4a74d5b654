/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/go-on.h"

#include <string.h>

#include "core/stop.h"
#include "core/text.h"
#include "host/files/config.h"
#include "host/guest/agent.h"
#include "host/guest/ssh.h"
#include "host/libvirt/snapshot.h"
#include "host/libvirt/storage.h"
#include "model/template-machine.h"
#include "operations/template/templates.h"

static gboolean
may_go_on (const RametCloneOptions *options)
{
  return options->from != RAMET_CLONE_COLD && !options->makes && !options->no_bootstrap && !options->drop_host_devices &&
         !options->keep_qemu_args && !(options->share_disks && *options->share_disks);
}

/* All that was left open is as in the base. */
static void
fill_wanted (const RametClonePlan *plan, RametTemplateWanted *wanted)
{
  const RametCloneOptions *options = plan->options;

  *wanted = (RametTemplateWanted){
    .vcpus = options->vcpus ? options->vcpus : plan->base->vcpus,
    .memory_kib = options->memory_bytes ? options->memory_bytes / 1024 : plan->base->memory_kib,
    .n_shares = options->shares ? g_strv_length ((char **) options->shares) : 0,
    .n_interfaces = plan->base->n_interfaces, .larger_disk = options->disk_bytes > 0,
    .user = plan->user, .uid = plan->uid, .setup = plan->metadata->setup,
  };
}

/* Whether it says something about the template, or about this host just now. */
static gboolean
is_of_template (const RametClonePlan *plan, const GError *why)
{
  if (g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND) || g_error_matches (why, RAMET_ERROR, RAMET_ERROR_REFUSED))
    return TRUE;
  return plan->options->from != RAMET_CLONE_TEMPLATE && !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_CANCELLED);
}

/* %FALSE with @error only if it could not be looked at; *@ret_why is why it is of no use here, or %NULL. */
static gboolean
look_at (RametClonePlan *plan, RametTask *task, const RametVm *vm, const RametTemplateWanted *wanted, char **ret_why,
         GError **error)
{
  g_autoptr (GError) why = NULL;

  *ret_why = vm->metadata->template ? ramet_template_why_not (vm->metadata, wanted) : g_strdup ("what was recorded of it is not whole");
  if (*ret_why == NULL && !ramet_template_why_unusable (vm, ret_why, error))
    return FALSE;
  if (*ret_why || ramet_template_store_read (plan->connection, task, &vm->metadata->template->state, &plan->state, &why))
    return TRUE;
  if (!is_of_template (plan, why))
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  *ret_why = g_strdup (why->message);
  return TRUE;
}

/* Its guest has seen its machine already. */
static void
plan_to_go_on (RametClonePlan *plan)
{
  g_autofree char *state = g_strconcat (plan->options->name, ".state", NULL);

  plan->identity->goes_on = TRUE;
  plan->identity->link_down = TRUE;
  plan->identity->slot_folder = g_strdup (RAMET_TEMPLATE_SLOT_FOLDER);
  plan->identity->vcpus = 0;
  plan->identity->memory_kib = 0;
  plan->state_path = ramet_template_store_path (plan->options->name, "state");
  ramet_metadata_add_volume (plan->metadata, "", state, plan->state_path);
}

/* From here on it is the template that is cloned, but in name. */
static gboolean
take (RametClonePlan *plan, RametVm *vm, GError **error)
{
  g_autoptr (RametDomainFacts) facts = ramet_domain_facts_new (plan->state.image->xml, error);

  if (facts == NULL)
    return FALSE;
  g_free (plan->base_xml);
  plan->base_xml = g_strdup (plan->state.image->xml);
  ramet_domain_facts_free (plan->base);
  plan->base = g_steal_pointer (&facts);
  plan->memory_of = g_strdup (ramet_vm_get_name (vm));
  plan->template = g_steal_pointer (&vm->metadata->template);
  plan_to_go_on (plan);
  return TRUE;
}

/* The definition of then stays what the disks are planned by; what runs is as it was saved. */
static gboolean
take_point (RametClonePlan *plan, RametTask *task, GError **error)
{
  const RametPoint *point = plan->point;

  if (point->memory == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the snapshot '%s' has no memory to go on from", point->name);
      return FALSE;
    }
  ramet_task_step (task, "reading the memory");
  if (!ramet_template_store_read_saved (plan->connection, task, point->memory->path, &plan->state, error))
    return FALSE;
  g_free (plan->base_xml);
  plan->base_xml = g_strdup (plan->state.image->xml);
  plan->memory_of = g_strdup_printf ("%s@%s", plan->metadata->base_name, point->name);
  plan_to_go_on (plan);
  return TRUE;
}

static void
note_none (RametClonePlan *plan, const char *reasons, GPtrArray *findings)
{
  GError *why = NULL;

  if (plan->options->from != RAMET_CLONE_TEMPLATE)
    {
      plan->why_it_boots = *reasons ? g_strdup (reasons) : NULL;
      return;
    }
  ramet_error_set (&why, RAMET_ERROR_REFUSED, "no template of '%s' fits%s%s", plan->base->name, *reasons ? ": " : "",
                   reasons);
  ramet_error_hint (&why, "'ramet template create %s' makes one, see its options; without --template it boots",
                    plan->base->name);
  ramet_findings_take (findings, why);
}

/**
 * ramet_clone_pick_template:
 * @plan: its base, user and keys are known, and nothing of its disks
 * @findings: gets what stands in the way, where a template must be used
 * @error: libvirt could not be asked
 *
 * Takes the newest template that fits. Where none does it notes why, and @plan stays one of a clone that boots.
 */
gboolean
ramet_clone_pick_template (RametClonePlan *plan, RametTask *task, GPtrArray *findings, GError **error)
{
  g_autofree char *keys = plan->ssh_keys ? ramet_template_keys_digest (plan->ssh_keys) : NULL;
  g_autofree char *steps = plan->steps ? ramet_steps_digest (plan->steps) : NULL;
  g_autoptr (GString) reasons = g_string_new (NULL);
  g_autoptr (GPtrArray) templates = NULL;
  RametTemplateWanted wanted;

  if (plan->point && plan->options->from == RAMET_CLONE_MEMORY)
    return take_point (plan, task, error);
  if (may_go_on (plan->options) && plan->point == NULL)
    templates = ramet_templates_list (plan->connection, error);
  else
    templates = g_ptr_array_new ();
  if (templates == NULL)
    return FALSE;
  fill_wanted (plan, &wanted);
  wanted.ssh_keys = keys;
  wanted.steps = steps;
  for (guint i = 0; i < templates->len; i++)
    {
      RametVm *vm = g_ptr_array_index (templates, i);
      g_autofree char *why = NULL;

      if (g_strcmp0 (vm->metadata->base_uuid, plan->metadata->base_uuid) != 0 ||
          (plan->options->only_template && !g_str_equal (plan->options->only_template, ramet_vm_get_name (vm))))
        continue;
      if (!look_at (plan, task, vm, &wanted, &why, error))
        return FALSE;
      if (why == NULL)
        return take (plan, vm, error);
      g_string_append_printf (reasons, "%s'%s': %s", reasons->len ? "; " : "", ramet_vm_get_name (vm), why);
    }
  note_none (plan, reasons->str, findings);
  return TRUE;
}

/** ramet_clone_check_parent_stays: whoever removes the template, base or VM from now on sees that the clone stands on it */
gboolean
ramet_clone_check_parent_stays (RametClonePlan *plan, GError **error)
{
  gboolean of_template = plan->memory_of && !plan->point;
  const char *parent = of_template ? plan->memory_of : plan->metadata->base_name;
  g_autoptr (GError) why = NULL;
  g_autoptr (RametVm) vm = ramet_vm_open (plan->connection, parent, &why);
  g_autofree char *uuid = vm ? ramet_domain_get_uuid (vm->domain) : NULL;

  if (vm && ramet_vm_get_state (vm) != RAMET_STATE_REMOVING &&
      (of_template || *uuid == '\0' || g_strcmp0 (uuid, plan->metadata->base_uuid) == 0))
    return TRUE;
  if (vm == NULL && !g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
    g_propagate_error (error, g_steal_pointer (&why));
  else
    ramet_error_set (error, RAMET_ERROR_STATE, "'%s' was removed meanwhile", parent);
  return FALSE;
}

/* @ret_running: what it is restored with; its memory is a view of a template's, or else in the image with all the rest */
static gboolean
put_state (RametClonePlan *plan, RametTask *task, gboolean as_view, char **ret_running, GError **error)
{
  const char *memory_path = as_view ? plan->template->memory.print->path : NULL;
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *definition = NULL;
  g_autofree char *running = NULL;

  /* what runs tells of itself, and by now that is more than when it was defined: what was granted for it */
  g_free (plan->identity->metadata);
  plan->identity->metadata = ramet_metadata_to_xml (plan->metadata);
  if (!ramet_template_clone_xml (plan->state.image->xml, plan->identity, memory_path, notes, &definition, &running, error) ||
      !ramet_template_store_put_state (plan->connection, task, plan->state_path, &plan->state, running,
                                       as_view ? NULL : plan->template, error))
    return FALSE;
  RAMET_STEP ("clone-state");
  *ret_running = g_steal_pointer (&running);
  return TRUE;
}

static gboolean
drop_state (RametClonePlan *plan, GError **error)
{
  RametVolumeRef *volume = ramet_metadata_find_volume (plan->metadata, plan->state_path);

  return ramet_volume_delete (plan->connection, "", volume->name, volume->path, error);
}

static gboolean
restore (RametClonePlan *plan, const char *running, GError **error)
{
  if (!ramet_snapshot_restore (plan->connection, plan->state_path, running, error))
    return FALSE;
  RAMET_STEP ("clone-restored");
  return TRUE;
}

static gboolean
restore_all (RametClonePlan *plan, RametTask *task, GError **error)
{
  g_autofree char *running = NULL;

  return put_state (plan, task, FALSE, &running, error) && restore (plan, running, error);
}

/*
 * What libvirt confines QEMU by, AppArmor say, knows nothing of what QEMU is told past it, so that a view may be refused where
 * a file of libvirt's own is not. Whether it is shows only when it is tried, and soon.
 */
static gboolean
restore_view_or_all (RametClonePlan *plan, RametTask *task, GError **error)
{
  g_autofree char *running = NULL;
  g_autoptr (GError) why = NULL;

  if (!ramet_connection_is_local (plan->connection))
    ramet_error_set (&why, RAMET_ERROR_REFUSED, "libvirtd runs on another host");
  else if (!put_state (plan, task, TRUE, &running, error))
    return FALSE;
  else if (restore (plan, running, &why))
    return TRUE;
  ramet_task_warn (task, "it gets a copy of the memory of '%s' and not a view of it, which takes longer: %s", plan->memory_of,
                   why->message);
  return drop_state (plan, error) && restore_all (plan, task, error);
}

/** ramet_clone_restore: blocks for as long as it takes to read the state: the VM runs with its links down, and is nobody yet */
gboolean
ramet_clone_restore (RametClonePlan *plan, RametDomain *domain, RametTask *task, GError **error)
{
  ramet_task_step (task, "going on from '%s'", plan->memory_of);
  if (!(plan->template ? restore_view_or_all (plan, task, error) : restore_all (plan, task, error)) ||
      !drop_state (plan, error))
    return FALSE;
  g_ptr_array_remove (plan->metadata->volumes, ramet_metadata_find_volume (plan->metadata, plan->state_path));
  return ramet_domain_resume (domain, error);
}

static void
export (GString *script, const char *name, const char *value)
{
  g_autofree char *quoted = g_shell_quote (value);

  g_string_append_printf (script, "export %s=%s\n", name, quoted);
}

/* Each in a shell of its own, for it may end early; the first that fails ends it all. */
static void
append_text (GString *script, const char *text)
{
  g_string_append_printf (script, "(\n%s\n)\n", text);
}

/* One of the first-boot steps, unless it is switched off. */
static void
append_step (GString *script, const RametClonePlan *plan, const char *name)
{
  const RametConfigFile *step = ramet_config_find (plan->steps, name);

  if (step && step->text)
    append_text (script, step->text);
}

/* (transfer full) (nullable) */
static char *
identity_script (RametClonePlan *plan, const char *private_key, const char *public_key, GError **error)
{
  g_autoptr (GString) script = g_string_new ("set -e\nexport RAMET_TIME=$1\n");
  g_autofree char *machine_id = ramet_bootstrap_machine_id (plan->identity->uuid);
  g_autofree char *seed = ramet_bootstrap_seed ();
  g_autofree char *shares = ramet_bootstrap_share_lines (plan->identity->shares);
  g_autofree char *text = ramet_steps_read_data ("bootstrap/guest/template/identity.sh", error);

  if (text == NULL)
    return NULL;
  export (script, "RAMET_HOSTNAME", plan->options->name);
  export (script, "RAMET_MACHINE_ID", machine_id);
  export (script, "RAMET_SEED", seed);
  export (script, "RAMET_MAC", g_ptr_array_index (plan->identity->macs, 0));
  export (script, "RAMET_HOST_KEY", private_key);
  export (script, "RAMET_HOST_KEY_PUBLIC", public_key);
  export (script, "RAMET_ADDRESS", "");
  if (plan->point == NULL)
    export (script, "RAMET_SHARES", shares);
  append_text (script, text);
  append_step (script, plan, "10-hostname.sh");
  if (*shares && plan->point == NULL)
    append_step (script, plan, "60-shares.sh");
  /* what was detached and stopped when it was saved */
  if (plan->point)
    g_string_append (script, "[ ! -x /usr/local/lib/ramet/share ] || /usr/local/lib/ramet/share restore >&2\n");
  return g_strdup (script->str);
}

static gboolean
run_identity (RametClonePlan *plan, RametDomain *domain, RametTask *task, const char *script, gint64 deadline_us,
              GError **error)
{
  static const char *const argv[] = { "/bin/sh", "-s", RAMET_AGENT_NOW, NULL };
  g_auto (RametAgentOutcome) outcome = { 0 };
  g_autofree char *printed = NULL;

  if (!ramet_agent_run (domain, task, argv, script, deadline_us, &outcome, error))
    return FALSE;
  printed = ramet_text_escape (g_strstrip (outcome.status ? outcome.errors : outcome.output), -1);
  if (*printed)
    ramet_task_log (task, "%s", printed);
  if (outcome.status == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "the guest '%s' could not be given an identity of its own: %s",
                   plan->options->name, *printed ? printed : "it did not say why");
  return FALSE;
}

/** ramet_clone_become: gives the guest its identity, and only then plugs it in; the metadata gets its host key */
gboolean
ramet_clone_become (RametClonePlan *plan, RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autofree char *private_key = NULL;
  g_autofree char *public_key = NULL;
  g_autofree char *script = NULL;

  ramet_task_step (task, "giving it an identity of its own");
  if (!ramet_ssh_make_host_key (task, &private_key, &public_key, error))
    return FALSE;
  script = identity_script (plan, private_key, public_key, error);
  if (script == NULL || !run_identity (plan, domain, task, script, deadline_us, error))
    return FALSE;
  RAMET_STEP ("clone-became");
  plan->metadata->host_keys = g_steal_pointer (&public_key);
  return ramet_domain_set_links (domain, TRUE, error);
}
