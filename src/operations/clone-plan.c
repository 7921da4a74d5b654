/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone-plan.h"

#include <pwd.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/text.h"
#include "host/ssh.h"
#include "host/storage.h"
#include "model/names.h"

#define LEAST_POOL_ROOM_BYTES (64 * 1024 * 1024)
#define DEFAULT_NVRAM_FOLDER "/var/lib/libvirt/qemu/nvram" /* of qemu:///system; firmware='efi' leaves it unsaid */

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

static void
grant_free (gpointer data)
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
  plan->grants = g_ptr_array_new_with_free_func (grant_free);
  plan->pool = g_strdup (options->pool ? options->pool : RAMET_DEFAULT_POOL);
  plan->identity = ramet_identity_new (options->name);
  plan->identity->vcpus = options->vcpus;
  plan->identity->memory_kib = options->memory_bytes / 1024;
  plan->identity->network = g_strdup (options->network);
  plan->metadata = ramet_metadata_new (RAMET_STATE_CREATING);
  plan->metadata->created = g_date_time_format (now, "%Y-%m-%dT%H:%M:%SZ");
  plan->metadata->project = g_strdup (options->project);
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

  if (base->run == RAMET_RUN_SAVED)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot clone '%s': its memory is saved, so its disk is half way", name);
      ramet_error_hint (error, "start and stop it once, or 'virsh managedsave-remove %s'", name);
    }
  else if (base->run != RAMET_RUN_OFF)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "cannot clone '%s': it is %s", name, ramet_run_name (base->run));
      ramet_error_hint (error, "shut it down first: '%s %s'", base->metadata ? "ramet stop" : "virsh shutdown", name);
    }
  else if (ramet_vm_get_state (base) == RAMET_STATE_READY)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED,
                       "cannot clone '%s': its root console is sealed, so a clone could not get an identity of its own",
                       name);
      ramet_error_hint (error, "clone from '%s' instead",
                        base->metadata->base_name ? base->metadata->base_name : "its base");
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
read_base (RametClonePlan *plan, GError **error)
{
  g_autoptr (RametVm) base = ramet_vm_open (plan->connection, plan->options->base, error);

  if (base == NULL)
    {
      if (error && g_error_matches (*error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        {
          g_clear_error (error);
          ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "there is no base '%s'", plan->options->base);
          ramet_error_hint (error, "'ramet base list' shows the bases, 'ramet base build' makes one");
        }
      return FALSE;
    }
  if (!check_base_state (base, error))
    return FALSE;
  plan->base_xml = ramet_domain_get_xml (base->domain, TRUE, error);
  plan->base = plan->base_xml ? ramet_domain_facts_new (plan->base_xml, error) : NULL;
  if (plan->base == NULL)
    return FALSE;
  /* ramet's own bases have no identity that could meet their clones' on the network; others' may */
  plan->identity->link_down = !plan->options->no_bootstrap && ramet_vm_get_state (base) != RAMET_STATE_BASE;
  plan->metadata->base_name = g_strdup (plan->base->name);
  plan->metadata->base_uuid = g_strdup (plan->base->uuid);
  return TRUE;
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
  if (taken->metadata)
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
    {
      ramet_findings_take (findings, why);
      return;
    }
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

static const RametAccount *
qemu_account (RametClonePlan *plan, GError **error)
{
  uid_t uid;
  gid_t gid;

  if (plan->qemu == NULL && ramet_connection_get_qemu_user (plan->connection, &uid, &gid, error))
    plan->qemu = ramet_account_new (uid, gid);
  return plan->qemu;
}

static void
plan_grant (RametClonePlan *plan, const char *path, gboolean is_file)
{
  RametPlannedGrant *grant = g_new0 (RametPlannedGrant, 1);

  grant->path = g_strdup (path);
  grant->is_file = is_file;
  g_ptr_array_add (plan->grants, grant);
}

/* Cheaper than asking libvirt who QEMU is, and true of every base that ramet built. */
static gboolean
is_open_to_all (const char *path)
{
  g_autofree char *at = g_strdup (path);
  struct stat st;

  if (stat (at, &st) < 0 || !(st.st_mode & S_IROTH))
    return FALSE;
  while (!g_str_equal (at, "/") && !g_str_equal (at, "."))
    {
      char *up = g_path_get_dirname (at);

      g_free (at);
      at = up;
      if (stat (at, &st) < 0 || !(st.st_mode & S_IXOTH))
        return FALSE;
    }
  return TRUE;
}

/*
 * The owner of a base's file is left alone, so QEMU's user must be able to read it as it is. Whoever may not look
 * leaves the finding to QEMU.
 */
static void
check_readable (RametClonePlan *plan, const char *path, GPtrArray *findings)
{
  g_autofree char *hint = NULL;
  g_autoptr (GError) ignored = NULL;
  const RametAccount *qemu;
  GError *why = NULL;

  if (!ramet_connection_is_local (plan->connection) || is_open_to_all (path))
    return;
  qemu = qemu_account (plan, &ignored);
  hint = qemu ? ramet_access_hint (path, qemu) : NULL;
  if (hint == NULL)
    return;
  if (plan->options->grant)
    {
      plan_grant (plan, path, TRUE);
      return;
    }
  ramet_error_set (&why, RAMET_ERROR_REFUSED, "QEMU's user '%s' cannot read the base's disk '%s'", qemu->name, path);
  ramet_error_hint (&why, "give --grant, or: %s", hint);
  ramet_findings_take (findings, why);
}

static void
add_fingerprint (RametClonePlan *plan, const char *target, const RametImage *image)
{
  RametFingerprint *print = g_new0 (RametFingerprint, 1);

  print->target = g_strdup (target);
  print->path = g_strdup (image->path);
  print->format = g_strdup (image->format);
  print->size = image->file_size;
  print->mtime = image->mtime;
  g_ptr_array_add (plan->metadata->fingerprints, print);
}

static void
check_volume_free (RametClonePlan *plan, const char *volume, const char *path, GPtrArray *findings)
{
  GError *why = NULL;

  if (!ramet_connection_is_local (plan->connection) || access (path, F_OK) < 0)
    return;
  ramet_error_set (&why, RAMET_ERROR_STATE, "there is a file '%s' already, of no VM of ramet's", path);
  ramet_error_hint (&why, "take another name; or, if it is of no use: 'virsh vol-delete %s --pool %s'", volume,
                    plan->pool);
  ramet_findings_take (findings, why);
}

static void
plan_overlay (RametClonePlan *plan, const RametDomainDisk *disk, GPtrArray *chain, GPtrArray *findings)
{
  const RametImage *top = g_ptr_array_index (chain, 0);
  RametPlannedVolume *volume = g_new0 (RametPlannedVolume, 1);
  gboolean first = plan->volumes->len == 0;
  RametOverlay *overlay;

  volume->volume = first ? g_strdup_printf ("%s.qcow2", plan->options->name)
                         : g_strdup_printf ("%s-%s.qcow2", plan->options->name, disk->target);
  volume->path = g_build_filename (plan->pool_folder, volume->volume, NULL);
  volume->backing = g_strdup (top->path);
  volume->backing_format = g_strdup (top->format);
  volume->capacity = top->capacity;
  g_ptr_array_add (plan->volumes, volume);
  if (first && plan->options->disk_bytes)
    {
      GError *why = NULL;

      if (plan->options->disk_bytes < top->capacity)
        {
          g_autofree char *has = ramet_text_size (top->capacity);

          ramet_error_set (&why, RAMET_ERROR_USAGE, "--disk-size is smaller than the base's disk, which has %s", has);
          ramet_error_hint (&why, "a disk can only grow");
          ramet_findings_take (findings, why);
        }
      volume->capacity = plan->options->disk_bytes;
    }
  check_volume_free (plan, volume->volume, volume->path, findings);
  ramet_metadata_add_volume (plan->metadata, plan->pool, volume->volume, volume->path);
  overlay = ramet_overlay_new (disk->target, volume->path);
  for (guint i = 0; i < chain->len; i++)
    {
      const RametImage *image = g_ptr_array_index (chain, i);

      ramet_overlay_add_layer (overlay, image->path, image->format);
      add_fingerprint (plan, disk->target, image);
    }
  g_ptr_array_add (plan->identity->overlays, overlay);
}

static void
plan_disk (RametClonePlan *plan, RametTask *task, const RametDomainDisk *disk, GPtrArray *findings)
{
  g_autoptr (GPtrArray) chain = NULL;
  g_autofree char *path = g_strdup (disk->path);
  GError *why = NULL;

  if (path == NULL && disk->pool && disk->volume)
    path = ramet_storage_volume_path (plan->connection, disk->pool, disk->volume, &why);
  if (path)
    chain = ramet_storage_inspect (plan->connection, path, disk->format, &why);
  if (chain == NULL)
    {
      if (why) /* a disk that is reached over the network is refused by its XPath */
        g_prefix_error (&why, "disk '%s' of '%s': ", disk->target, plan->base->name);
      ramet_findings_take (findings, why);
      return;
    }
  if (g_strcmp0 (disk->type, "block") == 0)
    ramet_task_warn (task, "the base's disk '%s' is a block device: see that nobody writes to it", path);
  for (guint i = 0; i < chain->len; i++)
    check_readable (plan, ((RametImage *) g_ptr_array_index (chain, i))->path, findings);
  plan_overlay (plan, disk, chain, findings);
}

static void
plan_disks (RametClonePlan *plan, RametTask *task, GPtrArray *findings)
{
  for (guint i = 0; i < plan->base->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (plan->base->disks, i);

      if (ramet_domain_disk_wants_overlay (disk))
        plan_disk (plan, task, disk, findings);
    }
}

static void
plan_nvram (RametClonePlan *plan)
{
  g_autofree char *file = NULL;
  g_autofree char *folder = NULL;
  g_autofree char *path = NULL;

  if (plan->base->nvram == NULL && !plan->base->firmware_efi)
    return;
  plan->nvram_may_miss = plan->base->nvram == NULL;
  plan->nvram_source = plan->base->nvram
                         ? g_strdup (plan->base->nvram)
                         : g_strdup_printf (DEFAULT_NVRAM_FOLDER "/%s_VARS.fd", plan->base->name);
  file = g_strdup_printf ("%s_VARS.fd", plan->options->name);
  folder = g_path_get_dirname (plan->nvram_source);
  path = g_build_filename (folder, file, NULL);
  ramet_metadata_add_volume (plan->metadata, "", file, path);
  if (plan->base->nvram)
    plan->identity->nvram = g_steal_pointer (&path);
}

static void
check_pool (RametClonePlan *plan, GPtrArray *findings)
{
  guint64 available = 0;
  GError *why = NULL;

  if (!ramet_pool_check (plan->connection, plan->pool, &plan->pool_folder, &available, &why))
    {
      ramet_findings_take (findings, why);
      plan->pool_folder = g_strdup ("/");
      return;
    }
  if (available < LEAST_POOL_ROOM_BYTES)
    {
      g_autofree char *left = ramet_text_size (available);

      ramet_error_set (&why, RAMET_ERROR_FAILED, "the storage pool '%s' is full: %s left", plan->pool, left);
      ramet_error_hint (&why, "'ramet tree' shows what takes the room");
      ramet_findings_take (findings, why);
    }
}

static void
survey_share (RametClonePlan *plan, RametTask *task, const char *source, GPtrArray *findings)
{
  g_auto (RametReach) reach = { 0 };
  const RametAccount *qemu;
  GError *why = NULL;

  qemu = qemu_account (plan, &why);
  if (qemu == NULL || !ramet_access_survey (source, qemu, &reach, &why))
    {
      ramet_findings_take (findings, why);
      return;
    }
  if (reach.blocking && plan->options->grant)
    plan_grant (plan, source, FALSE);
  else if (reach.blocking)
    {
      g_autofree char *hint = ramet_access_hint (source, qemu);

      ramet_error_set (&why, RAMET_ERROR_REFUSED, "QEMU's user '%s' cannot reach '%s': it may not pass '%s'",
                       qemu->name, source, reach.blocking);
      ramet_error_hint (&why, "give --grant, or: %s", hint ? hint : "");
      ramet_findings_take (findings, why);
    }
  if (reach.n_unreadable > 0)
    {
      g_autofree char *examples = g_strjoinv ("', '", reach.examples);
      g_autofree char *safe = ramet_text_escape (examples, -1);

      ramet_task_warn (task,
                       "the guest will not be able to read %" G_GUINT64_FORMAT " of %s%" G_GUINT64_FORMAT
                       " files in '%s', closed to QEMU's user '%s': '%s'%s",
                       reach.n_unreadable, reach.cut ? "more than " : "", reach.n_seen, source, qemu->name, safe,
                       reach.n_unreadable > g_strv_length (reach.examples) ? ", …" : "");
    }
}

/* The folder that @spec names, with all links followed. */
static char *
find_share_source (const char *source, GError **error)
{
  g_autofree char *canonical = realpath (source, NULL);
  struct stat st;

  if (canonical == NULL)
    ramet_error_set (error, errno == ENOENT ? RAMET_ERROR_NOT_FOUND : RAMET_ERROR_FAILED, "cannot share '%s': %s",
                     source, g_strerror (errno));
  else if (stat (canonical, &st) < 0 || !S_ISDIR (st.st_mode))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "cannot share '%s': it is no folder", source);
      ramet_error_hint (error, "share the folder that it is in");
    }
  else
    return g_strdup (canonical);
  return NULL;
}

