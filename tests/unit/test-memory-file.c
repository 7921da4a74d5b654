/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/memory-file.h"
#include "migration-maker.h"

#define XML "<domain type='kvm'/>"
#define COOKIE "<cookie/>"
#define RAM_PAGES 2000 /* more than goes into one run */

typedef struct
{
  char *dir;
  char *save;
  char *memory;
  char *state;
  Maker *maker;
  GCancellable *cancellable;
  RametTask *task;
} Fixture;

/* Half of the memory is in runs of several MiB, or page by page, the rest zero; some of it was something else before. */
static Maker *
make (gsize device_bytes)
{
  Maker *maker = maker_new ("pc.ram", RAM_PAGES, "ramet.ram");
  g_autofree guint8 *devices = g_malloc0 (device_bytes);
  guint8 page[MAKER_PAGE_BYTES];

  maker_header (maker, "pc-q35-7.2");
  maker_table (maker, (const char *const[]) { "pc.ram", "pc.rom" }, (const gsize[]) { RAM_PAGES, 1 }, 2);
  for (gsize round = 0; round < 2; round++)
    {
      maker_section (maker, (guint8) (2 + round));
      for (gsize i = 0; i < RAM_PAGES; i++)
        {
          gboolean filled = round == 0 ? i < 800 || i % 3 == 0 : i >= 100 && i < 110;

          if (round == 1 && (i < 90 || i >= 200))
            continue;
          memset (page, (int) (1 + i % 250), sizeof page);
          maker_page (maker, "pc.ram", i, filled ? page : NULL, FALSE);
        }
      maker_page (maker, "pc.ram", 50, page, FALSE);
      maker_page (maker, "pc.ram", 51, page, FALSE);
      maker_page (maker, "pc.ram", 50, NULL, FALSE); /* while it may not have been written yet */
      maker_page (maker, "pc.rom", 0, page, FALSE);
      maker_section_end (maker);
    }
  maker_devices (maker, devices, device_bytes);
  return maker;
}

static void
write_save (const Fixture *f, gsize length)
{
  g_autoptr (GByteArray) image = maker_save_image (f->maker, XML, COOKIE);

  g_assert_true (g_file_set_contents (f->save, (const char *) image->data, (gssize) MIN (length, image->len), NULL));
}

static void
set_up (Fixture *f, gconstpointer data)
{
  f->dir = g_dir_make_tmp ("ramet-test.XXXXXX", NULL);
  f->save = g_build_filename (f->dir, "save", NULL);
  f->memory = g_build_filename (f->dir, "memory", NULL);
  f->state = g_build_filename (f->dir, "state", NULL);
  f->maker = make (GPOINTER_TO_SIZE (data));
  f->cancellable = g_cancellable_new ();
  f->task = ramet_task_new ("test", f->cancellable);
  write_save (f, G_MAXSIZE);
  g_assert_true (g_file_set_contents (f->state, "before", -1, NULL));
}

static void
tear_down (Fixture *f, gconstpointer data)
{
  g_unlink (f->save);
  g_unlink (f->memory);
  g_unlink (f->state);
  g_assert_cmpint (g_rmdir (f->dir), ==, 0);
  ramet_task_free (f->task);
  g_object_unref (f->cancellable);
  maker_free (f->maker);
  g_free (f->save);
  g_free (f->memory);
  g_free (f->state);
  g_free (f->dir);
}

static RametSaveImage *
split (const Fixture *f, int save_fd, int state_fd, GError **error)
{
  const RametMemorySplit what = { save_fd,   f->save,  { "pc.ram", RAM_PAGES * MAKER_PAGE_BYTES, "ramet.ram" },
                                  f->memory, state_fd, f->state };

  return ramet_memory_split (f->task, &what, error);
}

/* From the save file, to the end of the state file. */
static RametSaveImage *
split_files (const Fixture *f, GError **error)
{
  int save_fd = open (f->save, O_RDONLY | O_CLOEXEC);
  int state_fd = open (f->state, O_WRONLY | O_CLOEXEC);
  RametSaveImage *image;

  lseek (state_fd, 0, SEEK_END);
  image = split (f, save_fd, state_fd, error);
  close (save_fd);
  close (state_fd);
  return image;
}

