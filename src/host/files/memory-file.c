/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/files/memory-file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"

#define CHUNK_BYTES (1024 * 1024)

/* A file that is written to in runs. */
typedef struct
{
  int fd;
  const char *name;
  goffset run_at; /* -1: wherever the descriptor stands */
  gsize run_bytes;
  guint8 *run; /* CHUNK_BYTES */
} Output;

typedef struct
{
  Output memory;
  Output state;
} Outputs;

typedef struct
{
  int fd;
  const char *name;
  guint64 total; /* 0 if that cannot be known */
  guint64 done;
  guint told_percent;
  guint8 *chunk; /* CHUNK_BYTES */
} Input;

static gboolean
cannot (GError **error, const char *what, const char *name)
{
  int why = errno;

  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot %s '%s': %s", what, name, g_strerror (why));
  if (why == ENOSPC || why == EDQUOT)
    ramet_error_hint (error, "make room, then try again; 'ramet tree' shows what takes it");
  return FALSE;
}

static gboolean
flush (Output *output, GError **error)
{
  const guint8 *bytes = output->run;

  while (output->run_bytes > 0)
    {
      gssize n = output->run_at < 0 ? write (output->fd, bytes, output->run_bytes)
                                    : pwrite (output->fd, bytes, output->run_bytes, output->run_at);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return cannot (error, "write to", output->name);
      bytes += n;
      output->run_bytes -= (gsize) n;
      output->run_at += output->run_at < 0 ? 0 : n;
    }
  return TRUE;
}

