/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/bootstrap.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/stop.h"
#include "core/text.h"
#include "host/console.h"
#include "host/ssh.h"
#include "model/share.h"

#define SEED_BYTES 64
#define FIRST_STEP_WITH_NETWORK "40" /* what is numbered lower gives the guest its own identity */
#define SEAL_PATIENCE_US (30 * G_TIME_SPAN_SECOND) /* for a slow guest to end its root shell */
#define MAX_SCRIPT_BYTES (16 * 1024 * 1024)

RametExtra *
ramet_extra_new_package (const char *package)
{
  RametExtra *extra = g_new0 (RametExtra, 1);

  extra->package = g_strdup (package);
  return extra;
}

/** ramet_extra_new_script: (transfer full): reads the script at @path now, so that it cannot change under way */
RametExtra *
ramet_extra_new_script (const char *path, GError **error)
{
  g_autoptr (RametExtra) extra = g_new0 (RametExtra, 1);
  g_autoptr (GError) why = NULL;
  struct stat st;

  extra->script_name = g_strdup (path);
  if (stat (path, &st) == 0 && (!S_ISREG (st.st_mode) || st.st_size > MAX_SCRIPT_BYTES))
    ramet_error_set (error, RAMET_ERROR_USAGE, "the script '%s' is no file, or larger than 16 MiB", path);
  else if (g_file_get_contents (path, &extra->script, &extra->script_length, &why))
    return g_steal_pointer (&extra);
  else
    ramet_error_set (error, g_error_matches (why, G_FILE_ERROR, G_FILE_ERROR_NOENT) ? RAMET_ERROR_NOT_FOUND
                                                                                   : RAMET_ERROR_FAILED,
                     "cannot read the script '%s': %s", path, g_strerror (errno));
  return NULL;
}

void
ramet_extra_free (RametExtra *extra)
{
  g_free (extra->package);
  g_free (extra->script_name);
  g_free (extra->script);
  g_free (extra);
}

/* One guest under way through its steps. */
typedef struct
{
  RametDomain *domain;
  RametTask *task;
  RametConsole *console;
  const RametBootstrap *bootstrap;
  GHashTable *steps; /* name → text of the scripts in bootstrap/guest and its folder extra */
  gint64 deadline_us;
} Run;

/* read_data: (transfer full): a file below ramet's data */
static char *
read_data (const char *name, GError **error)
{
  g_autofree char *path = ramet_paths_data (name);
  g_autoptr (GError) why = NULL;
  char *text = NULL;

  if (g_file_get_contents (path, &text, NULL, &why))
    return text;
  ramet_error_set (error, RAMET_ERROR_FAILED, "ramet is not installed whole: %s", why->message);
  ramet_error_hint (error, "RAMET_DATADIR may name the folder that holds 'bootstrap' and 'templates'");
  return NULL;
}

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

static char *
random_base64 (gsize n_bytes)
{
  g_autofree guint8 *bytes = g_malloc (n_bytes);

  if (getrandom (bytes, n_bytes, 0) != (gssize) n_bytes)
    g_error ("the kernel gives no random bytes");
  return g_base64_encode (bytes, n_bytes);
}

static char *
share_lines (GPtrArray *shares)
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

/* The VM's UUID without its hyphens: what systemd takes by itself where it finds none, so it need not change later. */
static char *
machine_id_of (const char *uuid)
{
  g_auto (GStrv) parts = g_strsplit (uuid, "-", -1);

  return g_strjoinv ("", parts);
}

static gboolean
set_environment (Run *run, GError **error)
{
  const RametBootstrap *bootstrap = run->bootstrap;
  g_autofree char *machine_id = machine_id_of (bootstrap->uuid);
  g_autofree char *seed = random_base64 (SEED_BYTES);
  g_autofree char *shares = share_lines (bootstrap->shares);
  g_autofree char *uid = g_strdup_printf ("%u", bootstrap->uid);
  g_autofree char *gid = g_strdup_printf ("%u", bootstrap->gid);
  g_autofree char *zone = time_zone ();
  const char *pairs[] = {
    "RAMET_HOSTNAME",     bootstrap->name,     "RAMET_MACHINE_ID", machine_id, "RAMET_SEED",     seed,
    "RAMET_NEW_IDENTITY", "1",                 "RAMET_USER",       bootstrap->user, "RAMET_UID", uid,
    "RAMET_GID",          gid,                 "RAMET_USER_GECOS", bootstrap->gecos,
    "RAMET_SSH_KEYS",     bootstrap->ssh_keys, "RAMET_SHARES",     shares,     "RAMET_TIMEZONE", zone,
    "RAMET_PACKAGES",     "",                  "RAMET_GROW",       bootstrap->must_grow ? "1" : "", NULL,
  };

  return ramet_console_set_environment (run->console, pairs, run->deadline_us, error);
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
  return ramet_console_run (run->console, extra->script, extra->script_length, run->deadline_us, &status, &output,
                            error) &&
         finish_step (run, title, status, output, since_us, error);
}

