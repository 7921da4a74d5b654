/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/text.h"
#include "host/libvirt/folder-pools.h"
#include "host/libvirt/pool.h"
#include "operations/clone/clone.h"
#include "operations/doctor/private.h"

#define FULL_BYTES (64 * 1024 * 1024) /* less is refused by clone */
#define NEARLY_FULL_BYTES (G_GUINT64_CONSTANT (1024) * 1024 * 1024)

static void
diagnose_stray_pool (RametDoctor *doctor, const RametFolderPoolInfo *pool)
{
  RametDiagnosis *found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, pool->name,
                                             "the storage pool '%s' was left behind by a ramet that was cut off",
                                             pool->name);
  g_autoptr (GError) why = NULL;

  ramet_diagnosis_explain (found, "it shows a folder that is no pool of yours; no file is touched when it ends",
                           "'ramet doctor --fix' or 'virsh pool-destroy %s' ends it", pool->name);
  if (!doctor->fix)
    return;
  if (ramet_folder_pools_end (doctor->connection, pool->name, &why))
    ramet_diagnosis_mended (found, "ended the pool '%s'", pool->name);
  else
    ramet_task_warn (doctor->task, "%s", why->message);
}

/** ramet_doctor_check_stray_pools: transient pools over a folder, which last for a moment unless ramet is killed in it */
gboolean
ramet_doctor_check_stray_pools (RametDoctor *doctor, GError **error)
{
  g_autoptr (GPtrArray) pools = ramet_folder_pools_list (doctor->connection, error);

  for (guint i = 0; pools && i < pools->len; i++)
    {
      const RametFolderPoolInfo *pool = g_ptr_array_index (pools, i);
      RametDiagnosis *found;

      if (pool->worker == RAMET_WORKER_GONE)
        diagnose_stray_pool (doctor, pool);
      else if (pool->worker != RAMET_WORKER_AT_WORK)
        {
          found = ramet_doctor_find (doctor, RAMET_SEVERITY_NOTE, pool->name,
                                     "the storage pool '%s' is a ramet's; whether that is still at work cannot be seen "
                                     "from here", pool->name);
          ramet_diagnosis_explain (found, "such a pool lasts for a moment only; no file is touched when it ends",
                                   "if it is here in a minute too: 'virsh pool-destroy %s'", pool->name);
        }
    }
  return pools != NULL;
}

/* The pools that our VMs have files in, and the one that the next gets. */
static GHashTable *
name_pools (RametDoctor *doctor)
{
  GHashTable *names = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  g_hash_table_add (names, g_strdup (RAMET_DEFAULT_POOL));
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = g_ptr_array_index (doctor->patients, i);

      for (guint j = 0; ramet_patient_is_ours (patient) && j < patient->vm->metadata->volumes->len; j++)
        {
          const char *pool = ((RametVolumeRef *) g_ptr_array_index (patient->vm->metadata->volumes, j))->pool;

          if (*pool)
            g_hash_table_add (names, g_strdup (pool));
        }
    }
  return names;
}

static void
look_at_room (RametDoctor *doctor, const char *name, const RametPool *pool)
{
  guint64 available = pool->available;
  gboolean full;
  struct statvfs fs;
  g_autofree char *left = NULL;
  RametDiagnosis *found;

  if (ramet_connection_is_local (doctor->connection) && statvfs (pool->folder, &fs) == 0)
    {
      available = (guint64) fs.f_bavail * fs.f_frsize;
      if (fs.f_flag & ST_RDONLY)
        {
          found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name,
                                     "the storage pool '%s' is on a filesystem that is mounted read-only", name);
          ramet_diagnosis_explain (found, "no VM can be made there, and none of it can run", "'findmnt --target %s', then "
                                   "'mount -o remount,rw' on what it shows", pool->folder);
          return;
        }
    }
  full = available < FULL_BYTES;
  if (!full && available >= NEARLY_FULL_BYTES)
    return;
  left = ramet_text_size (available);
  found = ramet_doctor_find (doctor, full ? RAMET_SEVERITY_ERROR : RAMET_SEVERITY_WARNING, name,
                             "the storage pool '%s' is %s: %s left", name, full ? "full" : "nearly full", left);
  ramet_diagnosis_explain (found, "VMs whose disks cannot grow are paused by QEMU in the middle of their work",
                           "'ramet tree' shows what takes the room; 'ramet remove NAME' what you need no more%s", "");
}

/* libvirtd itself makes the files, as root; QEMU has to get at them. */
static gboolean
look_at_way (RametDoctor *doctor, const char *name, const char *folder, GError **error)
{
  const RametAccount *qemu = ramet_doctor_get_qemu (doctor, error);
  g_autofree char *at = g_strdup (folder);
  RametDiagnosis *found;

  while (qemu)
    {
      gboolean may = TRUE;
      char *up;

      if (!ramet_access_may (at, qemu, X_OK, &may, error))
        return FALSE;
      if (!may)
        {
          found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name,
                                     "QEMU's user '%s' may not pass '%s' to the storage pool '%s'", qemu->name, at, name);
          ramet_diagnosis_explain (found, "no VM with a disk there can start", "'setfacl -m u:%s:--x %s'", qemu->name, at);
          return TRUE;
        }
      if (g_str_equal (at, "/"))
        return TRUE;
      up = g_path_get_dirname (at);
      g_free (at);
      at = up;
    }
  return FALSE;
}

