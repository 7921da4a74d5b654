/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/storage.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/connection-private.h"
#include "model/disk.h"
#include "model/xml.h"

#define UPLOAD_CHUNK_BYTES (256 * 1024)

static void
image_free (gpointer data)
{
  RametImage *image = data;

  g_free (image->path);
  g_free (image->format);
  g_free (image->backing);
  g_free (image);
}

/*
 * A pool over @folder: one that is there already, or else a transient one that goes with its last reference: pools are
 * how a plain member of the group libvirt reaches files that are root's.
 */
typedef struct
{
  virStoragePoolPtr pool;
  gboolean transient;
} FolderPool;

static void
folder_pool_close (FolderPool *folder)
{
  if (folder->pool && folder->transient)
    virStoragePoolDestroy (folder->pool);
  g_clear_pointer (&folder->pool, virStoragePoolFree);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (FolderPool, folder_pool_close)

static char *
pool_xml (const char *name, const char *folder)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *pool = xmlNewNode (NULL, (const xmlChar *) "pool");

  xmlDocSetRootElement (doc, pool);
  ramet_xml_set (pool, "type", "dir");
  ramet_xml_add (pool, "name", name);
  ramet_xml_add (ramet_xml_add (pool, "target", NULL), "path", folder);
  return ramet_xml_dump (doc);
}

static gboolean
folder_pool_open (RametConnection *connection, const char *folder, FolderPool *ret_pool, GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autofree char *uuid = g_uuid_string_random ();
  g_autofree char *name = g_strconcat ("ramet-", uuid, NULL);
  g_autofree char *xml = pool_xml (name, folder);
  virStoragePoolPtr pool = virStoragePoolLookupByTargetPath (conn, folder);

  ret_pool->transient = pool == NULL || virStoragePoolIsActive (pool) != 1;
  if (ret_pool->transient)
    {
      g_clear_pointer (&pool, virStoragePoolFree);
      pool = virStoragePoolCreateXML (conn, xml, 0);
    }
  else
    virStoragePoolRefresh (pool, 0);
  if (pool == NULL)
    {
      ramet_libvirt_error (error, "cannot look into '%s' through libvirt", folder);
      return FALSE;
    }
  ret_pool->pool = pool;
  return TRUE;
}

static gboolean
read_stream (virStorageVolPtr volume, virStreamPtr stream, guint8 *buffer, gsize size, gsize *ret_length)
{
  gsize length = 0;
  int n = 1;

  if (virStorageVolDownload (volume, stream, 0, size, 0) < 0)
    return FALSE;
  while (length < size && (n = virStreamRecv (stream, (char *) buffer + length, size - length)) > 0)
    length += (gsize) n;
  if (n < 0)
    {
      virStreamAbort (stream);
      return FALSE;
    }
  virStreamFinish (stream);
  *ret_length = length;
  return TRUE;
}

/* The start of a file that only libvirtd may read. */
static gboolean
read_head_by_libvirt (RametConnection *connection, const char *path, guint8 *buffer, RametImage *image,
                      gsize *ret_length, GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autoptr (virStorageVol) volume = virStorageVolLookupByPath (conn, path);
  g_autoptr (virStream) stream = virStreamNew (conn, 0);
  g_auto (FolderPool) pool = { 0 };
  virStorageVolInfo info;

  if (volume == NULL)
    {
      if (!folder_pool_open (connection, folder, &pool, error))
        return FALSE;
      volume = virStorageVolLookupByPath (conn, path);
    }
  if (volume == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the disk file '%s' is not there", path);
      return FALSE;
    }
  if (stream == NULL || virStorageVolGetInfo (volume, &info) < 0 ||
      !read_stream (volume, stream, buffer, RAMET_DISK_HEADER_BYTES, ret_length))
    {
      ramet_libvirt_error (error, "cannot read the disk file '%s'", path);
      return FALSE;
    }
  image->capacity = info.capacity;
  return TRUE;
}

static gboolean
read_head_of_file (int fd, guint8 *buffer, RametImage *image, gsize *ret_length)
{
  gsize length = 0;
  off_t end = lseek (fd, 0, SEEK_END);
  ssize_t n;

  while (length < RAMET_DISK_HEADER_BYTES &&
         (n = pread (fd, buffer + length, RAMET_DISK_HEADER_BYTES - length, (off_t) length)) > 0)
    length += (gsize) n;
  if (end < 0 || n < 0)
    return FALSE;
  image->capacity = (guint64) end;
  *ret_length = length;
  return TRUE;
}

