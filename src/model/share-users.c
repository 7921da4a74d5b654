/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/share-users.h"

#include <string.h>

#include "core/text.h"

#define MAX_USERS 1000
#define MAX_TOLD 6
#define MAX_SERVICE_CHARS 255
#define MAX_COMMAND_COLUMNS 32
#define SERVICE_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@-"

void
ramet_share_user_free (RametShareUser *user)
{
  g_free (user->service);
  g_free (user->command);
  g_free (user);
}

static gboolean
parse_pid (const char *text, gint64 *ret_pid)
{
  guint64 pid;

  if (!g_ascii_string_to_unsigned (text, 10, 1, G_MAXINT32, &pid, NULL))
    return FALSE;
  *ret_pid = (gint64) pid;
  return TRUE;
}

/* "web.service", or "1000/web.service" */
static gboolean
is_service (const char *text)
{
  gsize digits = strspn (text, "0123456789");
  gsize length;

  if (digits > 0 && digits <= 10 && text[digits] == '/')
    text += digits + 1;
  length = strspn (text, SERVICE_CHARS);
  return length > 0 && length <= MAX_SERVICE_CHARS && text[length] == '\0';
}

/* (transfer full) (nullable): of PID<TAB>SERVICE<TAB>COMMAND, where '-' is no service */
static RametShareUser *
parse_line (const char *line)
{
  g_auto (GStrv) fields = g_strsplit (line, "\t", 3);
  RametShareUser *user;
  gint64 pid;

  if (g_strv_length (fields) != 3 || !parse_pid (fields[0], &pid) || !is_service (fields[1]))
    return NULL;
  user = g_new0 (RametShareUser, 1);
  user->pid = pid;
  user->service = g_str_equal (fields[1], "-") ? NULL : g_strdup (fields[1]);
  user->command = g_strdup (fields[2]);
  return user;
}

/**
 * ramet_share_users_parse:
 * @text: what `share detach` or `share release` printed in the guest, untrusted
 *
 * Returns: (transfer full) (element-type RametShareUser): what other lines hold is left out
 */
GPtrArray *
ramet_share_users_parse (const char *text)
{
  GPtrArray *users = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_user_free);
  g_auto (GStrv) lines = g_strsplit (text, "\n", -1);

  for (char **line = lines; *line && users->len < MAX_USERS; line++)
    {
      RametShareUser *user = parse_line (*line);

      if (user)
        g_ptr_array_add (users, user);
    }
  return users;
}

static void
describe_one (GString *out, const RametShareUser *user)
{
  g_autofree char *safe = ramet_text_escape (user->command, -1);
  g_autofree char *clipped = ramet_text_clip (safe, MAX_COMMAND_COLUMNS);
  const char *slash = user->service ? strchr (user->service, '/') : NULL;

  g_string_append_printf (out, "%s (%" G_GINT64_FORMAT, clipped, user->pid);
  if (slash)
    g_string_append_printf (out, ", %s of user %.*s", slash + 1, (int) (slash - user->service), user->service);
  else if (user->service)
    g_string_append_printf (out, ", %s", user->service);
  g_string_append_c (out, ')');
}

/** ramet_share_users_describe: (transfer full): "node (412, web.service), bash (730)", safe to print; the first few */
char *
ramet_share_users_describe (GPtrArray *users)
{
  GString *out = g_string_new (NULL);

  for (guint i = 0; i < users->len && i < MAX_TOLD; i++)
    {
      if (i > 0)
        g_string_append (out, ", ");
      describe_one (out, g_ptr_array_index (users, i));
    }
  if (users->len > MAX_TOLD)
    g_string_append_printf (out, " and %u more", users->len - MAX_TOLD);
  return g_string_free (out, FALSE);
}

/** ramet_share_users_count: how many belong to a service, and how many to none */
void
ramet_share_users_count (GPtrArray *users, guint *ret_services, guint *ret_processes)
{
  guint services = 0;

  for (guint i = 0; i < users->len; i++)
    if (((RametShareUser *) g_ptr_array_index (users, i))->service)
      services++;
  *ret_services = services;
  *ret_processes = users->len - services;
}
