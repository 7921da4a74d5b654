/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/disks/rebase.h"

#include "core/text.h"
#include "host/files/access.h"
#include "host/files/image.h"
#include "host/libvirt/storage.h"
#include "model/chain.h"
#include "model/domain.h"
#include "operations/base/drift.h"
#include "operations/disks/own-disks.h"

/* One clone that follows its base. */
typedef struct
{
  RametVm *vm;
  RametTask *task;
  const RametRebaseOptions *options;
  GPtrArray *disks;   /* (element-type RametOwnDisk) */
  RametVm *base;
  RametDomainFacts *base_facts;
  GPtrArray *chains;  /* (element-type GPtrArray): of each of @disks, what the base has there now */
} Rebase;

static void
rebase_clear (Rebase *rebase)
{
  g_clear_pointer (&rebase->disks, g_ptr_array_unref);
  g_clear_pointer (&rebase->base, ramet_vm_free);
  g_clear_pointer (&rebase->base_facts, ramet_domain_facts_free);
  g_clear_pointer (&rebase->chains, g_ptr_array_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Rebase, rebase_clear)

static const char *
name_of (const Rebase *rebase)
{
  return ramet_vm_get_name (rebase->vm);
}

static RametConnection *
connection_of (const Rebase *rebase)
{
  return ramet_domain_get_connection (rebase->vm->domain);
}

/* (transfer full): by UUID, which a rename leaves as it was */
static RametVm *
find_base_by_uuid (const Rebase *rebase, GError **error)
{
  const RametMetadata *metadata = rebase->vm->metadata;
  g_autoptr (GPtrArray) vms = ramet_vm_list (connection_of (rebase), error);

  for (guint i = 0; vms && i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      g_autofree char *uuid = ramet_domain_get_uuid (vm->domain);

      if (g_strcmp0 (uuid, metadata->base_uuid) == 0)
        return g_ptr_array_steal_index (vms, i);
    }
  if (vms)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the base of '%s', '%s', is not there any more", name_of (rebase),
                       metadata->base_name);
      ramet_error_hint (error, "if it was defined anew under another UUID: 'ramet rebase --base NAME %s'",
                        name_of (rebase));
    }
  return NULL;
}

static gboolean
open_base (Rebase *rebase, GError **error)
{
  g_autofree char *own_uuid = ramet_domain_get_uuid (rebase->vm->domain);
  g_autofree char *xml = NULL;

  rebase->base = rebase->options->base ? ramet_vm_open (connection_of (rebase), rebase->options->base, error)
                                       : find_base_by_uuid (rebase, error);
  xml = rebase->base ? ramet_domain_get_xml (rebase->base->domain, TRUE, error) : NULL;
  rebase->base_facts = xml ? ramet_domain_facts_new (xml, error) : NULL;
  if (rebase->base_facts == NULL)
    return FALSE;
  if (g_strcmp0 (rebase->base_facts->uuid, own_uuid) == 0)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' cannot be its own base", name_of (rebase));
      ramet_error_hint (error, "leave --base out to follow the base that it was cloned from");
      return FALSE;
    }
  if (ramet_vm_get_state (rebase->base) == RAMET_STATE_READY)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot rebase '%s': '%s' is no base but a VM to work in",
                       name_of (rebase), rebase->base_facts->name);
      ramet_error_hint (error, "a clone of its snapshot stands on files that stay where they are; 'ramet flatten %s' makes it "
                               "independent of them", name_of (rebase));
      return FALSE;
    }
  if (rebase->base->run == RAMET_RUN_OFF)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot rebase '%s': its base '%s' is %s", name_of (rebase),
                   rebase->base_facts->name, ramet_run_name (rebase->base->run));
  ramet_error_hint (error, "a base is off and stays so: 'virsh shutdown %s'", rebase->base_facts->name);
  return FALSE;
}

/* Between such a clone and its base lies the template's disk: on the base alone its own would be garbage, whatever one knows. */
static gboolean
check_no_template (const Rebase *rebase, GError **error)
{
  const GPtrArray *prints = rebase->vm->metadata->fingerprints;
  g_autoptr (GPtrArray) vms = ramet_vm_list_others (rebase->vm, error);

  for (guint i = 0; vms && i < vms->len; i++)
    for (guint j = 0; j < prints->len; j++)
      {
        const RametVm *vm = g_ptr_array_index (vms, i);
        const RametFingerprint *print = g_ptr_array_index (prints, j);

        /* one that is being removed, too */
        if (vm->metadata == NULL || vm->metadata->template == NULL || !ramet_metadata_find_volume (vm->metadata, print->path))
          continue;
        ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot rebase '%s': it stands on the template '%s'", name_of (rebase),
                         ramet_vm_get_name (vm));
        ramet_error_hint (error, "its files, and its base's, stay where they are; 'ramet flatten %s' makes it independent of "
                                 "them", name_of (rebase));
        return FALSE;
      }
  return vms != NULL;
}

