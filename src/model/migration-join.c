/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "model/migration-private.h"

/**
 * ramet_migration_put_page:
 * @bytes: (nullable): RAMET_MIGRATION_PAGE_BYTES of them; %NULL for a page that is zero
 * @error: what the sink says
 *
 * To be called by the sink's fill() only. QEMU itself tells of each page, so zero pages are told of here too: what its new
 * RAM holds before is nothing to rely on.
 */
gboolean
ramet_migration_put_page (RametMigration *migration, guint64 offset, const guint8 *bytes, GError **error)
{
  guint8 item[MAX_ITEM_BYTES];
  guint8 *at = item + sizeof offset;
  gboolean first = migration->n_came == 0;
  guint64 record = GUINT64_TO_BE (offset | (bytes ? FLAG_PAGE : FLAG_ZERO) | (first ? 0 : FLAG_SAME_BLOCK));
  guint64 index = offset / RAMET_MIGRATION_PAGE_BYTES;
  guint8 *came = migration->came + index / 8;
  guint8 bit = (guint8) (1 << index % 8);

  g_return_val_if_fail (migration->sink.fill && (offset & PAGE_MASK) == 0 && offset < migration->ram_bytes, FALSE);
  migration->n_came += (*came & bit) == 0;
  *came |= bit;
  memcpy (item, &record, sizeof record);
  if (first)
    {
      gsize length = strlen (migration->new_name);

      *at++ = (guint8) length;
      memcpy (at, migration->new_name, length);
      at += length;
    }
  if (bytes)
    at = (guint8 *) memcpy (at, bytes, RAMET_MIGRATION_PAGE_BYTES) + RAMET_MIGRATION_PAGE_BYTES;
  else
    *at++ = 0;
  return migration->sink.state (item, (gsize) (at - item), migration->data, error);
}
