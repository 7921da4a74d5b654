/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define MACHINE_CHARS 12
#define BOOT_CHARS 8
#define NO_MACHINE "000000000000"

/* One process among all that may talk to one libvirtd, now and later. */
typedef struct
{
  char machine[MACHINE_CHARS + 1]; /* a hash of the machine's id, which is not for telling */
  char boot[BOOT_CHARS + 1];
  guint64 pid_namespace;
  gint pid;
  guint64 start;   /* clock ticks after the boot */
  gint64 began_s;  /* seconds since 1970 */
} Worker;

static void
read_machine (char machine[MACHINE_CHARS + 1])
{
  g_autofree char *id = NULL;
  g_autofree char *salted = NULL;
  g_autofree char *hash = NULL;

  if (!g_file_get_contents ("/etc/machine-id", &id, NULL, NULL) || *g_strstrip (id) == '\0')
    {
      g_strlcpy (machine, NO_MACHINE, MACHINE_CHARS + 1);
      return;
    }
  salted = g_strconcat ("ramet worker ", id, NULL);
  hash = g_compute_checksum_for_string (G_CHECKSUM_SHA256, salted, -1);
  g_strlcpy (machine, hash, MACHINE_CHARS + 1);
}

/* From /proc/PID/stat: the state's letter and when it began; the name before them may hold anything but the last ')'. */
static gboolean
read_process (gint pid, char *ret_state, guint64 *ret_start)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  const char *rest;

  if (!g_file_get_contents (path, &text, NULL, NULL) || (rest = strrchr (text, ')')) == NULL)
    return FALSE;
  return sscanf (rest + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
                 "%" G_GUINT64_FORMAT, ret_state, ret_start) == 2;
}

static gboolean
read_self (Worker *worker)
{
  g_autofree char *boot = NULL;
  struct stat st;
  char state;

  memset (worker, 0, sizeof *worker);
  read_machine (worker->machine);
  worker->pid = getpid ();
  worker->began_s = g_get_real_time () / G_USEC_PER_SEC;
  if (!g_file_get_contents ("/proc/sys/kernel/random/boot_id", &boot, NULL, NULL) ||
      stat ("/proc/self/ns/pid", &st) < 0 || !read_process (worker->pid, &state, &worker->start))
    return FALSE;
  g_strlcpy (worker->boot, boot, sizeof worker->boot);
  worker->pid_namespace = st.st_ino;
  return TRUE;
}

/**
 * ramet_worker_self:
 *
 * Returns: (transfer full) (nullable): one word of letters, digits and hyphens that tells this process from all others
 */
char *
ramet_worker_self (void)
{
  Worker self;

  if (!read_self (&self))
    return NULL;
  return g_strdup_printf ("%s-%s-%" G_GUINT64_FORMAT "-%d-%" G_GUINT64_FORMAT "-%" G_GINT64_FORMAT, self.machine,
                          self.boot, self.pid_namespace, self.pid, self.start, self.began_s);
}

static gboolean
parse (const char *record, Worker *worker)
{
  int length = 0;

  memset (worker, 0, sizeof *worker);
  return sscanf (record, "%12[0-9a-f]-%8[0-9a-f]-%" G_GUINT64_FORMAT "-%d-%" G_GUINT64_FORMAT "-%" G_GINT64_FORMAT "%n",
                 worker->machine, worker->boot, &worker->pid_namespace, &worker->pid, &worker->start, &worker->began_s,
                 &length) == 6 &&
         record[length] == '\0' && worker->pid > 0;
}

/* A number is given to another process once its first holder is gone: when it began tells them apart. */
static RametWorkerState
look_at_process (const Worker *worker)
{
  char state = 'R';
  guint64 start = worker->start;

  if (kill (worker->pid, 0) < 0 && errno == ESRCH)
    return RAMET_WORKER_GONE;
  if (!read_process (worker->pid, &state, &start))
    return RAMET_WORKER_AT_WORK; /* /proc may hide the processes of others */
  return start != worker->start || state == 'Z' || state == 'X' ? RAMET_WORKER_GONE : RAMET_WORKER_AT_WORK;
}

static gint64
boot_time_s (void)
{
  g_autofree char *text = NULL;
  const char *at;

  if (!g_file_get_contents ("/proc/stat", &text, NULL, NULL) || (at = strstr (text, "\nbtime ")) == NULL)
    return 0;
  return g_ascii_strtoll (at + strlen ("\nbtime "), NULL, 10);
}

/**
 * ramet_worker_look:
 * @record: (nullable): from ramet_worker_self(), perhaps of another machine or before a restart
 */
RametWorkerState
ramet_worker_look (const char *record)
{
  Worker worker;
  Worker self;

  if (g_strcmp0 (record, RAMET_WORKER_KEPT_RECORD) == 0)
    return RAMET_WORKER_KEPT;
  if (record == NULL || !parse (record, &worker) || !read_self (&self))
    return RAMET_WORKER_UNKNOWN;
  if (g_str_equal (worker.boot, self.boot))
    return worker.pid_namespace == self.pid_namespace ? look_at_process (&worker) : RAMET_WORKER_UNKNOWN;
  /* machines made from one image may share their id: of ours before its restart is only what is older than that */
  if (g_str_equal (worker.machine, self.machine) && !g_str_equal (worker.machine, NO_MACHINE) &&
      worker.began_s < boot_time_s ())
    return RAMET_WORKER_GONE;
  return RAMET_WORKER_UNKNOWN;
}

/** ramet_worker_is_self: whether @record, which may be %NULL, is of this process, whenever it was made */
gboolean
ramet_worker_is_self (const char *record)
{
  Worker worker;
  Worker self;

  return record && parse (record, &worker) && read_self (&self) && g_str_equal (worker.boot, self.boot) &&
         worker.pid_namespace == self.pid_namespace && worker.pid == self.pid && worker.start == self.start;
}
