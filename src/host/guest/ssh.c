/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/guest/ssh.h"

#include <errno.h>
#include <fcntl.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"

#define CONNECT_PATIENCE_S 10

/* A word for OpenSSH's own splitting of commands and settings: in double quotes, with '"' and '\' escaped. */
static char *
quote_word (const char *word)
{
  GString *quoted = g_string_new ("\"");

  for (; *word; word++)
    {
      if (*word == '"' || *word == '\\')
        g_string_append_c (quoted, '\\');
      g_string_append_c (quoted, *word);
    }
  g_string_append_c (quoted, '"');
  return g_string_free (quoted, FALSE);
}

/* "%" doubled, so that ssh expands nothing in it. */
static char *
double_percents (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, "%", -1);

  return g_strjoinv ("%%", parts);
}

/* ssh runs this one itself: it splits, and expands all words but the first. */
static char *
known_hosts_command (const char *program, const char *uri)
{
  g_autofree char *program_word = quote_word (program);
  g_autofree char *plain_uri = double_percents (uri);
  g_autofree char *uri_word = quote_word (plain_uri);

  return g_strdup_printf ("%s -c %s ssh-known-host %%H", program_word, uri_word);
}

/* ssh hands this one to the user's shell, after expanding all of it. @argument is put in as it is. */
static char *
shell_command (const char *program, const char *uri, const char *verb, const char *argument)
{
  g_autofree char *program_word = g_shell_quote (program);
  g_autofree char *uri_word = g_shell_quote (uri);
  g_autofree char *command = g_strdup_printf ("%s -c %s %s", program_word, uri_word, verb);
  g_autofree char *plain = double_percents (command);

  return g_strdup_printf ("%s %s", plain, argument);
}

static void
add_option (GPtrArray *argv, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
add_option (GPtrArray *argv, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (argv, g_strdup ("-o"));
  g_ptr_array_add (argv, g_strdup_vprintf (format, args));
  va_end (args);
}

static void
add_two (GPtrArray *argv, const char *option, const char *value)
{
  g_ptr_array_add (argv, g_strdup (option));
  g_ptr_array_add (argv, g_strdup (value));
}

/* ssh joins the words with blanks for the guest's shell; several of them are quoted so that they arrive as they are. */
static void
add_command (GPtrArray *argv, char **command)
{
  gboolean several = command[1] != NULL;

  g_ptr_array_add (argv, g_strdup ("--"));
  for (; *command; command++)
    {
      gboolean plain = **command != '\0' && strspn (*command, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "-_./:,+@") ==
                                              strlen (*command);

      g_ptr_array_add (argv, several && !plain ? g_shell_quote (*command) : g_strdup (*command));
    }
}

/**
 * ramet_ssh_argv:
 * @target: a VM
 * @command: (nullable): as for ssh: one word is a line for the guest's shell; of several, each arrives as it is
 *
 * What the user's own ssh settings say is kept, but for what could lead elsewhere: who the VM is, is for the keys
 * read over its console to say, and the way there is `ramet ssh-proxy`, which needs no name service. Connections shared
 * by ControlMaster are left alone, for they may lead to an earlier VM of that name.
 *
 * Returns: (transfer full): for execvp(); free with g_strfreev()
 */
char **
ramet_ssh_argv (const RametSshTarget *target, char **command)
{
  g_autoptr (GPtrArray) argv = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *host_name = g_strconcat (target->name, ".local", NULL);
  g_autofree char *known_hosts = known_hosts_command (target->program, target->uri);
  g_autofree char *proxy = shell_command (target->program, target->uri, "ssh-proxy", target->name);

  g_ptr_array_add (argv, g_strdup ("ssh"));
  add_option (argv, "KnownHostsCommand=%s", known_hosts);
  add_option (argv, "UserKnownHostsFile=/dev/null");
  add_option (argv, "GlobalKnownHostsFile=/dev/null");
  add_option (argv, "StrictHostKeyChecking=yes");
  add_option (argv, "UpdateHostKeys=no");
  add_option (argv, "HostKeyAlias=%s", host_name);
  add_option (argv, "ProxyCommand=%s", proxy);
  add_option (argv, "ProxyUseFdpass=yes");
  add_option (argv, "ControlMaster=no");
  add_option (argv, "ControlPath=none");
  add_option (argv, "PasswordAuthentication=no");
  add_option (argv, "KbdInteractiveAuthentication=no");
  add_option (argv, "LogLevel=ERROR");
  add_two (argv, "-l", target->user);
  if (target->private_key)
    add_two (argv, "-i", target->private_key);
  g_ptr_array_add (argv, g_strdup (host_name));
  if (command && *command)
    add_command (argv, command);
  g_ptr_array_add (argv, NULL);
  return (char **) g_ptr_array_steal (argv, NULL);
}

/* A word that all versions of ssh's parser and every shell take the same way in any kind of quotes. */
static gboolean
check_config_word (const char *what, const char *word, GError **error)
{
  g_autofree char *safe = NULL;

  if (strpbrk (word, "\"'\\$`\n\r") == NULL)
    return TRUE;
  safe = ramet_text_escape (word, -1);
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot write %s '%s' into ssh's settings: it has a quote, '$', '\\' or "
                   "line end in it", what, safe);
  ramet_error_hint (error, "use 'ramet ssh' instead, which has no such limit");
  return FALSE;
}

static gboolean
append_exception (GString *text, const RametSshTarget *target, GError **error)
{
  if (target->private_key && !check_config_word ("the key", target->private_key, error))
    return FALSE;
  g_string_append_printf (text, "Host %s.local\n  User %s\n", target->name, target->user);
  if (target->private_key)
    {
      g_autofree char *plain = double_percents (target->private_key);

      g_string_append_printf (text, "  IdentityFile \"%s\"\n", plain);
    }
  g_string_append_c (text, '\n');
  return TRUE;
}