/* (transfer full): the file that the base has as the disk @target now, and all that this one stands on */
static GPtrArray *
inspect_base_disk (const Rebase *rebase, const char *target, GError **error)
{
  const RametDomainFacts *facts = rebase->base_facts;

  for (guint i = 0; i < facts->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (facts->disks, i);
      g_autofree char *path = g_strdup (disk->path);
      GPtrArray *chain;

      if (g_strcmp0 (disk->target, target) != 0)
        continue;
      if (path == NULL && disk->pool && disk->volume)
        path = ramet_storage_volume_path (connection_of (rebase), disk->pool, disk->volume, error);
      else if (path == NULL)
        break;
      chain = path ? ramet_image_inspect (connection_of (rebase), path, disk->format, error) : NULL;
      if (chain == NULL && error)
        {
          g_prefix_error (error, "the disk '%s' of the base '%s': ", target, facts->name);
          if (ramet_error_get_hint (*error) == NULL)
            ramet_error_hint (error, "tell libvirt where the file is now: 'virsh edit %s'", facts->name);
        }
      return chain;
    }
  ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the base '%s' has no disk '%s' in a file any more", facts->name, target);
  ramet_error_hint (error, "'virsh domblklist %s' shows what it has", facts->name);
  return NULL;
}

/* What is in @chain that was not so when the clone was made; NULL if it is the same content. */
static char *
describe_difference (const RametMetadata *metadata, const char *target, GPtrArray *chain)
{
  guint at = 0;

  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->fingerprints, i);
      char *difference;

      if (g_strcmp0 (print->target, target) != 0)
        continue;
      if (at == chain->len)
        return g_strdup_printf ("disk '%s' stood on more files than it would now", target);
      difference = ramet_drift_compare (print, g_ptr_array_index (chain, at++), TRUE);
      if (difference)
        return difference;
    }
  return at < chain->len ? g_strdup_printf ("disk '%s' stood on fewer files than it would now", target) : NULL;
}

static gboolean
check_content (const Rebase *rebase, const char *target, GPtrArray *chain, GError **error)
{
  g_autofree char *difference = describe_difference (rebase->vm->metadata, target, chain);

  if (difference == NULL)
    return TRUE;
  if (rebase->options->force)
    {
      ramet_task_warn (rebase->task, "%s", difference);
      return TRUE;
    }
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot rebase '%s' onto '%s', whose content is not what it was cloned from: %s",
                   name_of (rebase), rebase->base_facts->name, difference);
  ramet_error_hint (error, "on other content its disk is garbage; if you know it to be the same, as after 'cp' without -p: "
                           "'ramet rebase --force %s'", name_of (rebase));
  return FALSE;
}

static gboolean
check_no_circle (const Rebase *rebase, GPtrArray *chain, GError **error)
{
  for (guint i = 0; i < chain->len; i++)
    for (guint j = 0; j < rebase->disks->len; j++)
      {
        const RametOwnDisk *disk = g_ptr_array_index (rebase->disks, j);

        if (!g_str_equal (((RametImage *) g_ptr_array_index (chain, i))->path, disk->image->path))
          continue;
        ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot rebase '%s' onto '%s', which stands on it", name_of (rebase),
                         rebase->base_facts->name);
        ramet_error_hint (error, "leave --base out to follow the base that it was cloned from");
        return FALSE;
      }
  return TRUE;
}

/* The owner of a base's file is left alone, so QEMU's user must be able to read it as it is. */
static gboolean
check_readable (const Rebase *rebase, GPtrArray *chain, GError **error)
{
  g_autoptr (RametAccount) qemu = NULL;
  uid_t uid;
  gid_t gid;

  if (!ramet_connection_is_local (connection_of (rebase)))
    return TRUE;
  if (!ramet_connection_get_qemu_user (connection_of (rebase), &uid, &gid, error))
    return FALSE;
  qemu = ramet_account_new (uid, gid);
  for (guint i = 0; i < chain->len; i++)
    {
      const char *path = ((RametImage *) g_ptr_array_index (chain, i))->path;
      g_autofree char *hint = ramet_access_hint (path, qemu);

      if (hint == NULL)
        continue;
      ramet_error_set (error, RAMET_ERROR_REFUSED, "QEMU's user '%s' cannot read the base's disk '%s'", qemu->name, path);
      ramet_error_hint (error, "%s", hint);
      return FALSE;
    }
  return TRUE;
}

