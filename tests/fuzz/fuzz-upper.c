/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/archive.h"
#include "model/upper.h"

#define MAX_COLUMNS 400

static void
check_error (const GError *error)
{
  g_assert_nonnull (error);
  g_assert_true (error->domain == RAMET_ERROR);
  g_assert_true (error->code == RAMET_ERROR_FORGED || error->code == RAMET_ERROR_REFUSED || error->code == RAMET_ERROR_LOST);
  fuzz_check_message (error->message, MAX_COLUMNS);
}

/* A path that can lead nowhere but into the tree, told apart from the parser's own check. */
static void
check_leads_inside (const char *path)
{
  g_assert_false (fuzz_matches (path, "^$|^/|/$|//|^[.][.]?$|^[.][.]?/|/[.][.]?/|/[.][.]?$"));
}

static void
check_path (const char *path)
{
  check_leads_inside (path);
  g_assert_false (fuzz_matches (path, "(^|/)[.]ramet-apply[.]"));
  g_assert_cmpuint (strlen (path), >, 0);
}

static void
check_overlay (const RametUpper *overlay)
{
  const RametUpperEntry *before = NULL;

  g_assert_cmpuint (g_hash_table_size (overlay->by_path), ==, overlay->entries->len);
  for (guint i = 0; i < overlay->entries->len; i++)
    {
      const RametUpperEntry *entry = g_ptr_array_index (overlay->entries, i);

      check_path (entry->path);
      g_assert_true (ramet_upper_find (overlay, entry->path) == entry);
      g_assert_cmpuint (entry->mode, <=, 07777);
      g_assert_true (!entry->opaque || entry->type == RAMET_UPPER_FOLDER);
      g_assert_cmpint (entry->birth_ns, >=, 0);
      /* what lies in a folder comes behind it */
      if (before)
        g_assert_false (g_str_has_prefix (before->path, entry->path) && before->path[strlen (entry->path)] == '/');
      before = entry;
    }
}

static RametUpper *
read_list (const guint8 *data, size_t size, size_t step, gboolean *ret_pushed)
{
  g_autoptr (RametUpperReader) reader = ramet_upper_reader_new ();
  g_autoptr (GError) error = NULL;
  RametUpper *overlay;

  *ret_pushed = TRUE;
  for (size_t at = 0; at < size; at += step)
    if (!ramet_upper_reader_push (reader, data + at, MIN (step, size - at), &error))
      {
        *ret_pushed = FALSE;
        check_error (error);
        return NULL;
      }
  overlay = ramet_upper_reader_finish (reader, &error);
  if (overlay == NULL)
    check_error (error);
  return overlay;
}

/* What an archive held. */
typedef struct
{
  GString *said;
  guint64 left;
  gboolean in_member;
} Transcript;

static gboolean
on_begin (const RametArchiveMember *member, gpointer data, GError **error)
{
  Transcript *transcript = data;

  g_assert_false (transcript->in_member);
  g_assert_true (member->type == RAMET_ARCHIVE_FILE || member->size == 0);
  transcript->in_member = TRUE;
  transcript->left = member->size;
  g_string_append_printf (transcript->said, "%d %s %s %" G_GUINT64_FORMAT " %d\n", member->type, member->path,
                          member->target, member->size, member->opaque);
  return TRUE;
}

static gboolean
on_contents (const guint8 *bytes, gsize length, gpointer data, GError **error)
{
  Transcript *transcript = data;

  g_assert_true (transcript->in_member);
  g_assert_cmpuint (length, <=, transcript->left);
  transcript->left -= length;
  g_string_append_len (transcript->said, (const char *) bytes, (gssize) length);
  return TRUE;
}

static gboolean
on_end (gpointer data, GError **error)
{
  Transcript *transcript = data;

  g_assert_true (transcript->in_member);
  g_assert_cmpuint (transcript->left, ==, 0);
  transcript->in_member = FALSE;
  g_string_append_c (transcript->said, '\n');
  return TRUE;
}

static const RametArchiveFuncs funcs = { on_begin, on_contents, on_end };

static char *
read_archive (const guint8 *data, size_t size, size_t step, gboolean *ret_pushed)
{
  Transcript transcript = { .said = g_string_new (NULL) };
  g_autoptr (RametArchive) archive = ramet_archive_new (&funcs, &transcript);
  g_autoptr (GError) error = NULL;

  *ret_pushed = TRUE;
  for (size_t at = 0; at < size && *ret_pushed; at += step)
    {
      gsize length = MIN (step, size - at);
      gsize used = G_MAXSIZE;

      *ret_pushed = ramet_archive_push (archive, data + at, length, &used, &error);
      if (*ret_pushed)
        g_assert_true (used == length || (used < length && ramet_archive_is_complete (archive)));
      else
        check_error (error);
    }
  return g_string_free (transcript.said, FALSE);
}

static void
check_text (const guint8 *data, size_t size)
{
  g_autofree char *target = fuzz_text (data, MIN (size, 256));

  if (ramet_upper_check_path (target))
    check_leads_inside (target);
  if (ramet_upper_link_stays ("a/b/link", target))
    g_assert_false (fuzz_matches (target, "^/|^$|[.][.]/+([.]/+)*[.][.]/+([.]/+)*[.][.](/|$)|(^|/)[^./][^/]*/(.*/)?[.][.](/|$)"));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  size_t step = size > 0 ? 1 + data[0] : 1;
  gboolean whole;
  gboolean pieces;
  g_autofree char *said = read_archive (data, size, MAX (size, 1), &whole);
  g_autofree char *said_again = read_archive (data, size, step, &pieces);
  g_autoptr (RametUpper) overlay = NULL;
  g_autoptr (RametUpper) again = NULL;

  /* how the bytes come makes no difference */
  g_assert_true (whole == pieces);
  g_assert_cmpstr (said, ==, said_again);
  check_text (data, size);
  overlay = read_list (data, size, MAX (size, 1), &whole);
  again = read_list (data, size, step, &pieces);
  g_assert_true (whole == pieces);
  g_assert_true ((overlay != NULL) == (again != NULL));
  if (overlay == NULL)
    return 0;
  check_overlay (overlay);
  g_assert_cmpuint (overlay->entries->len, ==, again->entries->len);
  return 0;
}
