/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/migration-private.h"

#include <string.h>

#include "core/error.h"
#include "core/text.h"

/* Takes an item apart. When it runs out of bytes it gives zeros from then on, and the item is tried again with more. */
typedef struct
{
  const guint8 *at;
  const guint8 *end;
  gboolean ran_out;
} Cursor;

static const guint8 *
take (Cursor *cursor, gsize length)
{
  const guint8 *bytes = cursor->at;

  if (cursor->ran_out || (gsize) (cursor->end - cursor->at) < length)
    {
      cursor->ran_out = TRUE;
      return NULL;
    }
  cursor->at += length;
  return bytes;
}

static guint64
take_number (Cursor *cursor, gsize length)
{
  const guint8 *bytes = take (cursor, length);
  guint64 number = 0;

  for (gsize i = 0; bytes && i < length; i++)
    number = number << 8 | bytes[i];
  return number;
}

static const char *
take_name (Cursor *cursor, gsize *ret_length)
{
  *ret_length = take_number (cursor, 1);
  return (const char *) take (cursor, *ret_length);
}

static gboolean G_GNUC_PRINTF (3, 4)
not_understood (const RametMigration *migration, GError **error, const char *format, ...)
{
  g_autofree char *why = NULL;
  va_list args;

  va_start (args, format);
  why = g_strdup_vprintf (format, args);
  va_end (args);
  ramet_error_set (error, RAMET_ERROR_REFUSED, "the saved memory is not understood: %s, at byte %" G_GUINT64_FORMAT, why,
                   migration->at);
  return FALSE;
}

static gboolean
is_name (const char *bytes, gsize length)
{
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isgraph (bytes[i]))
      return FALSE;
  return length > 0;
}

static gboolean
is (const char *name, const char *bytes, gsize length)
{
  return strlen (name) == length && memcmp (name, bytes, length) == 0;
}

/* The item goes into the rest as it is. */
static gboolean
keep (RametMigration *migration, const guint8 *start, const Cursor *cursor, GError **error)
{
  return migration->sink.state (start, (gsize) (cursor->at - start), migration->data, error);
}

static gboolean
parse_header (RametMigration *migration, Cursor *cursor, GError **error)
{
  const guint8 *start = cursor->at;
  const char *machine;
  guint64 magic = take_number (cursor, 4);
  guint64 version = take_number (cursor, 4);
  guint64 type = take_number (cursor, 1);
  gsize length = take_number (cursor, 4);

  if (cursor->ran_out)
    return FALSE;
  if (magic != MAGIC)
    return not_understood (migration, error, "it is no stream of QEMU's");
  if (version != VERSION || type != CONFIGURATION)
    return not_understood (migration, error, "its version is not known");
  if (length > MAX_NAME_BYTES)
    return not_understood (migration, error, "the machine type's name is too long");
  machine = (const char *) take (cursor, length);
  if (cursor->ran_out)
    return FALSE;
  if (!is_name (machine, length))
    return not_understood (migration, error, "the machine type is no name");
  migration->stage = STAGE_TABLE_START;
  return keep (migration, start, cursor, error);
}

/* A stream whose first section is another's has block devices in it, or dirty bitmaps, or comes from another device. */
static gboolean
parse_table_start (RametMigration *migration, Cursor *cursor, GError **error)
{
  const guint8 *start = cursor->at;
  gsize length;
  guint64 type = take_number (cursor, 1);
  guint64 section = take_number (cursor, 4);
  const char *name = take_name (cursor, &length);
  guint64 instance = take_number (cursor, 4);
  guint64 version = take_number (cursor, 4);
  guint64 record = take_number (cursor, 8);

  if (cursor->ran_out)
    return FALSE;
  if (type != SECTION_START)
    return not_understood (migration, error, "it has a part of type 0x%02x before the memory", (guint) type);
  if (!is ("ram", name, length))
    {
      g_autofree char *escaped = ramet_text_escape (name, (gssize) length);
      g_autofree char *clipped = ramet_text_clip (escaped, 40);

      return not_understood (migration, error, "it has a section '%s' before the memory", clipped);
    }
  if (instance != 0 || version != RAM_VERSION)
    return not_understood (migration, error, "the memory's version is not known");
  if ((record & PAGE_MASK) != FLAG_TABLE || record == FLAG_TABLE)
    return not_understood (migration, error, "the memory does not begin with a table of its blocks");
  migration->section = (guint32) section;
  migration->table_left = record & ~PAGE_MASK;
  migration->stage = STAGE_TABLE;
  return keep (migration, start, cursor, error);
}

