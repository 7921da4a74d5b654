/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "migration-maker.h"
#include "model/migration.h"

#define RAM "pc.ram"
#define NEW "ramet.ram"

/* What came out of a split. */
typedef struct
{
  GByteArray *memory;
  GByteArray *state;
  guint n_pages;
  guint n_zeros;
  gint fail_at; /* the sink's call that fails, or -1 */
} Got;

static gboolean
fails (Got *got, GError **error)
{
  if (got->fail_at-- != 0)
    return FALSE;
  ramet_error_set (error, RAMET_ERROR_FAILED, "the disk is full");
  return TRUE;
}

static gboolean
on_page (guint64 offset, const guint8 *bytes, gpointer data, GError **error)
{
  Got *got = data;

  g_assert_cmpuint (offset % MAKER_PAGE_BYTES, ==, 0);
  g_assert_cmpuint (offset + MAKER_PAGE_BYTES, <=, got->memory->len);
  memcpy (got->memory->data + offset, bytes, MAKER_PAGE_BYTES);
  got->n_pages++;
  return !fails (got, error);
}

static gboolean
on_zero (guint64 offset, gpointer data, GError **error)
{
  Got *got = data;

  g_assert_cmpuint (offset % MAKER_PAGE_BYTES, ==, 0);
  g_assert_cmpuint (offset + MAKER_PAGE_BYTES, <=, got->memory->len);
  memset (got->memory->data + offset, 0, MAKER_PAGE_BYTES);
  got->n_zeros++;
  return !fails (got, error);
}

static gboolean
on_state (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Got *got = data;

  g_byte_array_append (got->state, bytes, (guint) length);
  return !fails (got, error);
}

static const RametMigrationSink sink = { on_page, on_zero, on_state };

static void
got_init (Got *got, gsize ram_bytes)
{
  *got = (Got) { g_byte_array_new (), g_byte_array_new (), 0, 0, -1 };
  g_byte_array_set_size (got->memory, (guint) ram_bytes);
  memset (got->memory->data, 0, ram_bytes);
}

static void
got_clear (Got *got)
{
  g_byte_array_unref (got->memory);
  g_byte_array_unref (got->state);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Got, got_clear)

/* Chunks of @chunk bytes; of random lengths if that is 0. */
static gboolean
split (const GByteArray *stream, gsize length, gsize chunk, gsize ram_bytes, const char *new_name, Got *got, GError **error)
{
  const RametMigrationRam ram = { RAM, ram_bytes, new_name };
  g_autoptr (RametMigration) migration = ramet_migration_new (&ram, &sink, got, error);

  g_assert_nonnull (migration);
  for (gsize at = 0, n; at < length; at += n)
    {
      g_autofree guint8 *exact = NULL;

      n = chunk ? chunk : (gsize) 1 << g_test_rand_int_range (0, 16);
      n = MIN (n, length - at);
      exact = g_memdup2 (stream->data + at, n);
      if (!ramet_migration_feed (migration, exact, n, error))
        return FALSE;
    }
  return ramet_migration_finish (migration, error);
}

static void
fill (guint8 *page, guint8 seed)
{
  for (gsize i = 0; i < MAKER_PAGE_BYTES; i++)
    page[i] = (guint8) (seed + i * 7 + i / 256);
}

static void
add_page (Maker *maker, const char *block, gsize index, guint8 seed)
{
  guint8 page[MAKER_PAGE_BYTES];

  fill (page, seed);
  maker_page (maker, block, index, page, FALSE);
}

/* Where there is something in the plain stream. */
typedef struct
{
  gsize table;
  gsize ram_entry;
  gsize vga_entry;
  gsize rom_entry;
  gsize table_end;
  gsize part;
  gsize ram_page;
  gsize zero_page;
  gsize vga_page;
  gsize part_end;
  gsize end;
  gsize end_end;
  gsize devices;
} Places;

#define RAM_PAGES 4

