/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/steps.h"

#include <errno.h>
#include <gio/gio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/text.h"
#include "host/files/config.h"

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

/** ramet_extras_digest: (transfer full): tells whether others would be run; the names of scripts do not count */
char *
ramet_extras_digest (GPtrArray *extras)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  for (guint i = 0; i < extras->len; i++)
    {
      const RametExtra *extra = g_ptr_array_index (extras, i);
      g_autofree char *head = g_strdup_printf ("%s:%" G_GSIZE_FORMAT "\n", extra->package ? extra->package : "",
                                               extra->script_length);

      g_checksum_update (checksum, (const guchar *) head, -1);
      if (extra->script)
        g_checksum_update (checksum, (const guchar *) extra->script, (gssize) extra->script_length);
    }
  return g_strdup (g_checksum_get_string (checksum));
}

/** ramet_steps_read: (transfer full) (element-type RametConfigFile): the first-boot steps, with those of the user's own */
GPtrArray *
ramet_steps_read (GError **error)
{
  return ramet_config_list (RAMET_CONFIG_STEPS, "bootstrap/guest", error);
}

/** ramet_steps_digest: (transfer full): tells whether others would be run */
char *
ramet_steps_digest (GPtrArray *steps)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  for (guint i = 0; i < steps->len; i++)
    {
      const RametConfigFile *step = g_ptr_array_index (steps, i);
      g_autofree char *head = step->text ? g_strdup_printf ("%s:%" G_GSIZE_FORMAT "\n", step->name, strlen (step->text)) : NULL;

      if (head == NULL)
        continue;
      g_checksum_update (checksum, (const guchar *) head, -1);
      g_checksum_update (checksum, (const guchar *) step->text, -1);
    }
  return g_strdup (g_checksum_get_string (checksum));
}

/** ramet_steps_read_data: (transfer full): a file below ramet's data */
char *
ramet_steps_read_data (const char *name, GError **error)
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

/** ramet_step_title: (transfer full): its first line of comment, "# Ensures …", as people read it; else its name */
char *
ramet_step_title (const char *name, const char *script)
{
  const char *line = g_str_has_prefix (script, "#!") ? script + strcspn (script, "\n") + 1 : script;
  g_autofree char *title = g_strndup (line, *line == '#' ? strcspn (line, "\n") : 0);
  g_autofree char *safe = NULL;

  g_strstrip (g_strdelimit (title, "#", ' '));
  safe = ramet_text_escape (*title ? title : name, -1);
  safe[0] = g_ascii_tolower (safe[0]);
  return g_steal_pointer (&safe);
}

/* Adds what a file below ramet's data ensures. */
static gboolean
add_title_of_data (GPtrArray *titles, const char *name, GError **error)
{
  g_autofree char *text = ramet_steps_read_data (name, error);

  if (text)
    g_ptr_array_add (titles, ramet_step_title (name, text));
  return text != NULL;
}

static void
add_title (GPtrArray *titles, const RametConfigFile *step)
{
  if (step && step->text)
    g_ptr_array_add (titles, ramet_step_title (step->name, step->text));
}

static void
add_extra_titles (GPtrArray *titles, GPtrArray *extras)
{
  for (guint i = 0; extras && i < extras->len; i++)
    {
      const RametExtra *extra = g_ptr_array_index (extras, i);

      g_ptr_array_add (titles, extra->package ? g_strdup_printf ("--package %s", extra->package)
                                              : g_strdup_printf ("--run %s", extra->script_name));
    }
}

/**
 * ramet_steps_list_titles:
 * @steps: (element-type RametConfigFile)
 * @seals: the console is closed after them
 *
 * Returns: (transfer full) (element-type utf8): what is done in a guest that boots for the first time, in order
 */
GPtrArray *
ramet_steps_list_titles (GPtrArray *steps, GPtrArray *extras, gboolean seals, GError **error)
{
  g_autoptr (GPtrArray) titles = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < steps->len; i++)
    add_title (titles, g_ptr_array_index (steps, i));
  add_extra_titles (titles, extras);
  if (seals && !add_title_of_data (titles, "bootstrap/guest/extra/seal.sh", error))
    return NULL;
  return g_steal_pointer (&titles);
}

/** ramet_steps_list_titles_of_memory: (transfer full) (element-type utf8): in one that goes on, which was set up before */
GPtrArray *
ramet_steps_list_titles_of_memory (GPtrArray *steps, gboolean has_shares, GError **error)
{
  g_autoptr (GPtrArray) titles = g_ptr_array_new_with_free_func (g_free);

  if (!add_title_of_data (titles, "bootstrap/guest/template/identity.sh", error))
    return NULL;
  add_title (titles, ramet_config_find (steps, "10-hostname.sh"));
  if (has_shares)
    add_title (titles, ramet_config_find (steps, "60-shares.sh"));
  return g_steal_pointer (&titles);
}
