/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <unistd.h>

#include "core/text.h"
#include "host/files/memory-file.h"
#include "host/libvirt/folder-files.h"
#include "host/libvirt/storage.h"
#include "operations/doctor/private.h"
#include "operations/template/store.h"
#include "operations/template/templates.h"

/* What comes out of a pipe, in a thread of its own: the main one fills it. */
static gpointer
hash_pipe (gpointer data)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *buffer = g_malloc (1024 * 1024);
  int fd = GPOINTER_TO_INT (data);
  ssize_t n;

  while ((n = read (fd, buffer, 1024 * 1024)) > 0 || (n < 0 && errno == EINTR))
    if (n > 0)
      g_checksum_update (checksum, buffer, n);
  close (fd);
  return n == 0 ? g_strdup (g_checksum_get_string (checksum)) : NULL;
}

/* (transfer full): of a file that only libvirtd may read */
static char *
hash_through_libvirt (RametDoctor *doctor, const char *path, GError **error)
{
  g_autofree char *digest = NULL;
  GThread *thread;
  int ends[2];
  gboolean done;

  if (!g_unix_open_pipe (ends, FD_CLOEXEC, error))
    return NULL;
  thread = g_thread_new ("hash", hash_pipe, GINT_TO_POINTER (ends[0]));
  done = ramet_folder_get (doctor->connection, doctor->task, path, 0, ends[1], error);
  close (ends[1]);
  digest = g_thread_join (thread);
  if (done && digest == NULL)
    ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read '%s'", path);
  return done ? g_steal_pointer (&digest) : NULL;
}

static char *
hash_file (RametDoctor *doctor, const char *path, GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC);
  char *digest;

  if (fd < 0)
    return hash_through_libvirt (doctor, path, error);
  digest = ramet_memory_hash (doctor->task, fd, path, error);
  close (fd);
  return digest;
}

/* QEMU may write to it, and a guest that got at QEMU could, without a trace in its size or time. */
static gboolean
look_at_content (RametDoctor *doctor, const RametVm *vm, const RametTemplateFile *file, GError **error)
{
  const char *name = ramet_vm_get_name (vm);
  g_autofree char *digest = hash_file (doctor, file->print->path, error);
  RametDiagnosis *found;

  if (digest == NULL)
    return FALSE;
  if (g_str_equal (digest, file->sha256))
    return TRUE;
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_ERROR, name, "'%s', of the template '%s', is not what it was", file->print->path,
                             name);
  ramet_diagnosis_explain (found, "clones go on from whatever was written there: by a broken disk, or by somebody",
                           "'ramet remove' those made of it since, then 'ramet template remove %s', and make it anew", name);
  return TRUE;
}

static gboolean
look_at (RametDoctor *doctor, const RametVm *vm, GError **error)
{
  const RametTemplate *template = vm->metadata->template;
  const char *name = ramet_vm_get_name (vm);
  const char *base = vm->metadata->base_name ? vm->metadata->base_name : "BASE";
  g_autofree char *why = NULL;
  RametDiagnosis *found;

  if (!ramet_template_why_unusable (vm, &why, error))
    return FALSE;
  if (why == NULL)
    return look_at_content (doctor, vm, &template->memory, error) && look_at_content (doctor, vm, &template->state, error);
  found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, name, "the template '%s' is of no use any more: %s", name, why);
  ramet_diagnosis_explain (found, "clones of its base boot, which takes ten times as long, and its files take room",
                           "'ramet template create %s', then 'ramet template remove %s' once nothing stands on it", base, name);
  return TRUE;
}

static gboolean
is_listed (GPtrArray *vms, const char *path)
{
  for (guint i = 0; i < vms->len; i++)
    {
      const RametMetadata *metadata = ((RametVm *) g_ptr_array_index (vms, i))->metadata;

      if (metadata && ramet_metadata_find_volume (metadata, path))
        return TRUE;
    }
  return FALSE;
}

/* All that are there could be read: what one that cannot be has, nobody knows. */
static gboolean
are_all_read (GPtrArray *domains, GPtrArray *vms)
{
  g_autoptr (GHashTable) names = g_hash_table_new (g_str_hash, g_str_equal);

  for (guint i = 0; i < vms->len; i++)
    g_hash_table_add (names, (gpointer) ramet_vm_get_name (g_ptr_array_index (vms, i)));
  for (guint i = 0; i < domains->len; i++)
    if (!g_hash_table_contains (names, ramet_domain_get_name (g_ptr_array_index (domains, i))))
      return FALSE;
  return TRUE;
}

