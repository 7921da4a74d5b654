/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"
#include "core/text.h"
#include "host/process.h"

#define MAX_LINE_BYTES (16 * 1024)
#define MAX_HOST_KEYS 8
#define AGENT_PATIENCE_US (2 * G_USEC_PER_SEC)
#define KEYGEN_PATIENCE_US (20 * G_USEC_PER_SEC)

/* The types we know, with the number of fields in the blob, the type itself being the first. */
static const struct
{
  const char *type;
  guint n_fields;
  gboolean of_hosts;
} key_types[] = {
  { "ssh-ed25519", 2, TRUE },
  { "ecdsa-sha2-nistp256", 3, TRUE },
  { "ecdsa-sha2-nistp384", 3, TRUE },
  { "ecdsa-sha2-nistp521", 3, TRUE },
  { "ssh-rsa", 3, TRUE },
  { "sk-ssh-ed25519@openssh.com", 3, FALSE },
  { "sk-ecdsa-sha2-nistp256@openssh.com", 4, FALSE },
};

/* The keys that ssh tries without being told. */
static const char *const default_keys[] = { "id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk" };

/* Whether a blob is @n_fields strings, each behind its big-endian length, the first one @type, and nothing else. */
static gboolean
check_blob (const guint8 *blob, gsize length, const char *type, guint n_fields)
{
  for (guint i = 0; i < n_fields; i++)
    {
      guint32 field;

      if (length < sizeof field)
        return FALSE;
      memcpy (&field, blob, sizeof field);
      field = GUINT32_FROM_BE (field);
      blob += sizeof field;
      length -= sizeof field;
      if (field > length || field == 0 || (i == 0 && (field != strlen (type) || memcmp (blob, type, field) != 0)))
        return FALSE;
      blob += field;
      length -= field;
    }
  return length == 0;
}

/* Canonical base64 only: what it decodes to must encode to the same text. */
static gboolean
check_base64 (const char *text, const char *type, guint n_fields)
{
  g_autofree guint8 *blob = NULL;
  g_autofree char *again = NULL;
  gsize length;

  if (*text == '\0')
    return FALSE;
  blob = g_base64_decode (text, &length);
  again = g_base64_encode (blob, length);
  return g_str_equal (again, text) && check_blob (blob, length, type, n_fields);
}

/* "type base64" of a line "type base64 [comment]", or NULL if the grammar does not hold. */
static char *
parse_key (const char *line, gboolean of_host)
{
  g_auto (GStrv) words = NULL;

  if (strnlen (line, MAX_LINE_BYTES + 1) > MAX_LINE_BYTES || !g_utf8_validate (line, -1, NULL))
    return NULL;
  for (const char *p = line; *p; p = g_utf8_next_char (p))
    if (g_unichar_iscntrl (g_utf8_get_char (p)))
      return NULL;
  words = g_strsplit (line, " ", 3);
  if (g_strv_length (words) < 2)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (key_types); i++)
    if (g_str_equal (words[0], key_types[i].type) && (key_types[i].of_hosts || !of_host) &&
        check_base64 (words[1], words[0], key_types[i].n_fields))
      return g_strdup_printf ("%s %s", words[0], words[1]);
  return NULL;
}

/**
 * ramet_ssh_check_public_key:
 * @line: "type base64 [comment]", single blanks between
 *
 * Returns: %TRUE if the type is a known one, the base64 is canonical and holds a key of that type, there is no control
 *          character, nothing before the type (such as authorized_keys options), and at most 16 KiB
 */
gboolean
ramet_ssh_check_public_key (const char *line)
{
  g_autofree char *key = parse_key (line, FALSE);

  return key != NULL;
}

/**
 * ramet_ssh_parse_host_keys:
 * @console_output: untrusted; what a guest printed
 *
 * Returns: (transfer full) (nullable): the host keys among the lines, "type base64" each, joined by line ends, or
 *          %NULL if there is none; at most eight
 */
