/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "migration-maker.h"

#include <string.h>

#define SECTION_ID 2

Maker *
maker_new (const char *ram, gsize n_pages, const char *new_name)
{
  Maker *maker = g_new0 (Maker, 1);

  maker->stream = g_byte_array_new ();
  maker->state = g_byte_array_new ();
  maker->memory = g_byte_array_new ();
  g_byte_array_set_size (maker->memory, (guint) (n_pages * MAKER_PAGE_BYTES));
  memset (maker->memory->data, 0, maker->memory->len);
  maker->ram = ram;
  maker->new_name = new_name;
  return maker;
}

void
maker_free (Maker *maker)
{
  g_byte_array_unref (maker->stream);
  g_byte_array_unref (maker->state);
  g_byte_array_unref (maker->memory);
  g_free (maker->last_block);
  g_free (maker);
}

static void
put_number (GByteArray *out, guint64 number, gsize bytes)
{
  for (gsize i = bytes; i > 0; i--)
    g_byte_array_append (out, &(guint8){ (guint8) (number >> (8 * (i - 1))) }, 1);
}

static void
put_name (GByteArray *out, const char *name)
{
  put_number (out, strlen (name), 1);
  g_byte_array_append (out, (const guint8 *) name, (guint) strlen (name));
}

static void
put_in_both (Maker *maker, guint64 number, gsize bytes)
{
  put_number (maker->stream, number, bytes);
  put_number (maker->state, number, bytes);
}

void
maker_header (Maker *maker, const char *machine)
{
  put_in_both (maker, 0x5145564d, 4);
  put_in_both (maker, 3, 4);
  put_in_both (maker, 7, 1);
  put_in_both (maker, strlen (machine), 4);
  g_byte_array_append (maker->stream, (const guint8 *) machine, (guint) strlen (machine));
  g_byte_array_append (maker->state, (const guint8 *) machine, (guint) strlen (machine));
}

void
maker_table (Maker *maker, const char *const *names, const gsize *n_pages, gsize n)
{
  guint64 total = 0;

  maker_section (maker, 1);
  for (gsize i = 0; i < n; i++)
    total += n_pages[i] * MAKER_PAGE_BYTES;
  put_in_both (maker, total | 0x04, 8);
  for (gsize i = 0; i < n; i++)
    {
      put_name (maker->stream, names[i]);
      put_name (maker->state, g_str_equal (names[i], maker->ram) ? maker->new_name : names[i]);
      put_in_both (maker, n_pages[i] * MAKER_PAGE_BYTES, 8);
    }
  maker_section_end (maker);
}

void
maker_section (Maker *maker, guint8 type)
{
  put_in_both (maker, type, 1);
  put_in_both (maker, SECTION_ID, 4);
  if (type != 1)
    return;
  put_name (maker->stream, "ram");
  put_name (maker->state, "ram");
  put_in_both (maker, 0, 4);
  put_in_both (maker, 4, 4);
}

void
maker_section_end (Maker *maker)
{
  put_in_both (maker, 0x10, 8);
  put_in_both (maker, 0x7e, 1);
  put_in_both (maker, SECTION_ID, 4);
}

/** maker_page: @page is %NULL for one that is zero; the block's name is said if it is another's than before, too */
void
maker_page (Maker *maker, const char *block, gsize index, const guint8 *page, gboolean say_name)
{
  gboolean named = say_name || g_strcmp0 (block, maker->last_block) != 0;
  guint64 record = index * MAKER_PAGE_BYTES | (page ? 0x08 : 0x02) | (named ? 0 : 0x20);
  guint at = maker->stream->len;

  put_number (maker->stream, record, 8);
  if (named)
    put_name (maker->stream, block);
  if (page)
    g_byte_array_append (maker->stream, page, MAKER_PAGE_BYTES);
  else
    put_number (maker->stream, 0, 1);
  if (!g_str_equal (block, maker->ram))
    g_byte_array_append (maker->state, maker->stream->data + at, maker->stream->len - at);
  else if (page)
    memcpy (maker->memory->data + index * MAKER_PAGE_BYTES, page, MAKER_PAGE_BYTES);
  else
    memset (maker->memory->data + index * MAKER_PAGE_BYTES, 0, MAKER_PAGE_BYTES);
  g_free (maker->last_block);
  maker->last_block = g_strdup (block);
}

/** maker_devices: the sections of devices, @bytes in them, and the description at the end */
void
maker_devices (Maker *maker, const guint8 *bytes, gsize length)
{
  static const char description[] = "{\"page_size\": 4096, \"devices\": [{\"name\": \"timer\", \"instance_id\": 0}]}";
  guint at = maker->stream->len;

  put_number (maker->stream, 4, 1);
  put_number (maker->stream, 39, 4);
  put_name (maker->stream, "timer");
  put_number (maker->stream, 0, 4);
  put_number (maker->stream, 2, 4);
  g_byte_array_append (maker->stream, bytes, (guint) length);
  put_number (maker->stream, 0x7e, 1);
  put_number (maker->stream, 39, 4);
  put_number (maker->stream, 0, 1);
  put_number (maker->stream, 6, 1);
  put_number (maker->stream, strlen (description), 4);
  g_byte_array_append (maker->stream, (const guint8 *) description, (guint) strlen (description));
  g_byte_array_append (maker->state, maker->stream->data + at, maker->stream->len - at);
}

/** maker_save_image: (transfer full): as libvirt writes it; @cookie may be %NULL */
GByteArray *
maker_save_image (const Maker *maker, const char *xml, const char *cookie)
{
  gsize text_bytes = strlen (xml) + 1 + (cookie ? strlen (cookie) + 1 : 0) + 65536;
  guint32 numbers[19] = { 2, (guint32) text_bytes, 1, 0, cookie ? (guint32) strlen (xml) + 1 : 0 };
  GByteArray *image = g_byte_array_new ();
  g_autofree guint8 *text = g_malloc0 (text_bytes);

  g_byte_array_append (image, (const guint8 *) "LibvirtQemudSave", 16);
  g_byte_array_append (image, (const guint8 *) numbers, sizeof numbers);
  memcpy (text, xml, strlen (xml));
  if (cookie)
    memcpy (text + strlen (xml) + 1, cookie, strlen (cookie));
  g_byte_array_append (image, text, (guint) text_bytes);
  g_byte_array_append (image, maker->stream->data, maker->stream->len);
  return image;
}
