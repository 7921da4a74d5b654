/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "migration-maker.h"
#include "model/migration.h"

#define RAM "pc.ram"
#define NEW "ramet.ram"
#define RAM_PAGES 9
#define ROM_PAGES 2
#define DEVICE_BYTES 5000

/* What a split or a join has to do with. */
typedef struct
{
  GByteArray *memory; /* comes out of a split, goes into a join */
  GByteArray *out;    /* the state, or the whole */
  gint n_left_out;    /* how many pages of it are not put */
  guint n_fills;
} Parts;

static void
parts_init (Parts *parts)
{
  *parts = (Parts){ g_byte_array_new (), g_byte_array_new (), 0, 0 };
  g_byte_array_set_size (parts->memory, RAM_PAGES * MAKER_PAGE_BYTES);
  memset (parts->memory->data, 0, parts->memory->len);
}

static void
parts_clear (Parts *parts)
{
  g_byte_array_unref (parts->memory);
  g_byte_array_unref (parts->out);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Parts, parts_clear)

static gboolean
on_page (guint64 offset, const guint8 *bytes, gpointer data, GError **error)
{
  memcpy (((Parts *) data)->memory->data + offset, bytes, MAKER_PAGE_BYTES);
  return TRUE;
}

static gboolean
on_zero (guint64 offset, gpointer data, GError **error)
{
  memset (((Parts *) data)->memory->data + offset, 0, MAKER_PAGE_BYTES);
  return TRUE;
}

static gboolean
on_state (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  g_byte_array_append (((Parts *) data)->out, bytes, (guint) length);
  return TRUE;
}

static gboolean
on_fill (RametMigration *migration, gpointer data, GError **error)
{
  static const guint8 zeros[MAKER_PAGE_BYTES];
  Parts *parts = data;

  parts->n_fills++;
  for (gint i = 0; i < RAM_PAGES - parts->n_left_out; i++)
    {
      const guint8 *page = parts->memory->data + i * MAKER_PAGE_BYTES;

      if (!ramet_migration_put_page (migration, (guint64) i * MAKER_PAGE_BYTES, memcmp (page, zeros, sizeof zeros) ? page : NULL,
                                     error))
        return FALSE;
    }
  return TRUE;
}

/* All but the memory that was split off, with pages of RAM of all kinds: filled, zero, told twice, in both sections. */
static void
make_parts (Maker *maker, gboolean sorted)
{
  g_autofree guint8 *devices = g_malloc (DEVICE_BYTES);
  guint8 page[MAKER_PAGE_BYTES];

  memset (devices, 7, DEVICE_BYTES);
  memset (page, 3, sizeof page);
  maker_header (maker, "pc-q35-7.2");
  maker_table (maker, (const char *const[]) { RAM, "pc.rom" }, (const gsize[]) { RAM_PAGES, ROM_PAGES }, 2);
  maker_section (maker, 2);
  for (gsize i = 0; i < RAM_PAGES; i++)
    {
      gboolean filled = i % 3 == 1 || (sorted && i == 5);

      page[0] = (guint8) i;
      if (i == 4 && !sorted)
        maker_page (maker, "pc.rom", 0, page, FALSE);
      if (i != 8 || sorted)
        maker_page (maker, RAM, i, filled ? page : NULL, FALSE);
    }
  if (sorted)
    {
      page[0] = 4;
      maker_page (maker, "pc.rom", 0, page, FALSE);
    }
  maker_section_end (maker);
  maker_section (maker, 3);
  if (!sorted)
    {
      maker_page (maker, RAM, 8, NULL, FALSE);
      page[0] = 5;
      maker_page (maker, RAM, 5, page, FALSE); /* not zero any more */
    }
  maker_page (maker, "pc.rom", 1, NULL, sorted);
  maker_section_end (maker);
  maker_devices (maker, devices, DEVICE_BYTES);
}

/* With names changed over if @back; in pieces of @piece bytes, each in memory of its own. */
static gboolean
run (const guint8 *bytes, gsize length, gsize piece, gboolean back, Parts *parts, GError **error)
{
  static const RametMigrationSink splits = { on_page, on_zero, on_state, NULL };
  static const RametMigrationSink joins = { NULL, NULL, on_state, on_fill };
  const RametMigrationRam ram = { back ? NEW : RAM, RAM_PAGES * MAKER_PAGE_BYTES, back ? RAM : NEW };
  g_autoptr (RametMigration) migration = ramet_migration_new (&ram, back ? &joins : &splits, parts, error);

  for (gsize at = 0; at < length; at += piece)
    {
      gsize n = MIN (piece, length - at);
      g_autofree guint8 *copy = g_memdup2 (bytes + at, n);

      if (!ramet_migration_feed (migration, copy, n, error))
        return FALSE;
    }
  return ramet_migration_finish (migration, error);
}