static void
assert_contents (const char *path, const char *before, const guint8 *bytes, gsize length)
{
  g_autofree char *contents = NULL;
  gsize got;

  g_assert_true (g_file_get_contents (path, &contents, &got, NULL));
  g_assert_cmpmem (contents, MIN (strlen (before), got), before, strlen (before));
  g_assert_cmpmem (contents + strlen (before), got - strlen (before), bytes, length);
}

static void
assert_nothing_left (const Fixture *f)
{
  g_assert_false (g_file_test (f->memory, G_FILE_TEST_EXISTS));
  assert_contents (f->state, "before", NULL, 0);
}

static void
test_whole (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RametSaveImage) image = split_files (f, &error);
  gsize n_filled = 0;
  struct stat st;

  g_assert_no_error (error);
  g_assert_cmpstr (image->xml, ==, XML);
  g_assert_cmpstr (image->cookie, ==, COOKIE);
  assert_contents (f->memory, "", f->maker->memory->data, f->maker->memory->len);
  assert_contents (f->state, "before", f->maker->state->data, f->maker->state->len);
  for (gsize i = 0; i < RAM_PAGES; i++)
    n_filled += f->maker->memory->data[i * MAKER_PAGE_BYTES] != 0;
  g_assert_cmpint (stat (f->memory, &st), ==, 0);
  g_assert_cmpuint (st.st_mode & 07777, ==, 0600);
  /* what is zero takes no room; a filesystem may want some pages for itself */
  g_assert_cmpuint ((gsize) st.st_blocks * 512, <=, (n_filled + 16) * MAKER_PAGE_BYTES);
  g_assert_cmpuint (n_filled, <, RAM_PAGES * 2 / 3);
}

static gpointer
write_to_pipe (gpointer data)
{
  const Fixture *f = ((gpointer *) data)[0];
  int fd = GPOINTER_TO_INT (((gpointer *) data)[1]);
  g_autofree char *bytes = NULL;
  gsize length, n;

  g_assert_true (g_file_get_contents (f->save, &bytes, &length, NULL));
  for (gsize at = 0; at < length; at += n)
    {
      gssize written = write (fd, bytes + at, MIN (length - at, 70001));

      g_assert_cmpint (written, >, 0);
      n = (gsize) written;
    }
  close (fd);
  return NULL;
}

/* The image comes by a pipe, and the state goes into one. */
static void
test_pipes (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RametSaveImage) image = NULL;
  g_autofree guint8 *state = g_malloc (f->maker->state->len + 1);
  gpointer writer[2];
  int in[2], out[2];
  GThread *thread;

  g_assert_cmpint (pipe (in), ==, 0);
  g_assert_cmpint (pipe (out), ==, 0);
  writer[0] = f;
  writer[1] = GINT_TO_POINTER (in[1]);
  thread = g_thread_new ("writer", write_to_pipe, writer);
  image = split (f, in[0], out[1], &error);
  g_thread_join (thread);
  g_assert_no_error (error);
  close (out[1]);
  g_assert_cmpint (read (out[0], state, f->maker->state->len + 1), ==, (gssize) f->maker->state->len);
  g_assert_cmpmem (state, f->maker->state->len, f->maker->state->data, f->maker->state->len);
  assert_contents (f->memory, "", f->maker->memory->data, f->maker->memory->len);
  close (in[0]);
  close (out[0]);
}