static gboolean
append (Output *output, const guint8 *bytes, gsize length, GError **error)
{
  while (length > 0)
    {
      gsize n = MIN (length, CHUNK_BYTES - output->run_bytes);

      memcpy (output->run + output->run_bytes, bytes, n);
      output->run_bytes += n;
      bytes += n;
      length -= n;
      if (output->run_bytes == CHUNK_BYTES && !flush (output, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
on_page (guint64 offset, const guint8 *bytes, gpointer data, GError **error)
{
  Output *memory = &((Outputs *) data)->memory;

  if ((goffset) offset != memory->run_at + (goffset) memory->run_bytes)
    {
      if (!flush (memory, error))
        return FALSE;
      memory->run_at = (goffset) offset;
    }
  return append (memory, bytes, RAMET_MIGRATION_PAGE_BYTES, error);
}

static gboolean
on_zero (guint64 offset, gpointer data, GError **error)
{
  static const guint8 zeros[RAMET_MIGRATION_PAGE_BYTES];
  Output *memory = &((Outputs *) data)->memory;

  if (!flush (memory, error))
    return FALSE;
  if (fallocate (memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (goffset) offset, sizeof zeros) == 0)
    return TRUE;
  /* a filesystem without holes */
  return on_page (offset, zeros, data, error);
}

static gboolean
on_state (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  return append (&((Outputs *) data)->state, bytes, length, error);
}

static void
input_open (Input *input, int fd, const char *name)
{
  struct stat st;

  *input = (Input) { fd, name, 0, 0, 0, g_malloc (CHUNK_BYTES) };
  if (fstat (fd, &st) == 0 && S_ISREG (st.st_mode))
    input->total = (guint64) st.st_size;
}

static void
tell_percent (Input *input, RametTask *task)
{
  guint percent = input->total > 0 ? (guint) (MIN (input->done, input->total) * 100 / input->total) : 0;
  g_autofree char *status = g_strdup_printf ("%u %%", percent);

  if (percent != input->told_percent)
    ramet_task_status (task, status);
  input->told_percent = percent;
}

/* Up to @length bytes into the chunk, fewer only at the end. */
static gboolean
input_read (Input *input, RametTask *task, gsize length, gsize *ret_read, GError **error)
{
  gsize n_read = 0;

  if (!ramet_task_check (task, error))
    return FALSE;
  while (n_read < length)
    {
      gssize n = read (input->fd, input->chunk + n_read, length - n_read);

      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return cannot (error, "read", input->name);
      if (n == 0)
        break;
      n_read += (gsize) n;
    }
  input->done += n_read;
  tell_percent (input, task);
  *ret_read = n_read;
  return TRUE;
}

static RametSaveImage *
read_image (Input *input, RametTask *task, GError **error)
{
  g_autoptr (GByteArray) bytes = g_byte_array_new ();
  gsize wanted = RAMET_SAVE_IMAGE_HEADER_BYTES;
  gsize n_read;

  do
    {
      if (!input_read (input, task, MIN (wanted - bytes->len, CHUNK_BYTES), &n_read, error))
        return NULL;
      g_byte_array_append (bytes, input->chunk, (guint) n_read);
      if (bytes->len <= RAMET_SAVE_IMAGE_HEADER_BYTES)
        wanted = ramet_save_image_length (bytes->data, bytes->len, error);
      if (wanted == 0)
        return NULL;
    }
  while (bytes->len < wanted && n_read > 0);
  return ramet_save_image_parse (bytes->data, bytes->len, error);
}

static gboolean
feed_all (Input *input, RametTask *task, RametMigration *migration, GError **error)
{
  gsize n_read;

  do
    if (!input_read (input, task, CHUNK_BYTES, &n_read, error) ||
        !ramet_migration_feed (migration, input->chunk, n_read, error))
      return FALSE;
  while (n_read > 0);
  return ramet_migration_finish (migration, error);
}

static gboolean
finish_output (Output *output, GError **error)
{
  if (!flush (output, error))
    return FALSE;
  /* of a pipe there is nothing to be synchronised */
  if (fsync (output->fd) < 0 && errno != EINVAL && errno != EROFS)
    return cannot (error, "write to", output->name);
  return TRUE;
}

static RametSaveImage *
split_into (Outputs *outputs, RametTask *task, const RametMemorySplit *split, GError **error)
{
  static const RametMigrationSink sink = { on_page, on_zero, on_state, NULL };
  g_autoptr (RametMigration) migration = ramet_migration_new (&split->ram, &sink, outputs, error);
  g_autoptr (RametSaveImage) image = NULL;
  g_autofree guint8 *chunk = NULL;
  Input input;

  if (migration == NULL)
    return NULL;
  input_open (&input, split->save_fd, split->save_name);
  chunk = input.chunk;
  image = read_image (&input, task, error);
  if (image == NULL)
    return NULL;
  if (ftruncate (outputs->memory.fd, (goffset) split->ram.bytes) < 0)
    return cannot (error, "make", outputs->memory.name), NULL;
  if (!feed_all (&input, task, migration, error) || !finish_output (&outputs->memory, error) ||
      !finish_output (&outputs->state, error))
    return NULL;
  return g_steal_pointer (&image);
}

/* What was written of the state is taken back, where it went to a file. */
static void
take_back (int fd, goffset began_at)
{
  if (began_at >= 0 && ftruncate (fd, began_at) == 0)
    lseek (fd, began_at, SEEK_SET);
}

static gboolean
read_at_start (int fd, guint8 *bytes, gsize length, const char *name, GError **error)
{
  gssize n = pread (fd, bytes, length, 0);

  if (n < 0)
    return cannot (error, "read", name);
  if ((gsize) n < length)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' ends too early", name);
  return (gsize) n == length;
}

/**
 * ramet_memory_read_head:
 * @fd: of a file
 * @ret_stream_at: (out): where QEMU's stream begins
 * @error: RAMET_ERROR_REFUSED if it is no save image that is understood
 *
 * Returns: (transfer full): what stands before QEMU's stream
 */
RametSaveImage *
ramet_memory_read_head (int fd, const char *name, goffset *ret_stream_at, GError **error)
{
  guint8 header[RAMET_SAVE_IMAGE_HEADER_BYTES];
  g_autofree guint8 *bytes = NULL;
  gsize length;

  if (!read_at_start (fd, header, sizeof header, name, error))
    return NULL;
  length = ramet_save_image_length (header, sizeof header, error);
  if (length == 0)
    return NULL;
  bytes = g_malloc (length);
  *ret_stream_at = (goffset) length;
  return read_at_start (fd, bytes, length, name, error) ? ramet_save_image_parse (bytes, length, error) : NULL;
}

/**
 * ramet_memory_split:
 * @error: RAMET_ERROR_REFUSED if the save image is not understood, RAMET_ERROR_CANCELLED, or RAMET_ERROR_FAILED
 *
 * Reads the save image to its end. The memory file has holes where the RAM is zero. Both parts are on the disk when it is
 * done; if it fails, nothing of them is left.
 *
 * Returns: (transfer full): what stood before QEMU's stream
 */
RametSaveImage *
ramet_memory_split (RametTask *task, const RametMemorySplit *split, GError **error)
{
  g_autofree guint8 *memory_run = g_malloc (CHUNK_BYTES);
  g_autofree guint8 *state_run = g_malloc (CHUNK_BYTES);
  goffset state_at = lseek (split->state_fd, 0, SEEK_CUR);
  int fd = open (split->memory_path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  Outputs outputs = { { fd, split->memory_path, 0, 0, memory_run },
                      { split->state_fd, split->state_name, -1, 0, state_run } };
  RametSaveImage *image;

  if (fd < 0)
    return cannot (error, "make", split->memory_path), NULL;
  image = split_into (&outputs, task, split, error);
  close (fd);
  if (image == NULL)
    {
      unlink (split->memory_path);
      take_back (split->state_fd, state_at);
    }
  return image;
}

typedef struct
{
  RametTask *task;
  Output save;
  Input memory;
  guint64 bytes;
} Join;

static gboolean
on_joined (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  return append (&((Join *) data)->save, bytes, length, error);
}

/* What is a hole from end to end need not be read: it is zero. */
static gboolean
read_unless_hole (Join *join, guint64 at, gsize length, gboolean *ret_hole, GError **error)
{
  Input *memory = &join->memory;
  goffset next = lseek (memory->fd, (goffset) at, SEEK_DATA);
  gsize n_read;

  *ret_hole = next < 0 ? errno == ENXIO : next >= (goffset) (at + length);
  if (*ret_hole)
    {
      memory->done += length;
      return ramet_task_check (join->task, error);
    }
  if (lseek (memory->fd, (goffset) at, SEEK_SET) < 0)
    return cannot (error, "read", memory->name);
  if (!input_read (memory, join->task, length, &n_read, error))
    return FALSE;
  if (n_read < length)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' ends too early", memory->name);
  return n_read == length;
}

static gboolean
on_fill (RametMigration *migration, gpointer data, GError **error)
{
  static const guint8 zeros[RAMET_MIGRATION_PAGE_BYTES];
  Join *join = data;
  gboolean hole;

  for (guint64 at = 0; at < join->bytes; at += CHUNK_BYTES)
    {
      gsize length = (gsize) MIN (join->bytes - at, CHUNK_BYTES);

      if (!read_unless_hole (join, at, length, &hole, error))
        return FALSE;
      for (gsize i = 0; i < length; i += sizeof zeros)
        {
          const guint8 *page = join->memory.chunk + i;

          if (!ramet_migration_put_page (migration, at + i, hole || memcmp (page, zeros, sizeof zeros) == 0 ? NULL : page,
                                         error))
            return FALSE;
        }
    }
  return TRUE;
}

/**
 * ramet_memory_join:
 * @error: RAMET_ERROR_REFUSED if the state is not understood or does not belong to memory of that length,
 *   RAMET_ERROR_CANCELLED, or RAMET_ERROR_FAILED
 *
 * What was split by ramet_memory_split() with the two names the other way round is joined again. On failure, what is in the
 * save image is of no use.
 */
gboolean
ramet_memory_join (RametTask *task, const RametMemoryJoin *join, GError **error)
{
  static const RametMigrationSink sink = { NULL, NULL, on_joined, on_fill };
  g_autofree guint8 *run = g_malloc (CHUNK_BYTES);
  g_autofree guint8 *state_chunk = NULL;
  g_autofree guint8 *memory_chunk = NULL;
  Join work = { .task = task, .save = { join->save_fd, join->save_name, -1, 0, run }, .bytes = join->ram.bytes };
  g_autoptr (RametMigration) migration = ramet_migration_new (&join->ram, &sink, &work, error);
  Input state;

  if (migration == NULL)
    return FALSE;
  input_open (&state, join->state_fd, join->state_name);
  state_chunk = state.chunk;
  state.total = 0; /* what takes long is the memory */
  input_open (&work.memory, join->memory_fd, join->memory_name);
  memory_chunk = work.memory.chunk;
  if (work.memory.total != join->ram.bytes)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is not as long as the memory", join->memory_name);
      return FALSE;
    }
  return feed_all (&state, task, migration, error) && flush (&work.save, error);
}

/**
 * ramet_memory_hash:
 * @fd: of a file, wherever it stands; it is read from its start
 * @error: RAMET_ERROR_CANCELLED or RAMET_ERROR_FAILED
 *
 * Returns: (transfer full): its SHA-256 in lower-case hex, as sha256sum prints it
 */
char *
ramet_memory_hash (RametTask *task, int fd, const char *name, GError **error)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);
  g_autofree guint8 *chunk = NULL;
  gsize n_read;
  Input input;

  if (lseek (fd, 0, SEEK_SET) < 0)
    return cannot (error, "read", name), NULL;
  input_open (&input, fd, name);
  chunk = input.chunk;
  do
    {
      if (!input_read (&input, task, CHUNK_BYTES, &n_read, error))
        return NULL;
      g_checksum_update (checksum, input.chunk, (gssize) n_read);
    }
  while (n_read > 0);
  return g_strdup (g_checksum_get_string (checksum));
}