static Maker *
make_plain (Places *places)
{
  static const char *const names[] = { RAM, "0000:00:01.0/vga.vram", "/rom@etc/acpi/tables" };
  static const gsize n_pages[] = { RAM_PAGES, 2, 1 };
  Maker *maker = maker_new (RAM, RAM_PAGES, NEW);

  maker_header (maker, "pc-q35-7.2");
  places->table = maker->stream->len;
  places->ram_entry = places->table + 1 + 4 + 4 + 4 + 4 + 8;
  places->vga_entry = places->ram_entry + 1 + strlen (names[0]) + 8;
  places->rom_entry = places->vga_entry + 1 + strlen (names[1]) + 8;
  places->table_end = places->rom_entry + 1 + strlen (names[2]) + 8;
  maker_table (maker, names, n_pages, G_N_ELEMENTS (names));
  places->part = maker->stream->len;
  maker_section (maker, 2);
  places->ram_page = maker->stream->len;
  add_page (maker, RAM, 0, 1);
  places->zero_page = maker->stream->len;
  maker_page (maker, RAM, 1, NULL, FALSE);
  add_page (maker, RAM, 2, 2);
  places->vga_page = maker->stream->len;
  add_page (maker, names[1], 0, 3);
  maker_page (maker, names[1], 1, NULL, FALSE);
  add_page (maker, RAM, 3, 4);
  places->part_end = maker->stream->len;
  maker_section_end (maker);
  maker_section (maker, 2); /* a round in which the same block goes on */
  add_page (maker, RAM, 1, 5);
  maker_page (maker, RAM, 2, NULL, FALSE);
  maker_page (maker, RAM, 2, NULL, TRUE);
  maker_section_end (maker);
  places->end = maker->stream->len;
  maker_section (maker, 3);
  add_page (maker, RAM, 0, 6);
  add_page (maker, names[2], 0, 7);
  places->end_end = maker->stream->len;
  maker_section_end (maker);
  places->devices = maker->stream->len;
  maker_devices (maker, (const guint8 *) "\0\6state", 7);
  return maker;
}

static void
assert_split (const Maker *maker, gsize chunk)
{
  g_auto (Got) got = { 0 };
  g_autoptr (GError) error = NULL;

  got_init (&got, maker->memory->len);
  split (maker->stream, maker->stream->len, chunk, maker->memory->len, maker->new_name, &got, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (got.memory->data, got.memory->len, maker->memory->data, maker->memory->len);
  g_assert_cmpmem (got.state->data, got.state->len, maker->state->data, maker->state->len);
}

/* In chunks of any length: each item is cut in all places. */
static void
test_whole (void)
{
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);

  for (gsize chunk = 1; chunk < 300; chunk++)
    assert_split (maker, chunk);
  for (gsize chunk = 4000; chunk < 4500; chunk++)
    assert_split (maker, chunk);
  assert_split (maker, maker->stream->len);
}

/* The sink hears of a zero only where something was before. */
static void
test_zeros (void)
{
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);
  g_auto (Got) got = { 0 };

  got_init (&got, maker->memory->len);
  g_assert_true (split (maker->stream, maker->stream->len, 1000, maker->memory->len, NEW, &got, NULL));
  g_assert_cmpuint (got.n_pages, ==, 5);
  g_assert_cmpuint (got.n_zeros, ==, 1);
}

/* What the sink says ends it, at whichever call. */
static void
test_sink_fails (void)
{
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);
  gint n_calls = 0;

  for (gboolean failed = TRUE; failed; n_calls++)
    {
      g_auto (Got) got = { 0 };
      g_autoptr (GError) error = NULL;

      got_init (&got, maker->memory->len);
      got.fail_at = n_calls;
      failed = !split (maker->stream, maker->stream->len, 5000, maker->memory->len, NEW, &got, &error);
      if (failed)
        g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
    }
  g_assert_cmpint (n_calls, >, 20);
}

/* The block may keep its name, too. */
static void
test_same_name (void)
{
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);
  g_auto (Got) got = { 0 };
  g_autoptr (GError) error = NULL;
  gsize entry = places.ram_entry + 1 + strlen (RAM) + 8;

  got_init (&got, maker->memory->len);
  split (maker->stream, maker->stream->len, 0, maker->memory->len, RAM, &got, &error);
  g_assert_no_error (error);
  g_assert_cmpmem (got.state->data, entry, maker->stream->data, entry);
}

