/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/disk.h"

#include <string.h>

#include "core/error.h"
#include "model/xml.h"

#define QCOW2_EXTENSION_END 0x00000000u
#define QCOW2_EXTENSION_BACKING_FORMAT 0xe2792acau
#define QCOW2_INCOMPATIBLE_EXTERNAL_DATA (1ULL << 2)
#define QCOW2_MAX_BACKING_NAME 1023

void
ramet_disk_header_free (RametDiskHeader *header)
{
  g_free (header->format);
  g_free (header->backing);
  g_free (header->backing_format);
  g_free (header);
}

static guint32
be32 (const guint8 *bytes)
{
  guint32 value;

  memcpy (&value, bytes, sizeof value);
  return GUINT32_FROM_BE (value);
}

static guint64
be64 (const guint8 *bytes)
{
  guint64 value;

  memcpy (&value, bytes, sizeof value);
  return GUINT64_FROM_BE (value);
}

static gboolean
damaged (GError **error, const char *what)
{
  ramet_error_set (error, RAMET_ERROR_FAILED, "the qcow2 header is damaged: %s", what);
  return FALSE;
}

/* A name inside the header: it becomes a path or an XML value, so it must be text. */
static gboolean
take_text (const guint8 *bytes, gsize length, char **ret_text)
{
  g_autofree char *text = g_strndup ((const char *) bytes, length);

  if (strlen (text) < length || !ramet_xml_can_hold (text))
    return FALSE;
  *ret_text = g_steal_pointer (&text);
  return TRUE;
}

static gboolean
parse_extensions (const guint8 *bytes, gsize length, gsize at, RametDiskHeader *header, GError **error)
{
  while (at + 8 <= length)
    {
      guint32 type = be32 (bytes + at);
      gsize size = be32 (bytes + at + 4);

      at += 8;
      if (type == QCOW2_EXTENSION_END)
        return TRUE;
      if (size > length - at)
        return damaged (error, "an extension does not end");
      if (type == QCOW2_EXTENSION_BACKING_FORMAT && header->backing_format == NULL &&
          !take_text (bytes + at, size, &header->backing_format))
        return damaged (error, "the backing format is no text");
      at += (size + 7) & ~(gsize) 7;
    }
  return TRUE;
}

/* All numbers are big-endian: https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt */
static gboolean
parse_qcow2 (const guint8 *bytes, gsize length, RametDiskHeader *header, GError **error)
{
  guint32 version;
  guint64 name_at;
  guint32 name_length;
  gsize extensions_at = 72;

  if (length < 104)
    return damaged (error, "it is shorter than 104 bytes");
  version = be32 (bytes + 4);
  name_at = be64 (bytes + 8);
  name_length = be32 (bytes + 16);
  if (version != 2 && version != 3)
    return damaged (error, "its version is neither 2 nor 3");
  header->capacity = be64 (bytes + 24);
  header->encrypted = be32 (bytes + 32) != 0;
  header->n_snapshots = be32 (bytes + 60);
  if (version == 3)
    {
      header->external_data = (be64 (bytes + 72) & QCOW2_INCOMPATIBLE_EXTERNAL_DATA) != 0;
      extensions_at = be32 (bytes + 100);
      if (extensions_at < 104 || extensions_at > length)
        return damaged (error, "its length is out of bounds");
    }
  if (name_at != 0 && (name_length == 0 || name_length > QCOW2_MAX_BACKING_NAME || name_at > length ||
                       name_length > length - name_at))
    return damaged (error, "the backing file's name is out of bounds");
  if (name_at != 0 && !take_text (bytes + name_at, name_length, &header->backing))
    return damaged (error, "the backing file's name is no text");
  return parse_extensions (bytes, name_at ? MIN (length, (gsize) name_at) : length, extensions_at, header, error);
}

static const char *
format_by_magic (const guint8 *bytes, gsize length)
{
  static const struct
  {
    gsize at;
    const char *magic;
    gsize size;
    const char *format;
  } magics[] = { { 0, "QFI\xfb", 4, "qcow2" }, { 0, "QED", 4, "qed" },        { 0, "KDMV", 4, "vmdk" },
                 { 0, "COWD", 4, "vmdk" },     { 0, "vhdxfile", 8, "vhdx" },   { 0, "conectix", 8, "vpc" },
                 { 64, "\x7f\x10\xda\xbe", 4, "vdi" }, { 0, "LUKS\xba\xbe", 6, "luks" } };

  for (gsize i = 0; i < G_N_ELEMENTS (magics); i++)
    if (length >= magics[i].at + magics[i].size && memcmp (bytes + magics[i].at, magics[i].magic, magics[i].size) == 0)
      return magics[i].format;
  return "raw";
}

/**
 * ramet_disk_header_parse:
 * @bytes: the start of an image, up to RAMET_DISK_HEADER_BYTES of it; untrusted
 *
 * Returns: (transfer full)
 */
RametDiskHeader *
ramet_disk_header_parse (const guint8 *bytes, gsize length, GError **error)
{
  g_autoptr (RametDiskHeader) header = g_new0 (RametDiskHeader, 1);

  header->format = g_strdup (format_by_magic (bytes, length));
  if (g_str_equal (header->format, "qcow2") && !parse_qcow2 (bytes, length, header, error))
    return NULL;
  return g_steal_pointer (&header);
}

static void
put_be (guint8 *at, guint64 value, gsize bytes)
{
  for (gsize i = bytes; i-- > 0; value >>= 8)
    at[i] = (guint8) value;
}

static void
add_extension (GByteArray *out, guint32 type, const guint8 *data, gsize size)
{
  static const guint8 zeros[8] = { 0 };
  guint8 head[8];

  put_be (head, type, 4);
  put_be (head + 4, size, 4);
  g_byte_array_append (out, head, sizeof head);
  g_byte_array_append (out, data, (guint) size);
  g_byte_array_append (out, zeros, (guint) (-size & 7));
}