/** title_of: (transfer full): the first line of a step, "# Ensures …", as people read it */
static char *
title_of (const char *script)
{
  char *title = g_strndup (script, strcspn (script, "\n"));

  g_strstrip (g_strdelimit (title, "#", ' '));
  title[0] = g_ascii_tolower (title[0]);
  return title;
}

/* A file of bootstrap/guest, which put_steps() has sent. */
static gboolean
run_step (Run *run, const char *name, char **ret_output, GError **error)
{
  g_autofree char *title = title_of (g_hash_table_lookup (run->steps, name));
  gint64 since_us = g_get_monotonic_time ();
  g_autofree char *output = NULL;
  guint status = 0;

  ramet_task_step (run->task, "%s", title);
  if (!ramet_console_run_file (run->console, name, run->deadline_us, &status, &output, error) ||
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
      char *text = read_data (path, error);

      if (text == NULL)
        return FALSE;
      g_hash_table_insert (run->steps, g_strdup (g_ptr_array_index (names, i)), text);
    }
  return names != NULL;
}

/* All of them in one go: each round trip to an emulated guest costs more than most steps. */
static gboolean
put_steps (Run *run, GError **error)
{
  g_autoptr (GPtrArray) pairs = g_ptr_array_new ();
  GHashTableIter iter;
  gpointer name;
  gpointer text;

  if (!read_steps (run, "bootstrap/guest", error) || !read_steps (run, "bootstrap/guest/extra", error))
    return FALSE;
  g_hash_table_iter_init (&iter, run->steps);
  while (g_hash_table_iter_next (&iter, &name, &text))
    {
      g_ptr_array_add (pairs, name);
      g_ptr_array_add (pairs, text);
    }
  g_ptr_array_add (pairs, NULL);
  return ramet_console_put_files (run->console, (const char *const *) pairs->pdata, run->deadline_us, error);
}

static gboolean
run_steps (Run *run, GError **error)
{
  g_autoptr (GPtrArray) steps = list_steps ("bootstrap/guest", error);
  gboolean link_down = run->bootstrap->link_down;

  if (steps == NULL)
    return FALSE;
  for (guint i = 0; i < steps->len; i++)
    {
      const char *step = g_ptr_array_index (steps, i);

      /* clones with one machine-id get one DHCP lease whatever their MAC, so this comes before the link goes up */
      if (link_down && strcmp (step, FIRST_STEP_WITH_NETWORK) >= 0)
        {
          if (!ramet_domain_set_links (run->domain, TRUE, error))
            return FALSE;
          link_down = FALSE;
        }
      if (!run_step (run, step, NULL, error))
        return FALSE;
    }
  return TRUE;
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
      if (!ramet_console_set_environment (run->console, (const char *[]){ "RAMET_PACKAGES", packages->str, NULL },
                                          run->deadline_us, error) ||
          !run_step (run, "install-packages.sh", NULL, error))
        return FALSE;
    }
  return TRUE;
}

static gboolean
meet (Run *run, GError **error)
{
  g_autofree char *runner = read_data ("bootstrap/console/runner.sh", error);

  if (runner == NULL)
    return FALSE;
  ramet_task_step (run->task, "booting");
  if (!ramet_console_meet (run->console, runner, run->deadline_us, error))
    return FALSE;
  RAMET_STEP ("bootstrap-met");
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
  /* the shell that runs this step is ended just after its closing frame */
  if (!run_step (run, "seal.sh", NULL, error))
    return FALSE;
  RAMET_STEP ("bootstrap-sealed");
  ramet_console_leave (run->console);
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

/**
 * ramet_bootstrap_run:
 * @domain: just started, from a base with a root console
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
  g_autoptr (RametConsole) console = ramet_console_open (domain, task, error);
  Run run = { domain, task, console, bootstrap, steps, deadline_us };
  RametSeal *seal;

  RAMET_STEP ("bootstrap-console");
  if (console == NULL || !run_all (&run, ret_host_keys, error))
    return FALSE;
  seal = g_new0 (RametSeal, 1);
  seal->task = task;
  seal->console = g_steal_pointer (&console);
  seal->name = g_strdup (bootstrap->name);
  *ret_seal = seal;
  return TRUE;
}

/** ramet_bootstrap_probe: whether a guest that was just started comes to offer a root console */
gboolean
ramet_bootstrap_probe (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autoptr (RametConsole) console = ramet_console_open (domain, task, error);
  Run run = { domain, task, console, NULL, NULL, deadline_us };

  return console && meet (&run, error);
}
