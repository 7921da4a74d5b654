/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/bootstrap.h"

#include <gio/gio.h>
#include <string.h>
#include <sys/random.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/files/config.h"
#include "host/guest/agent-way.h"
#include "host/guest/console.h"
#include "host/guest/ssh.h"
#include "model/share.h"

#define SEED_BYTES 64
#define FIRST_STEP_WITH_NETWORK "40" /* what is numbered lower gives the guest its own identity */
#define SEAL_PATIENCE_US (30 * G_TIME_SPAN_SECOND) /* for a slow guest to end its root shell */

/* One guest under way through its steps. */
typedef struct
{
  RametDomain *domain;
  RametTask *task;
  RametWay *way;
  const RametBootstrap *bootstrap;
  GHashTable *steps; /* name → text of the scripts in bootstrap/guest and its folder extra */
  gint64 deadline_us;
} Run;

static int
compare_strings (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char **) a, *(char **) b);
}

/** list_steps: (transfer full) (element-type utf8): names of the scripts in a folder of ramet's data, in order */
static GPtrArray *
list_steps (const char *folder, GError **error)
{
  g_autofree char *path = ramet_paths_data (folder);
  g_autoptr (GDir) dir = g_dir_open (path, 0, error);
  GPtrArray *steps;
  const char *name;

  if (dir == NULL)
    return NULL;
  steps = g_ptr_array_new_with_free_func (g_free);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".sh"))
      g_ptr_array_add (steps, g_strdup (name));
  g_ptr_array_sort (steps, compare_strings);
  return steps;
}

/** ramet_bootstrap_seed: (transfer full): random bytes for the guest, in base64 */
char *
ramet_bootstrap_seed (void)
{
  guint8 bytes[SEED_BYTES];

  if (getrandom (bytes, sizeof bytes, 0) != sizeof bytes)
    g_error ("the kernel gives no random bytes");
  return g_base64_encode (bytes, sizeof bytes);
}

/** ramet_bootstrap_share_lines: (transfer full): as the steps take RAMET_SHARES */
char *
ramet_bootstrap_share_lines (GPtrArray *shares)
{
  GString *lines = g_string_new (NULL);

  for (guint i = 0; i < shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (shares, i);

      g_string_append_printf (lines, "%s%s\t%s", i ? "\n" : "", share->tag, share->target);
    }
  return g_string_free (lines, FALSE);
}

static char *
time_zone (void)
{
  g_autofree char *link = g_file_read_link ("/etc/localtime", NULL);
  const char *name = link ? strstr (link, "/zoneinfo/") : NULL;

  return g_strdup (name ? name + strlen ("/zoneinfo/") : "");
}

/**
 * ramet_bootstrap_machine_id:
 *
 * Returns: (transfer full): the VM's UUID without its hyphens: what systemd takes by itself where it finds none, so it need not
 * change later
 */
char *
ramet_bootstrap_machine_id (const char *uuid)
{
  g_auto (GStrv) parts = g_strsplit (uuid, "-", -1);

  return g_strjoinv ("", parts);
}

static gboolean
set_environment (Run *run, GError **error)
{
  const RametBootstrap *bootstrap = run->bootstrap;
  g_autofree char *machine_id = ramet_bootstrap_machine_id (bootstrap->uuid);
  g_autofree char *seed = ramet_bootstrap_seed ();
  g_autofree char *shares = ramet_bootstrap_share_lines (bootstrap->shares);
  g_autofree char *uid = bootstrap->keeps_uid ? g_strdup ("") : g_strdup_printf ("%u", bootstrap->uid);
  g_autofree char *gid = bootstrap->keeps_uid ? g_strdup ("") : g_strdup_printf ("%u", bootstrap->gid);
  g_autofree char *zone = time_zone ();
  const char *pairs[] = {
    "RAMET_HOSTNAME",     bootstrap->name,     "RAMET_MACHINE_ID", machine_id, "RAMET_SEED",     seed,
    "RAMET_NEW_IDENTITY", "1",                 "RAMET_USER",       bootstrap->user, "RAMET_UID", uid,
    "RAMET_GID",          gid,                 "RAMET_USER_GECOS", bootstrap->gecos,
    "RAMET_SSH_KEYS",     bootstrap->ssh_keys, "RAMET_SHARES",     shares,     "RAMET_TIMEZONE", zone,
    "RAMET_PACKAGES",     "",                  "RAMET_GROW",       bootstrap->must_grow ? "1" : "", NULL,
  };

  return ramet_way_set_environment (run->way, pairs, run->deadline_us, error);
}