static gboolean
look_at_pool (RametDoctor *doctor, const char *name, GError **error)
{
  g_auto (RametPool) pool = { 0 };
  g_autoptr (GError) why = NULL;
  RametDiagnosis *found;

  if (!ramet_pool_look (doctor->connection, name, &pool, &why))
    {
      if (!g_error_matches (why, RAMET_ERROR, RAMET_ERROR_NOT_FOUND))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name, "there is no storage pool '%s'", name);
      ramet_diagnosis_explain (found, "'ramet clone' puts disks there", "'virsh pool-define-as %s dir --target "
                               "/var/lib/libvirt/images', 'virsh pool-autostart %s', 'virsh pool-start %s'", name, name, name);
      return TRUE;
    }
  if (!pool.active)
    {
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name, "the storage pool '%s' is not active", name);
      ramet_diagnosis_explain (found, "no VM can be made there", "'virsh pool-start %s'", name);
    }
  if (!pool.autostart)
    {
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "the storage pool '%s' does not start with the host",
                                 name);
      ramet_diagnosis_explain (found, "after the next restart no VM can be made there", "'virsh pool-autostart %s'", name);
    }
  if (!pool.active || pool.folder == NULL)
    return TRUE;
  look_at_room (doctor, name, &pool);
  return !ramet_connection_is_local (doctor->connection) || look_at_way (doctor, name, pool.folder, error);
}

/** ramet_doctor_check_pools: whether VMs can be made and run there */
gboolean
ramet_doctor_check_pools (RametDoctor *doctor, GError **error)
{
  g_autoptr (GHashTable) names = name_pools (doctor);
  GHashTableIter iter;
  gpointer name;

  g_hash_table_iter_init (&iter, names);
  while (g_hash_table_iter_next (&iter, &name, NULL))
    if (!look_at_pool (doctor, name, error))
      return FALSE;
  return TRUE;
}

/*
 * What domains, ramet's metadata and other files name, and of that, in @bases, what a clone could stand on: the name of
 * the base is the value.
 */
static void
collect_paths (RametDoctor *doctor, GHashTable *used, GHashTable *bases)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametPatient *patient = g_ptr_array_index (doctor->patients, i);
      const RametMetadata *metadata = patient->vm->metadata;
      gboolean is_base = ramet_vm_is_parent (patient->vm) || ramet_patient_has_clones (doctor, patient);

      for (guint j = 0; j < patient->facts->disks->len; j++)
        {
          const RametDomainDisk *disk = g_ptr_array_index (patient->facts->disks, j);

          if (disk->path == NULL)
            continue;
          g_hash_table_add (used, g_strdup (disk->path));
          if (is_base)
            g_hash_table_replace (bases, g_strdup (disk->path), g_strdup (patient->facts->name));
        }
      for (guint j = 0; metadata && j < metadata->volumes->len; j++)
        g_hash_table_add (used, g_strdup (((RametVolumeRef *) g_ptr_array_index (metadata->volumes, j))->path));
      for (guint j = 0; metadata && j < metadata->fingerprints->len; j++)
        g_hash_table_add (used, g_strdup (((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, j))->path));
    }
}

/* A VM may have been made since the visit began. */
static gboolean
belongs_to_new_vm (RametDoctor *doctor, const char *path)
{
  g_autoptr (GPtrArray) vms = ramet_vm_list (doctor->connection, NULL);

  for (guint i = 0; vms && i < vms->len; i++)
    {
      const RametMetadata *metadata = ((RametVm *) g_ptr_array_index (vms, i))->metadata;

      for (guint j = 0; metadata && j < metadata->volumes->len; j++)
        if (g_str_equal (((RametVolumeRef *) g_ptr_array_index (metadata->volumes, j))->path, path))
          return TRUE;
    }
  return FALSE;
}

static void
look_at_files (RametDoctor *doctor, const char *pool, GPtrArray *files, GHashTable *used, GHashTable *bases)
{
  for (guint i = 0; i < files->len; i++)
    {
      const RametPoolFile *file = g_ptr_array_index (files, i);
      const char *base = file->backing ? g_hash_table_lookup (bases, file->backing) : NULL;
      RametDiagnosis *found;

      if (base == NULL || g_hash_table_contains (used, file->path) || belongs_to_new_vm (doctor, file->path))
        continue;
      found = ramet_doctor_find (doctor, RAMET_SEVERITY_NOTE, file->path, "'%s' stands on the base '%s' and belongs to no VM",
                                 file->path, base);
      ramet_diagnosis_explain (found, "ramet deletes a VM's files before the VM, so this is somebody's own, or of a VM that "
                                      "was undefined by other means; ramet leaves it alone",
                               "if you know that nobody needs it: 'virsh vol-delete --pool %s %s'", pool, file->name);
    }
}

/**
 * ramet_doctor_check_stray_files:
 *
 * Overlays of bases that no VM uses. Nothing proves whose such a file is: anybody may put one on a base, and what is in it
 * may be all that is left of a VM. So it is told of, and never deleted.
 */
gboolean
ramet_doctor_check_stray_files (RametDoctor *doctor, GError **error)
{
  g_autoptr (GHashTable) pools = name_pools (doctor);
  g_autoptr (GHashTable) used = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr (GHashTable) bases = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  GHashTableIter iter;
  gpointer pool;

  collect_paths (doctor, used, bases);
  g_hash_table_iter_init (&iter, pools);
  while (g_hash_table_iter_next (&iter, &pool, NULL))
    {
      g_autoptr (GPtrArray) files = ramet_pool_list_files (doctor->connection, pool, NULL);

      for (guint i = 0; files && i < files->len; i++)
        {
          const RametPoolFile *file = g_ptr_array_index (files, i);

          if (file->backing)
            g_hash_table_add (used, g_strdup (file->backing));
        }
      if (files) /* a pool that is not active is another check's */
        look_at_files (doctor, pool, files, used, bases);
    }
  return TRUE;
}
