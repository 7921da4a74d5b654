/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/kernel-log.h"

#include <errno.h>
#include <sys/klog.h>

#include "core/error.h"

/* see syslog(2), whose wrapper has no names for them */
#define READ_ALL 3
#define SIZE_BUFFER 10

/** ramet_kernel_log_read: (transfer full): what the kernel keeps of it; @error where it takes root */
char *
ramet_kernel_log_read (GError **error)
{
  int size = klogctl (SIZE_BUFFER, NULL, 0);
  g_autofree char *text = size > 0 ? g_malloc ((gsize) size + 1) : NULL;
  int length = text ? klogctl (READ_ALL, text, size) : -1;

  if (length < 0)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot read the kernel's log: %s", g_strerror (errno));
      return NULL;
    }
  text[length] = '\0';
  return g_steal_pointer (&text);
}
