/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/migration.h"

/*
 * An input is two bytes, how many pages the RAM has and how the stream is cut, then the stream. So that a page does not
 * take 4096 bytes of input, RUN, n, b in it is 16 × (n + 1) times the byte b.
 */
#define RUN 0xf5
#define MAX_STREAM_BYTES (256 * 1024)
#define MAX_COLUMNS 400 /* of a message: the name of a block has up to 255 */
#define PAGE RAMET_MIGRATION_PAGE_BYTES
#define RAM "pc.ram"
#define NEW "ramet.ram"

typedef struct
{
  GByteArray *memory;
  GByteArray *state;
} Parts;

static void
parts_init (Parts *parts, gsize ram_bytes)
{
  parts->memory = g_byte_array_sized_new ((guint) ram_bytes);
  parts->state = g_byte_array_new ();
  g_byte_array_set_size (parts->memory, (guint) ram_bytes);
  memset (parts->memory->data, 0, ram_bytes);
}

static void
parts_clear (Parts *parts)
{
  g_byte_array_unref (parts->memory);
  g_byte_array_unref (parts->state);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Parts, parts_clear)

static GByteArray *
expand (const guint8 *data, gsize size)
{
  GByteArray *stream = g_byte_array_new ();

  for (gsize i = 0; i < size && stream->len < MAX_STREAM_BYTES; i++)
    if (data[i] != RUN || i + 2 >= size)
      g_byte_array_append (stream, data + i, 1);
    else
      {
        guint n = 16 * (data[i + 1] + 1u);

        g_byte_array_set_size (stream, stream->len + n);
        memset (stream->data + stream->len - n, data[i + 2], n);
        i += 2;
      }
  return stream;
}

/* ------------------------------------------------------------------ the stream, read a second time by hand */

typedef struct
{
  const guint8 *bytes;
  gsize length;
  gsize at;
} Reader;

/* Ends the reading by FALSE if there is not as much. */
#define NEED(reader, n)                                                                                                \
  if ((reader)->length - (reader)->at < (n))                                                                           \
  return FALSE

static guint64
number (Reader *reader, gsize n)
{
  guint64 value = 0;

  while (n-- > 0)
    value = value * 256 + reader->bytes[reader->at++];
  return value;
}

static gboolean
name (Reader *reader, char ret_name[256])
{
  gsize n;

  NEED (reader, 1);
  n = reader->bytes[reader->at++];
  NEED (reader, n);
  memcpy (ret_name, reader->bytes + reader->at, n);
  ret_name[n] = '\0';
  reader->at += n;
  return strlen (ret_name) == n;
}

static gboolean
read_header (Reader *reader)
{
  g_autofree char *machine = NULL;
  gsize n;

  NEED (reader, 13);
  if (memcmp (reader->bytes, "QEVM\0\0\0\3\7", 9) != 0)
    return FALSE;
  reader->at = 9;
  n = number (reader, 4);
  NEED (reader, n);
  machine = g_strndup ((const char *) reader->bytes + 13, n);
  reader->at += n;
  return strlen (machine) == n && fuzz_matches (machine, "^[!-~]{1,255}$");
}

static gboolean
read_table (Reader *reader, GHashTable *blocks, gsize ram_bytes, Parts *parts)
{
  static const char start[] = "\3ram\0\0\0\0\0\0\0\4";
  guint64 total;

  NEED (reader, 1 + 4 + 12 + 8);
  if (reader->bytes[reader->at] != 1 || memcmp (reader->bytes + reader->at + 5, start, 12) != 0)
    return FALSE;
  reader->at += 17;
  total = number (reader, 8);
  if (total % PAGE != 4 || total == 4)
    return FALSE;
  g_byte_array_append (parts->state, reader->bytes, (guint) reader->at);
  for (total -= 4; total > 0;)
    {
      char block[256];
      gsize at = reader->at;
      guint64 bytes;

      if (!name (reader, block))
        return FALSE;
      NEED (reader, 8);
      bytes = number (reader, 8);
      if (!fuzz_matches (block, "^[!-~]+$") || bytes % PAGE != 0 || bytes == 0 || bytes > total ||
          g_hash_table_size (blocks) == 256 || g_str_equal (block, NEW) ||
          !g_hash_table_insert (blocks, g_strdup (block), g_memdup2 (&bytes, sizeof bytes)))
        return FALSE;
      total -= bytes;
      if (g_str_equal (block, RAM))
        {
          if (bytes != ram_bytes)
            return FALSE;
          g_byte_array_append (parts->state, (const guint8 *) "\x09" NEW, 10);
          at = reader->at - 8;
        }
      g_byte_array_append (parts->state, reader->bytes + at, (guint) (reader->at - at));
    }
  return g_hash_table_contains (blocks, RAM);
}

