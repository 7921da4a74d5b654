/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/disk.h"

#define HEADER_BYTES 4096

/* A qcow2 v3 header of 104 bytes with a backing file's name and its format, all numbers big-endian. */
static void
put (guint8 *at, guint64 value, gsize bytes)
{
  for (gsize i = 0; i < bytes; i++)
    at[i] = (guint8) (value >> (8 * (bytes - 1 - i)));
}

static void
make_qcow2 (guint8 *header, const char *backing, const char *format)
{
  memset (header, 0, HEADER_BYTES);
  memcpy (header, "QFI\xfb", 4);
  put (header + 4, 3, 4);
  put (header + 24, 1ULL << 33, 8);
  put (header + 100, 104, 4);
  if (backing)
    {
      put (header + 8, 1024, 8);
      put (header + 16, strlen (backing), 4);
      memcpy (header + 1024, backing, strlen (backing));
    }
  if (format)
    {
      put (header + 104, 0xe2792aca, 4);
      put (header + 108, strlen (format), 4);
      memcpy (header + 112, format, strlen (format));
    }
}

static void
test_whole (void)
{
  guint8 bytes[HEADER_BYTES];
  g_autoptr (RametDiskHeader) header = NULL;

  make_qcow2 (bytes, "base.qcow2", "qcow2");
  header = ramet_disk_header_parse (bytes, sizeof bytes, NULL);
  g_assert_nonnull (header);
  g_assert_cmpstr (header->format, ==, "qcow2");
  g_assert_cmpuint (header->capacity, ==, 1ULL << 33);
  g_assert_cmpstr (header->backing, ==, "base.qcow2");
  g_assert_cmpstr (header->backing_format, ==, "qcow2");
  g_assert_false (header->encrypted);
}

static const struct
{
  const char *name;
  gsize at;
  guint64 value;
  gsize bytes;
} damages[] = {
  { "version 1", 4, 1, 4 },
  { "version 4", 4, 4, 4 },
  { "the name starts behind the end", 8, 1ULL << 40, 8 },
  { "the name is too long", 16, 1024, 4 },
  { "the name has no length", 16, 0, 4 },
  { "the header is longer than the file", 100, 1 << 20, 4 },
  { "the header is too short", 100, 72, 4 },
  { "an extension is longer than the file", 108, 0xfffffff0, 4 },
  { "the name is no text", 1024, 0xff, 1 },
  { "the name has a NUL", 1026, 0, 1 },
};

