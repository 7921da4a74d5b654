/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/stop.h"
#include "host/libvirt/storage-private.h"
#include "model/disk.h"
#include "model/xml.h"

#define UPLOAD_CHUNK_BYTES (256 * 1024)
#define PROGRESS_US (G_TIME_SPAN_SECOND / 5)

/** ramet_storage_volume_path: (transfer full): where a disk of type 'volume' is */
char *
ramet_storage_volume_path (RametConnection *connection, const char *pool, const char *volume, GError **error)
{
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (ramet_connection_get (connection), pool);
  g_autoptr (virStorageVol) vol = found ? virStorageVolLookupByName (found, volume) : NULL;
  char *path = vol ? virStorageVolGetPath (vol) : NULL;

  if (path == NULL)
    ramet_libvirt_error (error, "cannot find the volume '%s' in the pool '%s'", volume, pool);
  return path;
}

static gboolean
last_error_is (int code)
{
  const virError *why = virGetLastError ();

  return why && why->code == code;
}

static virStoragePoolPtr
lookup_active_pool (RametConnection *connection, const char *pool, GError **error)
{
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (ramet_connection_get (connection), pool);

  if (found == NULL && !last_error_is (VIR_ERR_NO_STORAGE_POOL))
    {
      ramet_libvirt_error (error, "cannot find the storage pool '%s'", pool);
      return NULL;
    }
  if (found == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "there is no storage pool '%s'", pool);
      if (*pool)
        ramet_error_hint (error,
                          "'virsh pool-list --all' shows what there is; or make one: 'virsh pool-define-as %s dir --target "
                          "/var/lib/libvirt/images', then 'virsh pool-autostart %s' and 'virsh pool-start %s'",
                          pool, pool, pool);
      else
        ramet_error_hint (error, "'virsh pool-list --all' shows what there is");
      return NULL;
    }
  if (virStoragePoolIsActive (found) != 1)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "the storage pool '%s' is not active", pool);
      ramet_error_hint (error, "'virsh pool-start %s'", pool);
      return NULL;
    }
  return g_steal_pointer (&found);
}

/**
 * ramet_pool_check:
 * @ret_folder: (out): where its volumes are
 * @ret_available: (out): bytes free, as of libvirt's last look
 * @error: the pool is not there, not active, or no folder
 */
gboolean
ramet_pool_check (RametConnection *connection, const char *pool, char **ret_folder, guint64 *ret_available,
                  GError **error)
{
  g_autoptr (virStoragePool) found = lookup_active_pool (connection, pool, error);
  g_autofree char *xml = found ? virStoragePoolGetXMLDesc (found, 0) : NULL;
  g_autoptr (xmlDoc) doc = xml ? ramet_xml_parse (xml, "pool", error) : NULL;
  g_autofree char *folder = NULL;
  g_autofree char *type = NULL;
  virStoragePoolInfo info;

  if (doc == NULL)
    return FALSE;
  type = ramet_xml_get (xmlDocGetRootElement (doc), "type");
  folder = ramet_xml_text (ramet_xml_at (xmlDocGetRootElement (doc), "target/path"));
  if (folder == NULL || !type || !(g_str_equal (type, "dir") || g_str_equal (type, "fs") || g_str_equal (type, "netfs")))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the storage pool '%s' is of type %s, which holds no qcow2 files",
                       pool, type ? type : "unknown");
      return FALSE;
    }
  if (virStoragePoolGetInfo (found, &info) < 0)
    {
      ramet_libvirt_error (error, "cannot ask how full the storage pool '%s' is", pool);
      return FALSE;
    }
  *ret_folder = g_steal_pointer (&folder);
  *ret_available = info.available;
  return TRUE;
}

/** ramet_pool_refresh: has libvirt look again what is in @pool and how full it is, which costs it a look into each file */
void
ramet_pool_refresh (RametConnection *connection, const char *pool)
{
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (ramet_connection_get (connection), pool);

  if (found)
    virStoragePoolRefresh (found, 0);
}

