/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/firewall.h"

#include <unistd.h>

#include "core/error.h"
#include "host/process.h"
#include "model/firewall.h"

#define PATIENCE_US (5 * G_TIME_SPAN_SECOND)

typedef gboolean (*Judge) (const char *listing, const char *bridge, char **ret_rule);

/* A program for administrators, which an ordinary user's PATH leaves out. */
static char *
find_program (const char *name)
{
  static const char *const folders[] = { "/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin" };

  for (gsize i = 0; i < G_N_ELEMENTS (folders); i++)
    {
      g_autofree char *path = g_build_filename (folders[i], name, NULL);

      if (access (path, X_OK) == 0)
        return g_steal_pointer (&path);
    }
  return NULL;
}

/** ramet_firewall_has_program: "ufw", "firewall-cmd": what its user would type */
gboolean
ramet_firewall_has_program (const char *name)
{
  g_autofree char *path = find_program (name);

  return path != NULL;
}

/* What the program lists; NULL without @error if there is no such program. */
static char *
list (RametTask *task, const char *name, const char *const *arguments, GError **error)
{
  g_autofree char *path = find_program (name);
  g_autoptr (GPtrArray) argv = g_ptr_array_new ();
  g_auto (RametProcessResult) result = { 0 };

  if (path == NULL)
    return NULL;
  g_ptr_array_add (argv, path);
  for (; *arguments; arguments++)
    g_ptr_array_add (argv, (gpointer) *arguments);
  g_ptr_array_add (argv, NULL);
  if (!ramet_process_run (task, (const char *const *) argv->pdata, -1, g_get_monotonic_time () + PATIENCE_US, &result,
                          error))
    return NULL;
  if (result.status == 0)
    return g_steal_pointer (&result.output);
  ramet_error_set (error, RAMET_ERROR_FAILED, "'%s' failed with status %d%s", name, result.status,
                   geteuid () ? "; it takes root to list a firewall's rules" : "");
  return NULL;
}

/**
 * ramet_firewall_blocks_mdns:
 * @bridge: the guests' bridge
 * @ret_rule: (out) (nullable): the rule that drops multicast DNS there for certain, or %NULL
 * @error: the rules cannot be listed, for which it takes root
 *
 * Only looks. firewalld's and ufw's rules are among those of nftables or iptables.
 */
gboolean
ramet_firewall_blocks_mdns (RametTask *task, const char *bridge, char **ret_rule, GError **error)
{
  static const struct
  {
    const char *program;
    const char *arguments[4];
    Judge blocks;
  } firewalls[] = {
    { "iptables-save", { "-t", "filter" }, ramet_firewall_iptables_blocks },
    { "nft", { "--json", "list", "ruleset" }, ramet_firewall_nft_blocks },
  };
  gboolean listed = FALSE;

  *ret_rule = NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (firewalls); i++)
    {
      g_autoptr (GError) why = NULL;
      g_autofree char *listing = list (task, firewalls[i].program, firewalls[i].arguments, &why);

      if (why)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
      listed = listed || listing;
      if (listing && firewalls[i].blocks (listing, bridge, ret_rule))
        return TRUE;
    }
  if (!listed)
    ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "neither 'iptables-save' nor 'nft' is installed");
  return listed;
}