static const Block *
find_block (const RametMigration *migration, const char *name, gsize length)
{
  for (guint i = 0; i < migration->blocks->len; i++)
    {
      const Block *block = &g_array_index (migration->blocks, Block, i);

      if (is (block->name, name, length))
        return block;
    }
  return NULL;
}

static gboolean
keep_renamed (RametMigration *migration, guint64 bytes, GError **error)
{
  guint8 entry[1 + MAX_NAME_BYTES + 8];
  gsize length = strlen (migration->new_name);
  guint64 number = GUINT64_TO_BE (bytes);

  entry[0] = (guint8) length;
  memcpy (entry + 1, migration->new_name, length);
  memcpy (entry + 1 + length, &number, sizeof number);
  return migration->sink.state (entry, 1 + length + sizeof number, migration->data, error);
}

static gboolean
check_block (const RametMigration *migration, const char *name, gsize length, guint64 bytes, GError **error)
{
  if (!is_name (name, length))
    return not_understood (migration, error, "a block of the memory has no proper name");
  if (find_block (migration, name, length) || migration->blocks->len == MAX_BLOCKS)
    return not_understood (migration, error, "a block comes twice, or there are too many");
  if (bytes == 0 || (bytes & PAGE_MASK) != 0 || bytes > migration->table_left)
    return not_understood (migration, error, "the sizes of the blocks do not add up");
  if (is (migration->ram_name, name, length))
    return bytes == migration->ram_bytes ||
           not_understood (migration, error,
                           "'%s' has %" G_GUINT64_FORMAT " bytes, and should have %" G_GUINT64_FORMAT,
                           migration->ram_name, bytes, migration->ram_bytes);
  if (is (migration->new_name, name, length))
    return not_understood (migration, error, "it has a block '%s' already", migration->new_name);
  return TRUE;
}

static gboolean
parse_block (RametMigration *migration, Cursor *cursor, GError **error)
{
  const guint8 *start = cursor->at;
  gsize length;
  const char *name = take_name (cursor, &length);
  guint64 bytes = take_number (cursor, 8);
  Block block = { { 0 }, bytes, FALSE };

  if (cursor->ran_out)
    return FALSE;
  if (!check_block (migration, name, length, bytes, error))
    return FALSE;
  memcpy (block.name, name, length);
  block.is_ram = is (migration->ram_name, name, length);
  g_array_append_val (migration->blocks, block);
  migration->table_left -= bytes;
  if (migration->table_left == 0)
    {
      if (find_block (migration, migration->ram_name, strlen (migration->ram_name)) == NULL)
        return not_understood (migration, error, "it has no block '%s'", migration->ram_name);
      migration->stage = STAGE_TABLE_END;
    }
  return block.is_ram ? keep_renamed (migration, bytes, error) : keep (migration, start, cursor, error);
}

/*
 * The end record of a section has a footer behind it, by which QEMU too sees that it understood what was before. QEMU tells
 * of each page at least once, zero or not: a gap is a sign of something unknown, such as a second stream.
 */
