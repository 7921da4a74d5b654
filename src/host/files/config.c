/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a person set or wrote for ramet: in the folder for its configuration, or in those of the host (XDG). */
#include "host/files/config.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"

#define MAX_FILE_BYTES (1024 * 1024)

void
ramet_config_file_free (RametConfigFile *file)
{
  g_free (file->name);
  g_free (file->path);
  g_free (file->text);
  g_free (file->replaces);
  g_free (file);
}

/** ramet_config_folders: (transfer full) (element-type utf8): the user's own, then those of the host; none need be there */
GPtrArray *
ramet_config_folders (void)
{
  GPtrArray *folders = g_ptr_array_new_with_free_func (g_free);

  g_ptr_array_add (folders, g_build_filename (g_get_user_config_dir (), "ramet", NULL));
  for (const char *const *dir = g_get_system_config_dirs (); *dir; dir++)
    g_ptr_array_add (folders, g_build_filename (*dir, "ramet", NULL));
  return folders;
}

/*
 * Whether @gid is the group that many systems give each user for himself alone, whose members may write to all that he makes.
 * It is called as he is, so that it is not taken for one where not all accounts can be listed.
 */
static gboolean
is_private_group (uid_t uid, gid_t gid)
{
  const struct passwd *owner = getpwuid (uid);
  g_autofree char *name = owner && owner->pw_gid == gid ? g_strdup (owner->pw_name) : NULL;
  const struct group *group = name ? getgrgid (gid) : NULL;
  gboolean is_private = group && g_str_equal (group->gr_name, name);

  for (char **member = is_private ? group->gr_mem : NULL; member && *member; member++)
    is_private &= g_str_equal (*member, name);
  if (!is_private)
    return FALSE;
  setpwent ();
  for (const struct passwd *other; is_private && (other = getpwent ()) != NULL;)
    is_private = other->pw_gid != gid || other->pw_uid == uid;
  endpwent ();
  return is_private;
}

/* The bits of the group are those of an ACL's mask where there is one: somebody else may be in it. */
static gboolean
may_group_write (const char *path, const struct stat *st)
{
  return st->st_mode & S_IWGRP &&
         (getxattr (path, "system.posix_acl_access", NULL, 0) > 0 || !is_private_group (st->st_uid, st->st_gid));
}

/* What is in it is run as root in guests, or says which libvirt is talked to: it is nobody else's to write. */
static gboolean
check_safe (const char *path, const struct stat *st, GError **error)
{
  gboolean group = may_group_write (path, st);

  if (st->st_uid != geteuid () && st->st_uid != 0)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' belongs to another user", path);
      ramet_error_hint (error, "ramet believes what is yours or root's: 'chown', or move it away");
    }
  else if (group || st->st_mode & S_IWOTH)
    {
      const struct group *of = getgrgid (st->st_gid);

      if (st->st_mode & S_IWOTH || of == NULL)
        ramet_error_set (error, RAMET_ERROR_REFUSED, "others may write to '%s'", path);
      else
        ramet_error_set (error, RAMET_ERROR_REFUSED, "others may write to '%s': those of its group '%s'", path, of->gr_name);
      ramet_error_hint (error, "'chmod %s%s-w %s'", group ? "g" : "", st->st_mode & S_IWOTH ? "o" : "", path);
    }
  else
    return TRUE;
  return FALSE;
}

static gboolean
cannot_read (const char *path, const char *why, GError **error)
{
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot read '%s': %s", path, why);
  return FALSE;
}

/* %TRUE without *@ret_there: there is none; as in another user's home, for whoever came by sudo. */
static gboolean
look_at_folder (const char *path, gboolean *ret_there, GError **error)
{
  struct stat st;

  *ret_there = FALSE;
  if (stat (path, &st) < 0)
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES || cannot_read (path, g_strerror (errno), error);
  if (!S_ISDIR (st.st_mode))
    return cannot_read (path, "it is no folder", error);
  *ret_there = TRUE;
  return check_safe (path, &st, error);
}

