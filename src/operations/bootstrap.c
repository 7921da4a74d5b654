/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/bootstrap.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/text.h"
#include "host/console.h"
#include "host/ssh.h"
#include "model/share.h"

#define SEED_BYTES 64
#define FIRST_STEP_WITH_NETWORK "40" /* what is numbered lower gives the guest its own identity */
#define SEAL_CHECK_MS 2500
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
  gint64 deadline_us;
} Run;

/** read_data: (transfer full): a file below ramet's data */
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

/** list_steps: (transfer full) (element-type utf8): file names, in the order they run in */
static GPtrArray *
list_steps (GError **error)
{
  g_autofree char *path = ramet_paths_data ("bootstrap/guest");
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
random_hex (gsize n_bytes)
{
  g_autofree guint8 *bytes = g_malloc (n_bytes);
  GString *hex = g_string_new (NULL);

  if (getrandom (bytes, n_bytes, 0) != (gssize) n_bytes)
    g_error ("the kernel gives no random bytes");
  for (gsize i = 0; i < n_bytes; i++)
    g_string_append_printf (hex, "%02x", bytes[i]);
  return g_string_free (hex, FALSE);
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

static gboolean
set_environment (Run *run, GError **error)
{
  const RametBootstrap *bootstrap = run->bootstrap;
  g_autofree char *machine_id = random_hex (16);
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
    "RAMET_PACKAGES",     "",                  NULL,
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

/* @title names the step for people: "--run setup.sh". */
static gboolean
run_script (Run *run, const char *title, const char *script, gsize length, char **ret_output, GError **error)
{
  gint64 since_us = g_get_monotonic_time ();
  g_autofree char *output = NULL;
  guint status = 0;

  ramet_task_step (run->task, "%s", title);
  if (!ramet_console_run (run->console, script, length, run->deadline_us, &status, &output, error))
    return FALSE;
  ramet_task_log (run->task, "-- status %u after %" G_GINT64_FORMAT " ms", status,
                  (g_get_monotonic_time () - since_us) / 1000);
  if (status != 0)
    {
      g_autofree char *line = last_line (output);

      ramet_error_set (error, RAMET_ERROR_FAILED, "in the guest '%s', the step '%s' failed with status %u%s%s",
                       run->bootstrap->name, title, status, *line ? ": " : "", line);
      return FALSE;
    }
  if (ret_output)
    *ret_output = g_steal_pointer (&output);
  return TRUE;
}

/* A file of bootstrap/guest. Its first line, "# Ensures …", is its title. */
static gboolean
run_step (Run *run, const char *name, char **ret_output, GError **error)
{
  g_autofree char *path = g_build_filename ("bootstrap/guest", name, NULL);
  g_autofree char *script = read_data (path, error);
  g_autofree char *title = NULL;

  if (script == NULL)
    return FALSE;
  title = g_strndup (script, strcspn (script, "\n"));
  g_strstrip (g_strdelimit (title, "#", ' '));
  title[0] = g_ascii_tolower (title[0]);
  return run_script (run, *title ? title : name, script, strlen (script), ret_output, error);
}

static gboolean
run_steps (Run *run, GError **error)
{
  g_autoptr (GPtrArray) steps = list_steps (error);
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

          if (!run_script (run, safe, extra->script, extra->script_length, NULL, error))
            return FALSE;
          continue;
        }
      for (; i + 1 < extras->len && ((RametExtra *) g_ptr_array_index (extras, i + 1))->package; i++)
        g_string_append_printf (packages, " %s", ((RametExtra *) g_ptr_array_index (extras, i + 1))->package);
      if (!ramet_console_set_environment (run->console, (const char *[]){ "RAMET_PACKAGES", packages->str, NULL },
                                          run->deadline_us, error) ||
          !run_step (run, "extra/install-packages.sh", NULL, error))
        return FALSE;
    }
  return TRUE;
}

/* Ends the root console, and looks from outside whether anything still answers there. */
static gboolean
seal (Run *run, GError **error)
{
  g_autofree char *script = read_data ("bootstrap/guest/extra/seal.sh", error);
  gboolean answers = TRUE;

  if (script == NULL || !run_step (run, "extra/seal.sh", NULL, error))
    return FALSE;
  ramet_task_step (run->task, "checking that the console is closed");
  g_clear_pointer (&run->console, ramet_console_free);
  /* the shell that ran the step is ended just after its closing frame */
  if (!ramet_task_sleep (run->task, 700, error))
    return FALSE;
  run->console = ramet_console_open (run->domain, run->task, error);
  if (run->console == NULL || !ramet_console_answers_root (run->console, SEAL_CHECK_MS, &answers, error))
    return FALSE;
  if (answers)
    ramet_error_set (error, RAMET_ERROR_REFUSED, "a root shell still answers on the console of '%s'",
                     run->bootstrap->name);
  return !answers;
}

static gboolean
meet (Run *run, GError **error)
{
  g_autofree char *runner = read_data ("bootstrap/console/runner.sh", error);

  if (runner == NULL)
    return FALSE;
  ramet_task_step (run->task, "booting");
  return ramet_console_meet (run->console, runner, run->deadline_us, error);
}

static gboolean
run_all (Run *run, char **ret_host_keys, GError **error)
{
  g_autofree char *report = NULL;
  g_autofree char *keys = NULL;

  if (!meet (run, error) || !set_environment (run, error) || !run_steps (run, error) || !run_extras (run, error) ||
      !run_step (run, "extra/report.sh", &report, error))
    return FALSE;
  keys = ramet_ssh_parse_host_keys (report);
  if (keys == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "the guest '%s' told no ssh host key", run->bootstrap->name);
      return FALSE;
    }
  if (!seal (run, error))
    return FALSE;
  *ret_host_keys = g_steal_pointer (&keys);
  return TRUE;
}

/**
 * ramet_bootstrap_run:
 * @domain: just started, from a base with a root console
 * @deadline_us: monotonic time in microseconds, for all of it
 * @ret_host_keys: (out): the guest's ssh host keys, "TYPE BASE64" lines
 *
 * Runs the steps of bootstrap/guest in the order of their names, then the user's own, then seals the console.
 */
gboolean
ramet_bootstrap_run (RametDomain *domain, RametTask *task, const RametBootstrap *bootstrap, gint64 deadline_us,
                     char **ret_host_keys, GError **error)
{
  Run run = { domain, task, NULL, bootstrap, deadline_us };
  gboolean done;

  run.console = ramet_console_open (domain, task, error);
  if (run.console == NULL)
    return FALSE;
  done = run_all (&run, ret_host_keys, error);
  g_clear_pointer (&run.console, ramet_console_free);
  return done;
}

/** ramet_bootstrap_probe: whether a guest that was just started comes to offer a root console */
gboolean
ramet_bootstrap_probe (RametDomain *domain, RametTask *task, gint64 deadline_us, GError **error)
{
  g_autoptr (RametConsole) console = ramet_console_open (domain, task, error);
  Run run = { domain, task, console, NULL, deadline_us };

  return console && meet (&run, error);
}