static gboolean
parse_section_end (RametMigration *migration, Cursor *cursor, const guint8 *start, GError **error)
{
  guint64 n_missing = migration->ram_bytes / RAMET_MIGRATION_PAGE_BYTES - migration->n_came;
  guint64 mark = take_number (cursor, 1);
  guint64 section = take_number (cursor, 4);

  if (cursor->ran_out)
    return FALSE;
  if (mark != FOOTER || section != migration->section)
    return not_understood (migration, error, "a section of the memory does not end as it should");
  if (migration->in_last_section && n_missing > 0)
    return not_understood (migration, error, "%" G_GUINT64_FORMAT " pages of '%s' are missing", n_missing,
                           migration->ram_name);
  migration->stage = migration->in_last_section ? STAGE_DEVICES : STAGE_SECTION;
  return keep (migration, start, cursor, error);
}

static gboolean
parse_table_end (RametMigration *migration, Cursor *cursor, GError **error)
{
  const guint8 *start = cursor->at;
  guint64 record = take_number (cursor, 8);

  if (cursor->ran_out)
    return FALSE;
  return record == FLAG_END ? parse_section_end (migration, cursor, start, error)
                            : not_understood (migration, error, "there is more in the table of blocks than is known of");
}

static gboolean
parse_section (RametMigration *migration, Cursor *cursor, GError **error)
{
  const guint8 *start = cursor->at;
  guint64 type = take_number (cursor, 1);
  guint64 section = take_number (cursor, 4);

  if (cursor->ran_out)
    return FALSE;
  if ((type != SECTION_PART && type != SECTION_END) || section != migration->section)
    return not_understood (migration, error, "a part of type 0x%02x that is not the memory's comes in between",
                           (guint) type);
  migration->in_last_section = type == SECTION_END;
  migration->stage = STAGE_RECORDS;
  return keep (migration, start, cursor, error) &&
         (migration->sink.fill == NULL || migration->n_came > 0 || migration->sink.fill (migration, migration->data, error));
}

/* Why a record can be none of a page. */
static const char *
name_flags (guint flags)
{
  return (flags & FLAG_END)     ? "an end mark with more in it"
         : (flags & FLAG_TABLE) ? "a second table of blocks"
         : (flags & 0x40)       ? "a page compressed by xbzrle"
         : (flags & 0x80)       ? "a note for RDMA"
         : (flags & 0x100)      ? "a compressed page"
         : (flags & 0x200)      ? "a mark of multifd"
                                : "a record of an unknown kind";
}

static gboolean
take_ram_page (RametMigration *migration, guint64 offset, const guint8 *page, GError **error)
{
  guint64 index = offset / RAMET_MIGRATION_PAGE_BYTES;
  guint8 *came = migration->came + index / 8;
  guint8 *filled = migration->filled + index / 8;
  guint8 bit = (guint8) (1 << index % 8);

  if (migration->sink.fill)
    return not_understood (migration, error, "a page of '%s', which comes from elsewhere", migration->ram_name);
  migration->n_came += (*came & bit) == 0;
  *came |= bit;
  if (page)
    {
      *filled |= bit;
      return migration->sink.page (offset, page, migration->data, error);
    }
  if ((*filled & bit) == 0)
    return TRUE;
  *filled &= (guint8) ~bit;
  return migration->sink.zero (offset, migration->data, error);
}

/*
 * A record that takes its block from the one before needs no care when pages are left out: where the RAM's run ends, the
 * next record names its block.
 */
static gboolean
parse_record (RametMigration *migration, Cursor *cursor, GError **error)
{
  const guint8 *start = cursor->at;
  guint64 record = take_number (cursor, 8);
  guint flags = (guint) (record & PAGE_MASK);
  guint64 offset = record & ~PAGE_MASK;
  gboolean is_page = (flags & ~FLAG_SAME_BLOCK) == FLAG_PAGE;
  const Block *block = migration->block;
  const guint8 *content;

  if (cursor->ran_out)
    return FALSE;
  if (record == FLAG_END)
    return parse_section_end (migration, cursor, start, error);
  if (!is_page && (flags & ~FLAG_SAME_BLOCK) != FLAG_ZERO)
    return not_understood (migration, error, "%s (0x%03x)", name_flags (flags), flags);
  if ((flags & FLAG_SAME_BLOCK) == 0)
    {
      gsize length;
      const char *name = take_name (cursor, &length);

      if (cursor->ran_out)
        return FALSE;
      block = find_block (migration, name, length);
    }
  if (block == NULL)
    return not_understood (migration, error, "a page of no known block");
  if (offset >= block->bytes)
    return not_understood (migration, error, "a page outside of '%s'", block->name);
  content = take (cursor, is_page ? RAMET_MIGRATION_PAGE_BYTES : 1);
  if (cursor->ran_out)
    return FALSE;
  if (!is_page && *content != 0)
    return not_understood (migration, error, "a page full of one byte that is not zero");
  migration->block = block;
  return block->is_ram ? take_ram_page (migration, offset, is_page ? content : NULL, error)
                       : keep (migration, start, cursor, error);
}