/* A whole home, whoever's, holds keys and mail that no project needs. */
static gboolean
check_no_home (const char *canonical, GError **error)
{
  gboolean is_home = FALSE;
  const struct passwd *account;

  setpwent ();
  while (!is_home && (account = getpwent ()) != NULL)
    is_home = account->pw_uid >= 1000 && g_str_has_prefix (account->pw_dir, "/home/") &&
              g_str_equal (account->pw_dir, canonical);
  endpwent ();
  if (is_home)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot share '%s': it is somebody's whole home", canonical);
      ramet_error_hint (error, "share the project's own folder");
    }
  return !is_home;
}

/* The rest of what the guest cannot do without is the model's to know. */
static gboolean
check_not_over_home (RametClonePlan *plan, const char *target, GError **error)
{
  g_autofree char *home = g_build_filename ("/home", plan->user, NULL);

  if (!g_str_equal (target, home))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot put a share over '%s' in the guest: it is the user's home", target);
  ramet_error_hint (error, "name another place behind a colon, as in '-d DIR:%s/project'", target);
  return FALSE;
}

static void
plan_share (RametClonePlan *plan, RametTask *task, const char *spec, gboolean survey, GPtrArray *findings)
{
  g_autofree char *cwd = g_get_current_dir ();
  g_autofree char *source = NULL;
  g_autofree char *canonical = NULL;
  g_autofree char *target = NULL;
  g_autofree char *tag = ramet_share_tag (plan->identity->shares->len);
  GError *why = NULL;

  if (!ramet_share_parse (spec, cwd, &source, &target, &why) || !(canonical = find_share_source (source, &why)) ||
      !ramet_share_check_source (canonical, g_get_home_dir (), &why) || !check_no_home (canonical, &why) ||
      !ramet_share_check_target (target, &why) || !check_not_over_home (plan, target, &why))
    {
      ramet_findings_take (findings, why);
      return;
    }
  for (guint i = 0; i < plan->identity->shares->len; i++)
    if (g_str_equal (((RametShare *) g_ptr_array_index (plan->identity->shares, i))->target, target))
      {
        ramet_error_set (&why, RAMET_ERROR_USAGE, "two shares would be at '%s' in the guest", target);
        ramet_findings_take (findings, why);
        return;
      }
  if (survey)
    survey_share (plan, task, canonical, findings);
  g_ptr_array_add (plan->identity->shares, ramet_share_new (canonical, target, tag));
  g_ptr_array_add (plan->metadata->shares, ramet_share_new (canonical, target, tag));
}