char *
ramet_ssh_parse_host_keys (const char *console_output)
{
  g_auto (GStrv) lines = g_strsplit (console_output, "\n", -1);
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);

  for (char **line = lines; *line && keys->len < MAX_HOST_KEYS; line++)
    {
      gsize length = strlen (*line);
      char *key;

      if (length > 0 && (*line)[length - 1] == '\r')
        (*line)[length - 1] = '\0';
      key = parse_key (*line, TRUE);
      if (key != NULL && !g_ptr_array_find_with_equal_func (keys, key, g_str_equal, NULL))
        g_ptr_array_add (keys, key);
      else
        g_free (key);
    }
  if (keys->len == 0)
    return NULL;
  g_ptr_array_add (keys, NULL);
  return g_strjoinv ("\n", (char **) keys->pdata);
}

static gboolean
is_private_key (const char *text)
{
  return strstr (text, "PRIVATE KEY") != NULL || g_str_has_prefix (text, "PuTTY-User-Key-File");
}

/* What a file holds, at most MAX_LINE_BYTES of it; binary files end at their first NUL. */
static char *
read_start (const char *path, GError **error)
{
  g_autofree char *safe = ramet_text_escape (path, -1);
  g_autofree char *text = g_malloc0 (MAX_LINE_BYTES + 1);
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for a writer, should it be a pipe */
  gssize n = fd < 0 ? -1 : read (fd, text, MAX_LINE_BYTES);
  int errnum = errno;

  if (fd >= 0)
    close (fd);
  if (n >= 0)
    return g_steal_pointer (&text);
  ramet_error_set (error, errnum == ENOENT ? RAMET_ERROR_NOT_FOUND : RAMET_ERROR_FAILED,
                   "cannot read the ssh key '%s': %s", safe, g_strerror (errnum));
  if (errnum == ENOENT)
    ramet_error_hint (error, "give the path of a public key, such as ~/.ssh/id_ed25519.pub, or the key itself");
  return NULL;
}

static void
refuse_private (const char *path, GError **error)
{
  g_autofree char *safe = path ? ramet_text_escape (path, -1) : NULL;
  g_autofree char *public = path ? g_strconcat (path, ".pub", NULL) : NULL;

  if (path == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "this is a private key, which must stay where it is");
      ramet_error_hint (error, "give the public one, and make a new pair if others could read the command line");
      return;
    }
  ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' is a private key, which must stay where it is", safe);
  if (g_file_test (public, G_FILE_TEST_EXISTS))
    ramet_error_hint (error, "give the public one: '%s.pub'", safe);
  else
    ramet_error_hint (error, "give the public one; 'ssh-keygen -y -f %s' prints it", safe);
}

/* The only key among the lines of @text, comments and empty lines apart; NULL if there is none or several. */
static char *
only_key (const char *text)
{
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);
  g_autofree char *found = NULL;

  for (char **line = lines; *line; line++)
    {
      g_strstrip (*line);
      if (**line == '\0' || **line == '#')
        continue;
      if (found != NULL || !ramet_ssh_check_public_key (*line))
        return NULL;
      found = g_strdup (*line);
    }
  return g_steal_pointer (&found);
}

/**
 * ramet_ssh_read_public_key:
 * @path_or_key: what `--ssh-key` was given: the path of a file with one public key, or that key
 * @ret_line: (out): "type base64 [comment]"
 * @error: RAMET_ERROR_REFUSED for a private key, RAMET_ERROR_NOT_FOUND if there is no such file, RAMET_ERROR_USAGE if
 *         it holds no public key
 */
gboolean
ramet_ssh_read_public_key (const char *path_or_key, char **ret_line, GError **error)
{
  gboolean is_key = strchr (path_or_key, ' ') != NULL && ramet_ssh_check_public_key (path_or_key);
  g_autofree char *text = NULL;
  g_autofree char *line = NULL;
  g_autofree char *safe = NULL;

  if (is_private_key (path_or_key) && !g_file_test (path_or_key, G_FILE_TEST_EXISTS))
    {
      refuse_private (NULL, error);
      return FALSE;
    }
  text = is_key ? g_strdup (path_or_key) : read_start (path_or_key, error);
  if (text == NULL)
    return FALSE;
  if (is_private_key (text))
    {
      refuse_private (path_or_key, error);
      return FALSE;
    }
  line = only_key (text);
  if (line == NULL)
    {
      safe = ramet_text_escape (path_or_key, -1);
      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' does not hold one public ssh key", safe);
      ramet_error_hint (error, "a public key is a line that starts with 'ssh-ed25519 AAAA' or the like");
      return FALSE;
    }
  *ret_line = g_steal_pointer (&line);
  return TRUE;
}

