/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/config.h"

#include <string.h>

#include "core/error.h"
#include "core/text.h"
#include "model/hardware.h"
#include "model/names.h"
#include "model/project-private.h"

static gboolean
check_connection (const char *text, GError **error)
{
  if (strstr (text, "://"))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' is no URI of libvirt", text);
  ramet_error_hint (error, "such as qemu:///system");
  return FALSE;
}

static gboolean
check_memory (const char *text, GError **error)
{
  guint64 bytes;

  return ramet_hardware_parse_memory (text, &bytes, error);
}

static gboolean
check_cpus (const char *text, GError **error)
{
  guint cpus;

  if (ramet_hardware_parse_cpus ("'cpus'", text, &cpus, error))
    return TRUE;
  ramet_error_hint (error, "leave it out for as many as the base has");
  return FALSE;
}

/* In the order of RametConfigKey. */
static const struct
{
  const char *name;
  gboolean (*check) (const char *text, GError **error); /* or NULL */
} rows[RAMET_N_CONFIG_KEYS] = {
  { "connection", check_connection }, { "base", ramet_name_check_base }, { "user", ramet_name_check_user },
  { "ssh-keys", NULL },               { "memory", check_memory },        { "cpus", check_cpus },
  { "pool", NULL },
};

RametConfig *
ramet_config_new (void)
{
  return g_new0 (RametConfig, 1);
}

void
ramet_config_free (RametConfig *config)
{
  for (gsize i = 0; i < RAMET_N_CONFIG_KEYS; i++)
    {
      g_free (config->values[i]);
      g_free (config->files[i]);
    }
  g_strfreev (config->ssh_keys);
  g_free (config->ssh_keys_from);
  g_free (config);
}

/** ramet_config_key_name: (transfer none): as it is written in the file */
const char *
ramet_config_key_name (RametConfigKey key)
{
  return rows[key].name;
}

static gboolean
find_key (const char *name, RametConfigKey *ret_key)
{
  for (gsize i = 0; i < RAMET_N_CONFIG_KEYS; i++)
    if (g_str_equal (rows[i].name, name))
      {
        *ret_key = (RametConfigKey) i;
        return TRUE;
      }
  return FALSE;
}

static void
say_unknown_key (RametProjectLines *lines, const RametProjectEntry *entry)
{
  const char *names[RAMET_N_CONFIG_KEYS + 1] = { NULL };
  g_autofree char *safe = ramet_project_shown (entry->key);
  g_autofree char *all = NULL;
  const char *nearest;
  GError **why = ramet_project_say (lines, entry->line, "there is no key '%s' in [" RAMET_CONFIG_SECTION "]", safe);

  for (gsize i = 0; i < RAMET_N_CONFIG_KEYS; i++)
    names[i] = rows[i].name;
  nearest = ramet_text_nearest (entry->key, names);
  all = g_strjoinv (", ", (char **) names);
  if (nearest)
    ramet_error_hint (why, "did you mean '%s'?", nearest);
  else
    ramet_error_hint (why, "the keys are: %s", all);
}

/* (transfer full) (nullable): the parts of a list, by GKeyFile's rules for ';' and '\' */
static char **
split_list (const char *value)
{
  g_autoptr (GKeyFile) file = g_key_file_new ();
  g_autofree char *text = g_strdup_printf ("[s]\nk=%s\n", value);

  return g_key_file_load_from_data (file, text, (gsize) -1, G_KEY_FILE_NONE, NULL)
           ? g_key_file_get_string_list (file, "s", "k", NULL, NULL)
           : NULL;
}

/* A path is from the file's own folder, or from the home for '~/'; what has a blank and is no such path is a key itself. */
static char *
resolve_key (const char *part, const char *path, const char *home)
{
  g_autofree char *folder = g_path_get_dirname (path);

  if (g_str_has_prefix (part, "~/"))
    return g_build_filename (home, part + 2, NULL);
  if (g_str_has_prefix (part, "ssh-") || g_str_has_prefix (part, "ecdsa-") || g_str_has_prefix (part, "sk-"))
    return g_strdup (part);
  return g_canonicalize_filename (part, folder);
}

static gboolean
read_keys (RametConfig *config, const RametProjectEntry *entry, const char *path, const char *home)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_auto (GStrv) parts = split_list (entry->value);

  for (char **part = parts; part && *part; part++)
    if (*g_strstrip (*part))
      g_ptr_array_add (keys, resolve_key (*part, path, home));
  if (keys->len == 0)
    return FALSE;
  g_ptr_array_add (keys, NULL);
  g_strfreev (config->ssh_keys);
  config->ssh_keys = (char **) g_ptr_array_free (g_steal_pointer (&keys), FALSE);
  g_free (config->ssh_keys_from);
  config->ssh_keys_from = g_strdup_printf ("%s:%u: 'ssh-keys'", path, entry->line);
  return TRUE;
}