/* The last lines of what a failed step printed, for the error. */
static char *
last_line (const char *output)
{
  g_autofree char *copy = g_strchomp (g_strdup (output));
  const char *at = strrchr (copy, '\n');
  g_autofree char *safe = ramet_text_escape (at ? at + 1 : copy, -1);

  return ramet_text_clip (safe, 200);
}

/* What every step ends in; @title names it for people: "--run setup.sh". */
static gboolean
finish_step (Run *run, const char *title, guint status, const char *output, gint64 since_us, GError **error)
{
  g_autofree char *line = NULL;

  ramet_task_log (run->task, "-- status %u after %" G_GINT64_FORMAT " ms", status,
                  (g_get_monotonic_time () - since_us) / 1000);
  if (status == 0)
    return TRUE;
  line = last_line (output);
  ramet_error_set (error, RAMET_ERROR_FAILED, "in the guest '%s', the step '%s' failed with status %u%s%s",
                   run->bootstrap->name, title, status, *line ? ": " : "", line);
  return FALSE;
}

static gboolean
run_script (Run *run, const char *title, const RametExtra *extra, GError **error)
{
  gint64 since_us = g_get_monotonic_time ();
  g_autofree char *output = NULL;
  guint status = 0;

  ramet_task_step (run->task, "%s", title);
  return ramet_way_run (run->way, extra->script, extra->script_length, run->deadline_us, &status, &output,
                            error) &&
         finish_step (run, title, status, output, since_us, error);
}

/* A file of bootstrap/guest, which put_steps() has sent. */
static gboolean
run_step (Run *run, const char *name, char **ret_output, GError **error)
{
  g_autofree char *title = ramet_step_title (name, g_hash_table_lookup (run->steps, name));
  gint64 since_us = g_get_monotonic_time ();
  g_autofree char *output = NULL;
  guint status = 0;

  ramet_task_step (run->task, "%s", title);
  if (!ramet_way_run_file (run->way, name, run->deadline_us, &status, &output, error) ||
      !finish_step (run, title, status, output, since_us, error))
    return FALSE;
  RAMET_STEP ("bootstrap-step");
  if (ret_output)
    *ret_output = g_steal_pointer (&output);
  return TRUE;
}

static gboolean
read_steps (Run *run, const char *folder, GError **error)
{
  g_autoptr (GPtrArray) names = list_steps (folder, error);

  for (guint i = 0; names && i < names->len; i++)
    {
      g_autofree char *path = g_build_filename (folder, g_ptr_array_index (names, i), NULL);
      char *text = ramet_steps_read_data (path, error);

      if (text == NULL)
        return FALSE;
      g_hash_table_insert (run->steps, g_strdup (g_ptr_array_index (names, i)), text);
    }
  return names != NULL;
}

static gboolean
collect_steps (Run *run, GError **error)
{
  GPtrArray *steps = run->bootstrap->steps;

  for (guint i = 0; i < steps->len; i++)
    {
      const RametConfigFile *step = g_ptr_array_index (steps, i);

      if (step->text)
        g_hash_table_insert (run->steps, g_strdup (step->name), g_strdup (step->text));
    }
  return read_steps (run, "bootstrap/guest/extra", error);
}