static void
assert_refused (const GByteArray *stream, gsize length, gsize chunk, const char *why)
{
  g_auto (Got) got = { 0 };
  g_autoptr (GError) error = NULL;

  got_init (&got, RAM_PAGES * MAKER_PAGE_BYTES);
  g_assert_false (split (stream, length, chunk, RAM_PAGES * MAKER_PAGE_BYTES, NEW, &got, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  if (strstr (error->message, why) == NULL)
    g_error ("'%s' is not in '%s'", why, error->message);
}

/* A stream that was cut off anywhere is refused. */
static void
test_cut_off (void)
{
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);

  for (gsize length = 0; length < maker->stream->len; length++)
    assert_refused (maker->stream, length, length % 3 ? 4096 : 100,
                    length <= places.devices ? "ends" : "ends before the devices do");
}

static void
test_goes_on (void)
{
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);

  g_byte_array_append (maker->stream, (const guint8 *) "", 1);
  assert_refused (maker->stream, maker->stream->len, 0, "goes on behind them");
}

#define AT(place) G_STRUCT_OFFSET (Places, place)
#define HEADER G_MAXSIZE

/* At a place, so many bytes further, a number of so many bytes stands instead. */
static const struct
{
  const char *name;
  gsize place;
  gsize further;
  guint64 number;
  gsize bytes;
  const char *why;
} flaws[] = {
  { "another magic", HEADER, 0, 0x5145564e, 4, "no stream of QEMU's, at byte 0" },
  { "the version before", HEADER, 4, 2, 4, "version is not known, at byte 0" },
  { "no configuration", HEADER, 8, 1, 1, "version is not known" },
  { "the machine type is endless", HEADER, 9, 0xffffffff, 4, "machine type's name is too long" },
  { "the machine type has a control character", HEADER, 14, 0x1b, 1, "machine type is no name" },
  { "a subsection of the configuration", AT (table), 0, 5, 1, "type 0x05 before the memory, at byte 23" },
  { "a command first", AT (table), 0, 8, 1, "type 0x08 before the memory" },
  { "another section first", AT (table), 6, 0x736f6c, 3, "section 'sol' before the memory" },
  { "a second instance", AT (table), 12, 1, 1, "memory's version" },
  { "version 5", AT (table), 16, 5, 1, "memory's version" },
  { "a page where the table should be", AT (table), 24, 8, 1, "table of its blocks" },
  { "a table of nothing", AT (table), 17, 4, 8, "table of its blocks" },
  { "a total that is too large", AT (table), 17, 8 * MAKER_PAGE_BYTES | 4, 8, "no proper name" },
  { "a total that is too small", AT (table), 17, 5 * MAKER_PAGE_BYTES | 4, 8, "do not add up" },
  { "a total that leaves a block out", AT (table), 17, 6 * MAKER_PAGE_BYTES | 4, 8, "more in the table" },
  { "the RAM under another name", AT (ram_entry), 1, 'q', 1, "has no block 'pc.ram'" },
  { "a block without a name", AT (vga_entry), 0, 0, 1, "no proper name" },
  { "a block's name has a blank", AT (vga_entry), 2, ' ', 1, "no proper name" },
  { "the RAM is smaller", AT (ram_entry), 7, 3 * MAKER_PAGE_BYTES, 8, "'pc.ram' has 12288 bytes, and should have 16384" },
  { "a block of no bytes", AT (vga_entry), 22, 0, 8, "do not add up" },
  { "a block of half a page", AT (vga_entry), 22, 2048, 8, "do not add up" },
  { "a block larger than all", AT (vga_entry), 22, G_MAXUINT64 - 4095, 8, "do not add up" },
  { "no end of the table", AT (table_end), 0, 0x12, 8, "more in the table" },
  { "the table's end is a page", AT (table_end), 7, 0x08, 1, "more in the table" },
  { "no footer of the table", AT (table_end), 8, 0x7d, 1, "does not end as it should" },
  { "another's footer", AT (table_end), 9, 3, 4, "does not end as it should" },
  { "another's part", AT (part), 1, 3, 4, "not the memory's" },
  { "another section begins", AT (part), 0, 1, 1, "type 0x01 that is not the memory's" },
  { "a device comes in between", AT (part), 0, 4, 1, "type 0x04 that is not the memory's" },
  { "the stream ends in between", AT (part), 0, 0, 1, "type 0x00 that is not the memory's" },
  { "a command in between", AT (end), 0, 8, 1, "type 0x08 that is not the memory's" },
  { "a page of the block before, of which there is none", AT (ram_page), 7, 0x28, 1, "page of no known block" },
  { "a page of an unknown block", AT (ram_page), 9, 'q', 1, "page of no known block" },
  { "a page outside", AT (ram_page), 0, RAM_PAGES * MAKER_PAGE_BYTES | 8, 8, "outside of 'pc.ram'" },
  { "a page at the far end", AT (ram_page), 0, (G_MAXUINT64 - 4095) | 8, 8, "outside of 'pc.ram'" },
  { "a page outside of another block", AT (vga_page), 0, 2 * MAKER_PAGE_BYTES | 8, 8, "outside of '0000:00:01.0/" },
  { "a page full of ones", AT (zero_page), 8, 0xff, 1, "one byte that is not zero" },
  { "a page of xbzrle", AT (ram_page), 7, 0x40, 1, "xbzrle (0x040)" },
  { "a note for RDMA", AT (ram_page), 7, 0x80, 1, "RDMA (0x080)" },
  { "a compressed page", AT (ram_page), 6, 0x100, 2, "a compressed page (0x100)" },
  { "multifd", AT (ram_page), 6, 0x200, 2, "multifd (0x200)" },
  { "a flag of tomorrow", AT (ram_page), 6, 0x400, 2, "unknown kind (0x400)" },
  { "a known flag with one of tomorrow", AT (ram_page), 6, 0x808, 2, "unknown kind (0x808)" },
  { "both zero and not", AT (ram_page), 7, 0x0a, 1, "unknown kind (0x00a)" },
  { "no flag", AT (ram_page), 7, 0, 1, "unknown kind (0x000)" },
  { "a second table", AT (ram_page), 7, 4, 1, "second table of blocks (0x004)" },
  { "an end mark with an offset", AT (part_end), 0, MAKER_PAGE_BYTES | 0x10, 8, "end mark with more in it" },
  { "an end mark of the block before", AT (part_end), 7, 0x30, 1, "end mark with more in it" },
  { "no footer", AT (part_end), 8, 0, 1, "does not end as it should" },
  { "another's footer of the last section", AT (end_end), 12, 3, 1, "does not end as it should" },
  { "a command behind the memory", AT (devices), 0, 8, 1, "type 0x08 comes behind the memory" },
  { "the stream ends behind the memory", AT (devices), 0, 0, 1, "type 0x00 comes behind the memory" },
};

