/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/table.h"
#include "core/error.h"
#include "host/files/config.h"
#include "operations/clone/steps.h"
#include "operations/clone/clone.h"

/* What holds of one setting. */
typedef struct
{
  const char *name;
  const char *value; /* or NULL: it is left open */
  const char *from;  /* a file, or a word */
} Setting;

static Setting
setting_of (const RametInvocation *invocation, RametConfigKey key)
{
  static const char *const open[RAMET_N_CONFIG_KEYS] = {
    [RAMET_CONFIG_CONNECTION] = "built in", [RAMET_CONFIG_BASE] = "to be typed", [RAMET_CONFIG_USER] = "the one here",
    [RAMET_CONFIG_SSH_KEYS] = "your own",   [RAMET_CONFIG_MEMORY] = "the base",  [RAMET_CONFIG_CPUS] = "the base",
    [RAMET_CONFIG_POOL] = "built in",
  };
  const RametConfig *config = invocation->config;
  const char *environment = g_getenv ("LIBVIRT_DEFAULT_URI");
  Setting setting = { ramet_config_key_name (key), config->values[key], config->files[key] };

  if (key == RAMET_CONFIG_CONNECTION && invocation->uri && invocation->uri != config->values[key])
    return (Setting){ setting.name, invocation->uri, "--connect" };
  if (key == RAMET_CONFIG_CONNECTION && environment && *environment)
    return (Setting){ setting.name, environment, "LIBVIRT_DEFAULT_URI" };
  if (setting.value)
    return setting;
  if (key == RAMET_CONFIG_CONNECTION)
    setting.value = "qemu:///system";
  else if (key == RAMET_CONFIG_POOL)
    setting.value = RAMET_DEFAULT_POOL;
  else if (key == RAMET_CONFIG_USER)
    setting.value = g_get_user_name ();
  setting.from = open[key];
  return setting;
}

/* What became of a file of ramet's data by the user's own. */
static const char *
what_is (const RametConfigFile *file)
{
  if (file->text == NULL)
    return "off";
  if (!file->is_own)
    return "built in";
  return file->replaces ? "replaced" : "added";
}

static void
print_settings (RametInvocation *invocation)
{
  static const char *const headings[] = { "SETTING", "VALUE", "FROM", NULL };
  g_autoptr (RametTable) table = ramet_table_new (headings);

  for (gsize i = 0; i < RAMET_N_CONFIG_KEYS; i++)
    {
      Setting setting = setting_of (invocation, (RametConfigKey) i);

      ramet_table_add (table, setting.name);
      ramet_table_add (table, setting.value);
      ramet_table_add (table, setting.from);
    }
  ramet_table_print (table);
}

static void
print_files (const char *heading, GPtrArray *files)
{
  const char *headings[] = { heading, "IS", "FILE", NULL };
  g_autoptr (RametTable) table = ramet_table_new (headings);

  for (guint i = 0; i < files->len; i++)
    {
      const RametConfigFile *file = g_ptr_array_index (files, i);

      ramet_table_add (table, file->name);
      ramet_table_add (table, what_is (file));
      ramet_table_add (table, file->path);
    }
  g_print ("\n");
  ramet_table_print (table);
}

static void
add_files (JsonBuilder *builder, const char *name, GPtrArray *files)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; i < files->len; i++)
    {
      const RametConfigFile *file = g_ptr_array_index (files, i);

      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "name", file->name);
      ramet_json_add_string (builder, "is", what_is (file));
      ramet_json_add_string (builder, "file", file->path);
      ramet_json_add_string (builder, "instead-of", file->replaces);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
}

static void
print_as_json (RametInvocation *invocation, GPtrArray *folders, GPtrArray *steps, GPtrArray *templates)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_object (builder);
  ramet_json_add_strings (builder, "folders", folders);
  json_builder_set_member_name (builder, "settings");
  json_builder_begin_array (builder);
  for (gsize i = 0; i < RAMET_N_CONFIG_KEYS; i++)
    {
      Setting setting = setting_of (invocation, (RametConfigKey) i);

      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "name", setting.name);
      ramet_json_add_string (builder, "value", setting.value);
      ramet_json_add_string (builder, "from", setting.from);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  add_files (builder, "steps", steps);
  add_files (builder, "templates", templates);
  json_builder_end_object (builder);
  ramet_print_json (builder);
}

gboolean
ramet_cmd_config (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) folders = ramet_config_folders ();
  g_autoptr (GPtrArray) steps = ramet_steps_read (error);
  g_autoptr (GPtrArray) templates = steps ? ramet_config_list (RAMET_CONFIG_TEMPLATES, "templates", error) : NULL;
  const char *own = g_ptr_array_index (folders, 0);

  if (templates == NULL)
    return FALSE;
  if (invocation->json)
    {
      print_as_json (invocation, folders, steps, templates);
      return TRUE;
    }
  print_settings (invocation);
  print_files ("STEP", steps);
  print_files ("TEMPLATE", templates);
  if (!invocation->quiet)
    g_printerr ("\nsettings stand in %s/" RAMET_CONFIG_FILE ", below [" RAMET_CONFIG_SECTION "]\n"
                "a file of the same name in %s/" RAMET_CONFIG_STEPS " or %s/" RAMET_CONFIG_TEMPLATES " takes the place of ramet's\n"
                "another 'NN-name.sh' in " RAMET_CONFIG_STEPS " is one step more, run in the order of names\n"
                "an empty one there, or a link to /dev/null, switches a step off\n", own, own, own);
  return TRUE;
}
