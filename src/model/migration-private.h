/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "model/migration.h"

/* QEMU's migration/savevm.h and migration/ram.c. All numbers are big-endian; a name is a byte of length, then the bytes. */
#define MAGIC 0x5145564du
#define VERSION 3
#define SECTION_START 0x01
#define SECTION_PART 0x02
#define SECTION_END 0x03
#define SECTION_FULL 0x04
#define DESCRIPTION 0x06
#define CONFIGURATION 0x07
#define FOOTER 0x7e
#define RAM_VERSION 4

/* A record of a RAM section is an offset with one of these in the bits that a page's offset leaves free. */
#define PAGE_MASK ((guint64) RAMET_MIGRATION_PAGE_BYTES - 1)
#define FLAG_ZERO 0x02
#define FLAG_TABLE 0x04
#define FLAG_PAGE 0x08
#define FLAG_END 0x10
#define FLAG_SAME_BLOCK 0x20 /* as of the record before, be that in another section; else the block's name follows */

#define MAX_NAME_BYTES 255
#define MAX_BLOCKS 256
#define MAX_ITEM_BYTES (8 + 1 + MAX_NAME_BYTES + RAMET_MIGRATION_PAGE_BYTES)

/* What the stream ends with: an end mark, then JSON about the devices, and nothing in JSON looks like the end mark. */
#define DESCRIPTION_TEXT "{\"page_size\": 4096, "
#define DESCRIPTION_HEAD_BYTES 6
#define WINDOW_BYTES (DESCRIPTION_HEAD_BYTES + sizeof DESCRIPTION_TEXT - 1)

typedef enum
{
  STAGE_HEADER,
  STAGE_TABLE_START, /* one item each: what makes sense only as a whole */
  STAGE_TABLE,
  STAGE_TABLE_END,
  STAGE_SECTION,
  STAGE_RECORDS,
  STAGE_DEVICES, /* their sections have no lengths, so there is nothing to be told apart any more */
} Stage;

typedef struct
{
  char name[MAX_NAME_BYTES + 1];
  guint64 bytes;
  gboolean is_ram;
} Block;

struct _RametMigration
{
  char *ram_name;
  char *new_name;
  guint64 ram_bytes;
  RametMigrationSink sink;
  gpointer data;

  Stage stage;
  guint64 at; /* in the stream: where the item begins that is being looked at */
  guint32 section;
  gboolean in_last_section;
  guint64 table_left;
  GArray *blocks;
  const Block *block; /* of the last record */
  guint8 *came;       /* a bit for each page of the RAM: it was in the stream */
  guint8 *filled;     /* …and was not zero, when it came last */
  guint64 n_came;

  guint8 pending[MAX_ITEM_BYTES]; /* the start of an item whose rest is still to come */
  gsize n_pending;
  guint8 tail[WINDOW_BYTES - 1]; /* the last bytes of what came before */
  gsize n_tail;
  guint64 description_end;
};