static void
test_flaw (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  Places places;
  g_autoptr (Maker) maker = make_plain (&places);
  gsize at = flaws[i].further + (flaws[i].place == HEADER ? 0 : G_STRUCT_MEMBER (gsize, &places, flaws[i].place));

  for (gsize k = 0; k < flaws[i].bytes; k++)
    maker->stream->data[at + k] = (guint8) (flaws[i].number >> (8 * (flaws[i].bytes - 1 - k)));
  assert_refused (maker->stream, maker->stream->len, maker->stream->len, flaws[i].why);
  assert_refused (maker->stream, maker->stream->len, 1, flaws[i].why);
}

/* Streams that take more than another byte here or there. */
static Maker *
begin (const char *const *names, const gsize *n_pages, gsize n)
{
  Maker *maker = maker_new (RAM, RAM_PAGES, NEW);

  maker_header (maker, "pc");
  maker_table (maker, names, n_pages, n);
  maker_section (maker, 3);
  return maker;
}

static void
end (Maker *maker)
{
  maker_section_end (maker);
  maker_devices (maker, NULL, 0);
}

static void
test_missing_page (void)
{
  g_autoptr (Maker) maker = begin ((const char *const[]) { RAM }, (const gsize[]) { RAM_PAGES }, 1);

  for (gsize i = 0; i < 5; i++)
    maker_page (maker, RAM, i % 3, NULL, FALSE);
  end (maker);
  assert_refused (maker->stream, maker->stream->len, 0, "1 pages of 'pc.ram' are missing");
}