static gboolean
read_head (RametConnection *connection, const char *path, guint8 *buffer, RametImage *image, gsize *ret_length,
           GError **error)
{
  gboolean local = ramet_connection_is_local (connection);
  struct stat st;
  int fd;

  if (local && stat (path, &st) == 0)
    {
      image->file_size = (guint64) st.st_size;
      image->mtime = st.st_mtim.tv_sec;
      if (!S_ISREG (st.st_mode) && !S_ISBLK (st.st_mode))
        {
          ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is neither a file nor a block device", path);
          return FALSE;
        }
    }
  else if (local && errno == ENOENT)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the disk file '%s' is not there", path);
      return FALSE;
    }
  fd = local ? open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
  if (fd >= 0)
    {
      gboolean done = read_head_of_file (fd, buffer, image, ret_length);

      close (fd);
      if (done)
        return TRUE;
    }
  return read_head_by_libvirt (connection, path, buffer, image, ret_length, error);
}

static gboolean
check_header (const RametDiskHeader *header, const char *path, const char *declared, GError **error)
{
  if (declared && !g_str_equal (declared, header->format))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is declared as %s and is %s", path, declared, header->format);
      ramet_error_hint (error, "a clone made this way would read garbage: set the right format with 'virsh edit'");
    }
  else if (header->encrypted || g_str_equal (header->format, "luks"))
    ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is encrypted", path);
  else if (header->external_data)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' keeps its data in another file", path);
  else if (header->backing && strchr (header->backing, ':') && *header->backing != '/')
    ramet_error_set (error, RAMET_ERROR_REFUSED, "the backing file of '%s' is no plain file: '%s'", path,
                     header->backing);
  else if (header->backing && header->backing_format == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' does not say which format its backing file has", path);
      ramet_error_hint (error, "write it in with 'qemu-img rebase -u -b BACKING -F FORMAT %s'", path);
    }
  else
    return TRUE;
  return FALSE;
}

/*
 * One link of the chain. What is declared as raw and looks like another format is refused too: either the declaration is
 * wrong, or a guest has written that header into its disk to be handed a file of the host.
 */
static RametImage *
inspect_one (RametConnection *connection, const char *path, const char *declared, char **ret_backing_format,
             GError **error)
{
  g_autofree guint8 *buffer = g_malloc (RAMET_DISK_HEADER_BYTES);
  g_autoptr (RametDiskHeader) header = NULL;
  RametImage *image = g_new0 (RametImage, 1);
  gsize length = 0;

  image->path = g_strdup (path);
  if (!read_head (connection, path, buffer, image, &length, error) ||
      !(header = ramet_disk_header_parse (buffer, length, error)) || !check_header (header, path, declared, error))
    {
      image_free (image);
      return NULL;
    }
  image->format = g_strdup (declared ? declared : header->format);
  if (!g_str_equal (image->format, "raw"))
    {
      g_autofree char *folder = g_path_get_dirname (path);

      if (header->capacity)
        image->capacity = header->capacity;
      image->backing = header->backing ? g_canonicalize_filename (header->backing, folder) : NULL;
      *ret_backing_format = g_strdup (header->backing_format);
    }
  return image;
}

/**
 * ramet_storage_inspect:
 * @path: of a disk's file or block device, on libvirtd's host
 * @declared_format: (nullable): what the domain says it is
 *
 * Follows the chain of backing files, reading each one's header. libvirt itself accepts a wrong format and only then
 * shows the guest garbage.
 *
 * Returns: (transfer full) (element-type RametImage): @path first, at most RAMET_MAX_CHAIN
 */
GPtrArray *
ramet_storage_inspect (RametConnection *connection, const char *path, const char *declared_format, GError **error)
{
  g_autoptr (GPtrArray) chain = g_ptr_array_new_with_free_func (image_free);
  g_autofree char *format = g_strdup (declared_format);
  g_autofree char *next = g_strdup (path);

  while (next)
    {
      g_autofree char *backing_format = NULL;
      RametImage *image;

      for (guint i = 0; i < chain->len; i++)
        if (g_str_equal (((RametImage *) g_ptr_array_index (chain, i))->path, next))
          {
            ramet_error_set (error, RAMET_ERROR_REFUSED, "the backing files of '%s' go round in a circle at '%s'", path,
                             next);
            return NULL;
          }
      if (chain->len == RAMET_MAX_CHAIN)
        {
          ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' stands on more than %d backing files", path,
                           RAMET_MAX_CHAIN - 1);
          return NULL;
        }
      image = inspect_one (connection, next, format, &backing_format, error);
      if (image == NULL)
        return NULL;
      g_ptr_array_add (chain, image);
      g_free (next);
      next = g_strdup (image->backing);
      g_free (format);
      format = g_steal_pointer (&backing_format);
    }
  return g_steal_pointer (&chain);
}

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

