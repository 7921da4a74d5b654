/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/guest/way.h"
#include "model/frame.h"

#define RAMET_WAY_RUNNER_SEQUENCE 2 /* of the runner's first frame, which says that it is there */

/* What one way does in its own manner. */
typedef struct
{
  gsize chunk_bytes; /* most that put_chunk takes at once */

  void (*free) (RametWay *way);
  gboolean (*meet) (RametWay *way, const char *runner, gint64 deadline_us, GError **error);
  /* adds to what was put before */
  gboolean (*put_chunk) (RametWay *way, const guint8 *bytes, gsize length, gint64 deadline_us, GError **error);
  gboolean (*send) (RametWay *way, const char *line, gint64 deadline_us, GError **error);
  /* one round of waiting for more from the guest, which goes to ramet_way_feed(); fails if no more can come */
  gboolean (*wait) (RametWay *way, gint64 deadline_us, const char *what, GError **error);
  /* ends the runner; what goes wrong is of no consequence */
  void (*leave) (RametWay *way, gint64 deadline_us);
  /* optional: a line of the guest's that is no frame, as it goes to the log */
  void (*on_line) (RametWay *way, const char *safe);
  /* optional: whether a frame is of no use any more */
  gboolean (*is_stale) (RametWay *way, const RametFrame *frame);
} RametWayClass;

struct _RametWay
{
  const RametWayClass *class;
  RametTask *task;
  RametFrameParser *parser;
  char *nonce;
  char half_nonce[RAMET_NONCE_CHARS / 2 + 1];
  GString *output; /* lines since the last request */
  RametFrame answer;
  gboolean answered;
  gboolean forged;
  gboolean shows;  /* what the guest prints is of interest now: it boots, or a step runs */
  gboolean loaded; /* the runner has answered: nobody else writes to the line now */
  guint sequence;
};

void ramet_way_init (RametWay *way, const RametWayClass *class, RametTask *task);
void ramet_way_clear (RametWay *way);
void ramet_way_feed (RametWay *way, const char *bytes, gsize length);
gboolean ramet_way_await (RametWay *way, guint sequence, gint64 deadline_us, const char *what, GError **error);
