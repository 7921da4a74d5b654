/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/libvirt/storage-private.h"
#include "model/disk.h"

void
ramet_image_free (RametImage *image)
{
  g_free (image->path);
  g_free (image->format);
  g_free (image->header);
  g_free (image->backing);
  g_free (image);
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
  g_auto (RametFolderPool) pool = { 0 };
  virStorageVolInfo info;

  if (volume == NULL)
    {
      if (!ramet_folder_pool_open (connection, folder, &pool, error))
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
      image->inode = st.st_ino;
      image->file_size = (guint64) st.st_size;
      image->mtime_ns = (gint64) st.st_mtim.tv_sec * G_GINT64_CONSTANT (1000000000) + st.st_mtim.tv_nsec;
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
  g_autoptr (RametImage) image = g_new0 (RametImage, 1);
  gsize length = 0;

  image->path = g_strdup (path);
  if (!read_head (connection, path, buffer, image, &length, error) ||
      !(header = ramet_disk_header_parse (buffer, length, error)) || !check_header (header, path, declared, error))
    return NULL;
  image->header = g_compute_checksum_for_data (G_CHECKSUM_SHA256, buffer, length);
  image->format = g_strdup (declared ? declared : header->format);
  if (!g_str_equal (image->format, "raw"))
    {
      g_autofree char *folder = g_path_get_dirname (path);

      if (header->capacity)
        image->capacity = header->capacity;
      image->backing = header->backing ? g_canonicalize_filename (header->backing, folder) : NULL;
      image->n_snapshots = header->n_snapshots;
      *ret_backing_format = g_strdup (header->backing_format);
    }
  return g_steal_pointer (&image);
}

/**
 * ramet_image_look:
 * @declared_format: (nullable): what the domain says it is
 * @error: RAMET_ERROR_NOT_FOUND if the file is gone
 *
 * As ramet_image_inspect(), without following the chain.
 *
 * Returns: (transfer full)
 */
RametImage *
ramet_image_look (RametConnection *connection, const char *path, const char *declared_format, GError **error)
{
  g_autofree char *backing_format = NULL;

  return inspect_one (connection, path, declared_format, &backing_format, error);
}

/** ramet_image_print_chain: (transfer full): the paths of @chain, from ramet_image_inspect(), joined by arrows */
char *
ramet_image_print_chain (GPtrArray *chain)
{
  GString *text = g_string_new (NULL);

  for (guint i = 0; i < chain->len; i++)
    g_string_append_printf (text, "%s'%s'", i ? " -> " : "", ((RametImage *) g_ptr_array_index (chain, i))->path);
  return g_string_free (text, FALSE);
}

/**
 * ramet_image_inspect:
 * @path: of a disk's file or block device, on libvirtd's host
 * @declared_format: (nullable): what the domain says it is
 *
 * Follows the chain of backing files, reading each one's header. libvirt itself accepts a wrong format and only then
 * shows the guest garbage.
 *
 * Returns: (transfer full) (element-type RametImage): @path first, at most RAMET_MAX_CHAIN
 */
GPtrArray *
ramet_image_inspect (RametConnection *connection, const char *path, const char *declared_format, GError **error)
{
  g_autoptr (GPtrArray) chain = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_image_free);
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
          g_autofree char *all = ramet_image_print_chain (chain);

          ramet_error_set (error, RAMET_ERROR_REFUSED, "a disk may stand on %d files and not more: %s -> '%s' …",
                           RAMET_MAX_CHAIN, all, next);
          ramet_error_hint (error, "make the chain shorter: 'ramet flatten NAME', or 'qemu-img commit'");
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

static gboolean
write_stream (virStorageVolPtr volume, virStreamPtr stream, const guint8 *bytes, gsize length)
{
  gsize sent = 0;
  int n;

  if (virStorageVolUpload (volume, stream, 0, length, 0) < 0)
    return FALSE;
  while (sent < length)
    {
      n = virStreamSend (stream, (const char *) bytes + sent, length - sent);
      if (n < 0)
        {
          virStreamAbort (stream);
          return FALSE;
        }
      sent += (gsize) n;
    }
  return virStreamFinish (stream) == 0;
}

/**
 * ramet_image_set_backing:
 * @path: of a qcow2 file that stands on another and that nobody has open
 * @backing: a file with the same content as the one it names now
 *
 * Only the header is written, in whole pages at once, so that whatever comes it names the one or the other. It goes through
 * libvirt, since overlays are closed to all but root.
 */
gboolean
ramet_image_set_backing (RametConnection *connection, const char *path, const char *backing, const char *backing_format,
                         GError **error)
{
  virConnectPtr conn = ramet_connection_get (connection);
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *name = g_path_get_basename (path);
  g_autofree guint8 *bytes = g_malloc (RAMET_DISK_HEADER_BYTES);
  g_auto (RametFolderPool) pool = { 0 };
  g_autoptr (virStorageVol) volume = NULL;
  g_autoptr (virStream) down = virStreamNew (conn, 0);
  g_autoptr (virStream) up = virStreamNew (conn, 0);
  gsize length = 0;
  gsize changed = 0;

  if (!ramet_folder_pool_open (connection, folder, &pool, error))
    return FALSE;
  volume = virStorageVolLookupByName (pool.pool, name);
  if (volume == NULL || down == NULL || up == NULL ||
      !read_stream (volume, down, bytes, RAMET_DISK_HEADER_BYTES, &length))
    {
      ramet_libvirt_error (error, "cannot read the disk file '%s'", path);
      return FALSE;
    }
  if (!ramet_disk_header_set_backing (bytes, length, backing, backing_format, &changed, error))
    {
      g_prefix_error (error, "'%s': ", path);
      return FALSE;
    }
  if (!write_stream (volume, up, bytes, changed))
    {
      ramet_libvirt_error (error, "cannot write the header of the disk file '%s'", path);
      return FALSE;
    }
  return TRUE;
}