static virStoragePoolPtr
lookup_active_pool (RametConnection *connection, const char *pool, GError **error)
{
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (ramet_connection_get (connection), pool);

  if (found == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "there is no storage pool '%s'", pool);
      ramet_error_hint (error,
                        "make one: 'virsh pool-define-as %s dir --target /var/lib/libvirt/images', then "
                        "'virsh pool-autostart %s' and 'virsh pool-start %s'",
                        pool, pool, pool);
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

/** ramet_pool_ensure: makes a dir pool over @folder, started with libvirtd, if there is none of that name */
gboolean
ramet_pool_ensure (RametConnection *connection, const char *pool, const char *folder, gboolean *ret_made,
                   GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (conn, pool);
  g_autofree char *xml = pool_xml (pool, folder);

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

  if (found == NULL)
    return NULL;
  volume = virStorageVolCreateXML (found, xml, 0);
  if (volume == NULL)
    {
      const virError *why = virGetLastError ();
      gboolean taken = why && why->code == VIR_ERR_STORAGE_VOL_EXIST;

      ramet_libvirt_error (error, "cannot create the volume '%s' in the pool '%s'", name, pool);
      if (taken && error && *error)
        {
          (*error)->code = RAMET_ERROR_STATE;
          ramet_error_hint (error, "no VM of ramet's holds it; if it is of no use: 'virsh vol-delete %s --pool %s'",
                            name, pool);
        }
      return NULL;
    }
  return virStorageVolGetPath (volume);
}

/**
 * ramet_volume_create_overlay:
 * @capacity: virtual size in bytes
 * @backing: absolute path; @backing_format: as probed, for a wrong one is taken without a word
 * @error: RAMET_ERROR_STATE if there is a volume of that name
 *
 * Returns: (transfer full): the new volume's path
 */
char *
ramet_volume_create_overlay (RametConnection *connection, const char *pool, const char *name, guint64 capacity,
                             const char *backing, const char *backing_format, GError **error)
{
  g_autofree char *xml = ramet_volume_overlay_xml (name, capacity, backing, backing_format);

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
 *
 * Returns: (transfer full): the copy's path
 */
char *
ramet_volume_copy (RametConnection *connection, const char *path, const char *new_name, char **ret_pool,
                   GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_auto (FolderPool) pool = { 0 };
  g_autoptr (virStorageVol) from = NULL;
  g_autoptr (virStorageVol) to = NULL;
  g_autofree char *xml = NULL;
  virStorageVolInfo info;

  if (!folder_pool_open (connection, folder, &pool, error))
    return NULL;
  from = virStorageVolLookupByName (pool.pool, name);
  if (from == NULL || virStorageVolGetInfo (from, &info) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the file '%s' is not there", path);
      return NULL;
    }
  xml = ramet_volume_plain_xml (new_name, "raw", info.capacity);
  to = virStorageVolCreateXMLFrom (pool.pool, xml, from, 0);
  if (to == NULL)
    {
      ramet_libvirt_error (error, "cannot copy '%s' to '%s'", path, new_name);
      return NULL;
    }
  *ret_pool = g_strdup (pool.transient ? "" : virStoragePoolGetName (pool.pool));
  return virStorageVolGetPath (to);
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
  g_auto (FolderPool) other = { 0 };

  if (g_strcmp0 (is_path, path) != 0)
    {
      g_clear_pointer (&volume, virStorageVolFree);
      if (!folder_pool_open (connection, folder, &other, error))
        return FALSE;
      volume = virStorageVolLookupByName (other.pool, name);
    }
  if (volume && virStorageVolDelete (volume, 0) < 0)
    {
      ramet_libvirt_error (error, "cannot delete the volume '%s'", path);
      return FALSE;
    }
  return TRUE;
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