/** ramet_pool_ensure: makes a dir pool over @folder, started with libvirtd, if there is none of that name */
gboolean
ramet_pool_ensure (RametConnection *connection, const char *pool, const char *folder, gboolean *ret_made,
                   GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (conn, pool);
  g_autofree char *xml = ramet_pool_xml (pool, folder);

  *ret_made = FALSE;
  if (found)
    return TRUE;
  found = virStoragePoolDefineXML (conn, xml, 0);
  if (found == NULL || virStoragePoolSetAutostart (found, 1) < 0 ||
      virStoragePoolCreate (found, VIR_STORAGE_POOL_CREATE_WITH_BUILD) < 0)
    {
      ramet_libvirt_error (error, "cannot make the storage pool '%s'", pool);
      if (found)
        virStoragePoolUndefine (found);
      return FALSE;
    }
  *ret_made = TRUE;
  return TRUE;
}

static char *
create_volume (RametConnection *connection, const char *pool, const char *name, const char *xml, GError **error)
{
  g_autoptr (virStoragePool) found = lookup_active_pool (connection, pool, error);
  g_autoptr (virStorageVol) volume = NULL;
  char *path;

  if (found == NULL)
    return NULL;
  volume = virStorageVolCreateXML (found, xml, 0);
  if (volume == NULL)
    {
      gboolean taken = last_error_is (VIR_ERR_STORAGE_VOL_EXIST);

      ramet_libvirt_error (error, "cannot create the volume '%s' in the pool '%s'", name, pool);
      if (taken && error && *error)
        {
          (*error)->code = RAMET_ERROR_STATE;
          ramet_error_hint (error, "no VM of ramet's holds it; if it is of no use: 'virsh vol-delete %s --pool %s'",
                            name, pool);
        }
      return NULL;
    }
  path = virStorageVolGetPath (volume);
  if (path == NULL)
    ramet_libvirt_error (error, "cannot ask where the volume '%s' of the pool '%s' is", name, pool);
  return path;
}

/**
 * ramet_volume_create_overlay:
 * @capacity: virtual size in bytes
 * @backing: absolute path; @backing_format: as probed, for a wrong one is taken without a word
 * @open_to_all: other VMs are to stand on it
 * @error: RAMET_ERROR_STATE if there is a volume of that name
 *
 * Returns: (transfer full): the new volume's path
 */
char *
ramet_volume_create_overlay (RametConnection *connection, const char *pool, const char *name, guint64 capacity,
                             const char *backing, const char *backing_format, gboolean open_to_all, GError **error)
{
  g_autofree char *xml = ramet_volume_overlay_xml (name, capacity, backing, backing_format, open_to_all);

  return create_volume (connection, pool, name, xml, error);
}

static gboolean
send_file (RametTask *task, int fd, virStreamPtr stream, guint64 size, GError **error)
{
  g_autofree char *buffer = g_malloc (UPLOAD_CHUNK_BYTES);
  guint64 sent = 0;
  ssize_t n;

  while ((n = read (fd, buffer, UPLOAD_CHUNK_BYTES)) > 0)
    {
      g_autofree char *status = g_strdup_printf ("%" G_GUINT64_FORMAT " %%", size ? sent * 100 / size : 0);

      ramet_task_status (task, status);
      if (!ramet_task_check (task, error))
        return FALSE;
      for (ssize_t at = 0, m; at < n; at += m)
        {
          m = virStreamSend (stream, buffer + at, (size_t) (n - at));
          if (m < 0)
            {
              ramet_libvirt_error (error, "cannot upload");
              return FALSE;
            }
        }
      sent += (guint64) n;
    }
  if (n < 0)
    ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read the image: %s", g_strerror (errno));
  return n == 0;
}

