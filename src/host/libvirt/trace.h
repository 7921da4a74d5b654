/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* One call of libvirt under way: `-v` tells each, and how long it took. */
typedef struct
{
  const char *function; /* or NULL: nobody wants to know */
  gint64 since_us;
} RametTrace;

/* How many calls have begun and ended, in all threads. */
typedef struct
{
  guint begun;
  guint ended;
} RametCalls;

RametTrace ramet_trace_begin (const char *function);
void ramet_trace_end (RametTrace *trace);
RametCalls ramet_trace_count (void);

/* Whatever the function gives back, if anything: what stands in the braces ends after it has. */
#define RAMET_CALL(function, told, ...)                                                                                 \
  (G_GNUC_EXTENSION ({                                                                                                  \
    G_GNUC_UNUSED __attribute__ ((cleanup (ramet_trace_end))) RametTrace G_PASTE (trace_, __COUNTER__)                   \
      = ramet_trace_begin (told);                                                                                       \
    function (__VA_ARGS__);                                                                                             \
  }))
#define RAMET_TRACED(function, ...) RAMET_CALL (function, #function, __VA_ARGS__)
#define RAMET_COUNTED(function, ...) RAMET_CALL (function, NULL, __VA_ARGS__)
