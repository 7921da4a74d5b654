/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define RAMET_NONCE_CHARS 32 /* lower-case hexadecimal digits, so 128 bits */

/* What the runner in the guest (bootstrap/console/runner.sh) says between the lines of a step's output. */
typedef struct
{
  guint sequence;  /* the request that it answers */
  char verb[8];    /* "ready", "got", "end"; lower-case letters, NUL-terminated */
  guint8 status;   /* an exit status, 0–255 */
} RametFrame;

typedef struct
{
  void (*on_frame) (const RametFrame *frame, gpointer data);
  void (*on_line) (const char *bytes, gsize length, gpointer data); /* raw, no line end; never longer than 4096 */
  void (*on_forged) (gpointer data);                                /* the nonce was right, the rest was not */
} RametFrameHandlers;

typedef struct _RametFrameParser RametFrameParser;

RametFrameParser *ramet_frame_parser_new (const char *nonce, const RametFrameHandlers *handlers, gpointer data);
void ramet_frame_parser_free (RametFrameParser *parser);
void ramet_frame_parser_feed (RametFrameParser *parser, const char *bytes, gsize length);
const char *ramet_frame_parser_peek (RametFrameParser *parser, gsize *ret_length);

char *ramet_frame_sync_line (const char *nonce, guint sequence);
char *ramet_frame_loader_line (const char *nonce, const char *sha256);
void ramet_frame_append_base64 (GString *out, const guint8 *bytes, gsize length);
char *ramet_frame_environment (const char *const *pairs);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametFrameParser, ramet_frame_parser_free)