static gboolean
is_disk_of_any (const RametDoctor *doctor, const char *path)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      GPtrArray *disks = ((RametPatient *) g_ptr_array_index (doctor->patients, i))->facts->disks;

      for (guint j = 0; j < disks->len; j++)
        if (g_strcmp0 (((RametDomainDisk *) g_ptr_array_index (disks, j))->path, path) == 0)
          return TRUE;
    }
  return FALSE;
}

/* A clone stands on a disk of no VM: its template may be gone, and what was saved of the clone opens that template's memory. */
static gboolean
has_orphans (const RametDoctor *doctor, GPtrArray *vms)
{
  for (guint i = 0; i < vms->len; i++)
    {
      const RametMetadata *metadata = ((RametVm *) g_ptr_array_index (vms, i))->metadata;

      for (guint j = 0; metadata && j < metadata->fingerprints->len; j++)
        {
          const char *path = ((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, j))->path;

          if (!is_listed (vms, path) && !is_disk_of_any (doctor, path))
            return TRUE;
        }
    }
  return FALSE;
}

static void
diagnose_stray (RametDoctor *doctor, const char *name, const char *path, gboolean may_be_needed)
{
  RametDiagnosis *found = ramet_doctor_find (doctor, RAMET_SEVERITY_WARNING, path, "'%s' was saved for a template or clone that "
                                             "is not there any more", path);
  g_autoptr (GError) why = NULL;

  if (may_be_needed)
    {
      ramet_diagnosis_explain (found, "its VM was undefined by other means; clones stand on a disk that no VM has, and what was "
                                      "saved of them may go on from this",
                               "define it again, or remove those clones; 'ramet tree' shows them%s", "");
      return;
    }
  ramet_diagnosis_explain (found, "its VM was undefined by other means; it takes room, and nothing goes on from it",
                           "'ramet doctor --fix' deletes it%s", "");
  if (!doctor->fix)
    return;
  if (ramet_volume_delete (doctor->connection, "", name, path, &why))
    ramet_diagnosis_mended (found, "deleted '%s'", path);
  else
    ramet_task_warn (doctor->task, "%s", why->message);
}

/* As ramet_template_store_path() names them; others may have put others there. */
static gboolean
is_of_ours (const char *name)
{
  return g_str_has_suffix (name, ".memory") || g_str_has_suffix (name, ".state") || g_str_has_suffix (name, ".save");
}

/* A file is written down in its VM before it is made, so the files are listed before the VMs. */
static gboolean
look_for_strays (RametDoctor *doctor, GError **error)
{
  g_autoptr (GPtrArray) names = ramet_folder_list (doctor->connection, RAMET_TEMPLATE_FOLDER, error);
  g_autoptr (GPtrArray) domains = names ? ramet_domain_list (doctor->connection, error) : NULL;
  g_autoptr (GPtrArray) vms = domains ? ramet_vm_list (doctor->connection, error) : NULL;
  gboolean may_be_needed;

  if (vms == NULL || !are_all_read (domains, vms))
    return vms != NULL;
  may_be_needed = has_orphans (doctor, vms);
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = g_ptr_array_index (names, i);
      g_autofree char *path = g_build_filename (RAMET_TEMPLATE_FOLDER, name, NULL);

      if (is_of_ours (name) && !is_listed (vms, path))
        diagnose_stray (doctor, name, path, may_be_needed);
    }
  return TRUE;
}

/**
 * ramet_doctor_check_templates:
 *
 * That they fit this host and base, that what was saved is what was saved, and that nothing is left of others.
 */
gboolean
ramet_doctor_check_templates (RametDoctor *doctor, GError **error)
{
  for (guint i = 0; i < doctor->patients->len; i++)
    {
      const RametVm *vm = ((RametPatient *) g_ptr_array_index (doctor->patients, i))->vm;

      if (ramet_vm_get_state (vm) == RAMET_STATE_TEMPLATE && !look_at (doctor, vm, error))
        return FALSE;
    }
  return !ramet_connection_is_system (doctor->connection) || !g_file_test (RAMET_TEMPLATE_FOLDER, G_FILE_TEST_IS_DIR) ||
         look_for_strays (doctor, error);
}
