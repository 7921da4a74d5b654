/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/template/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/memory-file.h"
#include "host/libvirt/folder-files.h"
#include "model/memory-arguments.h"

#define MAX_STATE_BYTES (64 * 1024 * 1024) /* without the memory */
#define COPY_BYTES (4 * 1024 * 1024)
#define SPARE_BYTES (64 * 1024 * 1024) /* that are left when a copy has been made */

/** ramet_template_store_ensure: the folders are there, and nobody but root can write to them */
gboolean
ramet_template_store_ensure (RametConnection *connection, GError **error)
{
  static const RametFileOwner owner = { 0711, 0, 0 };
  static const RametFileOwner slot_owner = { 0755, 0, 0 };

  return ramet_folder_make (connection, RAMET_TEMPLATE_FOLDER, &owner, error) &&
         ramet_folder_make (connection, RAMET_TEMPLATE_SLOT_FOLDER, &slot_owner, error);
}

/** ramet_template_store_path: (transfer full) */
char *
ramet_template_store_path (const char *name, const char *what)
{
  return g_strdup_printf (RAMET_TEMPLATE_FOLDER "/%s.%s", name, what);
}

/**
 * ramet_template_store_put:
 * @fd: a file; its holes stay
 * @for_qemu: QEMU opens it, and for that wants to be able to write to it, though it never does; else it is root's alone
 */
gboolean
ramet_template_store_put (RametConnection *connection, RametTask *task, const char *path, int fd, gboolean for_qemu,
                          GError **error)
{
  RametFileOwner owner = { for_qemu ? 0660 : 0600, 0, 0 };
  uid_t uid;

  if (for_qemu && !ramet_connection_get_qemu_user (connection, &uid, &owner.gid, error))
    return FALSE;
  return ramet_folder_put (connection, task, path, fd, &owner, error);
}

/** ramet_template_store_look: (transfer full) (nullable): the file as it is now; %NULL if it is not there */
RametFingerprint *
ramet_template_store_look (const char *what, const char *path)
{
  RametFingerprint *print;
  struct stat st;

  if (lstat (path, &st) < 0 || !S_ISREG (st.st_mode))
    return NULL;
  print = ramet_fingerprint_new (what, path, "raw");
  print->inode = st.st_ino;
  print->size = (guint64) st.st_size;
  print->mtime_ns = (gint64) st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
  print->capacity = print->size;
  return print;
}

void
ramet_template_state_clear (RametTemplateState *state)
{
  if (state->image)
    close (state->fd);
  g_clear_pointer (&state->image, ramet_save_image_free);
}

static gboolean
cannot_hold (const char *what, GError **error)
{
  int why = errno;

  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot hold '%s' for a moment: %s", what, g_strerror (why));
  if (why == ENOSPC)
    ramet_error_hint (error, "make room; XDG_CACHE_HOME may name another place");
  return FALSE;
}

/* A file without a name: it is gone with this process, however that ends. -1 with @error set on failure. */
static int
open_nameless (const char *what, GError **error)
{
  g_autofree char *folder = g_build_filename (g_get_user_cache_dir (), "ramet", NULL);
  int fd = g_mkdir_with_parents (folder, 0700) < 0 ? -1 : open (folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

  if (fd < 0)
    cannot_hold (what, error);
  return fd;
}

/* Its content must be what it was, not only its size and time. */
static gboolean
check_digest (RametTask *task, int fd, const RametTemplateFile *file, const char *what, GError **error)
{
  g_autofree char *digest = lseek (fd, 0, SEEK_SET) < 0 ? NULL : ramet_memory_hash (task, fd, file->print->path, error);

  if (digest == NULL)
    return FALSE;
  if (g_str_equal (digest, file->sha256))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "the %s '%s' has changed since it was made", what, file->print->path);
  ramet_error_hint (error, "make the template anew");
  return FALSE;
}

/* Takes @fd. */
static gboolean
parse_state (int fd, const char *path, RametTemplateState *ret_state, GError **error)
{
  RametSaveImage *image = ramet_memory_read_head (fd, path, &ret_state->stream_at, error);

  if (image == NULL)
    return FALSE;
  ret_state->image = image;
  ret_state->fd = fd;
  return TRUE;
}

static gboolean
read_state (RametConnection *connection, RametTask *task, const char *path, const RametTemplateFile *file,
            RametTemplateState *ret_state, GError **error)
{
  int fd = open_nameless (path, error);

  if (fd < 0)
    return FALSE;
  if (ramet_folder_get (connection, task, path, file ? MAX_STATE_BYTES : 0, fd, error) &&
      (file == NULL || check_digest (task, fd, file, "saved state", error)) && parse_state (fd, path, ret_state, error))
    return TRUE;
  close (fd);
  return FALSE;
}

