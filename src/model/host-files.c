/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/host-files.h"

#include <json-glib/json-glib.h>
#include <stdio.h>
#include <string.h>

/**
 * ramet_nsswitch_knows_mdns:
 * @nsswitch: text of /etc/nsswitch.conf
 *
 * Whether programs can look up NAME.local: by libnss-mdns, or perhaps by systemd-resolved, which may do it or not.
 */
gboolean
ramet_nsswitch_knows_mdns (const char *nsswitch)
{
  g_auto (GStrv) lines = g_strsplit (nsswitch, "\n", -1);

  for (char **line = lines; *line; line++)
    {
      g_auto (GStrv) words = NULL;

      g_strstrip (*line);
      if (!g_str_has_prefix (*line, "hosts:"))
        continue;
      (*line)[strcspn (*line, "#")] = '\0';
      words = g_strsplit_set (*line + strlen ("hosts:"), " \t", -1);
      for (char **word = words; *word; word++)
        if (g_str_has_prefix (*word, "mdns") || g_str_equal (*word, "resolve"))
          return TRUE;
    }
  return FALSE;
}

static gboolean
lists (GKeyFile *conf, const char *key, const char *bridge, gboolean *ret_is_set)
{
  g_autofree char *value = g_key_file_get_string (conf, "server", key, NULL);
  g_auto (GStrv) names = NULL;

  *ret_is_set = value && *g_strstrip (value);
  names = g_strsplit_set (value ? value : "", ", ", -1);
  return g_strv_contains ((const char *const *) names, bridge);
}

/**
 * ramet_avahi_conf_serves:
 * @avahi_conf: text of /etc/avahi/avahi-daemon.conf
 * @ret_why_not: (out): the setting that keeps avahi from asking on @bridge
 *
 * What cannot be parsed is taken for fine: avahi itself would not start.
 */
gboolean
ramet_avahi_conf_serves (const char *avahi_conf, const char *bridge, char **ret_why_not)
{
  g_autoptr (GKeyFile) conf = g_key_file_new ();
  g_autofree char *ipv4 = NULL;
  gboolean is_set;

  *ret_why_not = NULL;
  if (!g_key_file_load_from_data (conf, avahi_conf, -1, G_KEY_FILE_NONE, NULL))
    return TRUE;
  ipv4 = g_key_file_get_string (conf, "server", "use-ipv4", NULL);
  if (ipv4 && g_ascii_strcasecmp (g_strstrip (ipv4), "no") == 0)
    *ret_why_not = g_strdup ("use-ipv4=no");
  else if (!lists (conf, "allow-interfaces", bridge, &is_set) && is_set)
    *ret_why_not = g_strdup_printf ("allow-interfaces without %s", bridge);
  else if (lists (conf, "deny-interfaces", bridge, &is_set))
    *ret_why_not = g_strdup_printf ("deny-interfaces with %s", bridge);
  return *ret_why_not == NULL;
}

/**
 * ramet_apparmor_list_denials:
 * @kernel_log: lines of the kernel's log
 * @uuid: of a domain, whose QEMU runs under the profile "libvirt-UUID"
 *
 * Returns: (transfer full) (element-type utf8): the files that were denied to it, as the kernel writes them
 */
GPtrArray *
ramet_apparmor_list_denials (const char *kernel_log, const char *uuid)
{
  g_autofree char *profile = g_strdup_printf ("profile=\"libvirt-%s\"", uuid);
  g_auto (GStrv) lines = g_strsplit (kernel_log, "\n", -1);
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);

  for (char **line = lines; *line; line++)
    {
      const char *name = strstr (*line, " name=\"");

      if (!strstr (*line, "apparmor=\"DENIED\"") || !strstr (*line, profile) || name == NULL)
        continue;
      name += strlen (" name=\"");
      g_ptr_array_add (paths, g_strndup (name, strcspn (name, "\"")));
    }
  return paths;
}

/** ramet_osinfo_get_kernel: (transfer full) (nullable): of an answer to guest-get-osinfo, which is untrusted */
char *
ramet_osinfo_get_kernel (const char *agent_answer)
{
  g_autoptr (JsonNode) root = json_from_string (agent_answer, NULL);
  JsonObject *answer = root && JSON_NODE_HOLDS_OBJECT (root) ? json_node_get_object (root) : NULL;
  JsonNode *node = answer ? json_object_get_member (answer, "return") : NULL;
  JsonNode *kernel = node && JSON_NODE_HOLDS_OBJECT (node)
                       ? json_object_get_member (json_node_get_object (node), "kernel-release") : NULL;

  return kernel && JSON_NODE_HOLDS_VALUE (kernel) ? g_strdup (json_node_get_string (kernel)) : NULL;
}

/** ramet_kernel_breaks_9p: @release: "6.10.3-amd64"; Linux 6.9 to 6.11 */
gboolean
ramet_kernel_breaks_9p (const char *release)
{
  unsigned major;
  unsigned minor;

  return sscanf (release, "%3u.%4u", &major, &minor) == 2 && major == 6 && minor >= 9 && minor <= 11;
}