/* All of them in one go: each round trip to an emulated guest costs more than most steps. */
static gboolean
put_steps (Run *run, GError **error)
{
  g_autoptr (GPtrArray) pairs = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;
  gpointer text;

  if (!collect_steps (run, error))
    return FALSE;
  g_hash_table_iter_init (&iter, run->steps);
  while (g_hash_table_iter_next (&iter, &name, &text))
    {
      g_ptr_array_add (pairs, name);
      g_ptr_array_add (pairs, text);
    }
  g_ptr_array_add (pairs, NULL);
  return ramet_way_put_files (run->way, (const char *const *) pairs->pdata, run->deadline_us, error);
}

static gboolean
run_steps (Run *run, GError **error)
{
  GPtrArray *steps = run->bootstrap->steps;
  gboolean link_down = run->bootstrap->link_down;

  for (guint i = 0; i < steps->len; i++)
    {
      const RametConfigFile *step = g_ptr_array_index (steps, i);

      /* clones with one machine-id get one DHCP lease whatever their MAC, so this comes before the link goes up */
      if (link_down && strcmp (step->name, FIRST_STEP_WITH_NETWORK) >= 0)
        {
          if (!ramet_domain_set_links (run->domain, TRUE, error))
            return FALSE;
          link_down = FALSE;
        }
      if (step->text && !run_step (run, step->name, NULL, error))
        return FALSE;
    }
  return !link_down || ramet_domain_set_links (run->domain, TRUE, error);
}

