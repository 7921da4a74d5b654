/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "fuzz.h"
#include "model/frame.h"

#define NONCE "0123456789abcdef0123456789abcdef"
#define RS '\x1e'
#define MAX_LINE 4096
#define MAX_FRAME 105 /* bytes behind an RS after which it is given up as a frame */
#define STATUS_PATTERN "(0|[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-5])"
#define FRAME_PATTERN "^" NONCE " (0|[1-9][0-9]{0,8}) [a-z]{1,7} " STATUS_PATTERN " " NONCE "$"

/* In the sanitizers' run time: bytes that are allocated now. Not there in a plain build. */
extern size_t __sanitizer_get_current_allocated_bytes (void) __attribute__ ((weak));

/* What a parser said, or should have said. */
typedef struct
{
  GString *said;      /* one entry a frame, line or forgery */
  const guint8 *data; /* the input, that frames must stand in */
  size_t size;
} Transcript;

static void
on_frame (const RametFrame *frame, gpointer data)
{
  Transcript *transcript = data;
  g_autofree char *text = NULL;

  g_assert_cmpuint (strnlen (frame->verb, sizeof frame->verb), <, sizeof frame->verb);
  text = g_strdup_printf ("%c%s %u %s %u %s", RS, NONCE, frame->sequence, frame->verb, frame->status, NONCE);
  if (transcript->data)
    g_assert_nonnull (memmem (transcript->data, transcript->size, text, strlen (text)));
  g_string_append_printf (transcript->said, "F%s\n", text + 1);
}

static void
on_line (const char *bytes, gsize length, gpointer data)
{
  Transcript *transcript = data;

  g_assert_cmpuint (length, <=, MAX_LINE);
  g_string_append_c (transcript->said, 'L');
  g_string_append_len (transcript->said, bytes, (gssize) length);
  g_string_append_c (transcript->said, '\n');
}

static void
on_forged (gpointer data)
{
  g_string_append (((Transcript *) data)->said, "!\n");
}

static const RametFrameHandlers handlers = { on_frame, on_line, on_forged };

/* A second parser that is as simple as can be: it sees all of the input at once. */
typedef struct
{
  Transcript *transcript;
  GString *line;
} Model;

static void
model_end_line (Model *model)
{
  gsize length = model->line->len;

  while (length > 0 && model->line->str[length - 1] == '\r')
    length--;
  on_line (model->line->str, length, model->transcript);
  g_string_truncate (model->line, 0);
}

static void
model_text (Model *model, const guint8 *bytes, gsize length)
{
  for (gsize i = 0; i < length; i++)
    {
      if (model->line->len == MAX_LINE)
        model_end_line (model);
      g_string_append_c (model->line, (char) bytes[i]);
    }
}

/* @bytes from an RS up to what ends a frame. */
static void
model_frame (Model *model, const guint8 *bytes, gsize length)
{
  gsize body = length > 1 && bytes[length - 1] == '\r' ? length - 2 : length - 1;
  g_autofree char *text = g_strndup ((const char *) bytes + 1, body);

  if (strlen (text) < body || body < 2 * RAMET_NONCE_CHARS + 1 || !g_str_has_prefix (text, NONCE " "))
    {
      model_text (model, bytes, length);
      return;
    }
  if (!fuzz_matches (text, FRAME_PATTERN))
    {
      on_forged (model->transcript);
      return;
    }
  if (model->line->len > 0)
    model_end_line (model);
  g_string_append_printf (model->transcript->said, "F%s\n", text);
}

/* What a parser should say of @data, and in @line the end of it that is no whole line yet. */
static void
model_run (const guint8 *data, size_t size, Transcript *transcript, GString *line)
{
  Model model = { transcript, line };
  gsize at = 0;

  while (at < size)
    {
      gsize end = at + 1;

      if (data[at] != RS)
        {
          if (data[at] == '\n')
            model_end_line (&model);
          else
            model_text (&model, data + at, 1);
          at++;
          continue;
        }
      while (end < size && data[end] != '\n' && data[end] != RS && end - at - 1 < MAX_FRAME)
        end++;
      if (end == size && end - at - 1 < MAX_FRAME)
        return; /* more may come */
      model_frame (&model, data + at, end - at);
      /* the line end belongs to the frame, unless output before it waits for one */
      at = end < size && data[end] == '\n' && end - at - 1 < MAX_FRAME && model.line->len == 0 ? end + 1 : end;
    }
}

/* Feeds @data in pieces: all at once (@seed is 0), byte by byte (1), or of sizes that @seed makes up. */
static void
feed_in_pieces (RametFrameParser *parser, const guint8 *data, size_t size, guint32 seed)
{
  for (size_t at = 0, piece; at < size; at += piece)
    {
      g_autofree guint8 *copy = NULL;
      gsize n_left;

      piece = MIN (size - at, seed == 0 ? size : seed == 1 ? 1 : 1 + (seed >> 16) % 97);
      if (seed > 1)
        seed = seed * 1664525u + 1013904223u;
      if (seed > 1)
        copy = g_memdup2 (data + at, piece); /* just what is fed, so that reads beyond it are seen */
      ramet_frame_parser_feed (parser, (const char *) (copy ? copy : data + at), piece);
      ramet_frame_parser_peek (parser, &n_left);
      g_assert_cmpuint (n_left, <=, MAX_LINE);
    }
}