static void
plan_shares (RametClonePlan *plan, RametTask *task, gboolean survey, GPtrArray *findings)
{
  const char *const *spec = plan->options->shares;
  GError *why = NULL;

  if (spec && *spec && !ramet_connection_is_local (plan->connection))
    {
      ramet_error_set (&why, RAMET_ERROR_REFUSED, "folders cannot be shared with a VM on another host");
      ramet_findings_take (findings, why);
      return;
    }
  for (; spec && *spec; spec++)
    plan_share (plan, task, *spec, survey, findings);
}

/* Same name, uid and gid as outside, so that the files of a share fit. */
static void
plan_user (RametClonePlan *plan, GPtrArray *findings)
{
  const struct passwd *self = getpwuid (getuid ());
  const char *own = self ? self->pw_name : "root";
  const char *user = plan->options->user ? plan->options->user : own;
  gboolean is_root = g_str_equal (user, "root");
  GError *why = NULL;

  if (!ramet_name_check_user (user, &why))
    ramet_findings_take (findings, why);
  plan->user = g_strdup (user);
  plan->uid = is_root ? 0 : getuid () ? getuid () : 1000;
  plan->gid = is_root ? 0 : getuid () ? getgid () : 1000;
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
        g_ptr_array_add (keys, line);
      else
        ramet_findings_take (findings, g_steal_pointer (&why));
    }
  if (keys->len == 0 && !(plan->options->ssh_keys && *plan->options->ssh_keys) &&
      !ramet_ssh_public_keys (keys, &private_key, &why))
    ramet_findings_take (findings, why);
  g_ptr_array_add (keys, NULL);
  plan->ssh_keys = g_strjoinv ("\n", (char **) keys->pdata);
}

