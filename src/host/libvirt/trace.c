/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/trace.h"

#include <libvirt/virterror.h>

#include "core/task.h"

static guint n_begun;
static guint n_ended;

/** ramet_trace_begin: @function: (nullable): %NULL: it is counted, and not told */
RametTrace
ramet_trace_begin (const char *function)
{
  g_atomic_int_inc (&n_begun);
  return (RametTrace){ ramet_talk_is_verbose () ? function : NULL, g_get_monotonic_time () };
}

/** ramet_trace_end: libvirt forgets its last error when a function is called, so one that is there is this call's */
void
ramet_trace_end (RametTrace *trace)
{
  g_atomic_int_inc (&n_ended);
  if (trace->function)
    ramet_talk_trace ("%s: %.1f ms%s", trace->function, (double) (g_get_monotonic_time () - trace->since_us) / 1000,
                      virGetLastErrorCode () == VIR_ERR_OK ? "" : ", failed");
}

/** ramet_trace_count: where the two differ, calls are under way */
RametCalls
ramet_trace_count (void)
{
  return (RametCalls){ .ended = (guint) g_atomic_int_get (&n_ended), .begun = (guint) g_atomic_int_get (&n_begun) };
}