/* Packages that stand next to each other are installed in one go. */
static gboolean
run_extras (Run *run, GError **error)
{
  GPtrArray *extras = run->bootstrap->extras;

  for (guint i = 0; i < extras->len; i++)
    {
      const RametExtra *extra = g_ptr_array_index (extras, i);
      g_autoptr (GString) packages = g_string_new (extra->package);

      if (extra->package == NULL)
        {
          g_autofree char *title = g_strdup_printf ("--run %s", extra->script_name);
          g_autofree char *safe = ramet_text_escape (title, -1);

          if (!run_script (run, safe, extra, error))
            return FALSE;
          continue;
        }
      for (; i + 1 < extras->len && ((RametExtra *) g_ptr_array_index (extras, i + 1))->package; i++)
        g_string_append_printf (packages, " %s", ((RametExtra *) g_ptr_array_index (extras, i + 1))->package);
      if (!ramet_way_set_environment (run->way, (const char *[]){ "RAMET_PACKAGES", packages->str, NULL },
                                          run->deadline_us, error) ||
          !run_step (run, "install-packages.sh", NULL, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
meet (Run *run, GError **error)
{
  g_autofree char *runner = ramet_steps_read_data ("bootstrap/console/runner.sh", error);

  if (runner == NULL)
    return FALSE;
  ramet_task_step (run->task, "booting");
  if (!ramet_way_meet (run->way, runner, run->deadline_us, error))
    return FALSE;
  RAMET_STEP ("bootstrap-met");
  return TRUE;
}

/* The shell that runs the last step over a console is ended just after its closing frame. */
static gboolean
close_guest (Run *run, GError **error)
{
  if (!run->bootstrap->by_agent && !run_step (run, "seal.sh", NULL, error))
    return FALSE;
  RAMET_STEP ("bootstrap-sealed");
  ramet_way_leave (run->way, run->deadline_us);
  return TRUE;
}

static gboolean
run_all (Run *run, char **ret_host_keys, GError **error)
{
  g_autofree char *report = NULL;
  g_autofree char *keys = NULL;

  if (!meet (run, error) || !set_environment (run, error) || !put_steps (run, error) || !run_steps (run, error) ||
      !run_extras (run, error) || !run_step (run, "report.sh", &report, error))
    return FALSE;
  keys = ramet_ssh_parse_host_keys (report);
  if (keys == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "the guest '%s' told no ssh host key", run->bootstrap->name);
      return FALSE;
    }
  if (!close_guest (run, error))
    return FALSE;
  *ret_host_keys = g_steal_pointer (&keys);
  return TRUE;
}

struct _RametSeal
{
  RametTask *task;
  RametConsole *console;
  char *name;
};

void
ramet_seal_free (RametSeal *seal)
{
  ramet_console_free (seal->console);
  g_free (seal->name);
  g_free (seal);
}

/**
 * ramet_seal_check:
 * @error: RAMET_ERROR_REFUSED if a root shell still answers on the console
 *
 * Waits until the console has been silent long enough, while it was tried again and again.
 */
gboolean
ramet_seal_check (RametSeal *seal, GError **error)
{
  gboolean silent = FALSE;

  ramet_task_step (seal->task, "checking that the console is closed");
  if (!ramet_console_check_silent (seal->console, g_get_monotonic_time () + SEAL_PATIENCE_US, &silent, error))
    return FALSE;
  if (!silent)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "a root shell still answers on the console of '%s'", seal->name);
  return silent;
}

/* Takes @console. */
static RametSeal *
seal_new (RametConsole *console, RametTask *task, const char *name)
{
  RametSeal *seal = g_new0 (RametSeal, 1);

  ramet_console_watch_silence (console);
  seal->task = task;
  seal->console = console;
  seal->name = g_strdup (name);
  return seal;
}

static gboolean
run_by_console (Run *run, char **ret_host_keys, RametSeal **ret_seal, GError **error)
{
  g_autoptr (RametConsole) console = ramet_console_open (run->domain, run->task, error);

  RAMET_STEP ("bootstrap-console");
  if (console == NULL)
    return FALSE;
  run->way = ramet_console_get_way (console);
  if (!run_all (run, ret_host_keys, error))
    return FALSE;
  *ret_seal = seal_new (g_steal_pointer (&console), run->task, run->bootstrap->name);
  return TRUE;
}

/** ramet_seal_open: of a guest that was sealed when it was somebody else, or nobody: that it is so still is looked at */
RametSeal *
ramet_seal_open (RametDomain *domain, RametTask *task, GError **error)
{
  g_autoptr (RametConsole) console = ramet_console_open (domain, task, error);

  return console ? seal_new (g_steal_pointer (&console), task, ramet_domain_get_name (domain)) : NULL;
}

/* The console was sealed when the guest's disk was set up first; that it is so still is looked at all the same. */
static gboolean
run_by_agent (Run *run, char **ret_host_keys, RametSeal **ret_seal, GError **error)
{
  g_autoptr (RametConsole) console = ramet_console_open (run->domain, run->task, error);
  g_autoptr (RametWay) way = NULL;

  RAMET_STEP ("bootstrap-agent");
  if (console == NULL)
    return FALSE;
  run->way = way = ramet_agent_way_new (run->domain, run->task, console);
  if (!run_all (run, ret_host_keys, error))
    return FALSE;
  *ret_seal = seal_new (g_steal_pointer (&console), run->task, run->bootstrap->name);
  return TRUE;
}

/**
 * ramet_bootstrap_run:
 * @domain: just started, from a base with a root console, or with a guest agent that was set up before
 * @deadline_us: monotonic time in microseconds, for all of it
 * @ret_host_keys: (out): the guest's ssh host keys, "TYPE BASE64" lines
 * @ret_seal: (out): for ramet_seal_check(), which may wait until there is nothing else to wait for
 *
 * Runs the steps of bootstrap/guest in the order of their names, then the user's own, then seals the console.
 */
gboolean
ramet_bootstrap_run (RametDomain *domain, RametTask *task, const RametBootstrap *bootstrap, gint64 deadline_us,
                     char **ret_host_keys, RametSeal **ret_seal, GError **error)
{
  g_autoptr (GHashTable) steps = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  Run run = { domain, task, NULL, bootstrap, steps, deadline_us };

  return bootstrap->by_agent ? run_by_agent (&run, ret_host_keys, ret_seal, error)
                             : run_by_console (&run, ret_host_keys, ret_seal, error);
}

/** ramet_bootstrap_probe: whether a guest that was just started comes to offer a root console */
gboolean
ramet_bootstrap_probe (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autoptr (RametConsole) console = ramet_console_open (domain, task, error);
  Run run = { domain, task, console ? ramet_console_get_way (console) : NULL, NULL, NULL, deadline_us };

  return console && meet (&run, error);
}