/*
 * Older versions of ssh let %h through to a shell as it was typed, or as a git submodule's URL had it. In single
 * quotes only a single quote could do harm, and such names are not matched.
 */
static void
append_block (GString *text, const char *program, const char *uri, const char *private_key)
{
  g_autofree char *known_hosts = known_hosts_command (program, uri);
  g_autofree char *check = shell_command (program, uri, "ssh-known-host", "--check '%h'");
  g_autofree char *proxy = shell_command (program, uri, "ssh-proxy", "'%h'");

  g_string_append_printf (text, "Match host \"*.local,!*'*\" exec \"%s\"\n", check);
  g_string_append_printf (text, "  KnownHostsCommand %s\n", known_hosts);
  g_string_append (text, "  UserKnownHostsFile /dev/null\n"
                         "  GlobalKnownHostsFile /dev/null\n"
                         "  StrictHostKeyChecking yes\n"
                         "  UpdateHostKeys no\n");
  g_string_append_printf (text, "  ProxyCommand %s\n", proxy);
  g_string_append (text, "  ProxyUseFdpass yes\n"
                         "  PasswordAuthentication no\n"
                         "  KbdInteractiveAuthentication no\n");
  if (private_key)
    {
      g_autofree char *plain = double_percents (private_key);

      g_string_append_printf (text, "  IdentityFile \"%s\"\n", plain);
    }
}

/**
 * ramet_ssh_config:
 * @program: absolute path of ramet
 * @private_key: (nullable): absolute path of ramet's own key, if that one is used
 * @exceptions: (nullable): NULL-terminated; VMs whose user has another name than the one outside
 * @ret_text: (out): for `~/.ssh/config`, valid for VMs made later too
 * @error: RAMET_ERROR_REFUSED if a path or the URI cannot be written so that every ssh reads it as meant
 *
 * The text asks ramet about each name ending in ".local", so other hosts there are reached as before. It ends in
 * `Match all`, so that settings that follow it are still for all hosts. Needs OpenSSH 8.5.
 */
gboolean
ramet_ssh_config (const char *program, const char *uri, const char *private_key,
                  const RametSshTarget *const *exceptions, char **ret_text, GError **error)
{
  g_autoptr (GString) text = g_string_new ("# ramet: reach VMs as NAME.local, with the host keys read over their "
                                           "consoles\n");

  if (!check_config_word ("the path", program, error) || !check_config_word ("the URI", uri, error) ||
      (private_key && !check_config_word ("the key", private_key, error)))
    return FALSE;
  for (; exceptions && *exceptions; exceptions++)
    if (!append_exception (text, *exceptions, error))
      return FALSE;
  append_block (text, program, uri, private_key);
  g_string_append (text, "\nMatch all\n");
  *ret_text = g_string_free (g_steal_pointer (&text), FALSE);
  return TRUE;
}

/**
 * ramet_ssh_connect_fd:
 * @address: numeric
 * @error: RAMET_ERROR_FAILED, after ten seconds at most
 *
 * Returns: a connected, blocking, close-on-exec socket, or -1
 */
int
ramet_ssh_connect_fd (const char *address, guint port, GError **error)
{
  g_autoptr (GSocketClient) client = g_socket_client_new ();
  g_autoptr (GSocketConnection) connection = NULL;
  g_autoptr (GError) failure = NULL;
  int fd = -1;

  g_socket_client_set_timeout (client, CONNECT_PATIENCE_S);
  g_socket_client_set_enable_proxy (client, FALSE);
  connection = g_socket_client_connect_to_host (client, address, (guint16) port, NULL, &failure);
  if (connection != NULL)
    fd = fcntl (g_socket_get_fd (g_socket_connection_get_socket (connection)), F_DUPFD_CLOEXEC, 0);
  /* GSocket's own descriptors never block, and its copy shares that */
  if (fd >= 0 && g_unix_set_fd_nonblocking (fd, FALSE, &failure))
    return fd;
  if (fd >= 0)
    close (fd);
  ramet_error_set (error, RAMET_ERROR_FAILED, "cannot connect to '%s' port %u: %s", address, port,
                   failure ? failure->message : g_strerror (errno));
  return -1;
}

/**
 * ramet_ssh_pass_fd:
 * @fd: a connected socket; stays open here
 * @error: RAMET_ERROR_USAGE if stdout is not ssh's socket
 *
 * Hands @fd to the ssh that started this process with `ProxyUseFdpass yes`: stdout is a socket, over which one byte
 * goes with the descriptor beside it.
 */
gboolean
ramet_ssh_pass_fd (int fd, GError **error)
{
  union
  {
    struct cmsghdr header;
    char bytes[CMSG_SPACE (sizeof (int))];
  } control = { 0 };
  struct iovec data = { .iov_base = (char[]) { '\0' }, .iov_len = 1 };
  struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
  struct cmsghdr *header;
  gssize n;

  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  header = CMSG_FIRSTHDR (&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN (sizeof fd);
  memcpy (CMSG_DATA (header), &fd, sizeof fd);
  do
    n = sendmsg (STDOUT_FILENO, &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0 && errno == ENOTSOCK)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "cannot hand the connection to ssh: stdout is not a socket");
      ramet_error_hint (error, "this is for ssh to call, with ProxyUseFdpass=yes; type 'ramet ssh NAME'");
      return FALSE;
    }
  if (n < 0)
    {
      ramet_error_set (error, RAMET_ERROR_LOST, "cannot hand the connection to ssh: %s", g_strerror (errno));
      return FALSE;
    }
  return TRUE;
}
