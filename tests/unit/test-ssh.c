/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/paths.h"
#include "host/guest/ssh.h"

#define BYTES_0_TO_31 "AABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"
#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" BYTES_0_TO_31
#define RSA                                                                                                            \
  "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQAAAQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8wMTIzNDU2"     \
  "Nzg5Ojs8PT4/"
#define ECDSA                                                                                                          \
  "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc"   \
  "HR4fICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8="
#define SECURITY_KEY                                                                                                   \
  "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhsc"    \
  "HR4fAAAABHNzaDo="
#define SOON_US (10 * G_USEC_PER_SEC)

static char *home; /* of this program only; GLib's own way to isolate folders leaks */

static void
run_rm (const char *path)
{
  const char *argv[] = { "rm", "-rf", "--", path, NULL };

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL));
}

/* Every test that puts something into the home starts with an empty one. */
static void
empty_home (void)
{
  run_rm (home);
  g_assert_cmpint (g_mkdir (home, 0700), ==, 0);
}

static const struct
{
  const char *title, *line;
  gboolean fine;
} key_rows[] = {
  { "ed25519", ED25519, TRUE },
  { "with a comment", ED25519 " me@home", TRUE },
  { "a comment of words", ED25519 " my key, ça va", TRUE },
  { "rsa", RSA, TRUE },
  { "ecdsa", ECDSA " x", TRUE },
  { "security key", SECURITY_KEY, TRUE },
  { "empty", "", FALSE },
  { "type only", "ssh-ed25519", FALSE },
  { "no base64", "ssh-ed25519 ", FALSE },
  { "junk for base64", "ssh-ed25519 !!!!", FALSE },
  { "a NUL's worth of base64", "ssh-ed25519 AAAA", FALSE },
  { "another type inside", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAI" BYTES_0_TO_31, FALSE },
  { "a field too short", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=", FALSE },
  { "bytes behind", ED25519 "eA==", FALSE },
  { "cut base64", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI", FALSE },
  { "dsa is too weak", "ssh-dss AAAAB3NzaC1kc3MAAAABMQAAAAEyAAAAATMAAAABNA==", FALSE },
  { "an option in front", "command=\"id\" " ED25519, FALSE },
  { "a blank in front", " " ED25519, FALSE },
  { "a line end", ED25519 " a\n" ED25519, FALSE },
  { "a tab", ED25519 "\tx", FALSE },
  { "an escape in the comment", ED25519 " \033[2J", FALSE },
  { "no UTF-8 in the comment", ED25519 " \xff", FALSE },
};

static void
test_key (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);

  g_assert_cmpint (ramet_ssh_check_public_key (key_rows[i].line), ==, key_rows[i].fine);
}

static void
test_key_too_long (void)
{
  g_autofree char *comment = g_strnfill (16 * 1024, 'x');
  g_autofree char *line = g_strconcat (ED25519 " ", comment, NULL);

  g_assert_false (ramet_ssh_check_public_key (line));
  line[16 * 1024] = '\0';
  g_assert_true (ramet_ssh_check_public_key (line));
}

static const struct
{
  const char *title, *console, *keys;
} host_key_rows[] = {
  { "one", ED25519 " root@guest\n", ED25519 },
  { "among noise, with CRs", "[  3.1] eth0 up\r\n" ED25519 " root@x\r\n$ \r\n" RSA "\r\n", ED25519 "\n" RSA },
  { "twice the same", ED25519 " a\n" ED25519 " b\n", ED25519 },
  { "an escape in the comment", ED25519 " \033[2J\n", NULL },
  { "a security key is no host's", SECURITY_KEY "\n", NULL },
  { "a certificate authority", "@cert-authority * " ED25519 "\n", NULL },
  { "a known_hosts line", "* " ED25519 "\n", NULL },
  { "nothing", "", NULL },
  { "noise", "ssh-ed25519\nssh-ed25519 AAAA\n\n\r\n", NULL },
};

static void
test_host_keys (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *keys = ramet_ssh_parse_host_keys (host_key_rows[i].console);

  g_assert_cmpstr (keys, ==, host_key_rows[i].keys);
}

static const struct
{
  const char *title, *content, *line;
  int code;
} file_rows[] = {
  { "a key", ED25519 " me\n", ED25519 " me", 0 },
  { "a comment line before", "# mine\n\n" ED25519 "\r\n", ED25519, 0 },
  { "a private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaA==\n", NULL, RAMET_ERROR_REFUSED },
  { "an old private key", "-----BEGIN RSA PRIVATE KEY-----\n", NULL, RAMET_ERROR_REFUSED },
  { "PuTTY's private key", "PuTTY-User-Key-File-3: ssh-ed25519\n", NULL, RAMET_ERROR_REFUSED },
  { "two keys", ED25519 "\n" RSA "\n", NULL, RAMET_ERROR_USAGE },
  { "no key", "hello\n", NULL, RAMET_ERROR_USAGE },
  { "empty", "", NULL, RAMET_ERROR_USAGE },
};

static void
test_read_file (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *path = g_build_filename (g_get_home_dir (), "key", NULL);
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;

  empty_home ();
  g_assert_true (g_file_set_contents (path, file_rows[i].content, -1, NULL));
  g_assert_cmpint (ramet_ssh_read_public_key (path, &line, &error), ==, file_rows[i].line != NULL);
  g_assert_cmpstr (line, ==, file_rows[i].line);
  if (file_rows[i].line == NULL)
    {
      g_assert_error (error, RAMET_ERROR, file_rows[i].code);
      g_assert_nonnull (ramet_error_get_hint (error));
      g_assert_null (strstr (error->message, "BEGIN"));
    }
}

static void
test_read_literal (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *line = NULL;

  g_assert_true (ramet_ssh_read_public_key (ED25519 " me", &line, &error));
  g_assert_cmpstr (line, ==, ED25519 " me");
  g_assert_false (ramet_ssh_read_public_key ("-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET\n", &line, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_null (strstr (error->message, "SECRET"));
  g_clear_error (&error);
  g_assert_false (ramet_ssh_read_public_key ("/no/such/key.pub", &line, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND);
}

static void
put_key (const char *name, const char *content)
{
  g_autofree char *folder = g_build_filename (g_get_home_dir (), ".ssh", NULL);
  g_autofree char *path = g_build_filename (folder, name, NULL);

  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_assert_true (g_file_set_contents (path, content, -1, NULL));
}

static void
test_own_key (void)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GPtrArray) again = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *private_key = NULL;
  g_autofree char *same = NULL;
  g_autofree char *folder = NULL;
  g_autoptr (GDir) dir = NULL;
  struct stat st;

  empty_home ();
  put_key ("id_orphan.pub", RSA "\n");
  g_assert_true (ramet_ssh_public_keys (keys, FALSE, &private_key, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (keys->len, ==, 0);
  g_assert_null (private_key);
  g_assert_true (ramet_ssh_public_keys (keys, TRUE, &private_key, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (keys->len, ==, 1);
  g_assert_true (ramet_ssh_check_public_key (keys->pdata[0]));
  g_assert_cmpint (stat (private_key, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0600);
  folder = g_path_get_dirname (private_key);
  g_assert_cmpint (stat (folder, &st), ==, 0);
  g_assert_cmpint (st.st_mode & 07777, ==, 0700);
  g_assert_true (ramet_ssh_public_keys (again, TRUE, &same, &error));
  g_assert_cmpstr (same, ==, private_key);
  g_assert_cmpstr (again->pdata[0], ==, keys->pdata[0]);
  dir = g_dir_open (folder, 0, NULL);
  g_assert_cmpstr (g_dir_read_name (dir), ==, "id_ed25519"); /* and nothing beside it */
  g_assert_null (g_dir_read_name (dir));
}

static void
test_users_keys (void)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *private_key = NULL;
  g_autofree char *own = ramet_paths_ssh_key ();

  empty_home ();
  put_key ("id_ed25519", "secret");
  put_key ("id_ed25519.pub", ED25519 " me\n");
  put_key ("id_same", "secret");
  put_key ("id_same.pub", ED25519 " me too\n");
  put_key ("id_work", "secret");
  put_key ("id_work.pub", RSA "\n");
  put_key ("id_orphan.pub", ECDSA "\n");
  put_key ("id_broken", "secret");
  put_key ("id_broken.pub", "hello\n");
  g_assert_true (ramet_ssh_public_keys (keys, TRUE, &private_key, &error));
  g_assert_no_error (error);
  g_assert_null (private_key);
  g_assert_cmpuint (keys->len, ==, 2);
  g_assert_cmpstr (keys->pdata[0], ==, ED25519 " me");
  g_assert_cmpstr (keys->pdata[1], ==, RSA);
  g_assert_false (g_file_test (own, G_FILE_TEST_EXISTS));
}

/* A key that ssh would not try by itself is joined by ramet's own. */
static void
test_odd_key (void)
{
  g_autoptr (GPtrArray) keys = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *private_key = NULL;

  empty_home ();
  put_key ("id_work", "secret");
  put_key ("id_work.pub", RSA "\n");
  g_assert_true (ramet_ssh_public_keys (keys, TRUE, &private_key, NULL));
  g_assert_nonnull (private_key);
  g_assert_cmpuint (keys->len, ==, 2);
}

static const struct
{
  const char *title;
  const char *command[4];
  const char *sent[4];
} command_rows[] = {
  { "none", { NULL }, { NULL } },
  { "one word is a line for the shell", { "echo a; echo b" }, { "echo a; echo b" } },
  { "plain words", { "ls", "-l", "/srv/a.b" }, { "ls", "-l", "/srv/a.b" } },
  { "a blank inside", { "ls", "a b" }, { "ls", "'a b'" } },
  { "shell", { "echo", "$HOME", "it's" }, { "echo", "'$HOME'", "'it'\\''s'" } },
  { "an empty word", { "printf", "" }, { "printf", "''" } },
};

static void
test_argv_command (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  RametSshTarget target = { "/usr/bin/ramet", "qemu:///system", "web", "dev", NULL };
  g_auto (GStrv) argv = ramet_ssh_argv (&target, (char **) command_rows[i].command);
  char **rest = argv;

  while (*rest && !g_str_equal (*rest, "web.local"))
    rest++;
  g_assert_nonnull (*rest);
  rest++;
  if (command_rows[i].sent[0] != NULL)
    g_assert_cmpstr (*rest++, ==, "--");
  for (const char *const *word = command_rows[i].sent; *word; word++)
    g_assert_cmpstr (*rest++, ==, *word);
  g_assert_null (*rest);
}

static void
test_argv_quoting (void)
{
  RametSshTarget target = { "/opt/my \"ramet\"/50%", "qemu+ssh://h/system?a='b'%20", "web", "dev", "/home/u/key" };
  g_auto (GStrv) argv = ramet_ssh_argv (&target, NULL);
  const char *const *words = (const char *const *) argv;

  g_assert_true (g_strv_contains (words, "KnownHostsCommand=\"/opt/my \\\"ramet\\\"/50%\" -c "
                                         "\"qemu+ssh://h/system?a='b'%%20\" ssh-known-host %H"));
  g_assert_true (g_strv_contains (words, "ProxyCommand='/opt/my \"ramet\"/50%%' -c "
                                         "'qemu+ssh://h/system?a='\\''b'\\''%%20' ssh-proxy web"));
  g_assert_true (g_strv_contains (words, "StrictHostKeyChecking=yes"));
  g_assert_true (g_strv_contains (words, "HostKeyAlias=web.local"));
  g_assert_true (g_strv_contains (words, "/home/u/key"));
}

/* What the real ssh makes of the settings, for @host. */
static char *
ask_ssh (const char *config, const char *host)
{
  const char *argv[] = { "ssh", "-G", "-T", "-F", config, host, NULL };
  g_autoptr (GError) error = NULL;
  g_autofree char *errors = NULL;
  char *output = NULL;
  int status;

  g_assert_true (g_spawn_sync (NULL, (char **) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, &output, &errors, &status,
                               &error));
  g_assert_no_error (error);
  g_assert_cmpstr (errors, ==, "");
  g_assert_cmpint (status, ==, 0);
  return output;
}

static void
assert_says (const char *output, const char *line, gboolean wanted)
{
  g_autofree char *whole = g_strconcat ("\n", line, "\n", NULL);
  g_autofree char *padded = g_strconcat ("\n", output, NULL);

  if ((strstr (padded, whole) != NULL) != wanted)
    g_error ("'%s' should %sbe in:\n%s", line, wanted ? "" : "not ", output);
}

static void
test_config (void)
{
  g_autofree char *folder = g_build_filename (g_get_home_dir (), "bin 100%", NULL);
  g_autofree char *program = g_build_filename (folder, "ramet", NULL);
  g_autofree char *config = g_build_filename (folder, "config", NULL);
  g_autofree char *text = NULL;
  g_autofree char *whole = NULL;
  g_autofree char *ours = NULL;
  g_autofree char *theirs = NULL;
  g_autofree char *exception = NULL;
  RametSshTarget db = { program, "qemu:///system", "db", "postgres", NULL };
  const RametSshTarget *exceptions[] = { &db, NULL };
  g_autoptr (GError) error = NULL;

  /* says of all names but printer.local that they are ours, and takes down what it was called with */
  empty_home ();
  g_assert_cmpint (g_mkdir_with_parents (folder, 0700), ==, 0);
  g_assert_true (g_file_set_contents (program,
                                      "#!/bin/sh\n"
                                      "[ \"$1 $2 $3 $4\" = '-c test:///a%20b ssh-known-host --check' ] || exit 9\n"
                                      "[ \"$5\" != printer.local ]\n",
                                      -1, NULL));
  g_assert_cmpint (g_chmod (program, 0700), ==, 0);
  g_assert_true (ramet_ssh_config (program, "test:///a%20b", "/home/u/own key", exceptions, &text, &error));
  g_assert_no_error (error);
  whole = g_strconcat (text, "User everywhere\n", NULL);
  g_assert_true (g_file_set_contents (config, whole, -1, NULL));

  ours = ask_ssh (config, "web.local");
  g_assert_true (strstr (ours, "ssh-proxy '%h'") != NULL);
  assert_says (ours, "proxyusefdpass yes", TRUE);
  assert_says (ours, "stricthostkeychecking true", TRUE);
  assert_says (ours, "userknownhostsfile /dev/null", TRUE);
  assert_says (ours, "passwordauthentication no", TRUE);
  assert_says (ours, "identityfile /home/u/own key", TRUE);
  assert_says (ours, "user everywhere", TRUE);
  exception = ask_ssh (config, "db.local");
  assert_says (exception, "user postgres", TRUE);
  assert_says (exception, "proxyusefdpass yes", TRUE);
  theirs = ask_ssh (config, "printer.local");
  assert_says (theirs, "proxyusefdpass yes", FALSE);
  assert_says (theirs, "user everywhere", TRUE);
}

static const struct
{
  const char *title, *program, *uri, *key;
} unwritable_rows[] = {
  { "a single quote", "/opt/it's", "qemu:///system", NULL },
  { "a double quote", "/opt/\"x\"", "qemu:///system", NULL },
  { "a dollar in the URI", "/usr/bin/ramet", "qemu:///${HOME}", NULL },
  { "a backslash in the key", "/usr/bin/ramet", "qemu:///system", "/home/a\\b" },
  { "a line end", "/usr/bin/ra\nmet", "qemu:///system", NULL },
};

static void
test_config_unwritable (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  g_autofree char *text = NULL;

  g_assert_false (ramet_ssh_config (unwritable_rows[i].program, unwritable_rows[i].uri, unwritable_rows[i].key, NULL,
                                    &text, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_null (text);
}

/* Says its words to each caller, in two parts. */
static gboolean
on_caller (GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  GOutputStream *stream = g_io_stream_get_output_stream (G_IO_STREAM (connection));

  g_output_stream_write (stream, data, strlen (data), NULL, NULL);
  return TRUE; /* and hangs up */
}

static const struct
{
  const char *title;
  char *words;
  gboolean fine;
} banner_rows[] = {
  { "plain", "SSH-2.0-x\r\n", TRUE },
  { "behind other lines", "hello\r\nworld\r\nSSH-2.0-x\r\n", TRUE },
  { "silent", "", FALSE },
  { "another service", "220 mail SSH-2.0\r\n", FALSE },
};

static void
test_banner (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GSocketService) service = g_socket_service_new ();
  g_autoptr (RametTask) task = ramet_task_new ("test", NULL);
  g_autoptr (GError) error = NULL;
  guint16 port = g_socket_listener_add_any_inet_port (G_SOCKET_LISTENER (service), NULL, NULL);
  gint64 patience_us = banner_rows[i].fine ? SOON_US : G_USEC_PER_SEC / 2;
  gboolean fine;

  g_signal_connect (service, "incoming", G_CALLBACK (on_caller), banner_rows[i].words);
  fine = ramet_ssh_banner (task, "127.0.0.1", port, g_get_monotonic_time () + patience_us, &error);
  g_assert_cmpint (fine, ==, banner_rows[i].fine);
  if (!fine)
    g_assert_error (error, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
  g_clear_error (&error);
  g_assert_true (ramet_ssh_listens (task, "127.0.0.1", port, g_get_monotonic_time () + SOON_US, &error));
  g_assert_no_error (error);
  g_socket_service_stop (service);
  while (g_main_context_iteration (NULL, FALSE))
    ;
  g_socket_listener_close (G_SOCKET_LISTENER (service));
}

static gboolean
on_late (gpointer data)
{
  g_cancellable_cancel (data);
  return G_SOURCE_REMOVE;
}

static void
test_banner_cancelled (void)
{
  g_autoptr (GCancellable) cancellable = g_cancellable_new ();
  g_autoptr (RametTask) task = ramet_task_new ("test", cancellable);
  g_autoptr (GError) error = NULL;

  g_timeout_add (300, on_late, cancellable);
  /* an address that nobody has: for documentation only */
  g_assert_false (ramet_ssh_banner (task, "192.0.2.1", 22, g_get_monotonic_time () + SOON_US, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_CANCELLED);
}

static void
test_has_key_timeout (void)
{
  g_autoptr (RametTask) task = ramet_task_new ("test", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_false (ramet_ssh_has_key (task, "127.0.0.1", 1, ED25519, g_get_monotonic_time () + G_USEC_PER_SEC / 2,
                                     &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
  g_clear_error (&error);
  g_assert_false (ramet_ssh_listens (task, "127.0.0.1", 1, g_get_monotonic_time () + G_USEC_PER_SEC / 2, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_TIMEOUT);
}

static void
test_connect_fd (void)
{
  g_autoptr (GSocketListener) listener = g_socket_listener_new ();
  g_autoptr (GError) error = NULL;
  guint16 port = g_socket_listener_add_any_inet_port (listener, NULL, NULL);
  int fd = ramet_ssh_connect_fd ("127.0.0.1", port, &error);

  g_assert_no_error (error);
  g_assert_cmpint (fd, >=, 0);
  g_assert_cmpint (fcntl (fd, F_GETFL) & O_NONBLOCK, ==, 0);
  g_assert_cmpint (fcntl (fd, F_GETFD) & FD_CLOEXEC, ==, FD_CLOEXEC);
  close (fd);
  g_socket_listener_close (listener);
  g_assert_cmpint (ramet_ssh_connect_fd ("127.0.0.1", port, &error), ==, -1);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_FAILED);
}

/* Calls with stdout replaced by @out_fd. */
static gboolean
pass_over (int out_fd, int fd, GError **error)
{
  int saved = fcntl (STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
  gboolean passed;

  g_assert_cmpint (dup2 (out_fd, STDOUT_FILENO), ==, STDOUT_FILENO);
  passed = ramet_ssh_pass_fd (fd, error);
  g_assert_cmpint (dup2 (saved, STDOUT_FILENO), ==, STDOUT_FILENO);
  close (saved);
  return passed;
}

static void
test_pass_fd (void)
{
  char byte, control[CMSG_SPACE (sizeof (int))];
  struct iovec data = { &byte, 1 };
  struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
  g_autoptr (GError) error = NULL;
  int pair[2], tube[2], received;

  fflush (stdout);
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  g_assert_cmpint (socketpair (AF_UNIX, SOCK_STREAM, 0, pair), ==, 0);
  g_assert_cmpint (pipe (tube), ==, 0);
  g_assert_true (pass_over (pair[0], tube[1], &error));
  g_assert_no_error (error);
  g_assert_cmpint (recvmsg (pair[1], &message, 0), ==, 1);
  g_assert_nonnull (CMSG_FIRSTHDR (&message));
  memcpy (&received, CMSG_DATA (CMSG_FIRSTHDR (&message)), sizeof received);
  g_assert_cmpint (write (received, "x", 1), ==, 1);
  g_assert_cmpint (read (tube[0], &byte, 1), ==, 1);
  g_assert_cmpint (byte, ==, 'x');
  g_assert_false (pass_over (tube[1], tube[0], &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_USAGE);
  close (received);
  for (int i = 0; i < 2; i++)
    {
      close (pair[i]);
      close (tube[i]);
    }
}

#define ADD_ROWS(group, rows, func)                                                                                    \
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)                                                                      \
    {                                                                                                                  \
      g_autofree char *path = g_strdup_printf ("/ssh/" group "/%s", rows[i].title);                                    \
                                                                                                                       \
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), func);                                                         \
    }

int
main (int argc, char **argv)
{
  int status;

  home = g_dir_make_tmp ("ramet-ssh-XXXXXX", NULL);
  g_assert_nonnull (home);
  g_setenv ("HOME", home, TRUE);
  g_unsetenv ("XDG_DATA_HOME");
  g_unsetenv ("SSH_AUTH_SOCK");
  g_test_init (&argc, &argv, NULL);
  ADD_ROWS ("key", key_rows, test_key)
  ADD_ROWS ("host-keys", host_key_rows, test_host_keys)
  ADD_ROWS ("read", file_rows, test_read_file)
  ADD_ROWS ("command", command_rows, test_argv_command)
  ADD_ROWS ("unwritable", unwritable_rows, test_config_unwritable)
  ADD_ROWS ("banner", banner_rows, test_banner)
  g_test_add_func ("/ssh/key/too long", test_key_too_long);
  g_test_add_func ("/ssh/read/literal", test_read_literal);
  g_test_add_func ("/ssh/keys/own", test_own_key);
  g_test_add_func ("/ssh/keys/the user's", test_users_keys);
  g_test_add_func ("/ssh/keys/of an odd name", test_odd_key);
  g_test_add_func ("/ssh/argv/quoting", test_argv_quoting);
  g_test_add_func ("/ssh/config", test_config);
  g_test_add_func ("/ssh/banner/cancelled", test_banner_cancelled);
  g_test_add_func ("/ssh/has-key/timeout", test_has_key_timeout);
  g_test_add_func ("/ssh/connect-fd", test_connect_fd);
  g_test_add_func ("/ssh/pass-fd", test_pass_fd);
  status = g_test_run ();
  run_rm (home);
  g_free (home);
  return status;
}