static void
check_console (RametClonePlan *plan, GPtrArray *findings)
{
  GError *why = NULL;

  if (plan->base->has_console || plan->options->no_bootstrap)
    return;
  ramet_error_set (&why, RAMET_ERROR_REFUSED, "'%s' has no serial port, so there is no root console to set a clone up",
                   plan->base->name);
  ramet_error_hint (&why, "add <serial type='pty'/> to it with 'virsh edit', see bootstrap/base/README.md; or give "
                          "--no-bootstrap");
  ramet_findings_take (findings, why);
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

/* What the rewriting itself refuses, found now rather than when half is made. */
static char *
rewrite (RametClonePlan *plan, RametTask *task, GError **error)
{
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  char *xml;

  g_free (plan->identity->metadata);
  plan->identity->metadata = ramet_metadata_to_xml (plan->metadata);
  xml = ramet_rewrite_domain (plan->base_xml, plan->identity, notes, error);
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
 * Checks all that can be checked beforehand and changes nothing, but for making an ssh key for a user who has none.
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

  if (!check_names (plan, task, error) || !read_base (plan, error))
    return NULL;
  check_name_free (plan, findings);
  choose_macs (plan, findings);
  check_console (plan, findings);
  check_network (plan, findings);
  check_pool (plan, findings);
  plan_disks (plan, task, findings);
  plan_nvram (plan);
  plan_user (plan, findings);
  plan_shares (plan, task, TRUE, findings);
  if (!options->no_bootstrap)
    plan_ssh_keys (plan, findings);
  if (findings->len == 0)
    {
      xml = rewrite (plan, task, &refused);
      take_all (findings, refused);
    }
  if (!ramet_findings_raise (findings, error))
    return NULL;
  return g_steal_pointer (&plan);
}

static void
plan_disk_as_declared (RametClonePlan *plan, const RametDomainDisk *disk)
{
  g_autofree char *file = plan->identity->overlays->len == 0
                            ? g_strdup_printf ("%s.qcow2", plan->options->name)
                            : g_strdup_printf ("%s-%s.qcow2", plan->options->name, disk->target);
  g_autofree char *path = g_build_filename (plan->pool_folder, file, NULL);
  RametOverlay *overlay = ramet_overlay_new (disk->target, path);

  ramet_overlay_add_layer (overlay, disk->path ? disk->path : "", disk->format);
  ramet_metadata_add_volume (plan->metadata, plan->pool, file, path);
  g_ptr_array_add (plan->identity->overlays, overlay);
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

  if (!check_names (plan, task, error) || !read_base (plan, error))
    return NULL;
  choose_macs (plan, findings);
  check_pool (plan, findings);
  for (guint i = 0; i < plan->base->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (plan->base->disks, i);

      if (ramet_domain_disk_wants_overlay (disk) && disk->path)
        plan_disk_as_declared (plan, disk);
    }
  plan_nvram (plan);
  plan_user (plan, findings);
  plan_shares (plan, task, FALSE, findings);
  if (!ramet_findings_raise (findings, error))
    return NULL;
  return rewrite (plan, task, error);
}

/** ramet_clone_plan_describe: (transfer full): what ramet_clone_execute() would do, a line each */
char *
ramet_clone_plan_describe (RametClonePlan *plan)
{
  GString *text = g_string_new (NULL);
  const char *name = plan->options->name;

  g_string_append_printf (text, "define '%s' from '%s', uuid %s\n", name, plan->base->name, plan->identity->uuid);
  for (guint i = 0; i < plan->identity->macs->len; i++)
    g_string_append_printf (text, "  MAC %s\n", (const char *) g_ptr_array_index (plan->identity->macs, i));
  for (guint i = 0; i < plan->volumes->len; i++)
    {
      const RametPlannedVolume *volume = g_ptr_array_index (plan->volumes, i);
      g_autofree char *size = ramet_text_size (volume->capacity);

      g_string_append_printf (text, "create %s (%s) on %s (%s)\n", volume->path, size, volume->backing,
                              volume->backing_format);
    }
  if (plan->nvram_source)
    g_string_append_printf (text, "copy the UEFI variables %s\n", plan->nvram_source);
  for (guint i = 0; i < plan->grants->len; i++)
    g_string_append_printf (text, "let QEMU's user reach %s\n",
                            ((RametPlannedGrant *) g_ptr_array_index (plan->grants, i))->path);
  for (guint i = 0; i < plan->identity->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (plan->identity->shares, i);

      g_string_append_printf (text, "share %s, read-only, at %s\n", share->source, share->target);
    }
  if (plan->options->no_bootstrap)
    g_string_append (text, "leave it off, its root console open\n");
  else
    g_string_append_printf (text, "boot it, set it up for user '%s', seal its root console\n", plan->user);
  return g_string_free (text, FALSE);
}