/* Adds a line unless the same key is there already, whatever its comment. */
static void
add_key (GPtrArray *keys, const char *line)
{
  g_autofree char *key = parse_key (line, FALSE);

  if (key == NULL)
    return;
  for (guint i = 0; i < keys->len; i++)
    {
      g_autofree char *other = parse_key (keys->pdata[i], FALSE);

      if (g_strcmp0 (key, other) == 0)
        return;
    }
  g_ptr_array_add (keys, g_strdup (line));
}

/* What the agent offers, if there is one and it answers soon. */
static void
add_agent_keys (RametTask *task, GPtrArray *keys)
{
  static const char *const argv[] = { "ssh-add", "-L", NULL };
  const char *socket = g_getenv ("SSH_AUTH_SOCK");
  g_auto (RametProcessResult) result = { 0 };
  g_auto (GStrv) lines = NULL;

  if (socket == NULL || *socket == '\0' ||
      !ramet_process_run (task, argv, -1, g_get_monotonic_time () + AGENT_PATIENCE_US, &result, NULL) ||
      result.status != 0)
    return;
  lines = g_strsplit (result.output, "\n", -1);
  for (char **line = lines; *line; line++)
    add_key (keys, g_strchomp (*line));
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* The user's "id_*.pub" with a private key beside it. Returns whether ssh would try one of them by itself. */
static gboolean
add_file_keys (GPtrArray *keys)
{
  g_autofree char *folder = g_build_filename (g_get_home_dir (), ".ssh", NULL);
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  gboolean by_itself = FALSE;
  const char *entry;

  while (dir != NULL && (entry = g_dir_read_name (dir)) != NULL)
    if (g_str_has_prefix (entry, "id_") && g_str_has_suffix (entry, ".pub"))
      g_ptr_array_add (names, g_strndup (entry, strlen (entry) - strlen (".pub")));
  g_ptr_array_sort (names, compare_names);
  for (guint i = 0; i < names->len; i++)
    {
      const char *name = names->pdata[i];
      g_autofree char *private = g_build_filename (folder, name, NULL);
      g_autofree char *public = g_strconcat (private, ".pub", NULL);
      g_autofree char *text = g_file_test (private, G_FILE_TEST_EXISTS) ? read_start (public, NULL) : NULL;
      g_autofree char *line = text ? only_key (text) : NULL;

      if (line == NULL)
        continue;
      add_key (keys, line);
      for (gsize k = 0; k < G_N_ELEMENTS (default_keys); k++)
        by_itself = by_itself || g_str_equal (name, default_keys[k]);
    }
  return by_itself;
}

static gboolean
run_keygen (RametTask *task, const char *const *argv, char **ret_output, GError **error)
{
  g_auto (RametProcessResult) result = { 0 };
  g_autofree char *safe = NULL;

  if (!ramet_process_run (task, argv, -1, g_get_monotonic_time () + KEYGEN_PATIENCE_US, &result, error))
    return FALSE;
  if (result.status != 0)
    {
      safe = ramet_text_escape (g_strstrip (result.errors), -1);
      ramet_error_set (error, RAMET_ERROR_FAILED, "ssh-keygen failed: %s", safe);
      return FALSE;
    }
  *ret_output = g_steal_pointer (&result.output);
  return TRUE;
}

/* An ed25519 key without a passphrase in the new files @path and @path.pub. */
static gboolean
make_key (RametTask *task, const char *path, const char *comment, GError **error)
{
  g_autofree char *output = NULL;

  return run_keygen (task,
                     (const char *const[]) { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path,
                                             NULL },
                     &output, error);
}

/* Makes a key pair aside and puts the private one at @path, unless somebody else was faster. */
static gboolean
make_own_key (RametTask *task, const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *aside = g_strconcat (path, ".XXXXXX", NULL);
  g_autofree char *key = NULL;
  g_autofree char *public = NULL;
  g_autofree char *comment = g_strdup_printf ("ramet@%s", g_get_host_name ());
  gboolean made;

  if (g_mkdir_with_parents (folder, 0700) < 0 || g_mkdtemp_full (aside, 0700) == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make an ssh key in '%s': %s", folder, g_strerror (errno));
      ramet_error_hint (error, "ramet wants one of its own: let HOME or XDG_DATA_HOME name a folder that can be written to");
      return FALSE;
    }
  key = g_build_filename (aside, "key", NULL);
  public = g_strconcat (key, ".pub", NULL);
  made = make_key (task, key, comment, error);
  if (made && link (key, path) < 0 && errno != EEXIST)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make the ssh key '%s': %s", path, g_strerror (errno));
      made = FALSE;
    }
  g_unlink (key);
  g_unlink (public);
  g_rmdir (aside);
  return made;
}