static gboolean
upload (RametConnection *connection, RametTask *task, const char *path, int fd, GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autoptr (virStorageVol) volume = virStorageVolLookupByPath (conn, path);
  g_autoptr (virStream) stream = virStreamNew (conn, 0);
  struct stat st;

  if (volume == NULL || stream == NULL || fstat (fd, &st) < 0 ||
      virStorageVolUpload (volume, stream, 0, (guint64) st.st_size, 0) < 0)
    {
      ramet_libvirt_error (error, "cannot upload to '%s'", path);
      return FALSE;
    }
  if (!send_file (task, fd, stream, (guint64) st.st_size, error))
    {
      virStreamAbort (stream);
      return FALSE;
    }
  if (virStreamFinish (stream) < 0)
    {
      ramet_libvirt_error (error, "cannot upload to '%s'", path);
      return FALSE;
    }
  return TRUE;
}

/**
 * ramet_volume_create_from_file:
 * @file: an image on this machine
 * @capacity: its virtual size in bytes
 *
 * Returns: (transfer full): the new volume's path; nothing is left behind on failure
 */
char *
ramet_volume_create_from_file (RametConnection *connection, RametTask *task, const char *pool, const char *name,
                               const char *file, const char *format, guint64 capacity, GError **error)
{
  g_autofree char *xml = ramet_volume_plain_xml (name, format, capacity);
  g_autofree char *path = NULL;
  int fd = open (file, O_RDONLY | O_CLOEXEC);
  gboolean done;

  if (fd < 0)
    {
      ramet_error_set (error, errno == ENOENT ? RAMET_ERROR_NOT_FOUND : RAMET_ERROR_FAILED,
                       "cannot read the image '%s': %s", file, g_strerror (errno));
      return NULL;
    }
  path = create_volume (connection, pool, name, xml, error);
  done = path && upload (connection, task, path, fd, error);
  close (fd);
  if (path && !done)
    ramet_volume_delete (connection, pool, name, path, NULL);
  return done ? g_steal_pointer (&path) : NULL;
}

/**
 * ramet_volume_copy:
 * @path: a small file of libvirtd's host, such as UEFI variables
 * @new_name: of the copy, in the same folder
 * @error: RAMET_ERROR_NOT_FOUND if there is no such file, RAMET_ERROR_STATE if there is one of the new name
 */
gboolean
ramet_volume_copy (RametConnection *connection, const char *path, const char *new_name, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_auto (RametFolderPool) pool = { 0 };
  g_autoptr (virStorageVol) from = NULL;
  g_autoptr (virStorageVol) to = NULL;
  g_autofree char *xml = NULL;
  virStorageVolInfo info;

  if (!ramet_folder_pool_open (connection, folder, &pool, error))
    return FALSE;
  from = virStorageVolLookupByName (pool.pool, name);
  if (from == NULL || virStorageVolGetInfo (from, &info) < 0)
    {
      if (last_error_is (VIR_ERR_NO_STORAGE_VOL))
        ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the file '%s' is not there", path);
      else
        ramet_libvirt_error (error, "cannot copy '%s'", path);
      return FALSE;
    }
  xml = ramet_volume_plain_xml (new_name, "raw", info.capacity);
  to = virStorageVolCreateXMLFrom (pool.pool, xml, from, 0);
  if (to == NULL)
    {
      gboolean taken = last_error_is (VIR_ERR_STORAGE_VOL_EXIST);

      ramet_libvirt_error (error, "cannot copy '%s' to '%s'", path, new_name);
      if (taken && error && *error)
        (*error)->code = RAMET_ERROR_STATE;
      return FALSE;
    }
  RAMET_STEP ("file-copied");
  return TRUE;
}

/* Whether we can see for ourselves that there is no such file or folder. */
static gboolean
is_gone (RametConnection *connection, const char *path)
{
  return ramet_connection_is_local (connection) && access (path, F_OK) < 0 && errno == ENOENT;
}

/* One copy that libvirtd makes, while the main loop goes on. */
typedef struct
{
  virStoragePoolPtr pool;
  virStorageVolPtr from;
  const char *xml;
  virStorageVolPtr made;
  GError *error;
  gboolean done;
} Copy;