/* Gives how long the item at @bytes is, 0 if it is longer than @length. */
static gboolean
parse_item (RametMigration *migration, const guint8 *bytes, gsize length, gsize *ret_used, GError **error)
{
  static gboolean (*const parsers[]) (RametMigration *, Cursor *, GError **) = {
    [STAGE_HEADER] = parse_header,       [STAGE_TABLE_START] = parse_table_start,
    [STAGE_TABLE] = parse_block,         [STAGE_TABLE_END] = parse_table_end,
    [STAGE_SECTION] = parse_section,     [STAGE_RECORDS] = parse_record,
  };
  Cursor cursor = { bytes, bytes + length, FALSE };
  gboolean parsed = parsers[migration->stage](migration, &cursor, error);

  *ret_used = parsed ? (gsize) (cursor.at - bytes) : 0;
  migration->at += *ret_used;
  return parsed || cursor.ran_out;
}

/* All whole items at @bytes. */
static gboolean
parse_items (RametMigration *migration, const guint8 *bytes, gsize length, gsize *ret_used, GError **error)
{
  gsize used = 1;

  for (*ret_used = 0; used > 0 && migration->stage != STAGE_DEVICES; *ret_used += used)
    if (!parse_item (migration, bytes + *ret_used, length - *ret_used, &used, error))
      return FALSE;
  return TRUE;
}

/* The item whose start is pending, with what it needs of @bytes; gives how much that is. */
static gboolean
parse_pending (RametMigration *migration, const guint8 *bytes, gsize length, gsize *ret_used, GError **error)
{
  gsize had = migration->n_pending;
  gsize more = MIN (length, MAX_ITEM_BYTES - had);
  gsize used;

  memcpy (migration->pending + had, bytes, more);
  if (!parse_item (migration, migration->pending, had + more, &used, error))
    return FALSE;
  migration->n_pending = used > 0 ? 0 : had + more;
  *ret_used = used > 0 ? used - had : more; /* an item is longer than what of it was pending */
  return TRUE;
}

static void
look_for_description (RametMigration *migration, const guint8 *bytes, gsize length, guint64 at)
{
  const guint8 *from = bytes;
  const guint8 *text;

  while ((text = memmem (from, (gsize) (bytes + length - from), DESCRIPTION_TEXT, sizeof DESCRIPTION_TEXT - 1)) != NULL)
    {
      const guint8 *head = text - DESCRIPTION_HEAD_BYTES;

      if (text - bytes >= DESCRIPTION_HEAD_BYTES && head[0] == 0 && head[1] == DESCRIPTION)
        {
          Cursor cursor = { head + 2, text, FALSE };

          migration->description_end = at + (guint64) (text - bytes) + take_number (&cursor, 4);
        }
      from = text + 1;
    }
}