/* (transfer full) (nullable): what a file of @max_bytes at most holds; a device or a pipe would have no end */
static char *
read_bytes (int fd, const char *path, gsize max_bytes, gsize *ret_length, GError **error)
{
  g_autofree char *text = g_malloc0 (max_bytes + 2);
  gsize length = 0;
  gssize got = 0;

  while (length <= max_bytes && (got = read (fd, text + length, max_bytes + 1 - length)) > 0)
    length += (gsize) got;
  if (got < 0)
    return cannot_read (path, g_strerror (errno), error), NULL;
  *ret_length = length;
  return g_realloc (g_steal_pointer (&text), length + 2);
}

/*
 * @is_own: a person wrote it, so it may be unsafe, and empty: then *@ret_text is %NULL, as of a link to /dev/null. That it is
 * not there is no error: then nothing is written.
 */
static gboolean
read_file (const char *path, gsize max_bytes, gboolean is_own, gboolean *ret_there, char **ret_text, gsize *ret_length,
           GError **error)
{
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  g_autofree char *text = NULL;
  struct stat st;
  gboolean good = FALSE;

  *ret_there = fd >= 0;
  if (fd < 0)
    return errno == ENOENT || cannot_read (path, g_strerror (errno), error);
  if (fstat (fd, &st) < 0)
    cannot_read (path, g_strerror (errno), error);
  else if (is_own && S_ISCHR (st.st_mode))
    good = TRUE;
  else if (!S_ISREG (st.st_mode))
    cannot_read (path, "it is no file", error);
  else if (!is_own || check_safe (path, &st, error))
    good = (text = read_bytes (fd, path, max_bytes, ret_length, error)) != NULL;
  close (fd);
  if (good && text && is_own && *ret_length == 0)
    g_clear_pointer (&text, g_free);
  *ret_text = g_steal_pointer (&text);
  return good;
}

/**
 * ramet_config_load:
 * @error: RAMET_ERROR_REFUSED if others may write to it, RAMET_ERROR_USAGE for what is wrong in it
 *
 * Returns: (transfer full): what the user's own config.ini sets, and those of the host where that does not
 */
RametConfig *
ramet_config_load (GError **error)
{
  g_autoptr (RametConfig) config = ramet_config_new ();
  g_autoptr (GPtrArray) folders = ramet_config_folders ();

  for (guint i = 0; i < folders->len; i++)
    {
      g_autofree char *path = g_build_filename (g_ptr_array_index (folders, i), RAMET_CONFIG_FILE, NULL);
      g_autofree char *text = NULL;
      gsize length = 0;
      gboolean there;

      if (!look_at_folder (g_ptr_array_index (folders, i), &there, error))
        return NULL;
      if (there && !read_file (path, RAMET_CONFIG_MAX_BYTES, TRUE, &there, &text, &length, error))
        return NULL;
      if (text && !ramet_config_parse (config, text, length, path, g_get_home_dir (), error))
        return NULL;
    }
  return g_steal_pointer (&config);
}

/* The number says when it is run, and keeps it apart from what ramet itself runs at the end. */
static gboolean
check_step_name (const char *name, const char *path, GError **error)
{
  gboolean good = g_ascii_isdigit (name[0]) && g_ascii_isdigit (name[1]) && name[2] == '-' && strlen (name) <= 64;

  for (const char *at = name; *at && good; at++)
    good = g_ascii_isalnum (*at) || *at == '.' || *at == '-';
  if (good)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "the first-boot step '%s' has no name that says when it is to run", path);
  ramet_error_hint (error, "two digits, a hyphen, then letters, digits, '.' and '-': '80-name.sh'");
  return FALSE;
}

/* %FALSE without @error: it is none of the files that are looked for. */
static gboolean
is_wanted (const char *folder, const char *name, const char *path, GPtrArray *found, GError **error)
{
  g_autoptr (GString) names = g_string_new (NULL);

  if (g_str_equal (folder, RAMET_CONFIG_STEPS))
    return g_str_has_suffix (name, ".sh") && *name != '.' && check_step_name (name, path, error);
  if (*name == '.' || !g_str_has_suffix (name, ".xml"))
    return FALSE;
  if (ramet_config_find (found, name))
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "there is no template '%s', so nothing would read '%s'", name, path);
  for (guint i = 0; i < found->len; i++)
    g_string_append_printf (names, " '%s'", ((const RametConfigFile *) g_ptr_array_index (found, i))->name);
  ramet_error_hint (error, "the templates are:%s", names->str);
  return FALSE;
}

