/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/frame.h"

#include <string.h>

/*
 * A frame is one line:
 *
 *   RS NONCE SP SEQUENCE SP VERB SP STATUS SP NONCE LF
 *
 * RS is the byte 0x1e; numbers are decimal without leading zeros. The nonce stands at both ends, so a frame into which
 * another writer of the line has put something at either end is no frame. A CR before the LF is let pass, and the RS of
 * the next frame may stand for the LF.
 */
#define RECORD_SEPARATOR '\x1e'
#define MAX_FRAME_BYTES (2 * RAMET_NONCE_CHARS + 40)
#define MAX_LINE_BYTES 4096

struct _RametFrameParser
{
  char *nonce;
  RametFrameHandlers handlers;
  gpointer data;
  GString *line;     /* output since the last line end */
  GString *frame;    /* bytes behind an RS, while in_frame */
  gboolean in_frame;
};

/** ramet_frame_parser_new: @nonce is RAMET_NONCE_CHARS long; @handlers are copied */
RametFrameParser *
ramet_frame_parser_new (const char *nonce, const RametFrameHandlers *handlers, gpointer data)
{
  RametFrameParser *parser = g_new0 (RametFrameParser, 1);

  parser->nonce = g_strdup (nonce);
  parser->handlers = *handlers;
  parser->data = data;
  parser->line = g_string_new (NULL);
  parser->frame = g_string_new (NULL);
  return parser;
}

void
ramet_frame_parser_free (RametFrameParser *parser)
{
  g_free (parser->nonce);
  g_string_free (parser->line, TRUE);
  g_string_free (parser->frame, TRUE);
  g_free (parser);
}

/* A decimal number of at most nine digits with nothing but a blank behind it. */
static gboolean
take_number (const char **text, guint max, guint *ret_number)
{
  const char *p = *text;
  guint number = 0;

  for (; g_ascii_isdigit (*p) && p - *text < 9; p++)
    number = number * 10 + (guint) (*p - '0');
  if (p == *text || (**text == '0' && p - *text > 1) || *p != ' ' || number > max)
    return FALSE;
  *text = p + 1;
  *ret_number = number;
  return TRUE;
}

/* What stands between the two nonces, with the blank before the second: "SEQUENCE VERB STATUS ". */
static gboolean
parse_body (const char *text, RametFrame *ret_frame)
{
  RametFrame frame = { 0 };
  guint status = 0;
  gsize verb_length;

  if (!take_number (&text, 999999999, &frame.sequence))
    return FALSE;
  verb_length = strspn (text, "abcdefghijklmnopqrstuvwxyz");
  if (verb_length == 0 || verb_length >= sizeof frame.verb || text[verb_length] != ' ')
    return FALSE;
  memcpy (frame.verb, text, verb_length);
  text += verb_length + 1;
  if (!take_number (&text, 255, &status) || *text != '\0')
    return FALSE;
  frame.status = (guint8) status;
  *ret_frame = frame;
  return TRUE;
}

static void
flush_line (RametFrameParser *parser)
{
  gsize length = parser->line->len;

  while (length > 0 && parser->line->str[length - 1] == '\r')
    length--;
  parser->handlers.on_line (parser->line->str, length, parser->data);
  g_string_truncate (parser->line, 0);
}

static void
add_to_line (RametFrameParser *parser, char byte)
{
  if (parser->line->len == MAX_LINE_BYTES)
    flush_line (parser);
  g_string_append_c (parser->line, byte);
}

static void
finish_frame (RametFrameParser *parser)
{
  g_autofree char *text = NULL;
  RametFrame frame;
  gsize length = parser->frame->len;

  parser->in_frame = FALSE;
  if (length > 0 && parser->frame->str[length - 1] == '\r')
    length--;
  if (length < 2 * RAMET_NONCE_CHARS + 1 || memchr (parser->frame->str, '\0', length) ||
      !g_str_has_prefix (parser->frame->str, parser->nonce) || parser->frame->str[RAMET_NONCE_CHARS] != ' ')
    {
      add_to_line (parser, RECORD_SEPARATOR);
      for (gsize i = 0; i < parser->frame->len; i++)
        add_to_line (parser, parser->frame->str[i]);
      return;
    }
  text = g_strndup (parser->frame->str + RAMET_NONCE_CHARS + 1, length - 2 * RAMET_NONCE_CHARS - 1);
  if (memcmp (parser->frame->str + length - RAMET_NONCE_CHARS, parser->nonce, RAMET_NONCE_CHARS) != 0 ||
      !parse_body (text, &frame))
    {
      parser->handlers.on_forged (parser->data);
      return;
    }
  if (parser->line->len > 0)
    flush_line (parser);
  parser->handlers.on_frame (&frame, parser->data);
}