static void
test_damaged (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  guint8 bytes[HEADER_BYTES];

  make_qcow2 (bytes, "base.qcow2", "qcow2");
  put (bytes + damages[i].at, damages[i].value, damages[i].bytes);
  g_assert_null (ramet_disk_header_parse (bytes, sizeof bytes, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
}

static const struct
{
  const char *name;
  const char *magic;
  gsize size;
  const char *format;
} formats[] = {
  { "nothing", "", 0, "raw" },
  { "text", "hello", 5, "raw" },
  { "vmdk", "KDMV", 4, "vmdk" },
  { "vhdx", "vhdxfile", 8, "vhdx" },
  { "luks", "LUKS\xba\xbe", 6, "luks" },
};

static void
test_format (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametDiskHeader) header
    = ramet_disk_header_parse ((const guint8 *) formats[i].magic, formats[i].size, NULL);

  g_assert_nonnull (header);
  g_assert_cmpstr (header->format, ==, formats[i].format);
}

/* Every length that a file can be cut to is either read or refused, and never read past its end. */
static void
test_truncated (void)
{
  guint8 bytes[HEADER_BYTES];

  make_qcow2 (bytes, "base.qcow2", "qcow2");
  for (gsize length = 0; length < 1100; length++)
    {
      g_autofree guint8 *cut = g_memdup2 (bytes, length);
      g_autoptr (RametDiskHeader) header = ramet_disk_header_parse (cut, length, NULL);

      if (header && header->backing)
        g_assert_cmpuint (length, >=, 1024 + strlen ("base.qcow2"));
    }
}

#define UNKNOWN_EXTENSION 0x6803f857

/* As make_qcow2(), with an extension behind the format that is none of our business. */
static void
make_backed (guint8 *header)
{
  make_qcow2 (header, "/old/base.qcow2", "raw");
  put (header + 20, 16, 4);
  put (header + 60, 2, 4);
  put (header + 120, UNKNOWN_EXTENSION, 4);
  put (header + 124, 5, 4);
  memcpy (header + 128, "extra", 5);
}

static const struct
{
  const char *name;
  gsize length; /* of the new backing file's path */
  gboolean fits;
} lengths[] = {
  { "short", 5, TRUE },
  { "as long as the old one", 15, TRUE },
  { "long", 1023, TRUE },
  { "too long for qcow2", 1024, FALSE },
  { "empty", 0, FALSE },
};

static void
test_set_backing (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *path = g_strnfill (lengths[i].length, 'p');
  g_autoptr (RametDiskHeader) header = NULL;
  g_autoptr (GError) error = NULL;
  guint8 before[HEADER_BYTES];
  guint8 bytes[HEADER_BYTES];
  gsize changed = 0;

  make_backed (before);
  memcpy (bytes, before, sizeof bytes);
  g_assert_true (ramet_disk_header_set_backing (bytes, sizeof bytes, path, "qcow2", &changed, &error) == lengths[i].fits);
  if (!lengths[i].fits)
    {
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
      g_assert_cmpmem (bytes, sizeof bytes, before, sizeof before);
      return;
    }
  header = ramet_disk_header_parse (bytes, sizeof bytes, NULL);
  g_assert_nonnull (header);
  g_assert_cmpstr (header->backing, ==, path);
  g_assert_cmpstr (header->backing_format, ==, "qcow2");
  g_assert_cmpuint (header->capacity, ==, 1ULL << 33);
  g_assert_cmpuint (header->n_snapshots, ==, 2);
  g_assert_nonnull (memmem (bytes, sizeof bytes, "\x68\x03\xf8\x57\0\0\0\5extra", 13));
  g_assert_null (memmem (bytes, sizeof bytes, "/old", 4));
  g_assert_cmpuint (changed, ==, 4096);
}

static void
test_set_backing_of_others (void)
{
  guint8 bytes[HEADER_BYTES];
  gsize changed = 0;

  make_qcow2 (bytes, NULL, NULL);
  put (bytes + 20, 16, 4);
  g_assert_false (ramet_disk_header_set_backing (bytes, sizeof bytes, "/x", "raw", &changed, NULL));
  /* clusters of 512 bytes: the name would be where the guest's data are */
  make_backed (bytes);
  put (bytes + 20, 9, 4);
  g_assert_false (ramet_disk_header_set_backing (bytes, sizeof bytes, "/x", "raw", &changed, NULL));
  memset (bytes, 0, sizeof bytes);
  g_assert_false (ramet_disk_header_set_backing (bytes, sizeof bytes, "/x", "raw", &changed, NULL));
  g_assert_false (ramet_disk_header_set_backing (bytes, 10, "/x", "raw", &changed, NULL));
}

static void
test_volume_xml (void)
{
  g_autofree char *xml = ramet_volume_overlay_xml ("a&b.qcow2", 4096, "/x/<y>.img", "raw", FALSE);

  g_assert_nonnull (strstr (xml, "<compat>1.1</compat>"));
  g_assert_nonnull (strstr (xml, "<name>a&amp;b.qcow2</name>"));
  g_assert_nonnull (strstr (xml, "<path>/x/&lt;y&gt;.img</path>"));
  g_assert_nonnull (strstr (xml, "<format type=\"raw\"/>"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/disk/a whole header", test_whole);
  g_test_add_func ("/disk/truncated", test_truncated);
  g_test_add_func ("/disk/volume XML", test_volume_xml);
  g_test_add_func ("/disk/another backing file/not for others", test_set_backing_of_others);
  for (gsize i = 0; i < G_N_ELEMENTS (lengths); i++)
    {
      g_autofree char *path = g_strconcat ("/disk/another backing file/", lengths[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_set_backing);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (damages); i++)
    {
      g_autofree char *path = g_strconcat ("/disk/damaged/", damages[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_damaged);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (formats); i++)
    {
      g_autofree char *path = g_strconcat ("/disk/format/", formats[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_format);
    }
  return g_test_run ();
}
