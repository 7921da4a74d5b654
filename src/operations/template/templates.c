/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/template/templates.h"

#include "core/text.h"
#include "model/template-machine.h"
#include "operations/base/drift.h"
#include "operations/template/store.h"
#include "operations/vm/lifecycle.h"

/** ramet_templates_list: (transfer full) (element-type RametVm): whole ones, by name */
GPtrArray *
ramet_templates_list (RametConnection *connection, GError **error)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (connection, error);

  for (guint i = vms ? vms->len : 0; i-- > 0;)
    if (ramet_vm_get_state (g_ptr_array_index (vms, i)) != RAMET_STATE_TEMPLATE)
      g_ptr_array_remove_index (vms, i);
  return g_steal_pointer (&vms);
}

/** ramet_template_fill_host: what @template is made with, as it is on libvirtd's host now */
gboolean
ramet_template_fill_host (RametTemplate *template, RametConnection *connection, GError **error)
{
  g_autofree char *capabilities = ramet_connection_get_capabilities (connection, error);

  g_clear_pointer (&template->qemu, g_free);
  g_clear_pointer (&template->libvirt, g_free);
  g_clear_pointer (&template->host_cpu, g_free);
  if (capabilities == NULL ||
      !ramet_connection_get_versions (connection, &template->qemu, &template->libvirt, error))
    return FALSE;
  template->host_cpu = ramet_template_host_cpu (capabilities, error);
  return template->host_cpu != NULL;
}

/* (transfer full) (nullable): by UUID, which a rename leaves as it was; %NULL without @error if it is not there */
static RametDomain *
find_base (RametConnection *connection, const RametMetadata *metadata, GError **error)
{
  RametDomain *named = metadata->base_name ? ramet_domain_lookup (connection, metadata->base_name, NULL) : NULL;
  g_autofree char *uuid = named ? ramet_domain_get_uuid (named) : NULL;
  g_autoptr (GPtrArray) domains = NULL;

  if (uuid && g_strcmp0 (uuid, metadata->base_uuid) == 0)
    return named;
  g_clear_pointer (&named, ramet_domain_unref);
  domains = ramet_domain_list (connection, error);
  for (guint i = 0; domains && i < domains->len; i++)
    {
      RametDomain *domain = g_ptr_array_index (domains, i);
      g_autofree char *other = ramet_domain_get_uuid (domain);

      if (g_strcmp0 (other, metadata->base_uuid) == 0)
        return ramet_domain_ref (domain);
    }
  return NULL;
}

/* (transfer full) (nullable): of the base's definition as it is now; %NULL without @error if there is no such base */
static char *
digest_base (RametConnection *connection, const RametMetadata *metadata, GError **error)
{
  g_autoptr (RametDomain) base = find_base (connection, metadata, error);
  g_autofree char *xml = base ? ramet_domain_get_definition (base, error) : NULL;

  return xml ? ramet_template_definition_digest (xml, error) : NULL;
}

/* (transfer full): in one line, what of the disks is not what it was; "" if nothing is */
static char *
tell_disk_change (RametConnection *connection, const RametMetadata *metadata, GError **error)
{
  char *change = ramet_drift_tell (connection, metadata, error);

  for (guint i = 0; change && *change == '\0' && i < metadata->template->disks->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->template->disks, i);
      g_autoptr (GError) why = NULL;
      g_autoptr (RametImage) image = ramet_image_look (connection, print->path, print->format, &why);
      char *told = image ? ramet_drift_compare (print, image, FALSE) : g_strdup (why->message);

      if (told)
        {
          g_free (change);
          change = told;
        }
    }
  return change;
}

/**
 * ramet_template_why_unusable:
 * @vm: a template
 * @ret_why: (out) (nullable): in one line; %NULL if clones may go on from it here and now
 */
gboolean
ramet_template_why_unusable (const RametVm *vm, char **ret_why, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);
  const RametTemplate *template = vm->metadata->template;
  gboolean local = ramet_connection_is_local (connection);
  g_autoptr (RametTemplate) host = ramet_template_new ();
  g_autoptr (RametFingerprint) memory = NULL;
  g_autoptr (RametFingerprint) state = NULL;
  g_autofree char *definition = NULL;
  g_autofree char *change = NULL;
  g_autoptr (GError) why = NULL;
  RametTemplateNow now = { 0 };

  *ret_why = NULL;
  if (template == NULL)
    {
      *ret_why = g_strdup ("what was recorded of it is not whole");
      return TRUE;
    }
  if (vm->run != RAMET_RUN_OFF)
    {
      *ret_why = g_strdup_printf ("it is %s, and was to stay off", ramet_run_name (vm->run));
      return TRUE;
    }
  definition = digest_base (connection, vm->metadata, &why);
  if (why || !ramet_template_fill_host (host, connection, &why) ||
      (change = tell_disk_change (connection, vm->metadata, &why)) == NULL)
    {
      g_propagate_error (error, g_steal_pointer (&why));
      return FALSE;
    }
  memory = local ? ramet_template_store_look ("memory", template->memory.print->path) : NULL;
  state = local ? ramet_template_store_look ("state", template->state.print->path) : NULL;
  now = (RametTemplateNow){ host->qemu, host->libvirt, host->host_cpu, definition, change, memory, state };
  /* on another host only their content tells, once they are used */
  if (!local)
    now.memory = template->memory.print, now.state = template->state.print;
  *ret_why = ramet_template_why_stale (vm->metadata, &now);
  return TRUE;
}

/** ramet_template_keys_digest: (transfer full): SHA-256 of the lines that let a user in */
char *
ramet_template_keys_digest (const char *ssh_keys)
{
  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, ssh_keys, -1);
}

/**
 * ramet_template_remove:
 * @error: RAMET_ERROR_STATE while a VM needs its disk, and with that perhaps its memory: running, saved or in a snapshot
 */
gboolean
ramet_template_remove (RametVm *vm, RametTask *task, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (ramet_vm_get_state (vm) != RAMET_STATE_TEMPLATE && ramet_vm_get_state (vm) != RAMET_STATE_REMOVING)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "'%s' is no template", name);
      ramet_error_hint (error, "'ramet template list' shows those that there are");
      return FALSE;
    }
  return ramet_lifecycle_remove (vm, task, NULL, error);
}
