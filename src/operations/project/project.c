/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The project that a folder belongs to. */
#include "operations/project/project.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Whose files are believed: one's own, the system's, and those of whoever called sudo. */
static gboolean
is_trusted (uid_t uid)
{
  const char *sudo = g_getenv ("SUDO_UID");
  guint64 sudo_uid = 0;

  return uid == 0 || uid == geteuid () ||
         (sudo && g_ascii_string_to_unsigned (sudo, 10, 0, G_MAXUINT32, &sudo_uid, NULL) && uid == sudo_uid);
}

/* In a folder where anybody may put files, as /tmp, a file is but somebody's: it says what runs and what is shared. */
static gboolean
check_owner (const char *path, const char *folder, GError **error)
{
  struct stat of_file;
  struct stat of_folder;

  if (stat (path, &of_file) < 0 || stat (folder, &of_folder) < 0 || !(of_folder.st_mode & S_IWOTH) ||
      is_trusted (of_file.st_uid))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is somebody else's, in a folder that anybody may write to", path);
  ramet_error_hint (error, "read it; if you want it, copy it to a folder of your own");
  return FALSE;
}

/**
 * ramet_project_find_file:
 * @error: set if there is one that is not to be used
 *
 * Returns: (transfer full) (nullable): the project file of the current folder, or of the next one above that has one
 */
char *
ramet_project_find_file (GError **error)
{
  g_autofree char *folder = g_get_current_dir ();

  for (;;)
    {
      g_autofree char *path = g_build_filename (folder, RAMET_PROJECT_FILE, NULL);
      char *above;

      if (g_file_test (path, G_FILE_TEST_EXISTS))
        return check_owner (path, folder, error) ? g_steal_pointer (&path) : NULL;
      above = g_path_get_dirname (folder);
      if (g_str_equal (above, folder))
        {
          g_free (above);
          return NULL;
        }
      g_free (folder);
      folder = above;
    }
}

/* At most one byte more than is allowed: a device or a pipe would have no end. */
static char *
read_file (const char *path, gsize *ret_length, GError **error)
{
  g_autofree char *text = g_malloc0 (RAMET_PROJECT_MAX_BYTES + 2);
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  struct stat st;
  gsize length = 0;
  gssize got = -1;

  if (fd >= 0 && fstat (fd, &st) == 0 && !S_ISREG (st.st_mode))
    errno = EINVAL;
  else
    while (fd >= 0 && length <= RAMET_PROJECT_MAX_BYTES &&
           (got = read (fd, text + length, RAMET_PROJECT_MAX_BYTES + 1 - length)) > 0)
      length += (gsize) got;
  if (fd < 0 || got < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read the project file '%s': %s", path,
                       errno == EINVAL ? "it is no file" : g_strerror (errno));
      text = (g_free (text), NULL);
    }
  if (fd >= 0)
    close (fd);
  *ret_length = length;
  return g_steal_pointer (&text);
}

/** ramet_project_load: (transfer full): @error holds all that is wrong with the file at @path */
RametProject *
ramet_project_load (const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *cwd = g_get_current_dir ();
  g_autofree char *text = NULL;
  gsize length = 0;

  text = read_file (path, &length, error);
  if (text == NULL)
    return NULL;
  return ramet_project_parse (text, length, folder, g_str_equal (cwd, folder) ? RAMET_PROJECT_FILE : path, error);
}

/** ramet_project_load_here: (transfer full) (nullable): that of the current folder; %NULL without @error: there is none */
RametProject *
ramet_project_load_here (GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autofree char *path = ramet_project_find_file (&why);

  if (why)
    g_propagate_error (error, g_steal_pointer (&why));
  return path ? ramet_project_load (path, error) : NULL;
}

/**
 * ramet_project_list_names:
 * @file: (nullable): its file, if it is known
 * @as_written: in the order of the file; else each behind those that it comes after
 *
 * Returns: (transfer full) (element-type utf8): whole names of a project's VMs: those of its file, made or not, then others
 * that belong to it, by name
 */
GPtrArray *
ramet_project_list_names (RametConnection *connection, const char *project, const RametProject *file,
                          gboolean as_written, GError **error)
{
  g_autoptr (GPtrArray) order = file && !as_written ? ramet_project_order (file) : NULL;
  GPtrArray *wanted = order ? order : file ? file->vms : NULL;
  g_autoptr (GPtrArray) vms = ramet_vm_list (connection, error);
  GPtrArray *names;

  if (vms == NULL)
    return NULL;
  names = g_ptr_array_new_with_free_func (g_free);
  for (guint i = 0; wanted && i < wanted->len; i++)
    g_ptr_array_add (names, g_strdup (((RametProjectVm *) g_ptr_array_index (wanted, i))->full_name));
  for (guint i = 0; i < vms->len; i++)
    {
      const RametVm *vm = g_ptr_array_index (vms, i);
      const char *name = ramet_vm_get_name (vm);

      if (vm->metadata && g_strcmp0 (vm->metadata->project, project) == 0 &&
          !g_ptr_array_find_with_equal_func (names, name, g_str_equal, NULL))
        g_ptr_array_add (names, g_strdup (name));
    }
  return names;
}