static void
feed_byte (RametFrameParser *parser, char byte)
{
  if (byte == RECORD_SEPARATOR)
    {
      if (parser->in_frame)
        finish_frame (parser);
      parser->in_frame = TRUE;
      g_string_truncate (parser->frame, 0);
    }
  else if (parser->in_frame && byte != '\n')
    {
      g_string_append_c (parser->frame, byte);
      if (parser->frame->len > MAX_FRAME_BYTES)
        finish_frame (parser);
    }
  else
    {
      gboolean was_frame = parser->in_frame;

      if (parser->in_frame)
        finish_frame (parser);
      if (byte != '\n')
        add_to_line (parser, byte);
      else if (!was_frame || parser->line->len > 0)
        flush_line (parser);
    }
}

/** ramet_frame_parser_feed: @bytes come from a guest and may hold anything; handlers run from here */
void
ramet_frame_parser_feed (RametFrameParser *parser, const char *bytes, gsize length)
{
  for (gsize i = 0; i < length; i++)
    feed_byte (parser, bytes[i]);
}

/** ramet_frame_parser_peek: (transfer none): the raw bytes of the line that has not ended yet */
const char *
ramet_frame_parser_peek (RametFrameParser *parser, gsize *ret_length)
{
  *ret_length = parser->line->len;
  return parser->line->str;
}

/* For a shell's printf, with the two halves of the nonce, number, verb and again the halves; the status is 0. */
#define FRAME_FORMAT "\\\\036%%s%%s\\\\040%%s\\\\040%%s\\\\0400\\\\040%%s%%s\\\\n"

/**
 * ramet_frame_sync_line:
 *
 * Typed at a shell, it answers with a frame "SEQUENCE ready 0". The nonce is put together from two halves, and RS from
 * an escape, only in the guest: the echo of what was typed is no frame. The line starts with a line end of its own so
 * that a half-typed line, or a boot loader's menu, is done with first. It has no quotes: a terminal that is being opened
 * may swallow any part of it, and one quote that is left over would have the shell wait for another for ever.
 *
 * Returns: (transfer full)
 */
char *
ramet_frame_sync_line (const char *nonce, guint sequence)
{
  const int half = RAMET_NONCE_CHARS / 2;

  return g_strdup_printf ("\n printf " FRAME_FORMAT " %.*s %s %u ready %.*s %s\n", half, nonce, nonce + half, sequence,
                          half, nonce, nonce + half);
}

/**
 * ramet_frame_loader_line:
 * @sha256: of the runner, 64 hexadecimal digits
 *
 * Typed at a shell that has answered a sync line. It answers "1 go 0" once it takes the runner, as base64 with an EOT
 * (0x04) on a line of its own behind it, and starts it; or "1 bad 0" if it did not arrive whole. The runner's first
 * frame is "2 ready 0".
 *
 * Returns: (transfer full): less than 1024 bytes; a terminal in canonical mode takes 4095
 */
char *
ramet_frame_loader_line (const char *nonce, const char *sha256)
{
  const int half = RAMET_NONCE_CHARS / 2;

  return g_strdup_printf (
    " unset HISTFILE; stty -echo -opost -ixon; d=/run/ramet; rm -rf $d; mkdir -p $d; chmod 700 $d; a=%.*s; b=%s;"
    " printf " FRAME_FORMAT " $a $b 1 go $a $b; base64 -d >$d/runner;"
    " case $(sha256sum <$d/runner) in %s*) sh $d/runner $a$b $d;;"
    " *) printf " FRAME_FORMAT " $a $b 1 bad $a $b;; esac\n",
    half, nonce, nonce + half, sha256);
}

/** ramet_frame_append_base64: lines of 76 characters, then EOT on a line of its own: what `base64 -d` reads to its end */
void
ramet_frame_append_base64 (GString *out, const guint8 *bytes, gsize length)
{
  for (gsize at = 0; at < length; at += 57)
    {
      g_autofree char *line = g_base64_encode (bytes + at, MIN (57, length - at));

      g_string_append_printf (out, "%s\n", line);
    }
  g_string_append_c (out, '\x04');
}

/**
 * ramet_frame_environment:
 * @pairs: names of capitals and underscores, each followed by its value, %NULL-terminated; a %NULL value is empty
 *
 * What the runner's "env" request takes: a line NAME=VALUE a variable, and NAME+VALUE for each further line of one that
 * has several. The runner takes values as they are, so nothing in them needs quoting.
 *
 * Returns: (transfer full)
 */
char *
ramet_frame_environment (const char *const *pairs)
{
  GString *out = g_string_new (NULL);

  for (; pairs[0]; pairs += 2)
    {
      g_auto (GStrv) lines = g_strsplit (pairs[1] ? pairs[1] : "", "\n", -1);

      g_string_append_printf (out, "%s=%s\n", pairs[0], lines[0] ? lines[0] : "");
      for (char **line = lines; *line && line[1]; line++)
        g_string_append_printf (out, "%s+%s\n", pairs[0], line[1]);
    }
  return g_string_free (out, FALSE);
}
