/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to a VM that there is: CPUs, memory, the size of its disk, and its shares. */
#include "operations/vm/settings.h"

#include <stdlib.h>

#include "core/text.h"
#include "host/files/lock.h"
#include "host/libvirt/storage.h"
#include "model/domain.h"
#include "model/hardware.h"
#include "operations/clone/plan.h"
#include "operations/template/store.h"
#include "operations/vm/grants.h"
#include "operations/vm/guest-update.h"

#define SECTOR_BYTES 512

/* One change. */
typedef struct
{
  RametVm *vm;
  RametTask *task;
  const RametSettings *settings;
  RametSettingsNow now;
  GPtrArray *shares; /* (element-type RametShare): those it will have */
  RametMetadata *then; /* the shares that it had once, and what the guest wrote above them by their tags */
  GPtrArray *grants; /* (element-type RametPlannedGrant): to be made */
  RametAccount *qemu;
  GPtrArray *notes;  /* (element-type utf8): what was changed, for the user */
  gboolean defines;  /* the definition changes */
  gboolean shares_change;
  gboolean grows;
} Change;

static void
change_clear (Change *change)
{
  ramet_settings_now_clear (&change->now);
  g_clear_pointer (&change->shares, g_ptr_array_unref);
  g_clear_pointer (&change->then, ramet_metadata_free);
  g_clear_pointer (&change->grants, g_ptr_array_unref);
  g_clear_pointer (&change->qemu, ramet_account_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Change, change_clear)

void
ramet_settings_now_clear (RametSettingsNow *now)
{
  g_clear_pointer (&now->disk, g_free);
  g_clear_pointer (&now->disk_path, g_free);
  g_clear_pointer (&now->network, g_free);
}

static RametDomainFacts *
read_facts (RametVm *vm, gboolean inactive, GError **error)
{
  g_autofree char *xml = ramet_domain_get_xml (vm->domain, inactive, error);

  return xml ? ramet_domain_facts_new (xml, error) : NULL;
}

/* (transfer none) (nullable): the first disk whose file ramet made */
static const RametDomainDisk *
find_disk (const RametVm *vm, const RametDomainFacts *facts)
{
  for (guint i = 0; i < facts->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (facts->disks, i);

      for (guint j = 0; disk->path && disk->target && vm->metadata && j < vm->metadata->volumes->len; j++)
        if (g_str_equal (((RametVolumeRef *) g_ptr_array_index (vm->metadata->volumes, j))->path, disk->path))
          return disk;
    }
  return NULL;
}

/* Each tag of @one, but for those a template has plugged in for shares to come, is @other's too. */
static gboolean
has_tags_of (const RametDomainFacts *other, const RametDomainFacts *one)
{
  for (guint i = 0; i < one->tags->len; i++)
    if (!g_str_equal (g_ptr_array_index (one->folders, i), RAMET_TEMPLATE_SLOT_FOLDER) &&
        !g_ptr_array_find_with_equal_func (other->tags, g_ptr_array_index (one->tags, i), g_str_equal, NULL))
      return FALSE;
  return TRUE;
}

static gboolean
same_tags (const RametDomainFacts *one, const RametDomainFacts *other)
{
  return has_tags_of (one, other) && has_tags_of (other, one);
}

/* A running VM has whole MiB. */
static guint64
whole_mib (guint64 kib)
{
  return (kib + 1023) / 1024;
}

static gboolean
is_active (const RametVm *vm)
{
  return vm->run == RAMET_RUN_RUNNING || vm->run == RAMET_RUN_PAUSED;
}

/**
 * ramet_settings_look:
 * @ret_now: (out): clear with ramet_settings_now_clear()
 */
gboolean
ramet_settings_look (RametVm *vm, RametSettingsNow *ret_now, GError **error)
{
  g_autoptr (RametDomainFacts) facts = read_facts (vm, TRUE, error);
  g_autoptr (RametDomainFacts) live = facts && is_active (vm) ? read_facts (vm, FALSE, error) : NULL;
  const RametDomainDisk *disk = facts ? find_disk (vm, facts) : NULL;
  RametSettingsNow now = { 0 };

  if (facts == NULL || (is_active (vm) && live == NULL) ||
      (disk && !ramet_domain_get_disk_size (vm->domain, disk->target, &now.disk_bytes, error)))
    return FALSE;
  now.vcpus = facts->vcpus;
  now.memory_bytes = facts->memory_kib * 1024;
  now.network = g_strdup (facts->network);
  now.disk = disk ? g_strdup (disk->target) : NULL;
  now.disk_path = disk ? g_strdup (disk->path) : NULL;
  now.is_behind = live && (live->vcpus != facts->vcpus || whole_mib (live->memory_kib) != whole_mib (facts->memory_kib) ||
                           !same_tags (live, facts));
  *ret_now = now;
  return TRUE;
}

static void
note (Change *change, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
note (Change *change, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (change->notes, g_strdup_vprintf (format, args));
  va_end (args);
}

/* For what comes into force when the VM starts anew. */
static const char *
when (const Change *change)
{
  return change->vm->run == RAMET_RUN_OFF ? "" : ", from the next start on";
}

static void
plan_hardware (Change *change)
{
  const RametSettings *settings = change->settings;

  if (settings->vcpus && settings->vcpus != change->now.vcpus)
    {
      note (change, "cpus: %u instead of %u%s", settings->vcpus, change->now.vcpus, when (change));
      change->defines = TRUE;
    }
  if (settings->memory_bytes && settings->memory_bytes / 1024 != change->now.memory_bytes / 1024)
    {
      g_autofree char *before = ramet_text_size (change->now.memory_bytes);
      g_autofree char *after = ramet_text_size (settings->memory_bytes);

      note (change, "memory: %s instead of %s%s", after, before, when (change));
      change->defines = TRUE;
    }
}

static void
plan_disk (Change *change, GPtrArray *findings)
{
  guint64 bytes = change->settings->disk_bytes;
  g_autofree char *before = ramet_text_size (change->now.disk_bytes);
  g_autofree char *after = ramet_text_size (bytes);
  const char *name = ramet_vm_get_name (change->vm);
  GError *why = NULL;

  if (bytes == 0 || bytes == change->now.disk_bytes)
    return;
  if (change->now.disk == NULL)
    ramet_error_set (&why, RAMET_ERROR_STATE, "'%s' has no disk that ramet made", name);
  else if (bytes < change->now.disk_bytes)
    {
      ramet_error_set (&why, RAMET_ERROR_USAGE, "the disk of '%s' has %s, and cannot shrink to %s", name, before, after);
      ramet_error_hint (&why, "a new clone has a disk as small as its base's");
    }
  else
    {
      note (change, "disk: %s instead of %s", after, before);
      change->grows = TRUE;
    }
  ramet_findings_take (findings, why);
}

static void
drop_share (Change *change, guint index)
{
  const RametShare *share = g_ptr_array_index (change->shares, index);
  g_autofree char *tag = ramet_share_tag_for (share->source, share->target);

  /* that of a clone that went on from a template is the device's, and cannot be found again by the folder */
  if (!g_str_equal (share->tag, tag))
    g_ptr_array_add (change->then->shares, ramet_share_new (share->source, share->target, share->tag));

  note (change, "share: '%s' at '%s' no more%s; what the guest wrote above it stays in the guest, and comes back with the share",
        share->source, share->target, when (change));
  g_ptr_array_remove_index (change->shares, index);
  change->defines = TRUE;
  change->shares_change = TRUE;
}

static gboolean
drop_shares_of (Change *change, const char *source)
{
  guint n_before = change->shares->len;

  for (guint i = n_before; i-- > 0;)
    if (g_str_equal (((RametShare *) g_ptr_array_index (change->shares, i))->source, source))
      drop_share (change, i);
  return change->shares->len < n_before;
}

/* All shares of a folder. What was one when it was shared may be a symlink by now, or gone. */
static void
remove_share (Change *change, const char *folder, GPtrArray *findings)
{
  g_autofree char *canonical = realpath (folder, NULL);
  g_autofree char *absolute = g_canonicalize_filename (folder, NULL);
  GError *why = NULL;

  if ((canonical && drop_shares_of (change, canonical)) || drop_shares_of (change, absolute))
    return;
  ramet_error_set (&why, RAMET_ERROR_NOT_FOUND, "'%s' does not share '%s'", ramet_vm_get_name (change->vm),
                   canonical ? canonical : absolute);
  ramet_error_hint (&why, "'ramet info %s' shows its shares", ramet_vm_get_name (change->vm));
  ramet_findings_take (findings, why);
}

static void
remove_tag (Change *change, const char *tag)
{
  for (guint i = change->shares->len; i-- > 0;)
    if (g_str_equal (((RametShare *) g_ptr_array_index (change->shares, i))->tag, tag))
      drop_share (change, i);
}

static gboolean
has_share (GPtrArray *shares, const RametShare *wanted)
{
  for (guint i = 0; i < shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (shares, i);

      if (g_str_equal (share->source, wanted->source) && g_str_equal (share->target, wanted->target))
        return TRUE;
    }
  return FALSE;
}

static gpointer
copy_share (gconstpointer data, gpointer ignored)
{
  const RametShare *share = data;

  return ramet_share_new (share->source, share->target, share->tag);
}

static GPtrArray *
copy_shares (GPtrArray *shares)
{
  GPtrArray *copy = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);

  g_ptr_array_extend (copy, shares, copy_share, NULL);
  return copy;
}

/* Those that are there already are left out. */
static char **
new_specs (Change *change, GPtrArray *findings)
{
  g_autoptr (GStrvBuilder) builder = g_strv_builder_new ();
  g_autofree char *cwd = g_get_current_dir ();

  for (const char *const *spec = change->settings->add_shares; spec && *spec; spec++)
    {
      g_autofree char *source = NULL;
      g_autofree char *target = NULL;
      g_autofree char *canonical = NULL;
      g_autoptr (RametShare) share = NULL;
      GError *why = NULL;

      if (!ramet_share_parse (*spec, cwd, &source, &target, &why))
        {
          ramet_findings_take (findings, why);
          continue;
        }
      canonical = realpath (source, NULL);
      share = ramet_share_new (canonical ? canonical : source, target, "");
      if (!has_share (change->shares, share))
        g_strv_builder_add (builder, *spec);
    }
  return g_strv_builder_end (builder);
}

/* They are checked as those of a clone are: by a plan that is about nothing else. */
static void
add_shares (Change *change, GPtrArray *findings)
{
  g_auto (GStrv) specs = new_specs (change, findings);
  RametCloneOptions options = { .name = ramet_vm_get_name (change->vm), .shares = (const char *const *) specs,
                                .grant = change->settings->grant };
  g_autoptr (RametIdentity) identity = ramet_identity_new (options.name);
  g_autoptr (RametMetadata) scratch = ramet_metadata_new (RAMET_STATE_READY);
  RametClonePlan plan = { .connection = ramet_domain_get_connection (change->vm->domain), .options = &options,
                          .identity = identity, .metadata = scratch, .grants = change->grants, .then = change->then,
                          .user = change->vm->metadata->user ? change->vm->metadata->user : (char *) "root" };
  guint n_before = change->shares->len;

  g_clear_pointer (&identity->shares, g_ptr_array_unref);
  identity->shares = g_ptr_array_ref (change->shares);
  ramet_clone_plan_shares (&plan, change->task, !change->settings->dry_run, findings);
  change->qemu = plan.qemu;
  for (guint i = n_before; i < change->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (change->shares, i);

      note (change, "share: '%s' at '%s'%s", share->source, share->target, when (change));
      change->defines = TRUE;
      change->shares_change = TRUE;
    }
  for (guint i = change->then->shares->len; i-- > 0;)
    if (has_share (change->shares, g_ptr_array_index (change->then->shares, i)))
      g_ptr_array_remove_index (change->then->shares, i);
}

static gboolean
foresee_grants (Change *change, GError **error)
{
  for (guint i = 0; i < change->grants->len; i++)
    {
      const RametPlannedGrant *grant = g_ptr_array_index (change->grants, i);

      if (!ramet_access_foresee (grant->path, change->qemu, grant->is_file, change->vm->metadata->grants, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
grant_access (Change *change, GError **error)
{
  for (guint i = 0; i < change->grants->len; i++)
    {
      const RametPlannedGrant *grant = g_ptr_array_index (change->grants, i);
      g_autoptr (GPtrArray) records = g_ptr_array_new_with_free_func (g_free);

      if (!ramet_access_grant (grant->path, change->qemu, records, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
grow (Change *change, GError **error)
{
  guint64 bytes = (change->settings->disk_bytes + SECTOR_BYTES - 1) / SECTOR_BYTES * SECTOR_BYTES;

  ramet_task_step (change->task, "growing the disk");
  if (is_active (change->vm))
    return ramet_domain_grow_disk (change->vm->domain, change->now.disk, bytes, error);
  return ramet_volume_grow (ramet_domain_get_connection (change->vm->domain), change->now.disk_path, bytes, error);
}

/* Definition and metadata in one go; what a running VM has of it stays until it starts anew. */
static gboolean
define (Change *change, GError **error)
{
  RametMetadata *metadata = change->vm->metadata;
  g_autoptr (GPtrArray) shares_before = metadata->shares;
  RametHardware hardware = { .shares = change->shares, .before = shares_before };
  g_autofree char *before = ramet_domain_get_definition (change->vm->domain, error);
  g_autoptr (RametDomain) defined = NULL;
  g_autofree char *metadata_xml = NULL;
  g_autofree char *xml = NULL;

  metadata->shares = copy_shares (change->shares);
  g_ptr_array_unref (metadata->former_shares);
  metadata->former_shares = copy_shares (change->then->shares);
  metadata->guest_is_behind |= change->shares_change;
  if (change->settings->vcpus != change->now.vcpus)
    hardware.vcpus = change->settings->vcpus;
  if (change->settings->memory_bytes / 1024 != change->now.memory_bytes / 1024)
    hardware.memory_kib = change->settings->memory_bytes / 1024;
  metadata_xml = ramet_metadata_to_xml (metadata);
  xml = before ? ramet_hardware_rewrite (before, &hardware, metadata_xml, error) : NULL;
  defined = xml ? ramet_domain_define (ramet_domain_get_connection (change->vm->domain), xml, error) : NULL;
  /* the running domain has metadata of its own, which would be believed */
  return defined && (!is_active (change->vm) || ramet_domain_set_metadata (change->vm->domain, metadata, error));
}

static gboolean
check_changeable (const RametVm *vm, GError **error)
{
  RametState state = ramet_vm_get_state (vm);
  const char *name = ramet_vm_get_name (vm);

  if (state == RAMET_STATE_READY)
    return TRUE;
  if (ramet_vm_is_parent (vm))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot change '%s': it is a %s", name, ramet_state_name (state));
      ramet_error_hint (error, "change its clones");
      return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_STATE, "cannot change '%s': it is %s", name, ramet_state_name (state));
  ramet_error_hint (error, state == RAMET_STATE_RAW ? "'virsh edit %s' does" : "'ramet remove %s' clears it", name);
  return FALSE;
}

static gboolean
plan_all (Change *change, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  plan_hardware (change);
  plan_disk (change, findings);
  for (const char *const *folder = change->settings->remove_shares; folder && *folder; folder++)
    remove_share (change, *folder, findings);
  for (const char *const *tag = change->settings->remove_tags; tag && *tag; tag++)
    remove_tag (change, *tag);
  add_shares (change, findings);
  return ramet_findings_raise (findings, error);
}

/* A guest that runs sees its larger disk at once, and is to fill it; one that does not, when it starts. */
static gboolean
grow_all (Change *change, GError **error)
{
  RametMetadata *metadata = change->vm->metadata;
  gboolean was_behind = metadata->guest_is_behind;

  if (!grow (change, error))
    return FALSE;
  metadata->guest_is_behind = TRUE;
  if (!ramet_grants_write (change->vm->domain, metadata, error))
    return FALSE;
  if (change->vm->run != RAMET_RUN_RUNNING || !ramet_guest_grow (change->vm, change->task))
    return TRUE;
  metadata->guest_is_behind = was_behind;
  return ramet_grants_write (change->vm->domain, metadata, error);
}

/* Written down first, so that remove can take back what was granted whatever comes in between. */
static gboolean
redefine (Change *change, GError **error)
{
  G_GNUC_UNUSED g_autoptr (RametLock) lock = ramet_lock_grants ();

  return ramet_grants_keep (change->vm->domain, change->vm->metadata, error) && foresee_grants (change, error) &&
         define (change, error) && grant_access (change, error);
}

/**
 * ramet_settings_apply:
 * @ret_notes: (element-type utf8): what is changed, and when, is added here; nothing if it was all so already
 * @error: everything that stands in the way; then nothing is changed
 *
 * A disk grows at once; the rest of what a running VM has stays until it starts anew. The guest is told when it next starts.
 */
gboolean
ramet_settings_apply (RametVm *vm, RametTask *task, const RametSettings *settings, GPtrArray *ret_notes, GError **error)
{
  g_auto (Change) change = { .vm = vm, .task = task, .settings = settings, .notes = ret_notes };

  if (!check_changeable (vm, error) || !ramet_settings_look (vm, &change.now, error))
    return FALSE;
  change.shares = copy_shares (vm->metadata->shares);
  change.then = ramet_metadata_new (RAMET_STATE_READY);
  g_ptr_array_extend (change.then->shares, vm->metadata->former_shares, copy_share, NULL);
  change.grants = g_ptr_array_new_with_free_func (ramet_planned_grant_free);
  if (!plan_all (&change, error))
    return FALSE;
  if (settings->dry_run)
    return TRUE;
  if (change.grows && !grow_all (&change, error))
    return FALSE;
  return !change.defines || redefine (&change, error);
}