/* In a thread of its own: libvirt answers when the copy is whole. */
static void
copy_in_thread (GTask *thread, gpointer source, gpointer data, GCancellable *cancellable)
{
  Copy *copy = data;

  copy->made = virStorageVolCreateXMLFrom (copy->pool, copy->xml, copy->from, 0);
  if (copy->made == NULL)
    ramet_libvirt_error (&copy->error, "libvirt could not copy it");
}

static void
on_copied (GObject *source, GAsyncResult *result, gpointer data)
{
  ((Copy *) data)->done = TRUE;
}

static void
show_progress (RametConnection *connection, RametTask *task, const char *path, guint64 expected_bytes)
{
  guint64 bytes = 0;
  g_autofree char *status = NULL;

  if (expected_bytes == 0 || !ramet_connection_is_local (connection) ||
      !ramet_volume_get_allocation (connection, path, &bytes))
    return;
  status = g_strdup_printf ("%" G_GUINT64_FORMAT " %%", MIN (bytes * 100 / expected_bytes, 99));
  ramet_task_status (task, status);
}

/* There is no way to have libvirtd end a copy, so one that is no longer wanted is waited for. */
static gboolean
wait_for_copy (RametConnection *connection, RametTask *task, Copy *copy, const char *path, guint64 expected_bytes,
               GError **error)
{
  gint64 look_us = 0;
  gboolean wanted = TRUE;

  while (!copy->done && wanted)
    {
      if (g_get_monotonic_time () >= look_us)
        {
          show_progress (connection, task, path, expected_bytes);
          look_us = g_get_monotonic_time () + PROGRESS_US;
        }
      wanted = ramet_task_iterate (task, G_MAXINT64, "the copy", error);
    }
  if (!copy->done)
    ramet_task_step (task, "interrupted: waiting for libvirt to end the copy");
  while (!copy->done)
    g_main_context_iteration (NULL, TRUE);
  return wanted;
}

/**
 * ramet_volume_flatten:
 * @pool: where it is, and the copy shall be
 * @path: of a qcow2 file on others, which nobody writes to
 * @capacity: its virtual size in bytes
 * @expected_bytes: about how large the copy will be on disk, for showing how far it is
 *
 * Copies what a guest sees in @path, whichever of its backing files that comes from, into a file that stands on nothing.
 *
 * Returns: (transfer full): the copy's path; nothing is left behind on failure
 */
char *
ramet_volume_flatten (RametConnection *connection, RametTask *task, const char *pool, const char *path,
                      const char *new_name, guint64 capacity, guint64 expected_bytes, GError **error)
{
  g_autofree char *xml = ramet_volume_own_xml (new_name, capacity);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_autofree char *new_path = g_build_filename (folder, new_name, NULL);
  g_autoptr (virStoragePool) found = lookup_active_pool (connection, pool, error);
  g_autoptr (virStorageVol) from = NULL;
  g_autoptr (GTask) thread = NULL;
  Copy copy = { .pool = found, .xml = xml };
  gboolean wanted;

  if (found == NULL)
    return NULL;
  virStoragePoolRefresh (found, 0);
  copy.from = from = virStorageVolLookupByName (found, name);
  if (from == NULL)
    {
      ramet_libvirt_error (error, "cannot find the volume '%s' in the pool '%s'", name, pool);
      return NULL;
    }
  thread = g_task_new (NULL, NULL, on_copied, &copy);
  g_task_set_task_data (thread, &copy, NULL);
  g_task_run_in_thread (thread, copy_in_thread);
  wanted = wait_for_copy (connection, task, &copy, new_path, expected_bytes, error);
  if (copy.made)
    virStorageVolFree (copy.made);
  if (wanted && copy.made)
    return g_steal_pointer (&new_path);
  if (copy.made)
    ramet_volume_delete (connection, pool, new_name, new_path, NULL);
  if (copy.error && wanted)
    {
      g_propagate_prefixed_error (error, g_steal_pointer (&copy.error), "cannot copy '%s' to '%s': ", path, new_name);
      return NULL;
    }
  g_clear_error (&copy.error);
  return NULL;
}