/* The end record and the footer behind it. */
static gboolean
read_end (Reader *reader, const guint8 *section, Parts *parts)
{
  NEED (reader, 13);
  if (memcmp (reader->bytes + reader->at, "\0\0\0\0\0\0\0\x10\x7e", 9) != 0 ||
      memcmp (reader->bytes + reader->at + 9, section, 4) != 0)
    return FALSE;
  g_byte_array_append (parts->state, reader->bytes + reader->at, 13);
  reader->at += 13;
  return TRUE;
}

static gboolean
read_page (Reader *reader, GHashTable *blocks, char block[256], GHashTable *came, Parts *parts)
{
  gsize at = reader->at;
  guint64 record = number (reader, 8);
  guint kind = record % PAGE & ~0x20u;
  guint64 offset = record - record % PAGE;
  const guint64 *bytes;
  gsize n = kind == 8 ? PAGE : 1;

  if ((kind != 8 && kind != 2) || ((record & 0x20) == 0 && !name (reader, block)))
    return FALSE;
  bytes = g_hash_table_lookup (blocks, block);
  NEED (reader, n);
  if (bytes == NULL || offset > *bytes - PAGE || (kind == 2 && reader->bytes[reader->at] != 0))
    return FALSE;
  reader->at += n;
  if (!g_str_equal (block, RAM))
    {
      g_byte_array_append (parts->state, reader->bytes + at, (guint) (reader->at - at));
      return TRUE;
    }
  g_hash_table_add (came, GSIZE_TO_POINTER ((gsize) offset + 1));
  if (kind == 8)
    memcpy (parts->memory->data + offset, reader->bytes + reader->at - PAGE, PAGE);
  else
    memset (parts->memory->data + offset, 0, PAGE);
  return TRUE;
}

/* Whether what looks like QEMU's description of the devices, and is the last that does, goes to the end. */
static gboolean
ends_with_description (const guint8 *bytes, gsize length)
{
  static const char text[] = "{\"page_size\": 4096, ";

  for (gsize at = length; at >= 6; at--)
    if (length - at >= sizeof text - 1 && memcmp (bytes + at, text, sizeof text - 1) == 0 && bytes[at - 6] == 0 &&
        bytes[at - 5] == 6)
      return length - at == ((gsize) bytes[at - 4] << 24 | bytes[at - 3] << 16 | bytes[at - 2] << 8 | bytes[at - 1]);
  return FALSE;
}

static gboolean
read_stream (Reader *reader, gsize ram_bytes, Parts *parts)
{
  g_autoptr (GHashTable) blocks = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr (GHashTable) came = g_hash_table_new (NULL, NULL);
  char block[256] = "";
  const guint8 *section;
  guint8 type;

  if (!read_header (reader))
    return FALSE;
  section = reader->bytes + reader->at + 1;
  if (!read_table (reader, blocks, ram_bytes, parts) || !read_end (reader, section, parts))
    return FALSE;
  do
    {
      NEED (reader, 5);
      type = reader->bytes[reader->at];
      if ((type != 2 && type != 3) || memcmp (reader->bytes + reader->at + 1, section, 4) != 0)
        return FALSE;
      g_byte_array_append (parts->state, reader->bytes + reader->at, 5);
      reader->at += 5;
      for (;;)
        {
          NEED (reader, 8);
          if (memcmp (reader->bytes + reader->at, "\0\0\0\0\0\0\0\x10", 8) == 0)
            break;
          if (!read_page (reader, blocks, block, came, parts))
            return FALSE;
        }
      if (!read_end (reader, section, parts))
        return FALSE;
    }
  while (type == 2);
  if (g_hash_table_size (came) != ram_bytes / PAGE || reader->at == reader->length || reader->bytes[reader->at] != 4)
    return FALSE;
  g_byte_array_append (parts->state, reader->bytes + reader->at, (guint) (reader->length - reader->at));
  return ends_with_description (reader->bytes + reader->at, reader->length - reader->at);
}

/* ------------------------------------------------------------------ the split */

static gboolean
on_page (guint64 offset, const guint8 *bytes, gpointer data, GError **error)
{
  Parts *parts = data;

  g_assert_cmpuint (offset, <=, parts->memory->len - PAGE);
  memcpy (parts->memory->data + offset, bytes, PAGE);
  return TRUE;
}

