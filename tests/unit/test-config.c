/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#include "core/error.h"
#include "host/files/config.h"

#define HEAD "[defaults]\n"

/* Files that are refused: what the first finding says, and what its hint has in it. */
static const struct
{
  const char *name, *text, *told, *hint;
} bad_rows[] = {
  { "unknown key", HEAD "memry=1G\n", "/f:2: there is no key 'memry' in [defaults]", "did you mean 'memory'?" },
  { "nothing like it", HEAD "zzz=1\n", "/f:2: there is no key 'zzz' in [defaults]", "the keys are: connection, base, user" },
  { "unknown section", HEAD "[vm a]\n", "/f:2: there is no section '[vm a]'", "'[defaults]'" },
  { "before any section", "base=x\n", "/f:1: this stands before any section", "[defaults]" },
  { "no line of its own", HEAD "hello\n", "/f:2: 'hello' is no 'key = value'", "[defaults]" },
  { "twice", HEAD "cpus=1\ncpus=2\n", "/f:3: 'cpus' is there already, in line 2", "leave one" },
  { "no value", HEAD "pool=\n", "/f:2: 'pool' has no value", "leave the line out" },
  { "cpus", HEAD "cpus=0\n", "/f:2: 'cpus' takes a number from 1 to 4096, not '0'", "" },
  { "memory", HEAD "memory=lots\n", "/f:2: 'lots' is not a size", "" },
  { "little memory", HEAD "memory=1\n", "/f:2: '1' is too little memory", "MiB" },
  { "user", HEAD "user=a b\n", "/f:2: the user name 'a b' has a ' ' in it", "" },
  { "base", HEAD "base=-x\n", "/f:2: the base name '-x' starts with a hyphen", "" },
  { "connection", HEAD "connection=here\n", "/f:2: 'here' is no URI of libvirt", "qemu:///system" },
  { "keys", HEAD "ssh-keys= ; \n", "/f:2: the value of 'ssh-keys' cannot be read", "" },
  { "escape sequence", HEAD "\033[31m=1\n", "/f:2: there is no key '\\x1b[31m' in [defaults]", "" },
  { "no UTF-8", HEAD "base=\xff\n", "'/f' is no text in UTF-8", "" },
};

static void
test_bad (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametConfig) config = ramet_config_new ();
  g_autoptr (GError) error = NULL;

  g_assert_false (ramet_config_parse (config, bad_rows[i].text, strlen (bad_rows[i].text), "/f", "/home/ada", &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_USAGE);
  g_assert_cmpstr (error->message, ==, bad_rows[i].told);
  g_assert_nonnull (strstr (ramet_error_get_hint (error) ? ramet_error_get_hint (error) : "", bad_rows[i].hint));
}

static void
test_values (void)
{
  static const char own[] = "# mine\n" HEAD "base = debian-12\nmemory = 2G\nssh-keys = ~/.ssh/a.pub; keys/b.pub;/c.pub;ssh-ed25519 AAAA x\n";
  static const char host[] = HEAD "memory = 512\ncpus = 4\npool = big\nssh-keys=/d.pub\n";
  static const char *const keys[] = { "/home/ada/.ssh/a.pub", "/etc/x/keys/b.pub", "/c.pub", "ssh-ed25519 AAAA x", NULL };
  g_autoptr (RametConfig) config = ramet_config_new ();
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (ramet_config_get_memory (config), ==, 0);
  g_assert_cmpuint (ramet_config_get_cpus (config), ==, 0);
  g_assert_true (ramet_config_parse (config, own, strlen (own), "/etc/x/own", "/home/ada", &error));
  g_assert_true (ramet_config_parse (config, host, strlen (host), "/etc/x/host", "/home/ada", &error));
  g_assert_no_error (error);
  g_assert_cmpuint (ramet_config_get_memory (config), ==, 2ULL << 30);
  g_assert_cmpuint (ramet_config_get_cpus (config), ==, 4);
  g_assert_cmpstr (config->files[RAMET_CONFIG_MEMORY], ==, "/etc/x/own");
  g_assert_cmpstr (config->files[RAMET_CONFIG_POOL], ==, "/etc/x/host");
  g_assert_null (config->values[RAMET_CONFIG_USER]);
  g_assert_cmpuint (g_strv_length (config->ssh_keys), ==, 4);
  for (gsize i = 0; keys[i]; i++)
    g_assert_cmpstr (config->ssh_keys[i], ==, keys[i]);
  g_assert_cmpstr (config->ssh_keys_from, ==, "/etc/x/own:5: 'ssh-keys'");
}

static char *top; /* holds "user/ramet", "host/ramet" and ramet's own data */

static void
put (const char *path, const char *text, int mode)
{
  g_autofree char *whole = g_build_filename (top, path, NULL);
  g_autofree char *folder = g_path_get_dirname (whole);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0755), ==, 0);
  g_assert_true (g_file_set_contents (whole, text, -1, NULL));
  g_assert_cmpint (g_chmod (whole, mode), ==, 0);
}

static GPtrArray *
list (GError **error)
{
  return ramet_config_list (RAMET_CONFIG_STEPS, "bootstrap/guest", error);
}

