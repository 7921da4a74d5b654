/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * QEMU's migration stream, as a saved VM has it, split into the guest's RAM and all the rest.
 *
 * The rest is again a stream that QEMU takes: the RAM's block keeps its place in the table of blocks, under another name,
 * and no page of it comes. That name is the one that the block has in the QEMU which gets the memory in another way: with
 * `-object memory-backend-file,id=NAME,size=SIZE,… -machine memory-backend=NAME` it is NAME, where the machine type is of
 * QEMU 4.0 or later. QEMU looks blocks up by their name, refuses names that it does not have and sizes that differ, and
 * does not mind a block that no page comes for: it stays as the file has it.
 */
#define RAMET_MIGRATION_PAGE_BYTES 4096
#define RAMET_MIGRATION_MAX_RAM_BYTES (G_GUINT64_CONSTANT (1) << 42)

typedef struct _RametMigration RametMigration;

/*
 * Where the parts go. The memory is all zero to begin with. Bytes are the caller's until the function is back.
 *
 * With @fill the two are joined again: the stream has no page of the RAM; @fill is called once where they belong, and puts each
 * of them there, zero or not. Then @state gets a stream of all, and neither @page nor @zero is called.
 */
typedef struct
{
  gboolean (*page) (guint64 offset, const guint8 *bytes, gpointer data, GError **error); /* may come more than once */
  gboolean (*zero) (guint64 offset, gpointer data, GError **error); /* of a page that came before: it is zero after all */
  gboolean (*state) (const guint8 *bytes, gsize length, gpointer data, GError **error);
  gboolean (*fill) (RametMigration *migration, gpointer data, GError **error); /* or NULL */
} RametMigrationSink;

/* The block of the guest's RAM, such as "pc.ram". */
typedef struct
{
  const char *name;
  guint64 bytes;
  const char *new_name;
} RametMigrationRam;

RametMigration *ramet_migration_new (const RametMigrationRam *ram, const RametMigrationSink *sink, gpointer data,
                                     GError **error);
gboolean ramet_migration_feed (RametMigration *migration, const guint8 *bytes, gsize length, GError **error);
gboolean ramet_migration_put_page (RametMigration *migration, guint64 offset, const guint8 *bytes, GError **error);
gboolean ramet_migration_finish (RametMigration *migration, GError **error);
void ramet_migration_free (RametMigration *migration);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametMigration, ramet_migration_free)