static gboolean
on_zero (guint64 offset, gpointer data, GError **error)
{
  Parts *parts = data;

  g_assert_cmpuint (offset, <=, parts->memory->len - PAGE);
  memset (parts->memory->data + offset, 0, PAGE);
  return TRUE;
}

static gboolean
on_state (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  g_byte_array_append (((Parts *) data)->state, bytes, (guint) length);
  return TRUE;
}

static gboolean
on_fill (RametMigration *migration, gpointer data, GError **error)
{
  static const guint8 zeros[PAGE];
  const GByteArray *memory = ((Parts *) data)->memory;

  for (gsize at = 0; at < memory->len; at += PAGE)
    if (!ramet_migration_put_page (migration, at, memcmp (memory->data + at, zeros, PAGE) ? memory->data + at : NULL, error))
      return FALSE;
  return TRUE;
}

/* In pieces whose lengths @seed decides, of memory of their own; in one if it is 0. With @joins, the other way round. */
static gboolean
feed (const GByteArray *stream, gboolean joins, guint8 seed, Parts *parts, GError **error)
{
  static const RametMigrationSink split_sink = { on_page, on_zero, on_state, NULL };
  static const RametMigrationSink join_sink = { NULL, NULL, on_state, on_fill };
  const RametMigrationRam ram = { joins ? NEW : RAM, parts->memory->len, joins ? RAM : NEW };
  g_autoptr (RametMigration) migration = ramet_migration_new (&ram, joins ? &join_sink : &split_sink, parts, error);
  guint32 random = seed;

  for (gsize at = 0, n; at < stream->len; at += n)
    {
      g_autofree guint8 *piece = NULL;

      random = random * 1664525 + 1013904223;
      n = seed == 0 ? stream->len : seed == 1 ? 1 + (random >> 28) : 1 + (random >> (18 + seed % 13));
      n = MIN (n, stream->len - at);
      piece = g_memdup2 (stream->data + at, n);
      if (!ramet_migration_feed (migration, piece, n, error))
        return FALSE;
    }
  return ramet_migration_finish (migration, error);
}

/* What was split is joined, and that split again: both parts are what they were. */
static void
check_join (const Parts *whole, guint8 seed)
{
  g_auto (Parts) joined = { 0 }, again = { 0 };
  g_autoptr (GError) error = NULL;

  parts_init (&joined, whole->memory->len);
  parts_init (&again, whole->memory->len);
  memcpy (joined.memory->data, whole->memory->data, whole->memory->len);
  feed (whole->state, TRUE, seed, &joined, &error);
  g_assert_no_error (error);
  feed (joined.state, FALSE, seed, &again, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (again.memory->data, again.memory->len, whole->memory->data, whole->memory->len);
  g_assert_cmpmem (again.state->data, again.state->len, whole->state->data, whole->state->len);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  gsize ram_bytes = size > 0 ? (1 + data[0] % 20) * PAGE : PAGE;
  g_autoptr (GByteArray) stream = size > 2 ? expand (data + 2, size - 2) : g_byte_array_new ();
  g_autofree guint8 *exact = g_memdup2 (stream->data, stream->len);
  Reader reader = { exact, stream->len, 0 };
  g_auto (Parts) whole = { 0 }, pieces = { 0 }, wanted = { 0 };
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) pieces_error = NULL;

  parts_init (&whole, ram_bytes);
  parts_init (&pieces, ram_bytes);
  parts_init (&wanted, ram_bytes);
  feed (stream, FALSE, 0, &whole, &error);
  feed (stream, FALSE, size > 1 ? data[1] | 1 : 1, &pieces, &pieces_error);
  g_assert_cmpint (read_stream (&reader, ram_bytes, &wanted), ==, error == NULL);
  g_assert_cmpstr (pieces_error ? pieces_error->message : NULL, ==, error ? error->message : NULL);
  g_assert_cmpmem (pieces.memory->data, ram_bytes, whole.memory->data, ram_bytes);
  g_assert_cmpmem (pieces.state->data, pieces.state->len, whole.state->data, whole.state->len);
  if (error)
    {
      g_assert_true (g_error_matches (error, RAMET_ERROR, RAMET_ERROR_REFUSED));
      fuzz_check_message (error->message, MAX_COLUMNS);
      return 0;
    }
  g_assert_cmpmem (whole.memory->data, ram_bytes, wanted.memory->data, ram_bytes);
  g_assert_cmpmem (whole.state->data, whole.state->len, wanted.state->data, wanted.state->len);
  check_join (&whole, data[1]);
  return 0;
}