/* One that a file of higher rank has set stays. */
static void
read_entry (RametConfig *config, RametProjectLines *lines, const RametProjectEntry *entry, const char *path, const char *home)
{
  RametConfigKey key;
  GError *why = NULL;

  if (!find_key (entry->key, &key))
    {
      say_unknown_key (lines, entry);
      return;
    }
  if (*entry->value == '\0')
    {
      ramet_error_hint (ramet_project_say (lines, entry->line, "'%s' has no value", entry->key), "leave the line out");
      return;
    }
  if (rows[key].check && !rows[key].check (entry->value, &why))
    {
      ramet_project_take (lines, entry->line, why);
      return;
    }
  if (config->files[key] && !g_str_equal (config->files[key], path))
    return;
  if (key == RAMET_CONFIG_SSH_KEYS && !read_keys (config, entry, path, home))
    {
      ramet_error_hint (ramet_project_say (lines, entry->line, "the value of 'ssh-keys' cannot be read"),
                        "paths of public keys, with ';' between them");
      return;
    }
  g_free (config->values[key]);
  config->values[key] = g_strdup (entry->value);
  g_free (config->files[key]);
  config->files[key] = g_strdup (path);
}

static void
check_sections (RametProjectLines *lines)
{
  for (guint i = 0; i < lines->sections->len; i++)
    {
      const RametProjectSection *section = g_ptr_array_index (lines->sections, i);
      g_autofree char *safe = ramet_project_shown (section->name);

      if (!g_str_equal (section->name, RAMET_CONFIG_SECTION))
        ramet_error_hint (ramet_project_say (lines, section->line, "there is no section '[%s]'", safe),
                          "the only one is '[" RAMET_CONFIG_SECTION "]'");
    }
}

static gboolean
check_text (const char *text, gsize length, const char *path, GError **error)
{
  const char *why = NULL;

  if (length > RAMET_CONFIG_MAX_BYTES)
    why = "is larger than 64 KiB";
  else if (memchr (text, '\0', length) || !g_utf8_validate (text, (gssize) length, NULL))
    why = "is no text in UTF-8";
  if (why == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' %s", path, why);
  ramet_error_hint (error, "a few lines of text will do");
  return FALSE;
}

/**
 * ramet_config_parse:
 * @config: gets what @text sets, but for what other files have set before
 * @path: absolute, of the file
 * @home: what '~/' stands for
 * @error: RAMET_ERROR_USAGE: all that is wrong with it, each with its line, see ramet_error_get_next()
 */
gboolean
ramet_config_parse (RametConfig *config, const char *text, gsize length, const char *path, const char *home, GError **error)
{
  g_auto (RametProjectLines) lines = { .shown_path = path, .first_section = "[" RAMET_CONFIG_SECTION "]",
                                       .section = "[" RAMET_CONFIG_SECTION "]" };
  g_autofree char *copy = NULL;

  if (!check_text (text, length, path, error))
    return FALSE;
  copy = g_strndup (text, length);
  ramet_project_lines_read (&lines, copy);
  check_sections (&lines);
  for (guint i = 0; i < lines.entries->len; i++)
    {
      const RametProjectEntry *entry = g_ptr_array_index (lines.entries, i);
      const RametProjectSection *section = g_ptr_array_index (lines.sections, entry->section);

      if (g_str_equal (section->name, RAMET_CONFIG_SECTION))
        read_entry (config, &lines, entry, path, home);
    }
  return ramet_findings_raise (lines.findings, error);
}

/** ramet_config_get_memory: in bytes; 0 if it is not set */
guint64
ramet_config_get_memory (const RametConfig *config)
{
  const char *text = config->values[RAMET_CONFIG_MEMORY];
  guint64 bytes = 0;

  return text && ramet_hardware_parse_memory (text, &bytes, NULL) ? bytes : 0;
}

/** ramet_config_get_cpus: 0 if it is not set */
guint
ramet_config_get_cpus (const RametConfig *config)
{
  const char *text = config->values[RAMET_CONFIG_CPUS];
  guint cpus = 0;

  return text && ramet_hardware_parse_cpus ("'cpus'", text, &cpus, NULL) ? cpus : 0;
}
