/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * To be preloaded into ramet: makes one of its calls of libvirt's functions fail.
 *
 *   RAMET_FAIL_NTH=N      the N-th one, from 1
 *   RAMET_FAIL_CALL=NAME  of that function only
 *   RAMET_FAIL_HOW=error  nothing is done, with an error as libvirt sets it (the default)
 *                  silent nothing is done, and there is no error to be asked for
 *                  late   it is done all the same: the answer got lost
 *   RAMET_FAIL_TOLD=FILE  the name of the function goes there when it fails
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <libvirt/libvirt-qemu.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef enum
{
  FAILING_NOT,
  FAILING_WITH_ERROR,
  FAILING_SILENTLY,
  FAILING_LATE,
} Failing;

static void
tell (const char *name)
{
  const char *path = getenv ("RAMET_FAIL_TOLD");
  int fd = path ? open (path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644) : -1;

  if (fd < 0 || write (fd, name, strlen (name)) < 0 || close (fd) < 0)
    abort ();
}

/* Counts the call that is just being made of the function @name. */
static Failing
fail_next (const char *name)
{
  static atomic_int count;
  const char *nth = getenv ("RAMET_FAIL_NTH");
  const char *only = getenv ("RAMET_FAIL_CALL");
  const char *how = getenv ("RAMET_FAIL_HOW");

  if (nth == NULL || (only && strcmp (only, name) != 0) || atomic_fetch_add (&count, 1) + 1 != atoi (nth))
    return FAILING_NOT;
  tell (name);
  if (how && strcmp (how, "silent") == 0)
    return FAILING_SILENTLY;
  return how && strcmp (how, "late") == 0 ? FAILING_LATE : FAILING_WITH_ERROR;
}

/* libvirt has no public call for it, but any that fails leaves an error that can be written to. */
static void
set_error (Failing failing)
{
  virErrorPtr error;

  /* the call to fail may be the one that would have done this */
  if (virInitialize () < 0)
    abort ();
  virResetLastError ();
  if (failing == FAILING_SILENTLY)
    return;
  virDomainFree (NULL);
  error = virGetLastError ();
  if (error == NULL)
    abort ();
  error->code = VIR_ERR_INTERNAL_ERROR;
  error->domain = VIR_FROM_NONE;
  free (error->message);
  error->message = strdup ("internal error: a test made it fail");
}

#include "fail-nth-calls.h"