/* What the list is expected to be, a file a line: name, text, and whether it replaces another. */
static void
expect (const char *const *lines)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GPtrArray) files = list (&error);
  guint n = 0;

  g_assert_no_error (error);
  for (guint i = 0; i < files->len; i++, n++)
    {
      const RametConfigFile *file = g_ptr_array_index (files, i);
      g_autofree char *line = g_strdup_printf ("%s %s%s%s", file->name, file->text ? file->text : "off\n",
                                               file->is_own ? "own " : "", file->replaces ? "replaces" : "");

      g_assert_cmpstr (line, ==, lines[i]);
    }
  g_assert_null (lines[n]);
}

static void
test_steps (void)
{
  g_autofree char *link = g_build_filename (top, "user/ramet/guest/30-c.sh", NULL);

  expect ((const char *const[]){ "10-a.sh a\n", "20-b.sh b\n", "30-c.sh c\n", NULL });
  put ("host/ramet/guest/20-b.sh", "host's b\n", 0644);
  put ("host/ramet/guest/25-h.sh", "host's h\n", 0644);
  put ("user/ramet/guest/25-h.sh", "own h", 0600);
  put ("user/ramet/guest/05-first.sh", "first\n", 0644);
  put ("user/ramet/guest/10-a.sh", "", 0644);
  put ("user/ramet/guest/notes.txt", "no step", 0644);
  put ("user/ramet/guest/.10-a.sh.swp", "no step", 0644);
  g_assert_cmpint (symlink ("/dev/null", link), ==, 0);
  expect ((const char *const[]){ "05-first.sh first\nown ", "10-a.sh off\nown replaces", "20-b.sh host's b\nown replaces",
                                 "25-h.sh own h\nown replaces", "30-c.sh off\nown replaces", NULL });
}

/* Each alone makes the whole list be refused. */
static void
test_refused (void)
{
  static const struct
  {
    const char *path;
    int mode;
    int code;
  } rows[] = {
    { "user/ramet/guest/40-d.sh", 0666, RAMET_ERROR_REFUSED },
    { "user/ramet/guest/40-d.sh", 0646, RAMET_ERROR_REFUSED },
    { "user/ramet/guest/seal.sh", 0644, RAMET_ERROR_USAGE },
    { "user/ramet/guest/4-d.sh", 0644, RAMET_ERROR_USAGE },
    { "user/ramet/guest/40-d e.sh", 0644, RAMET_ERROR_USAGE },
  };
  g_autofree char *folder = g_build_filename (top, "user/ramet", NULL);

  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    {
      g_autofree char *path = g_build_filename (top, rows[i].path, NULL);
      g_autoptr (GError) error = NULL;

      put (rows[i].path, "x\n", rows[i].mode);
      g_assert_null (list (&error));
      g_assert_error (error, RAMET_ERROR, rows[i].code);
      g_assert_nonnull (ramet_error_get_hint (error));
      g_assert_cmpint (g_unlink (path), ==, 0);
    }
  for (int mode = 0777; mode; mode = mode == 0777 ? 0757 : 0)
    {
      g_autoptr (GError) of_steps = NULL;
      g_autoptr (GError) of_settings = NULL;

      g_assert_cmpint (g_chmod (folder, mode), ==, 0);
      g_assert_null (list (&of_steps));
      g_assert_error (of_steps, RAMET_ERROR, RAMET_ERROR_REFUSED);
      g_assert_null (ramet_config_load (&of_settings));
      g_assert_error (of_settings, RAMET_ERROR, RAMET_ERROR_REFUSED);
    }
  g_assert_cmpint (g_chmod (folder, 0755), ==, 0);
}

static void
test_load (void)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RametConfig) config = NULL;

  put ("host/ramet/config.ini", HEAD "pool=host\nbase=host\n", 0644);
  put ("user/ramet/config.ini", HEAD "base=own\n", 0644);
  config = ramet_config_load (&error);
  g_assert_no_error (error);
  g_assert_cmpstr (config->values[RAMET_CONFIG_BASE], ==, "own");
  g_assert_cmpstr (config->values[RAMET_CONFIG_POOL], ==, "host");
  put ("user/ramet/config.ini", HEAD "base=own\n", 0666);
  g_assert_null (ramet_config_load (&error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
}

int
main (int argc, char **argv)
{
  g_autofree char *user = NULL;
  g_autofree char *host = NULL;
  g_autofree char *data = NULL;
  g_autofree char *clear = NULL;
  int status;

  top = g_dir_make_tmp ("ramet-config-XXXXXX", NULL);
  user = g_build_filename (top, "user", NULL);
  host = g_build_filename (top, "host", NULL);
  data = g_build_filename (top, "data", NULL);
  g_setenv ("XDG_CONFIG_HOME", user, TRUE);
  g_setenv ("XDG_CONFIG_DIRS", host, TRUE);
  g_setenv ("RAMET_DATADIR", data, TRUE);
  put ("data/bootstrap/guest/20-b.sh", "b\n", 0644);
  put ("data/bootstrap/guest/10-a.sh", "a\n", 0644);
  put ("data/bootstrap/guest/30-c.sh", "c\n", 0644);
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (bad_rows); i++)
    {
      g_autofree char *path = g_strconcat ("/config/refuses ", bad_rows[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_bad);
    }
  g_test_add_func ("/config/values", test_values);
  g_test_add_func ("/config/steps", test_steps);
  g_test_add_func ("/config/refused", test_refused);
  g_test_add_func ("/config/load", test_load);
  status = g_test_run ();
  clear = g_strdup_printf ("rm -rf '%s'", top);
  if (!g_spawn_command_line_sync (clear, NULL, NULL, NULL, NULL))
    status = 1;
  g_free (top);
  return status;
}