/** ramet_template_store_read: @error: RAMET_ERROR_NOT_FOUND if it is gone, RAMET_ERROR_REFUSED if it is not what it was */
gboolean
ramet_template_store_read (RametConnection *connection, RametTask *task, const RametTemplateFile *file,
                           RametTemplateState *ret_state, GError **error)
{
  return read_state (connection, task, file->print->path, file, ret_state, error);
}

/** ramet_template_store_read_saved: all that libvirt has saved of a VM at @path, with its memory */
gboolean
ramet_template_store_read_saved (RametConnection *connection, RametTask *task, const char *path,
                                 RametTemplateState *ret_state, GError **error)
{
  return read_state (connection, task, path, NULL, ret_state, error);
}

static gboolean
write_all (int fd, GBytes *bytes, const char *path, GError **error)
{
  gsize length;
  const guint8 *at = g_bytes_get_data (bytes, &length);

  while (length > 0)
    {
      ssize_t n = write (fd, at, length);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return cannot_hold (path, error);
      at += n;
      length -= (gsize) n;
    }
  return TRUE;
}

static gboolean
copy_rest (RametTask *task, int from, goffset at, int to, const char *path, GError **error)
{
  ssize_t n;

  while ((n = sendfile (to, from, &at, COPY_BYTES)) != 0)
    {
      if (n < 0 && errno != EINTR)
        return cannot_hold (path, error);
      if (!ramet_task_check (task, error))
        return FALSE;
    }
  return TRUE;
}

/* -1 with @error set on failure. Elsewhere its size and time are not known, so that its content has to tell. */
static int
open_memory (RametConnection *connection, RametTask *task, const RametTemplateFile *file, GError **error)
{
  const char *path = file->print->path;
  gboolean local = ramet_connection_is_local (connection);
  int fd = local ? open (path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;

  if (fd >= 0 || (fd = open_nameless (path, error)) < 0)
    return fd;
  if (ramet_folder_get (connection, task, path, 0, fd, error) &&
      (local || check_digest (task, fd, file, "memory", error)))
    return fd;
  close (fd);
  return -1;
}

static gboolean
join_into (RametConnection *connection, RametTask *task, const char *path, const RametTemplateState *state,
           const RametTemplate *template, int fd, GError **error)
{
  const RametTemplateFile *memory = &template->memory;
  RametMemoryJoin join = {
    .state_fd = state->fd, .state_name = template->state.print->path, .memory_name = memory->print->path,
    .ram = { RAMET_MEMORY_BLOCK, template->memory_kib * 1024, template->ram_block }, .save_fd = fd, .save_name = path,
  };
  gboolean done;

  if (lseek (state->fd, state->stream_at, SEEK_SET) < 0)
    return cannot_hold (path, error);
  join.memory_fd = open_memory (connection, task, memory, error);
  if (join.memory_fd < 0)
    return FALSE;
  done = ramet_memory_join (task, &join, error);
  close (join.memory_fd);
  return done;
}

/* Where a disk is full, the VMs that write to it are paused. Of another host that cannot be seen. */
static gboolean
check_room (RametConnection *connection, int fd, const char *path, GError **error)
{
  struct statvfs fs;
  struct stat st;

  if (!ramet_connection_is_local (connection) || statvfs (RAMET_TEMPLATE_FOLDER, &fs) < 0 || fstat (fd, &st) < 0 ||
      (guint64) fs.f_bavail * fs.f_frsize >= (guint64) st.st_blocks * 512 + SPARE_BYTES)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make '%s': there is not room for a copy of the memory", path);
  ramet_error_hint (error, "make room; 'ramet tree' shows what takes it");
  return FALSE;
}

/** ramet_template_store_put_state: a save image for one clone, of @state with the domain @xml in the place of its own;
 * and with all the memory of @memory_of, if that is not %NULL, as if nothing had ever been split */
gboolean
ramet_template_store_put_state (RametConnection *connection, RametTask *task, const char *path,
                                const RametTemplateState *state, const char *xml, const RametTemplate *memory_of,
                                GError **error)
{
  g_autoptr (GBytes) head = ramet_save_image_build (state->image, xml);
  int fd = open_nameless (path, error);
  gboolean done;

  if (fd < 0)
    return FALSE;
  done = write_all (fd, head, path, error) &&
         (memory_of ? join_into (connection, task, path, state, memory_of, fd, error) && check_room (connection, fd, path, error)
                    : copy_rest (task, state->fd, state->stream_at, fd, path, error)) &&
         ramet_template_store_put (connection, task, path, fd, FALSE, error);
  close (fd);
  return done;
}