static gboolean
pass_devices (RametMigration *migration, const guint8 *bytes, gsize length, GError **error)
{
  guint8 seam[2 * sizeof migration->tail];
  gsize n_tail = migration->n_tail;
  gsize n_new = MIN (length, sizeof migration->tail);
  gsize n_kept = MIN (n_tail, sizeof migration->tail - n_new);

  if (n_tail == 0 && bytes[0] != SECTION_FULL)
    return not_understood (migration, error, "a part of type 0x%02x comes behind the memory", bytes[0]);
  memcpy (seam, migration->tail, n_tail);
  memcpy (seam + n_tail, bytes, n_new);
  look_for_description (migration, seam, n_tail + n_new, migration->at - n_tail);
  look_for_description (migration, bytes, length, migration->at);
  memmove (migration->tail, migration->tail + n_tail - n_kept, n_kept);
  memcpy (migration->tail + n_kept, bytes + length - n_new, n_new);
  migration->n_tail = n_kept + n_new;
  migration->at += length;
  return migration->sink.state (bytes, length, migration->data, error);
}

/**
 * ramet_migration_new:
 * @sink: told of the parts, with @data
 * @error: RAMET_ERROR_REFUSED if there can be no such RAM
 *
 * Returns: (transfer full): what takes a bit of memory for each page of the RAM, and little else
 */
RametMigration *
ramet_migration_new (const RametMigrationRam *ram, const RametMigrationSink *sink, gpointer data, GError **error)
{
  RametMigration *migration;
  gsize n_pages = ram->bytes / RAMET_MIGRATION_PAGE_BYTES;

  if (n_pages == 0 || (ram->bytes & PAGE_MASK) != 0 || ram->bytes > RAMET_MIGRATION_MAX_RAM_BYTES)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "memory of %" G_GUINT64_FORMAT " bytes cannot be split", ram->bytes);
      return NULL;
    }
  g_return_val_if_fail (is_name (ram->new_name, strlen (ram->new_name)), NULL);
  g_return_val_if_fail (strlen (ram->new_name) <= MAX_NAME_BYTES, NULL);
  migration = g_new0 (RametMigration, 1);
  migration->ram_name = g_strdup (ram->name);
  migration->new_name = g_strdup (ram->new_name);
  migration->ram_bytes = ram->bytes;
  migration->sink = *sink;
  migration->data = data;
  migration->blocks = g_array_sized_new (FALSE, FALSE, sizeof (Block), MAX_BLOCKS); /* it never moves */
  migration->came = g_malloc0 (n_pages / 8 + 1);
  migration->filled = g_malloc0 (n_pages / 8 + 1);
  return migration;
}

void
ramet_migration_free (RametMigration *migration)
{
  g_array_unref (migration->blocks);
  g_free (migration->came);
  g_free (migration->filled);
  g_free (migration->ram_name);
  g_free (migration->new_name);
  g_free (migration);
}

/**
 * ramet_migration_feed:
 * @bytes: the stream's next ones, as many as there happen to be; untrusted
 * @error: RAMET_ERROR_REFUSED if they are not understood, or what the sink says; no more may be fed then
 */
gboolean
ramet_migration_feed (RametMigration *migration, const guint8 *bytes, gsize length, GError **error)
{
  gsize used;

  while (length > 0 && migration->stage != STAGE_DEVICES)
    {
      if (migration->n_pending > 0)
        {
          if (!parse_pending (migration, bytes, length, &used, error))
            return FALSE;
        }
      else
        {
          if (!parse_items (migration, bytes, length, &used, error))
            return FALSE;
          if (migration->stage != STAGE_DEVICES)
            {
              migration->n_pending = length - used;
              memcpy (migration->pending, bytes + used, migration->n_pending);
              return TRUE;
            }
        }
      bytes += used;
      length -= used;
    }
  return length == 0 || pass_devices (migration, bytes, length, error);
}

/**
 * ramet_migration_finish:
 * @error: RAMET_ERROR_REFUSED if the stream was not whole
 *
 * To be called when there is no more to feed; only now all that was given to the sink counts.
 */
gboolean
ramet_migration_finish (RametMigration *migration, GError **error)
{
  if (migration->stage != STAGE_DEVICES)
    return not_understood (migration, error, "it ends within the memory");
  if (migration->description_end != migration->at)
    return not_understood (migration, error, "it ends before the devices do, or goes on behind them");
  return TRUE;
}