static void
test_cut_off (Fixture *f, gconstpointer data)
{
  static const gsize lengths[] = { 0, 1, 91, 92, 93, 60000, 70000, 2000000, 3000000, G_MAXSIZE };

  /* the last is cut by a byte at the end, when more of the state is known than is kept back */
  g_byte_array_set_size (f->maker->stream, f->maker->stream->len - 1);

  for (gsize i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autoptr (GError) error = NULL;

      write_save (f, lengths[i]);
      g_assert_null (split_files (f, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
      assert_nothing_left (f);
    }
}

/* Ctrl-C comes once some of it is done: as the main loop runs, which it does after each chunk. */
static gboolean
on_idle (gpointer data)
{
  static guint n_calls;

  if (++n_calls < 3)
    return G_SOURCE_CONTINUE;
  n_calls = 0;
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static void
test_cancel (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_idle_add (on_idle, f->cancellable);
  g_assert_null (split_files (f, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  assert_nothing_left (f);
}

static void
test_exists (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (f->memory, "another's", -1, NULL));
  g_assert_null (split_files (f, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  assert_contents (f->memory, "another's", NULL, 0);
}

/* The state's disk is full. */
static void
test_full (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  int save_fd = open (f->save, O_RDONLY | O_CLOEXEC);
  int state_fd = open ("/dev/full", O_WRONLY | O_CLOEXEC);

  g_assert_null (split (f, save_fd, state_fd, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_nonnull (strstr (error->message, g_strerror (ENOSPC)));
  g_assert_nonnull (strstr (ramet_error_get_hint (error), "make room"));
  assert_nothing_left (f);
  close (save_fd);
  close (state_fd);
}

/* A filesystem takes only the first half of the memory. */
static void
test_too_large (Fixture *f, gconstpointer data)
{
  g_autoptr (GError) error = NULL;
  struct rlimit was, limit;

  signal (SIGXFSZ, SIG_IGN);
  g_assert_cmpint (getrlimit (RLIMIT_FSIZE, &was), ==, 0);
  limit = was;
  limit.rlim_cur = RAM_PAGES * MAKER_PAGE_BYTES / 2;
  setrlimit (RLIMIT_FSIZE, &limit);
  g_assert_null (split_files (f, &error));
  setrlimit (RLIMIT_FSIZE, &was);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
  assert_nothing_left (f);
}

/* From the files that a split has left, to the end of a new one. */
static gboolean
join_files (const Fixture *f, const char *to, GError **error)
{
  const RametMemoryJoin join = {
    open (f->state, O_RDONLY | O_CLOEXEC), f->state, open (f->memory, O_RDONLY | O_CLOEXEC), f->memory,
    { "ramet.ram", RAM_PAGES * MAKER_PAGE_BYTES, "pc.ram" }, open (to, O_WRONLY | O_APPEND | O_CLOEXEC), to,
  };
  gboolean done;

  lseek (join.state_fd, strlen ("before"), SEEK_SET);
  done = ramet_memory_join (f->task, &join, error);
  close (join.state_fd);
  close (join.memory_fd);
  close (join.save_fd);
  return done;
}

/* What was split is joined and split again: both are what they were. */
static void
test_join (Fixture *f, gconstpointer data)
{
  g_autoptr (RametSaveImage) image = split_files (f, NULL);
  g_autoptr (GBytes) head = ramet_save_image_build (image, XML);
  g_autoptr (RametSaveImage) again = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (f->save, g_bytes_get_data (head, NULL), (gssize) g_bytes_get_size (head), NULL));
  g_assert_true (join_files (f, f->save, &error));
  g_assert_no_error (error);
  g_unlink (f->memory);
  g_assert_true (g_file_set_contents (f->state, "before", -1, NULL));
  again = split_files (f, &error);
  g_assert_no_error (error);
  assert_contents (f->memory, "", f->maker->memory->data, f->maker->memory->len);
  assert_contents (f->state, "before", f->maker->state->data, f->maker->state->len);
}

static void
test_join_fails (Fixture *f, gconstpointer data)
{
  g_autoptr (RametSaveImage) image = split_files (f, NULL);
  g_autoptr (GError) full = NULL, longer = NULL, cancelled = NULL;

  g_assert_nonnull (image);
  g_assert_false (join_files (f, "/dev/full", &full));
  g_assert_error (full, RAMET_ERROR, RAMET_ERROR_FAILED);
  g_assert_nonnull (strstr (full->message, g_strerror (ENOSPC)));
  g_assert_nonnull (strstr (ramet_error_get_hint (full), "make room"));
  g_assert_cmpint (truncate (f->memory, (RAM_PAGES + 1) * MAKER_PAGE_BYTES), ==, 0);
  g_assert_false (join_files (f, f->save, &longer));
  g_assert_error (longer, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_cmpint (truncate (f->memory, RAM_PAGES * MAKER_PAGE_BYTES), ==, 0);
  g_idle_add (on_idle, f->cancellable);
  g_assert_false (join_files (f, f->save, &cancelled));
  g_assert_error (cancelled, RAMET_ERROR, RAMET_ERROR_CANCELLED);
}

static void
test_hash (Fixture *f, gconstpointer data)
{
  g_autofree char *wanted = g_compute_checksum_for_data (G_CHECKSUM_SHA256, f->maker->memory->data, f->maker->memory->len);
  g_autoptr (RametSaveImage) image = split_files (f, NULL);
  g_autofree char *got = NULL;
  g_autoptr (GError) error = NULL;
  int fd = open (f->memory, O_RDONLY | O_CLOEXEC);

  g_assert_nonnull (image);
  lseek (fd, 1000, SEEK_SET);
  got = ramet_memory_hash (f->task, fd, f->memory, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (got, ==, wanted);
  g_cancellable_cancel (f->cancellable);
  g_assert_null (ramet_memory_hash (f->task, fd, f->memory, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
  close (fd);
}

/* A save image again, of other XML and without the memory. */
static void
write_image (const RametSaveImage *image, const char *xml_path, const char *state_path, const char *path)
{
  g_autofree char *xml = NULL;
  g_autofree char *state = NULL;
  g_autofree char *whole = NULL;
  g_autoptr (GBytes) start = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (xml_path, &xml, NULL, NULL));
  g_assert_true (g_file_get_contents (state_path, &state, &length, NULL));
  start = ramet_save_image_build (image, xml);
  whole = g_malloc (g_bytes_get_size (start) + length);
  memcpy (whole, g_bytes_get_data (start, NULL), g_bytes_get_size (start));
  memcpy (whole + g_bytes_get_size (start), state, length);
  g_assert_true (g_file_set_contents (path, whole, (gssize) (g_bytes_get_size (start) + length), NULL));
}

/*
 * RAMET_TEST_SAVE_IMAGE, of a VM with RAMET_TEST_RAM_BYTES, goes to 'memory' and 'state' in RAMET_TEST_FOLDER; with
 * RAMET_TEST_XML, there is an 'image' too, from which libvirt restores the VM.
 */
static void
test_real (void)
{
  g_autofree char *memory = g_build_filename (g_getenv ("RAMET_TEST_FOLDER"), "memory", NULL);
  g_autofree char *state = g_build_filename (g_getenv ("RAMET_TEST_FOLDER"), "state", NULL);
  const char *save = g_getenv ("RAMET_TEST_SAVE_IMAGE");
  guint64 ram_bytes = g_ascii_strtoull (g_getenv ("RAMET_TEST_RAM_BYTES"), NULL, 10);
  const RametMemorySplit split = { open (save, O_RDONLY | O_CLOEXEC), save, { "pc.ram", ram_bytes, "ramet.ram" }, memory,
                                   open (state, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), state };
  g_autoptr (RametTask) task = ramet_task_new ("test", NULL);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametSaveImage) image = NULL;
  gint64 began_us = g_get_monotonic_time ();

  image = ramet_memory_split (task, &split, &error);
  g_assert_no_error (error);
  g_test_message ("split in %" G_GINT64_FORMAT " ms", (g_get_monotonic_time () - began_us) / 1000);
  close (split.save_fd);
  close (split.state_fd);
  if (g_getenv ("RAMET_TEST_XML"))
    {
      g_autofree char *path = g_build_filename (g_getenv ("RAMET_TEST_FOLDER"), "image", NULL);

      write_image (image, g_getenv ("RAMET_TEST_XML"), state, path);
    }
}

#define ADD(name, device_bytes, func) \
  g_test_add ("/memory-file/" name, Fixture, GSIZE_TO_POINTER (device_bytes), set_up, func, tear_down)

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  ADD ("whole", 3000000, test_whole);
  ADD ("pipes", 4000, test_pipes);
  ADD ("cut off", 3000000, test_cut_off);
  ADD ("cancel", 4000, test_cancel);
  ADD ("exists", 4000, test_exists);
  ADD ("full", 4000, test_full);
  ADD ("too large", 4000, test_too_large);
  ADD ("join", 3000000, test_join);
  ADD ("join fails", 4000, test_join_fails);
  ADD ("hash", 4000, test_hash);
  if (g_getenv ("RAMET_TEST_SAVE_IMAGE"))
    g_test_add_func ("/memory-file/real", test_real);
  return g_test_run ();
}
