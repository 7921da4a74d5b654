/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * usage: measure FILE COMMAND [ARGUMENT…]
 *
 * Runs COMMAND and appends a line to FILE: wall time in µs, CPU time in µs and peak memory in KiB of the command and what
 * it waited for. Its exit status is the command's. In C because a child's peak begins at that of whoever forks it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long
now_us (void)
{
  struct timespec now;

  clock_gettime (CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long long
time_us (struct timeval time)
{
  return time.tv_sec * 1000000LL + time.tv_usec;
}

int
main (int argc, char **argv)
{
  struct rusage usage;
  long long since_us, wall_us;
  FILE *file;
  pid_t child;
  int status;

  if (argc < 3)
    {
      fputs ("usage: measure FILE COMMAND [ARGUMENT…]\n", stderr);
      return 2;
    }
  since_us = now_us ();
  child = fork ();
  if (child == 0)
    {
      execvp (argv[2], argv + 2);
      fprintf (stderr, "measure: %s: %s\n", argv[2], strerror (errno));
      _exit (127);
    }
  if (child < 0 || wait4 (child, &status, 0, &usage) < 0)
    {
      perror ("measure");
      return 1;
    }
  wall_us = now_us () - since_us;
  file = fopen (argv[1], "a");
  if (file == NULL)
    {
      perror (argv[1]);
      return 1;
    }
  fprintf (file, "%lld %lld %ld\n", wall_us, time_us (usage.ru_utime) + time_us (usage.ru_stime), usage.ru_maxrss);
  fclose (file);
  return WIFEXITED (status) ? WEXITSTATUS (status) : 128 + WTERMSIG (status);
}