/**
 * ramet_volume_delete:
 * @pool: its pool, or "" for a file in no pool
 * @path: where it was made; a volume of that name elsewhere is not touched
 *
 * A volume that is gone already is fine.
 */
gboolean
ramet_volume_delete (RametConnection *connection, const char *pool, const char *name, const char *path,
                     GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (virStoragePool) named = *pool ? virStoragePoolLookupByName (conn, pool) : NULL;
  g_autoptr (virStorageVol) volume = named ? virStorageVolLookupByName (named, name) : NULL;
  g_autofree char *is_path = volume ? virStorageVolGetPath (volume) : NULL;
  g_auto (RametFolderPool) other = { 0 };
  g_autoptr (GError) why = NULL;

  if (g_strcmp0 (is_path, path) != 0)
    {
      g_clear_pointer (&volume, virStorageVolFree);
      if (!ramet_folder_pool_open (connection, folder, &other, &why))
        {
          if (is_gone (connection, folder))
            return TRUE;
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      volume = virStorageVolLookupByName (other.pool, name);
      if (volume == NULL && !other.stale && last_error_is (VIR_ERR_NO_STORAGE_VOL))
        return TRUE;
    }
  if (volume && virStorageVolDelete (volume, 0) == 0)
    return TRUE;
  if (volume == NULL && last_error_is (VIR_ERR_NO_STORAGE_VOL))
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot delete the volume '%s': libvirt is busy with its pool, and cannot "
                                                  "tell whether it is there", path);
      ramet_error_hint (error, "try again in a while");
    }
  else
    ramet_libvirt_error (error, "cannot delete the volume '%s'", path);
  return FALSE;
}

/**
 * ramet_volume_is_there:
 * @path: of a file on libvirtd's host
 * @error: nobody could look
 */
gboolean
ramet_volume_is_there (RametConnection *connection, const char *path, gboolean *ret_there, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_auto (RametFolderPool) pool = { 0 };
  g_autoptr (virStorageVol) volume = NULL;
  struct stat st;
  int failed = ramet_connection_is_local (connection) ? lstat (path, &st) : -1;

  if (failed == 0 || (ramet_connection_is_local (connection) && (errno == ENOENT || errno == ENOTDIR)))
    {
      *ret_there = failed == 0;
      return TRUE;
    }
  if (!ramet_folder_pool_open (connection, folder, &pool, error))
    return FALSE;
  volume = virStorageVolLookupByName (pool.pool, name);
  *ret_there = volume != NULL;
  return TRUE;
}

/** ramet_volume_grow: the disk at @path, of a VM that is off, to @bytes */
gboolean
ramet_volume_grow (RametConnection *connection, const char *path, guint64 bytes, GError **error)
{
  g_autoptr (virStorageVol) volume = virStorageVolLookupByPath (ramet_connection_get (connection), path);

  if (volume && virStorageVolResize (volume, bytes, 0) == 0)
    return TRUE;
  ramet_libvirt_error (error, "cannot grow the disk '%s'", path);
  return FALSE;
}

/** ramet_volume_get_allocation: @ret_bytes: what the file takes on its filesystem */
gboolean
ramet_volume_get_allocation (RametConnection *connection, const char *path, guint64 *ret_bytes)
{
  g_autoptr (virStorageVol) volume = NULL;
  virStorageVolInfo info;
  struct stat st;

  if (ramet_connection_is_local (connection) && stat (path, &st) == 0)
    {
      *ret_bytes = (guint64) st.st_blocks * 512;
      return TRUE;
    }
  volume = virStorageVolLookupByPath (ramet_connection_get (connection), path);
  if (volume == NULL || virStorageVolGetInfo (volume, &info) < 0)
    return FALSE;
  *ret_bytes = info.allocation;
  return TRUE;
}