static gboolean
add_file (GPtrArray *found, const char *name, const char *path, gboolean is_own, GError **error)
{
  RametConfigFile *file = (RametConfigFile *) ramet_config_find (found, name);
  g_autofree char *text = NULL;
  gsize length = 0;
  gboolean there;

  if (!read_file (path, MAX_FILE_BYTES, is_own, &there, &text, &length, error))
    return FALSE;
  if (!there)
    return cannot_read (path, "a link that leads nowhere", error);
  if (text && (length > MAX_FILE_BYTES || memchr (text, '\0', length)))
    return cannot_read (path, length > MAX_FILE_BYTES ? "it is larger than 1 MiB" : "it is no text", error);
  if (length > 0 && text[length - 1] != '\n')
    memcpy (text + length, "\n", 2); /* there is room */
  if (file == NULL)
    {
      file = g_new0 (RametConfigFile, 1);
      file->name = g_strdup (name);
      g_ptr_array_add (found, file);
    }
  g_free (file->replaces);
  file->replaces = file->path;
  file->path = g_strdup (path);
  g_free (file->text);
  file->text = g_steal_pointer (&text);
  file->is_own = is_own;
  return TRUE;
}

/* Over what was @found before. */
static gboolean
add_folder (GPtrArray *found, const char *folder, const char *path, gboolean is_own, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GDir) dir = g_dir_open (path, 0, &why);
  const char *name;

  if (dir == NULL)
    return cannot_read (path, why->message, error);
  while ((name = g_dir_read_name (dir)) != NULL)
    {
      g_autofree char *file = g_build_filename (path, name, NULL);

      if (is_own && is_wanted (folder, name, file, found, &why) && !add_file (found, name, file, TRUE, error))
        return FALSE;
      if (!is_own && (g_str_has_suffix (name, ".sh") || g_str_has_suffix (name, ".xml")) &&
          !add_file (found, name, file, FALSE, error))
        return FALSE;
      if (why)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp ((*(RametConfigFile **) a)->name, (*(RametConfigFile **) b)->name);
}

/**
 * ramet_config_list:
 * @folder: RAMET_CONFIG_STEPS or RAMET_CONFIG_TEMPLATES
 * @data: what ramet brings along: "bootstrap/guest"
 * @error: RAMET_ERROR_REFUSED if others may write to one, RAMET_ERROR_USAGE for a name that means nothing
 *
 * Returns: (transfer full) (element-type RametConfigFile): those that hold, and those that are switched off, by name
 */
GPtrArray *
ramet_config_list (const char *folder, const char *data, GError **error)
{
  g_autoptr (GPtrArray) found = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_config_file_free);
  g_autoptr (GPtrArray) folders = ramet_config_folders ();
  g_autofree char *brought = ramet_paths_data (data);

  if (!add_folder (found, folder, brought, FALSE, error))
    {
      ramet_error_hint (error, "ramet is not installed whole; RAMET_DATADIR may name the folder that holds 'bootstrap' and "
                               "'templates'");
      return NULL;
    }
  /* from the lowest rank to the highest */
  for (guint i = folders->len; i-- > 0;)
    {
      g_autofree char *own = g_build_filename (g_ptr_array_index (folders, i), folder, NULL);
      gboolean there;

      if (!look_at_folder (g_ptr_array_index (folders, i), &there, error) ||
          (there && !look_at_folder (own, &there, error)) ||
          (there && !add_folder (found, folder, own, TRUE, error)))
        return NULL;
    }
  g_ptr_array_sort (found, compare_names);
  return g_steal_pointer (&found);
}

/** ramet_config_find: (transfer none) (nullable) */
const RametConfigFile *
ramet_config_find (GPtrArray *files, const char *name)
{
  for (guint i = 0; i < files->len; i++)
    {
      const RametConfigFile *file = g_ptr_array_index (files, i);

      if (g_str_equal (file->name, name))
        return file;
    }
  return NULL;
}
