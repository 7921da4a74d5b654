/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/text.h"

#include <string.h>

#define MAX_TYPED_BYTES 64

/* Controls (C0, DEL, C1), and the marks that reorder or hide what follows them on a terminal. */
static gboolean
is_unsafe (gunichar c)
{
  return g_unichar_iscntrl (c) || (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

/**
 * ramet_text_escape:
 * @bytes: anything a guest, a file or an XML may hold; NULs too if @length is given
 * @length: in bytes, or -1 up to the NUL
 *
 * Makes text safe for a terminal or a log: control characters and bytes that are no UTF-8 become \xNN, as do the
 * bytes of characters that reorder text. Tabs become spaces. Line ends are not kept either: feed it single lines.
 *
 * Returns: (transfer full): valid UTF-8 without a control character
 */
char *
ramet_text_escape (const char *bytes, gssize length)
{
  gsize left = length < 0 ? strlen (bytes) : (gsize) length;
  GString *out = g_string_sized_new (left + 1);

  while (left > 0)
    {
      gunichar c = g_utf8_get_char_validated (bytes, left);
      gboolean valid = c != (gunichar) -1 && c != (gunichar) -2 && c != 0;
      gsize width = valid ? (gsize) g_unichar_to_utf8 (c, NULL) : 1;

      if (c == '\t')
        g_string_append_c (out, ' ');
      else if (valid && !is_unsafe (c))
        g_string_append_len (out, bytes, width);
      else
        for (gsize i = 0; i < width; i++)
          g_string_append_printf (out, "\\x%02x", (guchar) bytes[i]);
      bytes += width;
      left -= width;
    }
  return g_string_free (out, FALSE);
}

/* How long the terminal sequence is that starts with the ESC at @bytes: ECMA-48's control sequences and strings. */
static gsize
sequence_length (const char *bytes, gsize length)
{
  gsize at = 2;

  if (length < 2)
    return length;
  if (bytes[1] == '[')
    while (at < length && (bytes[at] < 0x40 || bytes[at] > 0x7e))
      at++;
  else if (strchr ("]PX^_", bytes[1]))
    while (at < length && bytes[at] != '\a' && bytes[at] != '\033')
      at++;
  else
    return 2;
  return MIN (at + 1, length);
}

/**
 * ramet_text_strip_sequences:
 * @length: in bytes
 *
 * Takes out what would colour text or move the cursor on a terminal. What is left is no safer than it was: escape it.
 *
 * Returns: (transfer full)
 */
char *
ramet_text_strip_sequences (const char *bytes, gsize length)
{
  GString *out = g_string_sized_new (length + 1);

  for (gsize at = 0; at < length;)
    if (bytes[at] == '\033')
      at += sequence_length (bytes + at, length - at);
    else
      g_string_append_c (out, bytes[at++]);
  return g_string_free (out, FALSE);
}

static guint
columns_of (gunichar c)
{
  return g_unichar_iszerowidth (c) ? 0 : g_unichar_iswide (c) ? 2 : 1;
}

/** ramet_text_columns: how many terminal columns valid UTF-8 @text takes */
guint
ramet_text_columns (const char *text)
{
  guint columns = 0;

  for (; *text; text = g_utf8_next_char (text))
    columns += columns_of (g_utf8_get_char (text));
  return columns;
}

/**
 * ramet_text_clip:
 * @text: valid UTF-8 without control characters
 * @columns: the room there is, in terminal columns
 *
 * Returns: (transfer full): @text, or as much of its start as fits with "…" behind it
 */
char *
ramet_text_clip (const char *text, guint columns)
{
  const char *p = text;
  guint used = 0;

  if (ramet_text_columns (text) <= columns)
    return g_strdup (text);
  if (columns == 0)
    return g_strdup ("");
  for (; *p; p = g_utf8_next_char (p))
    {
      guint width = columns_of (g_utf8_get_char (p));

      if (used + width > columns - 1)
        break;
      used += width;
    }
  return g_strdup_printf ("%.*s…", (int) (p - text), text);
}

/**
 * ramet_text_wrap:
 * @text: valid UTF-8 without control characters
 * @columns: the room there is in each line, @indent not counted; a word that is wider gets a line of its own
 * @indent: what each line but the first begins with
 *
 * Returns: (transfer full): @text with line ends in place of some of its blanks
 */
char *
ramet_text_wrap (const char *text, guint columns, const char *indent)
{
  g_auto (GStrv) words = g_strsplit (text, " ", -1);
  GString *out = g_string_new (NULL);
  guint used = 0;

  for (char **word = words; *word; word++)
    {
      guint width = ramet_text_columns (*word);

      if (word != words && used + 1 + width > columns)
        {
          g_string_append_printf (out, "\n%s", indent);
          used = 0;
        }
      else if (word != words)
        {
          g_string_append_c (out, ' ');
          used++;
        }
      g_string_append (out, *word);
      used += width;
    }
  return g_string_free (out, FALSE);
}

/** ramet_text_size: @bytes for people, in IEC units: "1.5 GiB" */
char *
ramet_text_size (guint64 bytes)
{
  g_autofree char *text = g_format_size_full (bytes, G_FORMAT_SIZE_IEC_UNITS);
  g_auto (GStrv) parts = g_strsplit (text, "\302\240", -1); /* GLib puts a no-break space there */

  return g_strjoinv (" ", parts);
}

/** ramet_text_age: (transfer full): @seconds for people, in the largest unit of which there are at least two: "90 s", "36 h" */
char *
ramet_text_age (gint64 seconds)
{
  static const struct
  {
    gint64 seconds;
    const char *unit;
  } units[] = { { 365 * 86400, "y" }, { 30 * 86400, "mo" }, { 7 * 86400, "w" }, { 86400, "d" }, { 3600, "h" }, { 60, "min" } };

  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    if (seconds >= 2 * units[i].seconds)
      return g_strdup_printf ("%" G_GINT64_FORMAT " %s", seconds / units[i].seconds, units[i].unit);
  return g_strdup_printf ("%" G_GINT64_FORMAT " s", MAX (seconds, 0));
}

/* How many letters must be put in, left out, exchanged or swapped with the next to make one of the other. */
static guint
distance (const char *a, const char *b)
{
  gsize n = strlen (a);
  gsize m = strlen (b);
  g_autofree guint *cells = g_new0 (guint, (n + 1) * (m + 1));

#define CELL(i, j) cells[(i) * (m + 1) + (j)]
  for (gsize i = 0; i <= n; i++)
    for (gsize j = 0; j <= m; j++)
      {
        if (i == 0 || j == 0)
          {
            CELL (i, j) = (guint) (i + j);
            continue;
          }
        CELL (i, j) = MIN (MIN (CELL (i - 1, j), CELL (i, j - 1)) + 1, CELL (i - 1, j - 1) + (a[i - 1] != b[j - 1]));
        if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
          CELL (i, j) = MIN (CELL (i, j), CELL (i - 2, j - 2) + 1);
      }
  return CELL (n, m);
#undef CELL
}

/**
 * ramet_text_nearest:
 * @words: %NULL-terminated
 *
 * Returns: (transfer none) (nullable): the one of @words that @typed was meant to be, most likely
 */
const char *
ramet_text_nearest (const char *typed, const char *const *words)
{
  const char *nearest = NULL;
  guint least = strlen (typed) < 4 ? 2 : 3; /* that far off is another word */

  if (strlen (typed) > MAX_TYPED_BYTES)
    return NULL;
  for (; *words; words++)
    {
      guint far = distance (typed, *words);

      if (far < least)
        {
          least = far;
          nearest = *words;
        }
    }
  return nearest;
}
