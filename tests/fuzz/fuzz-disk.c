/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/disk.h"
#include "model/xml.h"

/* The volume that stands on what the header names is XML, and names just that. */
static void
check_overlay (const RametDiskHeader *header)
{
  const char *format = header->backing_format ? header->backing_format : "raw";
  g_autofree char *xml = ramet_volume_overlay_xml ("web.qcow2", header->capacity, header->backing, format, FALSE);
  g_autoptr (xmlDoc) doc = ramet_xml_parse (xml, "volume", NULL);
  xmlNode *store;

  g_assert_nonnull (doc);
  store = ramet_xml_first (xmlDocGetRootElement (doc), "backingStore");
  if (header->backing)
    {
      g_autofree char *path = (char *) xmlNodeGetContent (ramet_xml_first (store, "path"));

      g_assert_cmpstr (path, ==, header->backing);
      g_assert_true (ramet_xml_has (ramet_xml_first (store, "format"), "type", format));
    }
  else
    g_assert_null (store);
}

static void
check_other_volumes (const RametDiskHeader *header)
{
  g_autofree char *plain = ramet_volume_plain_xml ("web.img", header->format, header->capacity);
  g_autofree char *own = ramet_volume_own_xml ("web.qcow2", header->capacity);

  fuzz_check_xml (plain);
  fuzz_check_xml (own);
}

static guint64
number_at (const guint8 *at, gsize bytes)
{
  guint64 number = 0;

  for (gsize i = 0; i < bytes; i++)
    number = number << 8 | at[i];
  return number;
}

/* All of a header with a backing file that has nothing to do with it: the fixed part, and extensions. */
static GByteArray *
other_parts (const guint8 *data, gsize size)
{
  GByteArray *parts = g_byte_array_new ();
  gsize at = number_at (data + 4, 4) == 3 ? number_at (data + 100, 4) : 72;
  gsize end = MIN (size, number_at (data + 8, 8));

  g_byte_array_append (parts, data, 8);
  g_byte_array_append (parts, data + 20, (guint) at - 20);
  while (at + 8 <= end && number_at (data + at, 4) != 0)
    {
      gsize length = 8 + number_at (data + at + 4, 4);

      if (number_at (data + at, 4) != 0xe2792aca)
        g_byte_array_append (parts, data + at, (guint) length);
      at += (length + 7) / 8 * 8;
    }
  return parts;
}

/* Another backing file goes into a copy: all else is as it was, and what is not to be written back is untouched. */
static void
check_set_backing (const RametDiskHeader *header, const guint8 *data, size_t size, const char *backing)
{
  g_autofree guint8 *copy = g_memdup2 (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametDiskHeader) again = NULL;
  g_autoptr (GByteArray) before = NULL;
  g_autoptr (GByteArray) after = NULL;
  gsize n_changed = 0;

  if (!ramet_disk_header_set_backing (copy, size, backing, "raw", &n_changed, &error))
    {
      g_assert_true (error->domain == RAMET_ERROR);
      fuzz_check_message (error->message, 300);
      g_assert_cmpmem (copy, size, data, size);
      return;
    }
  g_assert_no_error (error);
  g_assert_cmpuint (n_changed, <=, size);
  g_assert_cmpmem (copy + n_changed, size - n_changed, data + n_changed, size - n_changed);
  again = ramet_disk_header_parse (copy, size, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again->backing, ==, backing);
  g_assert_cmpstr (again->backing_format, ==, "raw");
  g_assert_cmpuint (again->capacity, ==, header->capacity);
  g_assert_cmpuint (again->n_snapshots, ==, header->n_snapshots);
  before = other_parts (data, size);
  after = other_parts (copy, size);
  g_assert_cmpmem (after->data, after->len, before->data, before->len);
}

/* What the header says, read a second time by hand. */
static void
check_qcow2 (const RametDiskHeader *header, const guint8 *data, size_t size)
{
  guint64 capacity = 0, name_at = 0;

  g_assert_cmpuint (size, >=, 104);
  for (guint i = 0; i < 8; i++)
    {
      name_at = name_at << 8 | data[8 + i];
      capacity = capacity << 8 | data[24 + i];
    }
  g_assert_cmpuint (header->capacity, ==, capacity);
  g_assert_cmpint (header->backing != NULL, ==, name_at != 0);
  g_assert_cmpint (header->encrypted, ==, (data[32] | data[33] | data[34] | data[35]) != 0);
  g_assert_cmpint (header->external_data, ==, data[7] == 3 && (data[79] & 4) != 0);
  if (header->backing == NULL)
    return;
  g_assert_cmpuint (strlen (header->backing), ==, (gsize) data[18] << 8 | data[19]);
  g_assert_cmpuint (strlen (header->backing), <=, 1023);
  g_assert_true (memcmp (header->backing, data + name_at, strlen (header->backing)) == 0);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  static const char *const formats[] = { "qcow2", "raw", "vmdk", "vdi", "vhdx", "qed", "vpc", "luks", NULL };
  g_autoptr (GError) error = NULL;
  g_autoptr (RametDiskHeader) header = ramet_disk_header_parse (data, size, &error);
  gboolean has_magic = size >= 4 && memcmp (data, "QFI\xfb", 4) == 0;

  if (header == NULL)
    {
      g_assert_true (has_magic);
      g_assert_true (error->domain == RAMET_ERROR);
      fuzz_check_message (error->message, 200);
      return 0;
    }
  g_assert_no_error (error);
  g_assert_true (g_strv_contains (formats, header->format));
  g_assert_cmpint (g_str_equal (header->format, "qcow2"), ==, has_magic);
  if (has_magic)
    check_qcow2 (header, data, size);
  else
    g_assert_true (header->backing == NULL && header->backing_format == NULL && header->capacity == 0);
  check_overlay (header);
  check_other_volumes (header);
  check_set_backing (header, data, size, "/b");
  check_set_backing (header, data, size, "/var/lib/libvirt/images/moved to another place.qcow2");
  return 0;
}
