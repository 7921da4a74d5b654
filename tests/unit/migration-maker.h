/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define MAKER_PAGE_BYTES 4096

/* Makes a migration stream as QEMU does, and tells beside it what the memory and the rest of it must be. */
typedef struct
{
  GByteArray *stream;
  GByteArray *state; /* the stream without the RAM's pages, its block renamed */
  GByteArray *memory;
  const char *ram;
  const char *new_name;
  char *last_block;
} Maker;

Maker *maker_new (const char *ram, gsize n_pages, const char *new_name);
void maker_free (Maker *maker);

void maker_header (Maker *maker, const char *machine);
void maker_table (Maker *maker, const char *const *names, const gsize *n_pages, gsize n);
void maker_section (Maker *maker, guint8 type);
void maker_section_end (Maker *maker);
void maker_page (Maker *maker, const char *block, gsize index, const guint8 *page, gboolean say_name);
void maker_devices (Maker *maker, const guint8 *bytes, gsize length);

GByteArray *maker_save_image (const Maker *maker, const char *xml, const char *cookie);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Maker, maker_free)
