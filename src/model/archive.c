/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/archive.h"

#include <string.h>

#include "core/error.h"

#define BLOCK 512
#define MAX_RECORDS (1024 * 1024) /* bytes of a pax header: a path and a target of PATH_MAX each, and extended attributes */
#define OPAQUE_KEY "SCHILY.xattr.trusted.overlay.opaque"

/* Where the fields of a header stand (POSIX ustar). */
#define NAME_AT 0
#define NAME_LENGTH 100
#define SIZE_AT 124
#define SIZE_LENGTH 12
#define CHECKSUM_AT 148
#define CHECKSUM_LENGTH 8
#define TYPE_AT 156
#define TARGET_AT 157
#define MAGIC_AT 257
#define PREFIX_AT 345
#define PREFIX_LENGTH 155

typedef enum
{
  IN_HEADER,
  IN_RECORDS,  /* of a pax header, which is about the next member */
  IN_CONTENTS,
  IN_PADDING,
  AT_END,
} Place;

struct _RametArchive
{
  const RametArchiveFuncs *funcs;
  gpointer data;
  Place place;
  guint8 block[BLOCK];
  gsize filled;       /* of the block */
  guint64 left;       /* of records or contents */
  gsize padding;      /* behind them */
  guint zero_blocks;
  GString *records;
  char *path;         /* from a pax header, for the next member */
  char *target;
  gint64 size;        /* likewise, or -1 */
  gboolean opaque;
};

/** ramet_archive_new: a reader of POSIX tar archives ("pax"), fed piece by piece; @funcs must outlive it */
RametArchive *
ramet_archive_new (const RametArchiveFuncs *funcs, gpointer data)
{
  RametArchive *archive = g_new0 (RametArchive, 1);

  archive->funcs = funcs;
  archive->data = data;
  archive->records = g_string_new (NULL);
  archive->size = -1;
  return archive;
}

void
ramet_archive_free (RametArchive *archive)
{
  g_string_free (archive->records, TRUE);
  g_free (archive->path);
  g_free (archive->target);
  g_free (archive);
}

/** ramet_archive_is_complete: whether its end was read */
gboolean
ramet_archive_is_complete (const RametArchive *archive)
{
  return archive->place == AT_END;
}

static gboolean
malformed (GError **error, const char *what)
{
  ramet_error_set (error, RAMET_ERROR_FORGED, "the guest sent a malformed archive: %s", what);
  return FALSE;
}

/* Octal digits, ended by a blank, a NUL or the field's end. */
static gboolean
parse_octal (const guint8 *field, gsize length, guint64 *ret_value)
{
  guint64 value = 0;
  gsize i = 0;

  for (; i < length && field[i] >= '0' && field[i] <= '7'; i++)
    {
      if (value >> 60)
        return FALSE;
      value = value * 8 + (field[i] - '0');
    }
  if (i == 0 || (i < length && field[i] != ' ' && field[i] != '\0'))
    return FALSE;
  *ret_value = value;
  return TRUE;
}

static gboolean
checksum_fits (const guint8 *block)
{
  guint64 told;
  guint64 sum = 0;

  for (gsize i = 0; i < BLOCK; i++)
    sum += i >= CHECKSUM_AT && i < CHECKSUM_AT + CHECKSUM_LENGTH ? ' ' : block[i];
  return parse_octal (block + CHECKSUM_AT, CHECKSUM_LENGTH, &told) && told == sum;
}

static gboolean
is_zero (const guint8 *block)
{
  for (gsize i = 0; i < BLOCK; i++)
    if (block[i] != 0)
      return FALSE;
  return TRUE;
}

/* One record: "KEY=VALUE" without its line end. */
static gboolean
take_record (RametArchive *archive, const char *record, gsize length, GError **error)
{
  const char *equals = memchr (record, '=', length);
  gsize key;
  const char *value;
  gsize value_length;

  if (equals == NULL)
    return malformed (error, "a record without '='");
  key = equals - record;
  value = equals + 1;
  value_length = length - key - 1;
#define IS_KEY(name) (key == strlen (name) && memcmp (record, name, key) == 0)
  if ((IS_KEY ("path") || IS_KEY ("linkpath")) && memchr (value, '\0', value_length))
    return malformed (error, "a NUL in a path");
  if (IS_KEY ("path"))
    {
      g_free (archive->path);
      archive->path = g_strndup (value, value_length);
    }
  else if (IS_KEY ("linkpath"))
    {
      g_free (archive->target);
      archive->target = g_strndup (value, value_length);
    }
  else if (IS_KEY ("size"))
    {
      g_autofree char *text = g_strndup (value, value_length);
      guint64 size;

      if (!g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT64 - BLOCK, &size, NULL))
        return malformed (error, "a bad size");
      archive->size = (gint64) size;
    }
  else if (IS_KEY (OPAQUE_KEY))
    archive->opaque = value_length == 1 && *value == 'y';
#undef IS_KEY
  return TRUE;
}

/* "LENGTH KEY=VALUE\n", again and again; the length counts itself and the line end. */
static gboolean
take_records (RametArchive *archive, GError **error)
{
  const char *at = archive->records->str;
  gsize left = archive->records->len;

  while (left > 0)
    {
      gsize length = 0;
      gsize digits = 0;

      for (; digits < left && digits < 8 && g_ascii_isdigit (at[digits]); digits++)
        length = length * 10 + (gsize) (at[digits] - '0');
      if (digits == 0 || digits >= left || at[digits] != ' ' || length > left || length < digits + 2 ||
          at[length - 1] != '\n')
        return malformed (error, "a bad record");
      if (!take_record (archive, at + digits + 1, length - digits - 2, error))
        return FALSE;
      at += length;
      left -= length;
    }
  g_string_truncate (archive->records, 0);
  return TRUE;
}

