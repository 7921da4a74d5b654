/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/folder-files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/stop.h"
#include "host/libvirt/storage-private.h"
#include "model/xml.h"

#define CHUNK_BYTES (256 * 1024)
#define LAST_BYTES 4096
#define AT_HOLE -3 /* what virStreamRecvFlags() gives there */
#define LOG_BACKUPS 3 /* virtlogd's max_backups where nobody has set another */

static void
add_owner (xmlNode *target, const RametFileOwner *owner)
{
  xmlNode *node = ramet_xml_add (target, "permissions", NULL);
  g_autofree char *mode = g_strdup_printf ("0%o", owner->mode);
  g_autofree char *uid = g_strdup_printf ("%u", owner->uid);
  g_autofree char *gid = g_strdup_printf ("%u", owner->gid);

  ramet_xml_add (node, "mode", mode);
  ramet_xml_add (node, "owner", uid);
  ramet_xml_add (node, "group", gid);
}

static char *
owned_pool_xml (const char *name, const char *folder, const RametFileOwner *owner)
{
  g_autofree char *xml = ramet_pool_xml (name, folder);
  g_autoptr (xmlDoc) doc = ramet_xml_parse (xml, "pool", NULL);

  add_owner (ramet_xml_first (xmlDocGetRootElement (doc), "target"), owner);
  return ramet_xml_dump (doc);
}

/* Raw, as long as @bytes, and all of it a hole. */
static char *
file_xml (const char *name, guint64 bytes, const RametFileOwner *owner)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *root = xmlNewNode (NULL, (const xmlChar *) "volume");
  g_autofree char *capacity = g_strdup_printf ("%" G_GUINT64_FORMAT, bytes);
  xmlNode *target;

  xmlDocSetRootElement (doc, root);
  ramet_xml_add (root, "name", name);
  ramet_xml_set (ramet_xml_add (root, "capacity", capacity), "unit", "bytes");
  ramet_xml_add (root, "allocation", "0");
  target = ramet_xml_add (root, "target", NULL);
  ramet_xml_set (ramet_xml_add (target, "format", NULL), "type", "raw");
  add_owner (target, owner);
  return ramet_xml_dump (doc);
}

/**
 * ramet_folder_make:
 * @folder: on libvirtd's host
 *
 * Makes it with that owner and mode, and what it lies in as needed; or gives it both if it is there already.
 */
gboolean
ramet_folder_make (RametConnection *connection, const char *folder, const RametFileOwner *owner, GError **error)
{
  g_autofree char *worker = ramet_worker_self ();
  g_autofree char *name = g_strdup_printf (RAMET_POOL_PREFIX "%s-%08x", worker ? worker : "0", g_random_int ());
  g_autofree char *xml = owned_pool_xml (name, folder, owner);
  g_autoptr (virStoragePool) pool =
    virStoragePoolCreateXML (ramet_connection_get (connection), xml, VIR_STORAGE_POOL_CREATE_WITH_BUILD);

  if (pool == NULL)
    {
      ramet_libvirt_error (error, "cannot make the folder '%s' through libvirt", folder);
      return FALSE;
    }
  virStoragePoolDestroy (pool);
  RAMET_STEP ("folder-made");
  return TRUE;
}

/** ramet_folder_list: (transfer full) (element-type utf8): the names of the files in @folder, on libvirtd's host */
GPtrArray *
ramet_folder_list (RametConnection *connection, const char *folder, GError **error)
{
  g_auto (RametFolderPool) pool = { 0 };
  virStorageVolPtr *volumes = NULL;
  GPtrArray *names;
  int n;

  if (!ramet_folder_pool_open (connection, folder, &pool, error))
    return NULL;
  n = virStoragePoolListAllVolumes (pool.pool, &volumes, 0);
  if (n < 0)
    {
      ramet_libvirt_error (error, "cannot list the files in '%s'", folder);
      return NULL;
    }
  names = g_ptr_array_new_with_free_func (g_free);
  for (int i = 0; i < n; i++)
    {
      virStorageVolInfo info;

      /* folders are volumes to libvirt, too */
      if (virStorageVolGetInfo (volumes[i], &info) == 0 && info.type == VIR_STORAGE_VOL_FILE)
        g_ptr_array_add (names, g_strdup (virStorageVolGetName (volumes[i])));
      virStorageVolFree (volumes[i]);
    }
  free (volumes);
  return names;
}