/* What is joined is, byte for byte, what QEMU would have written had all of the RAM come first, and once. */
static void
test_joined (void)
{
  static const gsize pieces[] = { 1, 17, 4096, 1 << 20 };
  g_autoptr (Maker) maker = maker_new (RAM, RAM_PAGES, NEW);
  g_autoptr (Maker) wanted = maker_new (RAM, RAM_PAGES, NEW);

  make_parts (maker, FALSE);
  make_parts (wanted, TRUE);
  g_assert_cmpmem (maker->memory->data, maker->memory->len, wanted->memory->data, wanted->memory->len);
  for (gsize i = 0; i < G_N_ELEMENTS (pieces); i++)
    {
      g_auto (Parts) parts = { 0 };
      g_autoptr (GError) error = NULL;

      parts_init (&parts);
      memcpy (parts.memory->data, maker->memory->data, maker->memory->len);
      g_assert_true (run (maker->state->data, maker->state->len, pieces[i], TRUE, &parts, &error));
      g_assert_no_error (error);
      g_assert_cmpuint (parts.n_fills, ==, 1);
      g_assert_cmpmem (parts.out->data, parts.out->len, wanted->stream->data, wanted->stream->len);
    }
}

static void
test_split_again (void)
{
  g_autoptr (Maker) maker = maker_new (RAM, RAM_PAGES, NEW);
  g_auto (Parts) first = { 0 }, joined = { 0 }, second = { 0 };
  g_autoptr (GError) error = NULL;

  make_parts (maker, FALSE);
  parts_init (&first);
  parts_init (&joined);
  parts_init (&second);
  g_assert_true (run (maker->stream->data, maker->stream->len, 1000, FALSE, &first, &error));
  memcpy (joined.memory->data, first.memory->data, first.memory->len);
  g_assert_true (run (first.out->data, first.out->len, 1000, TRUE, &joined, &error));
  g_assert_true (run (joined.out->data, joined.out->len, 1000, FALSE, &second, &error));
  g_assert_no_error (error);
  g_assert_cmpmem (second.memory->data, second.memory->len, first.memory->data, first.memory->len);
  g_assert_cmpmem (second.out->data, second.out->len, first.out->data, first.out->len);
}

static void
assert_refused (const GByteArray *state, gsize length, gint n_left_out, const char *why)
{
  g_auto (Parts) parts = { 0 };
  g_autoptr (GError) error = NULL;

  parts_init (&parts);
  parts.n_left_out = n_left_out;
  g_assert_false (run (state->data, length, 1000, TRUE, &parts, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_nonnull (strstr (error->message, why));
}

static void
test_refused (void)
{
  g_autoptr (Maker) maker = maker_new (RAM, RAM_PAGES, NEW);
  g_autoptr (Maker) smaller = maker_new (RAM, RAM_PAGES - 1, NEW);
  g_autoptr (Maker) clash = maker_new ("vga", RAM_PAGES, NEW);
  g_autoptr (Maker) renamed = maker_new ("none", RAM_PAGES, NEW);
  guint8 page[MAKER_PAGE_BYTES] = { 1 };

  make_parts (maker, FALSE);
  assert_refused (maker->state, maker->state->len, 1, "1 pages of 'ramet.ram' are missing");
  assert_refused (maker->state, maker->state->len, RAM_PAGES, "9 pages of 'ramet.ram' are missing");
  assert_refused (maker->state, maker->state->len - 1, 0, "it ends before the devices do");
  assert_refused (maker->state, 100, 0, "it ends within the memory");
  assert_refused (maker->stream, maker->stream->len, 0, "it has a block 'pc.ram' already");
  maker_header (smaller, "pc-q35-7.2");
  maker_table (smaller, (const char *const[]) { RAM }, (const gsize[]) { RAM_PAGES - 1 }, 1);
  assert_refused (smaller->state, smaller->state->len, 0, "and should have");
  maker_header (clash, "pc-q35-7.2");
  maker_table (clash, (const char *const[]) { "vga", RAM }, (const gsize[]) { RAM_PAGES, 1 }, 2);
  assert_refused (clash->state, clash->state->len, 0, "it has a block 'pc.ram' already");
  /* a stream that has its memory still, under the name that it has only once it is split */
  maker_header (renamed, "pc-q35-7.2");
  maker_table (renamed, (const char *const[]) { NEW }, (const gsize[]) { RAM_PAGES }, 1);
  maker_section (renamed, 3);
  maker_page (renamed, NEW, 0, page, FALSE);
  assert_refused (renamed->stream, renamed->stream->len, 0, "a page of 'ramet.ram', which comes from elsewhere");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/migration-join/joined", test_joined);
  g_test_add_func ("/migration-join/split again", test_split_again);
  g_test_add_func ("/migration-join/refused", test_refused);
  return g_test_run ();
}