static char *
path_of_header (const guint8 *block)
{
  const char *prefix = (const char *) block + PREFIX_AT;
  g_autofree char *name = g_strndup ((const char *) block + NAME_AT, NAME_LENGTH);
  g_autofree char *front = g_strndup (prefix, PREFIX_LENGTH);

  return *front ? g_strconcat (front, "/", name, NULL) : g_steal_pointer (&name);
}

static void
forget_records (RametArchive *archive)
{
  g_clear_pointer (&archive->path, g_free);
  g_clear_pointer (&archive->target, g_free);
  archive->size = -1;
  archive->opaque = FALSE;
}

static void
expect (RametArchive *archive, Place place, guint64 size)
{
  archive->place = place;
  archive->left = size;
  archive->padding = (BLOCK - size % BLOCK) % BLOCK;
}

static gboolean
begin_member (RametArchive *archive, guint64 size, GError **error)
{
  const guint8 *block = archive->block;
  char type = (char) block[TYPE_AT];
  g_autofree char *path = archive->path ? g_steal_pointer (&archive->path) : path_of_header (block);
  g_autofree char *target = archive->target ? g_steal_pointer (&archive->target)
                                            : g_strndup ((const char *) block + TARGET_AT, NAME_LENGTH);
  RametArchiveMember member = { .path = path, .target = "", .opaque = archive->opaque };

  if (archive->size >= 0)
    size = (guint64) archive->size;
  if (type == '0' || type == '\0')
    {
      member.type = RAMET_ARCHIVE_FILE;
      member.size = size;
    }
  else if (type == '2' || type == '3' || type == '4' || type == '5' || type == '6')
    {
      member.type = type == '2' ? RAMET_ARCHIVE_SYMLINK : type == '5' ? RAMET_ARCHIVE_FOLDER : RAMET_ARCHIVE_OTHER;
      member.target = type == '2' ? target : "";
      if (size != 0)
        return malformed (error, "contents behind a member that has none");
    }
  else
    return malformed (error, "a member of an unknown type");
  forget_records (archive);
  if (!archive->funcs->begin (&member, archive->data, error))
    return FALSE;
  expect (archive, IN_CONTENTS, member.size);
  return TRUE;
}

static gboolean
take_header (RametArchive *archive, GError **error)
{
  const guint8 *block = archive->block;
  guint64 size;

  if (is_zero (block))
    {
      if (++archive->zero_blocks == 2)
        archive->place = AT_END;
      return TRUE;
    }
  if (archive->zero_blocks > 0 || memcmp (block + MAGIC_AT, "ustar\0", 6) != 0 || !checksum_fits (block) ||
      !parse_octal (block + SIZE_AT, SIZE_LENGTH, &size))
    return malformed (error, "a bad header");
  if (block[TYPE_AT] != 'x' && block[TYPE_AT] != 'g')
    return begin_member (archive, size, error);
  if (size > MAX_RECORDS)
    return malformed (error, "a header that is too long");
  expect (archive, IN_RECORDS, size);
  return TRUE;
}

/* What is to be told once records or contents are there whole. */
static gboolean
finish_part (RametArchive *archive, GError **error)
{
  gboolean records = archive->place == IN_RECORDS;

  archive->place = archive->padding > 0 ? IN_PADDING : IN_HEADER;
  return records ? take_records (archive, error) : archive->funcs->end (archive->data, error);
}

/* Takes what it can of @bytes, which are not none. */
static gboolean
take_some (RametArchive *archive, const guint8 *bytes, gsize length, gsize *ret_used, GError **error)
{
  gsize n;

  switch (archive->place)
    {
    case IN_HEADER:
      *ret_used = n = MIN (length, BLOCK - archive->filled);
      memcpy (archive->block + archive->filled, bytes, n);
      archive->filled = (archive->filled + n) % BLOCK;
      return archive->filled > 0 || take_header (archive, error);
    case IN_PADDING:
      *ret_used = n = MIN (length, archive->padding);
      archive->padding -= n;
      if (archive->padding == 0)
        archive->place = IN_HEADER;
      return TRUE;
    default:
      *ret_used = n = (gsize) MIN ((guint64) length, archive->left);
      archive->left -= n;
      if (archive->place == IN_RECORDS)
        g_string_append_len (archive->records, (const char *) bytes, n);
      else if (!archive->funcs->contents (bytes, n, archive->data, error))
        return FALSE;
      return TRUE;
    }
}

/**
 * ramet_archive_push:
 * @ret_used: (out): how many of the bytes belong to the archive; less than @length only once it is complete
 * @error: RAMET_ERROR_FORGED if it is malformed, or what one of the functions says; not to be fed on then
 */
gboolean
ramet_archive_push (RametArchive *archive, const guint8 *bytes, gsize length, gsize *ret_used, GError **error)
{
  gsize used = 0;

  while (archive->place != AT_END)
    {
      gsize n = 0;

      /* a part without a byte ends at once */
      if ((archive->place == IN_CONTENTS || archive->place == IN_RECORDS) && archive->left == 0)
        {
          if (!finish_part (archive, error))
            return FALSE;
          continue;
        }
      if (used == length)
        break;
      if (!take_some (archive, bytes + used, length - used, &n, error))
        return FALSE;
      used += n;
    }
  *ret_used = used;
  return TRUE;
}