static void
test_blocks (void)
{
  static const gsize n_pages[] = { RAM_PAGES, RAM_PAGES };
  g_autoptr (Maker) twice = begin ((const char *const[]) { RAM, RAM }, n_pages, 2);
  g_autoptr (Maker) taken = begin ((const char *const[]) { RAM, NEW }, n_pages, 2);
  g_autoptr (Maker) other_twice = begin ((const char *const[]) { "a", "a" }, n_pages, 2);
  g_autoptr (Maker) none = begin ((const char *const[]) { "a", "pc.ra" }, n_pages, 2);

  assert_refused (twice->stream, twice->stream->len, 0, "a block comes twice");
  assert_refused (other_twice->stream, other_twice->stream->len, 0, "a block comes twice");
  assert_refused (taken->stream, taken->stream->len, 0, "it has a block 'ramet.ram' already");
  assert_refused (none->stream, none->stream->len, 0, "it has no block 'pc.ram'");
}

/* As many blocks as there may be, the RAM last among them, and one more. */
static void
test_many_blocks (void)
{
  for (gsize n = 256; n <= 257; n++)
    {
      g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
      g_autofree gsize *n_pages = g_new (gsize, n);
      g_autoptr (Maker) maker = NULL;

      for (gsize i = 0; i + 1 < n; i++)
        g_ptr_array_add (names, g_strdup_printf ("%0255" G_GSIZE_FORMAT, i));
      g_ptr_array_add (names, g_strdup (RAM));
      for (gsize i = 0; i < n; i++)
        n_pages[i] = i + 1 < n ? 1 : RAM_PAGES;
      maker = begin ((const char *const *) names->pdata, n_pages, n);
      for (gsize i = 0; i < RAM_PAGES; i++)
        add_page (maker, RAM, i, (guint8) i);
      add_page (maker, g_ptr_array_index (names, 7), 0, 1);
      end (maker);
      if (n == 256)
        assert_split (maker, 0);
      else
        assert_refused (maker->stream, maker->stream->len, 0, "too many");
    }
}