static gboolean
send_bytes (virStreamPtr stream, const char *bytes, gsize length, const char *path, GError **error)
{
  while (length > 0)
    {
      int n = virStreamSend (stream, bytes, length);

      if (n < 0)
        {
          ramet_libvirt_error (error, "cannot write '%s'", path);
          return FALSE;
        }
      bytes += n;
      length -= (gsize) n;
    }
  return TRUE;
}

/* Where the data or hole at @at ends; all is data on a filesystem that knows no holes. */
static guint64
seek_end (int fd, guint64 at, guint64 size, gboolean *ret_hole)
{
  goffset data = lseek (fd, (goffset) at, SEEK_DATA);
  goffset end;

  *ret_hole = (data < 0 && errno == ENXIO) || data > (goffset) at;
  end = !*ret_hole ? lseek (fd, (goffset) at, SEEK_HOLE) : data;
  return end < 0 ? size : MIN ((guint64) end, size);
}

/* @ret_last: (out): where the last that is no hole ends; 0 if all is one */
static gboolean
send_sparse (RametTask *task, virStreamPtr stream, int fd, guint64 size, const char *path, guint64 *ret_last, GError **error)
{
  g_autofree char *buffer = g_malloc (CHUNK_BYTES);
  gboolean hole;

  for (guint64 at = 0, end; at < size; at = end)
    {
      g_autofree char *status = g_strdup_printf ("%" G_GUINT64_FORMAT " %%", at * 100 / size);
      ssize_t n;

      ramet_task_status (task, status);
      end = seek_end (fd, at, size, &hole);
      if (hole && virStreamSendHole (stream, (long long) (end - at), 0) < 0)
        return ramet_libvirt_error (error, "cannot write '%s'", path), FALSE;
      if (!ramet_task_check (task, error))
        return FALSE;
      if (hole)
        continue;
      end = MIN (end, at + CHUNK_BYTES);
      n = pread (fd, buffer, end - at, (goffset) at);
      if (n <= 0)
        {
          ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read what is to become '%s': %s", path,
                           n < 0 ? g_strerror (errno) : "it has become shorter");
          return FALSE;
        }
      end = at + (guint64) n;
      *ret_last = end;
      if (!send_bytes (stream, buffer, (gsize) n, path, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
upload (RametConnection *connection, RametTask *task, virStorageVolPtr volume, int fd, guint64 size, const char *path,
        guint64 *ret_last, GError **error)
{
  g_autoptr (virStream) stream = virStreamNew (ramet_connection_get (connection), 0);

  if (stream == NULL || virStorageVolUpload (volume, stream, 0, size, VIR_STORAGE_VOL_UPLOAD_SPARSE_STREAM) < 0)
    return ramet_libvirt_error (error, "cannot write '%s'", path), FALSE;
  if (!send_sparse (task, stream, fd, size, path, ret_last, error))
    {
      virStreamAbort (stream);
      return FALSE;
    }
  if (virStreamFinish (stream) < 0)
    return ramet_libvirt_error (error, "cannot write '%s'", path), FALSE;
  return TRUE;
}

/* Reads @length bytes of @volume from @at on. */
static gboolean
download (RametConnection *connection, virStorageVolPtr volume, guint64 at, guint8 *bytes, gsize length, const char *path,
          GError **error)
{
  g_autoptr (virStream) stream = virStreamNew (ramet_connection_get (connection), 0);
  gsize have = 0;
  int n = 1;

  if (stream == NULL || virStorageVolDownload (volume, stream, at, length, 0) < 0)
    return ramet_libvirt_error (error, "cannot read '%s'", path), FALSE;
  while (have < length && (n = virStreamRecv (stream, (char *) bytes + have, length - have)) > 0)
    have += (gsize) n;
  if (n < 0)
    ramet_libvirt_error (error, "cannot read '%s'", path);
  if (n < 0 || have < length)
    virStreamAbort (stream);
  else
    virStreamFinish (stream);
  return n >= 0;
}

/* libvirt does not always tell that it could not write the last of what it was sent: on a full disk, that is not there. */
static gboolean
check_last (RametConnection *connection, virStorageVolPtr volume, int fd, guint64 last, const char *path, GError **error)
{
  guint8 sent[LAST_BYTES] = { 0 };
  guint8 there[LAST_BYTES] = { 0 };
  gsize length = (gsize) MIN (last, LAST_BYTES);

  if (last == 0)
    return TRUE;
  if (!download (connection, volume, last - length, there, length, path, error))
    return FALSE;
  if (pread (fd, sent, length, (goffset) (last - length)) == (ssize_t) length && memcmp (sent, there, length) == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write '%s': not all of it arrived", path);
  ramet_error_hint (error, "is there room for it on its disk?");
  return FALSE;
}

/**
 * ramet_folder_put:
 * @path: of the new file, on libvirtd's host
 * @fd: of what it shall hold: a file; where that has holes it has holes, too
 * @error: RAMET_ERROR_STATE if there is one already; RAMET_ERROR_CANCELLED; RAMET_ERROR_FAILED
 *
 * Nothing is left of it on failure.
 */
gboolean
ramet_folder_put (RametConnection *connection, RametTask *task, const char *path, int fd, const RametFileOwner *owner,
                  GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_auto (RametFolderPool) pool = { 0 };
  g_autoptr (virStorageVol) volume = NULL;
  g_autofree char *xml = NULL;
  guint64 last = 0;
  struct stat st;

  if (fstat (fd, &st) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read what is to become '%s': %s", path, g_strerror (errno));
      return FALSE;
    }
  if (!ramet_folder_pool_open (connection, folder, &pool, error))
    return FALSE;
  xml = file_xml (name, (guint64) st.st_size, owner);
  volume = virStorageVolCreateXML (pool.pool, xml, 0);
  if (volume == NULL)
    {
      const virError *why = virGetLastError ();
      gboolean taken = why && why->code == VIR_ERR_STORAGE_VOL_EXIST;

      ramet_libvirt_error (error, "cannot make '%s'", path);
      if (taken && error && *error)
        (*error)->code = RAMET_ERROR_STATE;
      return FALSE;
    }
  RAMET_STEP ("file-made");
  if (upload (connection, task, volume, fd, (guint64) st.st_size, path, &last, error) &&
      check_last (connection, volume, fd, last, path, error))
    return TRUE;
  virStorageVolDelete (volume, 0);
  return FALSE;
}

static gboolean
write_all (int fd, const char *bytes, gsize length, const char *path, GError **error)
{
  while (length > 0)
    {
      ssize_t n = write (fd, bytes, length);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        {
          int why = errno;

          ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write what '%s' holds: %s", path, g_strerror (why));
          if (why == ENOSPC)
            ramet_error_hint (error, "make room; XDG_CACHE_HOME may name another place");
          return FALSE;
        }
      bytes += n;
      length -= (gsize) n;
    }
  return TRUE;
}

/* A file has a hole there, a pipe gets zeros. */
static gboolean
write_hole (int fd, guint64 length, const char *path, GError **error)
{
  static const char zeros[LAST_BYTES];

  if (lseek (fd, (goffset) length, SEEK_CUR) >= 0)
    return TRUE;
  for (guint64 n; length > 0; length -= n)
    {
      n = MIN (length, sizeof zeros);
      if (!write_all (fd, zeros, (gsize) n, path, error))
        return FALSE;
    }
  return TRUE;
}

/* A file that ends in a hole has no more of it yet than its data. */
static gboolean
end_file (int fd, const char *path, GError **error)
{
  goffset end = lseek (fd, 0, SEEK_CUR);

  if (end < 0 || ftruncate (fd, end) == 0)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write what '%s' holds: %s", path, g_strerror (errno));
  return FALSE;
}

static gboolean
receive (RametTask *task, virStreamPtr stream, int fd, const char *path, GError **error)
{
  g_autofree char *buffer = g_malloc (CHUNK_BYTES);

  for (;;)
    {
      int n = virStreamRecvFlags (stream, buffer, CHUNK_BYTES, VIR_STREAM_RECV_STOP_AT_HOLE);
      long long hole = 0;

      if (n == 0)
        return end_file (fd, path, error);
      if (n < 0 && (n != AT_HOLE || virStreamRecvHole (stream, &hole, 0) < 0))
        return ramet_libvirt_error (error, "cannot read '%s'", path), FALSE;
      if (!ramet_task_check (task, error) ||
          !(n < 0 ? write_hole (fd, (guint64) hole, path, error) : write_all (fd, buffer, (gsize) n, path, error)))
        return FALSE;
    }
}

/* @length bytes from @offset on, 0: all */
static gboolean
download_to (RametTask *task, virStorageVolPtr volume, guint64 offset, guint64 length, int fd, const char *path, GError **error)
{
  g_autoptr (virStream) stream = virStreamNew (virStorageVolGetConnect (volume), 0);

  if (stream == NULL || virStorageVolDownload (volume, stream, offset, length, VIR_STORAGE_VOL_DOWNLOAD_SPARSE_STREAM) < 0)
    return ramet_libvirt_error (error, "cannot read '%s'", path), FALSE;
  if (!receive (task, stream, fd, path, error))
    {
      virStreamAbort (stream);
      return FALSE;
    }
  if (virStreamFinish (stream) < 0)
    return ramet_libvirt_error (error, "cannot read '%s'", path), FALSE;
  return TRUE;
}

/* A file on libvirtd's host, with the pool over its folder. */
static virStorageVolPtr
look_up (RametConnection *connection, const char *path, RametFolderPool *ret_pool, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  virStorageVolPtr volume;

  if (!ramet_folder_pool_open (connection, folder, ret_pool, error))
    return NULL;
  volume = virStorageVolLookupByName (ret_pool->pool, name);
  if (volume == NULL)
    ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the file '%s' is not there", path);
  return volume;
}

/**
 * ramet_folder_get:
 * @path: of a file on libvirtd's host
 * @max_bytes: of it, from its start; 0 for all
 * @fd: where they go: an empty file, which has holes where that has some; or a pipe that another thread reads
 * @error: RAMET_ERROR_NOT_FOUND, RAMET_ERROR_CANCELLED or RAMET_ERROR_FAILED
 */
gboolean
ramet_folder_get (RametConnection *connection, RametTask *task, const char *path, guint64 max_bytes, int fd, GError **error)
{
  g_auto (RametFolderPool) pool = { 0 };
  g_autoptr (virStorageVol) volume = look_up (connection, path, &pool, error);

  return volume && download_to (task, volume, 0, max_bytes, fd, path, error);
}

/**
 * ramet_folder_get_end:
 * @path: of a file on libvirtd's host that grows
 * @max_bytes: no more than so many, the last ones
 * @at: (inout): from where on; comes to say from where on it is, which is before that only if the file has become shorter
 * @fd: an empty file, where they go
 * @error: as of ramet_folder_get()
 */
gboolean
ramet_folder_get_end (RametConnection *connection, RametTask *task, const char *path, guint64 max_bytes, guint64 *at, int fd,
                      GError **error)
{
  g_auto (RametFolderPool) pool = { 0 };
  g_autoptr (virStorageVol) volume = look_up (connection, path, &pool, error);
  virStorageVolInfo info;
  guint64 from = *at;
  guint64 size;

  if (volume == NULL)
    return FALSE;
  /* not what the file's own first bytes may say, should they look like those of a disk */
  if (virStorageVolGetInfoFlags (volume, &info, VIR_STORAGE_VOL_GET_PHYSICAL) < 0)
    return ramet_libvirt_error (error, "cannot read '%s'", path), FALSE;
  size = info.allocation;
  if (size < from)
    from = 0;
  if (size - from > max_bytes)
    from = size - max_bytes;
  *at = from;
  return size == from || download_to (task, volume, from, size - from, fd, path, error);
}

/**
 * ramet_folder_remove_log:
 * @path: of a log on libvirtd's host, as virtlogd writes it: what is older lies beside it as @path.0, @path.1 …
 *
 * What is gone already is fine.
 */
gboolean
ramet_folder_remove_log (RametConnection *connection, const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_auto (RametFolderPool) pool = { 0 };

  /* most VMs that are removed have one, but those that never ran, and who may not look has to ask */
  if (ramet_connection_is_local (connection) && access (path, F_OK) < 0 && errno == ENOENT)
    return TRUE;
  if (!ramet_folder_pool_open (connection, folder, &pool, error))
    return FALSE;
  for (int i = -1; i < LOG_BACKUPS; i++)
    {
      g_autofree char *file = i < 0 ? g_strdup (name) : g_strdup_printf ("%s.%d", name, i);
      g_autoptr (virStorageVol) volume = virStorageVolLookupByName (pool.pool, file);

      if (volume && virStorageVolDelete (volume, 0) < 0)
        return ramet_libvirt_error (error, "cannot delete '%s/%s'", folder, file), FALSE;
    }
  return TRUE;
}