/**
 * ramet_ssh_make_host_key:
 * @ret_private_key: (out) (transfer full): as OpenSSH writes it, without the last newline
 * @ret_public_key: (out) (transfer full): "ssh-ed25519 BASE64"
 *
 * A host key for a guest that has none yet. It is in a file of this user's for a moment.
 */
gboolean
ramet_ssh_make_host_key (RametTask *task, char **ret_private_key, char **ret_public_key, GError **error)
{
  g_autofree char *folder = g_build_filename (g_get_user_runtime_dir (), "ramet-key-XXXXXX", NULL);
  g_autofree char *key = NULL;
  g_autofree char *public = NULL;
  gboolean made;

  if (g_mkdir_with_parents (g_get_user_runtime_dir (), 0700) < 0 || g_mkdtemp_full (folder, 0700) == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot make an ssh key in '%s': %s", folder, g_strerror (errno));
      return FALSE;
    }
  key = g_build_filename (folder, "key", NULL);
  public = g_strconcat (key, ".pub", NULL);
  made = make_key (task, key, "", error) && g_file_get_contents (key, ret_private_key, NULL, error) &&
         g_file_get_contents (public, ret_public_key, NULL, error);
  g_unlink (key);
  g_unlink (public);
  g_rmdir (folder);
  if (!made)
    return FALSE;
  g_strchomp (*ret_private_key);
  g_strchomp (*ret_public_key);
  return TRUE;
}

static gboolean
add_own_key (RametTask *task, GPtrArray *keys, gboolean may_make, char **ret_private_key, GError **error)
{
  g_autofree char *path = ramet_paths_ssh_key ();
  gboolean there = g_file_test (path, G_FILE_TEST_EXISTS);
  g_autofree char *line = NULL;

  if (!there && !may_make)
    return TRUE;
  if (!there && !make_own_key (task, path, error))
    return FALSE;
  if (!run_keygen (task, (const char *const[]) { "ssh-keygen", "-y", "-P", "", "-f", path, NULL }, &line, error))
    return FALSE;
  add_key (keys, g_strchomp (line));
  *ret_private_key = g_steal_pointer (&path);
  return TRUE;
}

/**
 * ramet_ssh_public_keys:
 * @ret_keys: (out) (element-type utf8): "type base64 [comment]" lines are added; none if there is none and none may be made
 * @may_make: whether ramet's own key may be made
 * @ret_private_key: (out) (nullable): ramet's own private key, if that one is to be named to ssh
 * @error: RAMET_ERROR_FAILED if ssh-keygen is missing or fails
 *
 * The keys that the user can log in with: those of the agent, and `~/.ssh/id_*.pub`. If there is none that ssh would
 * try by itself, ramet's own is added, and made first if need be.
 */
gboolean
ramet_ssh_public_keys (GPtrArray *ret_keys, gboolean may_make, char **ret_private_key, GError **error)
{
  g_autoptr (RametTask) task = ramet_task_new ("ssh", NULL);
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *private_key = NULL;
  gboolean by_itself;

  add_agent_keys (task, keys);
  by_itself = keys->len > 0;
  by_itself = add_file_keys (keys) || by_itself;
  if (!by_itself && !add_own_key (task, keys, may_make, &private_key, error))
    return FALSE;
  g_ptr_array_extend_and_steal (ret_keys, g_steal_pointer (&keys));
  *ret_private_key = g_steal_pointer (&private_key);
  return TRUE;
}
