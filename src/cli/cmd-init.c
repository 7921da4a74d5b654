/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "core/error.h"
#include "model/names.h"
#include "operations/base/base.h"
#include "operations/base/versions.h"
#include "operations/project/project.h"

#define MAX_NAME_BYTES 40 /* so that there is room for the VMs' names behind it */

/* What lies in the folder, and what such projects mostly need in a Debian guest. */
static const struct
{
  const char *file;
  const char *packages;
} guesses[] = {
  { "package.json", "nodejs npm" },
  { "Cargo.toml", "cargo" },
  { "go.mod", "golang" },
  { "pyproject.toml", "python3 python3-venv python3-pip" },
  { "requirements.txt", "python3 python3-venv python3-pip" },
  { "Gemfile", "ruby bundler" },
  { "composer.json", "php-cli composer" },
  { "pom.xml", "default-jdk maven" },
  { "build.gradle", "default-jdk gradle" },
  { "meson.build", "build-essential meson" },
  { "CMakeLists.txt", "build-essential cmake" },
  { "Makefile", "build-essential" },
  { "compose.yaml", "docker.io docker-compose" },
  { "compose.yml", "docker.io docker-compose" },
  { "docker-compose.yml", "docker.io docker-compose" },
  { "Dockerfile", "docker.io" },
};

/* (transfer full): "My Shop_2" → "my-shop-2" */
static char *
name_of_folder (const char *folder)
{
  g_autofree char *base = g_path_get_basename (folder);
  g_autoptr (GString) name = g_string_new (NULL);

  for (const char *p = base; *p && name->len < MAX_NAME_BYTES; p++)
    if (g_ascii_isalnum (*p))
      g_string_append_c (name, g_ascii_tolower (*p));
    else if (name->len > 0 && name->str[name->len - 1] != '-')
      g_string_append_c (name, '-');
  while (name->len > 0 && name->str[name->len - 1] == '-')
    g_string_truncate (name, name->len - 1);
  return g_strdup (name->len > 0 ? name->str : "project");
}

/* (transfer full) (nullable): a base that there is, the usual one first; libvirt need not be there */
static char *
find_base (RametInvocation *invocation)
{
  g_autoptr (RametConnection) connection = ramet_connection_open (invocation->uri, NULL);
  g_autoptr (GPtrArray) vms = connection ? ramet_vm_list (connection, NULL) : NULL;
  const char *found = NULL;

  for (guint i = 0; vms && i < vms->len; i++)
    {
      const char *name = ramet_version_of (g_ptr_array_index (vms, i));

      if (name && (found == NULL || g_str_equal (name, RAMET_DEFAULT_BASE)))
        found = name;
    }
  return g_strdup (found);
}

/* (transfer full) (nullable): each once, with blanks between them */
static char *
guess_packages (void)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func (g_free);

  for (gsize i = 0; i < G_N_ELEMENTS (guesses); i++)
    {
      g_auto (GStrv) words = g_file_test (guesses[i].file, G_FILE_TEST_EXISTS) ? g_strsplit (guesses[i].packages, " ", -1)
                                                                               : NULL;

      for (char **word = words; word && *word; word++)
        if (!g_ptr_array_find_with_equal_func (found, *word, g_str_equal, NULL))
          g_ptr_array_add (found, g_strdup (*word));
    }
  if (found->len == 0)
    return NULL;
  g_ptr_array_add (found, NULL);
  return g_strjoinv (" ", (char **) found->pdata);
}

/* Never over a file that is there. */
static gboolean
write_new (const char *text, GError **error)
{
  int fd = open (RAMET_PROJECT_FILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
  gsize length = strlen (text);

  if (fd < 0 && errno == EEXIST)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "there is a file '" RAMET_PROJECT_FILE "' already");
      ramet_error_hint (error, "'ramet up' brings its VMs up");
      return FALSE;
    }
  if (fd < 0 || write (fd, text, length) != (gssize) length)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot write '" RAMET_PROJECT_FILE "': %s", g_strerror (errno));
      if (fd >= 0)
        {
          close (fd);
          unlink (RAMET_PROJECT_FILE);
        }
      return FALSE;
    }
  close (fd);
  return TRUE;
}

gboolean
ramet_cmd_init (RametInvocation *invocation, char **args, GError **error)
{
  g_autofree char *folder = g_get_current_dir ();
  g_autofree char *name = args[0] ? g_strdup (args[0]) : name_of_folder (folder);
  g_autofree char *packages = guess_packages ();
  g_autofree char *base = NULL;
  g_autofree char *text = NULL;

  if (!ramet_name_check_project (name, error))
    return FALSE;
  base = g_strdup (invocation->config->values[RAMET_CONFIG_BASE]);
  if (base == NULL)
    base = find_base (invocation);
  text = ramet_project_template (name, base, packages);
  if (!write_new (text, error))
    return FALSE;
  if (!invocation->quiet)
    g_print (RAMET_PROJECT_FILE " is written, for the project '%s': look into it, then 'ramet up'\n", name);
  return TRUE;
}
