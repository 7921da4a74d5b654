/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * usage: bare-suspend NAME…
 *
 * Suspends the domains from a thread each, over one connection: what 'ramet pause' is measured against.
 */
#include <libvirt/libvirt.h>
#include <pthread.h>
#include <stdio.h>

#define MAX_DOMAINS 16

/* libvirt has printed why it failed. */
static void *
suspend (void *domain)
{
  return virDomainSuspend (domain) < 0 ? domain : NULL;
}

int
main (int argc, char **argv)
{
  pthread_t threads[MAX_DOMAINS];
  virDomainPtr domains[MAX_DOMAINS];
  int n = argc - 1;
  int failed = 0;
  virConnectPtr conn;

  if (n < 1 || n > MAX_DOMAINS)
    {
      fputs ("usage: bare-suspend NAME…\n", stderr);
      return 2;
    }
  conn = virConnectOpen ("qemu:///system");
  if (conn == NULL)
    return 1;
  for (int i = 0; i < n; i++)
    if ((domains[i] = virDomainLookupByName (conn, argv[i + 1])) == NULL)
      return 1;
  for (int i = 0; i < n; i++)
    if (pthread_create (&threads[i], NULL, suspend, domains[i]) != 0)
      return 1;
  for (int i = 0; i < n; i++)
    {
      void *result;

      pthread_join (threads[i], &result);
      failed += result != NULL;
      virDomainFree (domains[i]);
    }
  virConnectClose (conn);
  return failed > 0;
}