static gboolean
find_chains (Rebase *rebase, GError **error)
{
  rebase->chains = g_ptr_array_new_with_free_func ((GDestroyNotify) g_ptr_array_unref);
  for (guint i = 0; i < rebase->disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (rebase->disks, i);
      GPtrArray *chain = inspect_base_disk (rebase, disk->target, error);

      if (chain == NULL)
        return FALSE;
      g_ptr_array_add (rebase->chains, chain);
      if (!check_no_circle (rebase, chain, error) || !check_content (rebase, disk->target, chain, error) ||
          !check_readable (rebase, chain, error))
        return FALSE;
    }
  return TRUE;
}

/* What stays a disk of its own, such as a data disk that was flattened by hand, is none to rebase. */
static void
leave_out_disks_of_their_own (Rebase *rebase)
{
  for (guint i = rebase->disks->len; i-- > 0;)
    if (((RametOwnDisk *) g_ptr_array_index (rebase->disks, i))->image->backing == NULL)
      g_ptr_array_remove_index (rebase->disks, i);
}

static gboolean
write_headers (const Rebase *rebase, GError **error)
{
  for (guint i = 0; i < rebase->disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (rebase->disks, i);
      GPtrArray *chain = g_ptr_array_index (rebase->chains, i);
      const RametImage *top = g_ptr_array_index (chain, 0);

      /* the format goes with the path: another would have been refused when it was looked at */
      if (g_strcmp0 (disk->image->backing, top->path) != 0 &&
          !ramet_image_set_backing (connection_of (rebase), disk->image->path, top->path, top->format, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
define (const Rebase *rebase, GError **error)
{
  RametMetadata *metadata = rebase->vm->metadata;
  g_autoptr (GPtrArray) overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);
  g_autoptr (RametDomain) defined = NULL;
  g_autofree char *before = NULL;
  g_autofree char *metadata_xml = NULL;
  g_autofree char *xml = NULL;

  g_ptr_array_set_size (metadata->fingerprints, 0);
  for (guint i = 0; i < rebase->disks->len; i++)
    {
      const RametOwnDisk *disk = g_ptr_array_index (rebase->disks, i);
      GPtrArray *chain = g_ptr_array_index (rebase->chains, i);
      RametOverlay *overlay = ramet_overlay_new (disk->target, disk->image->path);

      g_ptr_array_add (overlays, overlay);
      for (guint j = 0; j < chain->len; j++)
        {
          const RametImage *image = g_ptr_array_index (chain, j);

          ramet_overlay_add_layer (overlay, image->path, image->format);
          ramet_drift_remember (metadata, disk->target, image);
        }
    }
  g_free (metadata->base_name);
  g_free (metadata->base_uuid);
  g_clear_pointer (&metadata->base_point, g_free);
  metadata->base_name = g_strdup (rebase->base_facts->name);
  metadata->base_uuid = g_strdup (rebase->base_facts->uuid);
  metadata_xml = ramet_metadata_to_xml (metadata);
  before = ramet_domain_get_definition (rebase->vm->domain, error);
  xml = before ? ramet_chain_rewrite (before, overlays, metadata_xml, error) : NULL;
  defined = xml ? ramet_domain_define (connection_of (rebase), xml, error) : NULL;
  return defined != NULL;
}

/**
 * ramet_rebase:
 * @vm: a clone, off; what it remembers of its base is changed in it too
 * @error: RAMET_ERROR_NOT_FOUND if the base or its disk is nowhere, RAMET_ERROR_REFUSED if it has another content
 *
 * Follows a base that was renamed, or whose disk is in another place. Nothing is copied. The files' headers come first and
 * the definition, with all else, in one step last: until then the VM remembers its base where it was, so that it is not
 * started, and rebasing it again does what is left.
 */
gboolean
ramet_rebase (RametVm *vm, RametTask *task, const RametRebaseOptions *options, GError **error)
{
  g_auto (Rebase) rebase = { .vm = vm, .task = task, .options = options };

  ramet_task_step (task, "following the base");
  rebase.disks = ramet_own_disks_open (vm, "rebase", error);
  if (rebase.disks == NULL)
    return FALSE;
  leave_out_disks_of_their_own (&rebase);
  if (vm->metadata->base_name == NULL || rebase.disks->len == 0)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot rebase '%s': it stands on no base", ramet_vm_get_name (vm));
      ramet_error_hint (error, "'ramet tree' shows who was cloned from whom");
      return FALSE;
    }
  return check_no_template (&rebase, error) && open_base (&rebase, error) && find_chains (&rebase, error) && ramet_task_check (task, error) &&
         ramet_own_disks_still_off (vm, rebase.disks, "rebase", error) && write_headers (&rebase, error) &&
         define (&rebase, error);
}