/* The extensions of a header that parse_qcow2() has passed, but for the backing format's. */
static void
add_other_extensions (GByteArray *out, const guint8 *bytes, gsize length, gsize at)
{
  while (at + 8 <= length && be32 (bytes + at) != QCOW2_EXTENSION_END)
    {
      gsize size = be32 (bytes + at + 4);

      if (be32 (bytes + at) != QCOW2_EXTENSION_BACKING_FORMAT)
        add_extension (out, be32 (bytes + at), bytes + at + 8, size);
      at += 8 + ((size + 7) & ~(gsize) 7);
    }
}

/**
 * ramet_disk_header_set_backing:
 * @bytes: (inout): the first RAMET_DISK_HEADER_BYTES of a qcow2 image with a backing file, or all of a shorter one
 * @ret_changed: (out): how many bytes from the start have to be written back; a few whole pages
 *
 * Names another backing file. All else in the header stays, extensions that we do not know among it. No content is looked
 * at: it must be the same as the old one's.
 */
gboolean
ramet_disk_header_set_backing (guint8 *bytes, gsize length, const char *backing, const char *backing_format,
                               gsize *ret_changed, GError **error)
{
  g_autoptr (RametDiskHeader) header = ramet_disk_header_parse (bytes, length, error);
  g_autoptr (GByteArray) out = g_byte_array_new ();
  gsize name_length = strlen (backing);
  gsize fixed;
  gsize before;
  guint32 cluster_bits;

  if (header == NULL)
    return FALSE;
  cluster_bits = length >= 24 ? be32 (bytes + 20) : 0;
  if (!g_str_equal (header->format, "qcow2") || header->backing == NULL || cluster_bits < 9 || cluster_bits > 21)
    return damaged (error, "it is not one with a backing file");
  fixed = be32 (bytes + 4) == 3 ? be32 (bytes + 100) : 72;
  before = (gsize) be64 (bytes + 8) + be32 (bytes + 16);
  if (before > 1u << cluster_bits)
    return damaged (error, "the backing file's name is behind the first cluster");
  g_byte_array_append (out, bytes, (guint) fixed);
  add_extension (out, QCOW2_EXTENSION_BACKING_FORMAT, (const guint8 *) backing_format, strlen (backing_format));
  add_other_extensions (out, bytes, (gsize) be64 (bytes + 8), fixed);
  add_extension (out, QCOW2_EXTENSION_END, NULL, 0);
  put_be (out->data + 8, out->len, 8);
  put_be (out->data + 16, name_length, 4);
  g_byte_array_append (out, (const guint8 *) backing, (guint) name_length);
  if (name_length == 0 || name_length > QCOW2_MAX_BACKING_NAME || out->len > length || out->len > 1u << cluster_bits)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the path of the backing file is too long for the image's header: '%s'",
                       backing);
      return FALSE;
    }
  memcpy (bytes, out->data, out->len);
  if (before > out->len)
    memset (bytes + out->len, 0, before - out->len);
  *ret_changed = MIN (length, (MAX (out->len, before) + 4095) & ~(gsize) 4095);
  return TRUE;
}

static char *
volume_xml (const char *name, const char *format, guint64 capacity, const char *backing, const char *backing_format,
            gboolean open_to_all)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *volume = xmlNewNode (NULL, (const xmlChar *) "volume");
  g_autofree char *bytes = g_strdup_printf ("%" G_GUINT64_FORMAT, capacity);
  xmlNode *target;

  xmlDocSetRootElement (doc, volume);
  ramet_xml_add (volume, "name", name);
  ramet_xml_set (ramet_xml_add (volume, "capacity", bytes), "unit", "bytes");
  ramet_xml_set (ramet_xml_add (volume, "allocation", "0"), "unit", "bytes");
  target = ramet_xml_add (volume, "target", NULL);
  ramet_xml_set (ramet_xml_add (target, "format", NULL), "type", format);
  if (g_str_equal (format, "qcow2"))
    ramet_xml_add (target, "compat", "1.1"); /* libvirt's own default is 0.10 */
  if (backing)
    {
      xmlNode *store = ramet_xml_add (volume, "backingStore", NULL);

      ramet_xml_add (store, "path", backing);
      ramet_xml_set (ramet_xml_add (store, "format", NULL), "type", backing_format);
    }
  if (open_to_all)
    /* a base's file must be readable for QEMU's user without a change of its owner */
    ramet_xml_add (ramet_xml_add (target, "permissions", NULL), "mode", "0644");
  return ramet_xml_dump (doc);
}

/**
 * ramet_volume_overlay_xml:
 * @capacity: virtual size in bytes
 * @open_to_all: other VMs are to stand on it
 *
 * Returns: (transfer full): a qcow2 volume on @backing, see https://libvirt.org/formatstorage.html
 */
char *
ramet_volume_overlay_xml (const char *name, guint64 capacity, const char *backing, const char *backing_format,
                          gboolean open_to_all)
{
  return volume_xml (name, "qcow2", capacity, backing, backing_format, open_to_all);
}

/** ramet_volume_plain_xml: (transfer full): a volume of its own with mode 0644; @capacity in bytes */
char *
ramet_volume_plain_xml (const char *name, const char *format, guint64 capacity)
{
  return volume_xml (name, format, capacity, NULL, NULL, TRUE);
}

/** ramet_volume_own_xml: (transfer full): a qcow2 volume that stands on nothing, closed to all like an overlay */
char *
ramet_volume_own_xml (const char *name, guint64 capacity)
{
  return volume_xml (name, "qcow2", capacity, NULL, NULL, FALSE);
}