static void
test_no_such_ram (void)
{
  static const guint64 sizes[] = { 0, 1, 4095, 4097, RAMET_MIGRATION_MAX_RAM_BYTES + 4096, G_MAXUINT64 - 4095 };

  for (gsize i = 0; i < G_N_ELEMENTS (sizes); i++)
    {
      const RametMigrationRam ram = { RAM, sizes[i], NEW };
      g_autoptr (GError) error = NULL;

      g_assert_null (ramet_migration_new (&ram, &sink, NULL, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
    }
}

/* Bytes of devices in which something looks like the description, at the end of a chunk and elsewhere. */
static void
test_description (void)
{
  static const char decoy[] = "\0\6\0\0\0\377{\"page_size\": 4096, \0\6\0\0\0\024{\"page_size\": 4096, ";
  g_autoptr (Maker) maker = begin ((const char *const[]) { RAM }, (const gsize[]) { RAM_PAGES }, 1);
  gsize at, length;

  for (gsize i = 0; i < RAM_PAGES; i++)
    add_page (maker, RAM, i, (guint8) i);
  maker_section_end (maker);
  at = maker->stream->len;
  maker_devices (maker, (const guint8 *) decoy, sizeof decoy - 1);
  for (gsize chunk = 1; chunk < 200; chunk++)
    assert_split (maker, chunk);
  /* the last of them ends where the devices seem to */
  length = maker->stream->len;
  g_byte_array_set_size (maker->stream, (guint) (at + 1 + 4 + 6 + 8 + sizeof decoy - 1));
  g_byte_array_set_size (maker->state, (guint) (maker->state->len - (length - maker->stream->len)));
  for (gsize chunk = 1; chunk < 200; chunk++)
    assert_split (maker, chunk);
}

static char *
random_name (void)
{
  gsize length = (gsize) g_test_rand_int_range (1, g_test_rand_bit () ? 256 : 12);
  char *name = g_malloc0 (length + 1);

  for (gsize i = 0; i < length; i++)
    name[i] = (char) g_test_rand_int_range (0x21, 0x7f);
  return name;
}

/* All pages of a block, each perhaps more than once, in runs; or, to begin with, none of it. */
static void
add_some_pages (Maker *maker, const char *block, gsize n_pages, gboolean all)
{
  gsize n = all ? n_pages : (gsize) g_test_rand_int_range (0, (gint) n_pages + 1);
  gsize first = all ? 0 : (gsize) g_test_rand_int_range (0, (gint) n_pages);

  for (gsize i = 0; i < n; i++)
    {
      guint8 page[MAKER_PAGE_BYTES];
      gboolean zero = g_test_rand_bit ();

      fill (page, (guint8) g_test_rand_int ());
      maker_page (maker, block, (first + i) % n_pages, zero ? NULL : page, g_test_rand_int_range (0, 8) == 0);
    }
}

static Maker *
make_random (char **ret_new_name)
{
  gsize n = (gsize) g_test_rand_int_range (1, 7);
  gsize ram = (gsize) g_test_rand_int_range (0, (gint) n);
  gsize n_sections = (gsize) g_test_rand_int_range (1, 6);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *machine = random_name ();
  g_autofree guint8 *state = g_malloc0 (5000);
  gsize n_pages[6];
  Maker *maker;

  for (gsize i = 0; i < n; i++)
    {
      g_autofree char *name = random_name ();

      name[0] = (char) ('a' + i); /* each differs */
      g_ptr_array_add (names, i == ram ? g_strdup (RAM) : g_steal_pointer (&name));
      n_pages[i] = (gsize) g_test_rand_int_range (1, 20);
    }
  *ret_new_name = random_name ();
  **ret_new_name = 'A';
  maker = maker_new (RAM, n_pages[ram], *ret_new_name);
  maker_header (maker, machine);
  maker_table (maker, (const char *const *) names->pdata, n_pages, n);
  for (gsize section = 0; section < n_sections; section++)
    {
      gsize rounds = (gsize) g_test_rand_int_range (0, 6);

      maker_section (maker, section + 1 < n_sections ? 2 : 3);
      while (rounds-- > 0)
        {
          gsize block = (gsize) g_test_rand_int_range (0, (gint) n);

          add_some_pages (maker, g_ptr_array_index (names, block), n_pages[block], FALSE);
        }
      if (section == n_sections / 2)
        add_some_pages (maker, RAM, n_pages[ram], TRUE);
      maker_section_end (maker);
    }
  for (gsize i = 0; i < 5000; i++)
    state[i] = (guint8) g_test_rand_int_range (0, 8);
  maker_devices (maker, state, (gsize) g_test_rand_int_range (0, 5000));
  return maker;
}

static void
test_random (void)
{
  for (guint round = 0; round < 400; round++)
    {
      g_autofree char *new_name = NULL;
      g_autoptr (Maker) maker = make_random (&new_name);

      assert_split (maker, 0);
      assert_split (maker, maker->stream->len);
      if (round < 20)
        assert_split (maker, 1);
    }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/migration/whole", test_whole);
  g_test_add_func ("/migration/zeros", test_zeros);
  g_test_add_func ("/migration/sink fails", test_sink_fails);
  g_test_add_func ("/migration/same name", test_same_name);
  g_test_add_func ("/migration/cut off", test_cut_off);
  g_test_add_func ("/migration/goes on", test_goes_on);
  for (gsize i = 0; i < G_N_ELEMENTS (flaws); i++)
    {
      g_autofree char *path = g_strconcat ("/migration/flaw/", flaws[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_flaw);
    }
  g_test_add_func ("/migration/missing page", test_missing_page);
  g_test_add_func ("/migration/blocks", test_blocks);
  g_test_add_func ("/migration/many blocks", test_many_blocks);
  g_test_add_func ("/migration/no such ram", test_no_such_ram);
  g_test_add_func ("/migration/description", test_description);
  g_test_add_func ("/migration/random", test_random);
  return g_test_run ();
}