static void
check_pieces (const guint8 *data, size_t size, guint32 seed, const GString *expected, const GString *rest)
{
  g_autoptr (GString) said = g_string_new (NULL);
  Transcript transcript = { said, data, size };
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &handlers, &transcript);
  const char *left;
  gsize n_left;

  feed_in_pieces (parser, data, size, seed);
  left = ramet_frame_parser_peek (parser, &n_left);
  if (!g_string_equal (said, expected))
    g_error ("seed %u: said\n%s\ninstead of\n%s", seed, said->str, expected->str);
  g_assert_cmpmem (left, n_left, rest->str, rest->len);
}

static void
ignore_frame (const RametFrame *frame, gpointer data)
{
}

static void
ignore_line (const char *bytes, gsize length, gpointer data)
{
}

static void
ignore_forged (gpointer data)
{
}

/* However much a guest sends, a parser keeps no more than a line and a frame. */
static void
check_memory (const guint8 *data, size_t size)
{
  static const RametFrameHandlers none = { ignore_frame, ignore_line, ignore_forged };
  g_autoptr (RametFrameParser) parser = ramet_frame_parser_new (NONCE, &none, NULL);
  size_t before;

  if (__sanitizer_get_current_allocated_bytes == NULL || size % 8 != 0) /* it takes its time: one in eight will do */
    return;
  before = __sanitizer_get_current_allocated_bytes ();
  for (size_t fed = 0; size > 0 && fed < 4 * MAX_LINE; fed += size)
    ramet_frame_parser_feed (parser, (const char *) data, size);
  g_assert_cmpuint (__sanitizer_get_current_allocated_bytes (), <=, before + 3 * MAX_LINE);
}

/* The echo of what ramet types is no frame, whatever came before it. */
static void
check_echo (const guint8 *data, size_t size)
{
  g_autofree char *sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, data, size);
  g_autofree char *sync = ramet_frame_sync_line (NONCE, (guint) size);
  g_autofree char *loader = ramet_frame_loader_line (NONCE, sha256);

  g_assert_null (strchr (sync, RS));
  g_assert_null (strchr (loader, RS));
  g_assert_null (strstr (sync, NONCE));
  g_assert_null (strstr (loader, NONCE));
  g_assert_cmpuint (strlen (loader), <, 1024);
}

static void
check_base64 (const guint8 *data, size_t size)
{
  g_autoptr (GString) sent = g_string_new (NULL);
  g_auto (GStrv) lines = NULL;
  g_autofree guchar *back = NULL;
  gsize n_back;

  ramet_frame_append_base64 (sent, data, size);
  lines = g_strsplit (sent->str, "\n", -1);
  for (char **line = lines; *line; line++)
    g_assert_cmpuint (strlen (*line), <=, 76);
  g_assert_cmpint (sent->str[sent->len - 1], ==, '\x04');
  g_assert_true (sent->len == 1 || sent->str[sent->len - 2] == '\n');
  g_string_truncate (sent, sent->len - 1);
  back = g_base64_decode (sent->str, &n_back);
  g_assert_cmpmem (back, n_back, data, size);
}

/* The lines NAME=VALUE and NAME+VALUE, put together again as the runner does it. */
static void
check_environment (const guint8 *data, size_t size)
{
  g_autofree char *value = fuzz_text (data, size);
  const char *pairs[] = { "FIRST", value, "EMPTY", NULL, "LAST_ONE", value, NULL };
  g_autofree char *text = ramet_frame_environment (pairs);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  GString *values[3] = { NULL };
  gsize n = 0;

  for (char **line = lines; **line; line++)
    {
      gsize name_length = strspn (*line, G_CSET_A_2_Z "_");

      if ((*line)[name_length] == '=')
        {
          g_assert_cmpuint (n, <, G_N_ELEMENTS (values));
          g_assert_true (strncmp (*line, pairs[2 * n], name_length) == 0);
          values[n++] = g_string_new (*line + name_length + 1);
          continue;
        }
      g_assert_cmpint ((*line)[name_length], ==, '+');
      g_string_append_printf (values[n - 1], "\n%s", *line + name_length + 1);
    }
  g_assert_cmpuint (n, ==, 3);
  g_assert_cmpstr (values[0]->str, ==, value);
  g_assert_cmpstr (values[1]->str, ==, "");
  g_assert_cmpstr (values[2]->str, ==, value);
  for (n = 0; n < 3; n++)
    g_string_free (values[n], TRUE);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_autoptr (GString) said = g_string_new (NULL);
  g_autoptr (GString) rest = g_string_new (NULL);
  Transcript transcript = { said, NULL, 0 };

  model_run (data, size, &transcript, rest);
  check_pieces (data, size, 0, said, rest);
  check_pieces (data, size, 1, said, rest);
  check_pieces (data, size, 2 + (guint32) size * 2654435761u, said, rest);
  check_memory (data, size);
  check_echo (data, size);
  check_base64 (data, size);
  check_environment (data, size);
  return 0;
}
