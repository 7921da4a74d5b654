/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/connection.h"

#include <libvirt-glib/libvirt-glib.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "host/libvirt/connection-private.h"
#include "host/libvirt/silence.h"
#include "model/xml.h"

struct _RametConnection
{
  gatomicrefcount references;
  virConnectPtr conn;
  char *uri;
};

/* Every error is taken up at the call that made it; libvirt's own printing would double it. */
static void
swallow_error (void *data, virErrorPtr error)
{
}

/* libvirt's codes differ from driver to driver: only those that mean the same everywhere are told apart. */
static RametErrorCode
code_of (const virError *why)
{
  switch (why->code)
    {
    case VIR_ERR_NO_DOMAIN:
    case VIR_ERR_NO_STORAGE_POOL:
    case VIR_ERR_NO_STORAGE_VOL:
    case VIR_ERR_NO_NETWORK:
      return RAMET_ERROR_NOT_FOUND;
    case VIR_ERR_AUTH_FAILED:
    case VIR_ERR_AUTH_CANCELLED:
    case VIR_ERR_AUTH_UNAVAILABLE:
    case VIR_ERR_OPERATION_DENIED:
    case VIR_ERR_ACCESS_DENIED:
    case VIR_ERR_NO_SUPPORT:
      return RAMET_ERROR_REFUSED;
    case VIR_ERR_OPERATION_TIMEOUT:
      return RAMET_ERROR_TIMEOUT;
    default:
      return RAMET_ERROR_FAILED;
    }
}

/* What QEMU printed before it ended is in the message, a line each: warnings, and last what was the matter. */
static const char *
skip_warnings (const char *message)
{
  const char *last = strrchr (message, '\n');
  const char *said = last ? strstr (last, "qemu-system-") : NULL;

  return said ? said : message;
}

/**
 * ramet_libvirt_error:
 * @format: what failed, on which thing; libvirt's reason is put behind it
 *
 * To be called at once after a libvirt function has failed, in its thread.
 */
void
ramet_libvirt_error (GError **error, const char *format, ...)
{
  const virError *why = virGetLastError ();
  g_autofree char *what = NULL;
  g_autofree char *reason = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  reason = ramet_text_escape (why && why->message ? skip_warnings (why->message)
                                                  : "libvirt gave no reason; was its connection lost?", -1);
  ramet_error_set (error, why ? code_of (why) : RAMET_ERROR_FAILED, "%s: %s", what, reason);
}

static void
hint_for_connecting (GError **error)
{
  const virError *why = virGetLastError ();
  const char *message = why && why->message ? why->message : "";

  if (strstr (message, "Permission denied") || strstr (message, "authentication"))
    {
      (*error)->code = RAMET_ERROR_REFUSED;
      ramet_error_hint (error, "join the group libvirt: 'sudo adduser %s libvirt', then log in anew", g_get_user_name ());
    }
  else if (strstr (message, "No such file") || strstr (message, "Connection refused"))
    ramet_error_hint (error, "start libvirtd: 'sudo systemctl start libvirtd' (package libvirt-daemon-system)");
  else
    ramet_error_hint (error, "see what 'virsh -c URI list' says, or give another URI by -c");
}

/* (transfer none): what @uri, which may be %NULL, stands for */
static const char *
resolve_uri (const char *uri)
{
  if (uri == NULL)
    uri = g_getenv ("LIBVIRT_DEFAULT_URI");
  return uri && *uri ? uri : "qemu:///system";
}

static RametConnection *
connect_to (const char *uri, gboolean to_look, GError **error)
{
  static gsize once = 0;
  RametConnection *connection;
  virConnectPtr conn;

  if (g_once_init_enter (&once))
    {
      virSetErrorFunc (NULL, swallow_error);
      gvir_event_register ();
      g_once_init_leave (&once, 1);
    }
  ramet_silence_watch (uri);
  conn = to_look ? virConnectOpenReadOnly (uri) : virConnectOpen (uri);
  if (conn == NULL)
    {
      GError *why = NULL;

      ramet_libvirt_error (&why, "cannot reach libvirt at '%s'", uri);
      hint_for_connecting (&why);
      g_propagate_error (error, why);
      return NULL;
    }
  connection = g_new0 (RametConnection, 1);
  g_atomic_ref_count_init (&connection->references);
  connection->conn = conn;
  connection->uri = g_strdup (uri);
  return connection;
}

/**
 * ramet_connection_open:
 * @uri: (nullable): else LIBVIRT_DEFAULT_URI, else qemu:///system
 *
 * libvirt's events are dispatched by the default main context from now on.
 *
 * Returns: (transfer full)
 */
RametConnection *
ramet_connection_open (const char *uri, GError **error)
{
  return connect_to (resolve_uri (uri), FALSE, error);
}

/**
 * ramet_connection_open_to_look:
 * @uri: (nullable): as of ramet_connection_open()
 * @error: RAMET_ERROR_REFUSED if somebody could be asked for a password
 *
 * For what nobody has asked for by a command. Nothing can be changed by it.
 *
 * Returns: (transfer full)
 */
RametConnection *
ramet_connection_open_to_look (const char *uri, GError **error)
{
  const char *resolved = resolve_uri (uri);
  const char *authority = strstr (resolved, "://");
  const char *transport = strchr (resolved, '+');

  if (authority == NULL || authority[3] != '/' ||
      (transport && transport < authority && !g_str_has_prefix (transport, "+unix:")))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "'%s' may want a password", resolved);
      return NULL;
    }
  return connect_to (resolved, TRUE, error);
}

RametConnection *
ramet_connection_ref (RametConnection *connection)
{
  g_atomic_ref_count_inc (&connection->references);
  return connection;
}

void
ramet_connection_unref (RametConnection *connection)
{
  if (!g_atomic_ref_count_dec (&connection->references))
    return;
  virConnectClose (connection->conn);
  g_free (connection->uri);
  g_free (connection);
}

/** ramet_connection_get: (transfer none) */
virConnectPtr
ramet_connection_get (RametConnection *connection)
{
  return connection->conn;
}

/** ramet_connection_get_uri: (transfer none) */
const char *
ramet_connection_get_uri (RametConnection *connection)
{
  return connection->uri;
}

/**
 * ramet_connection_revive:
 * @patience_s: how long to try, in seconds
 *
 * Connects again if the connection was lost: libvirtd was restarted, say. Domains that were looked up before follow by
 * ramet_domain_reattach().
 */
gboolean
ramet_connection_revive (RametConnection *connection, guint patience_s, GError **error)
{
  if (virConnectIsAlive (connection->conn) == 1)
    return TRUE;
  for (guint i = 0; i <= patience_s * 2; i++)
    {
      virConnectPtr conn = virConnectOpen (connection->uri);

      if (conn)
        {
          virConnectClose (connection->conn);
          connection->conn = conn;
          return TRUE;
        }
      g_usleep (G_USEC_PER_SEC / 2);
    }
  ramet_libvirt_error (error, "the connection to libvirt at '%s' is lost", connection->uri);
  return FALSE;
}

/** ramet_connection_is_system: to the system's libvirtd of QEMU, whose VMs own what lies in its folders; no user's, no other driver */
gboolean
ramet_connection_is_system (RametConnection *connection)
{
  g_autoptr (GUri) uri = g_uri_parse (connection->uri, G_URI_FLAGS_NONE, NULL);

  return uri && g_str_has_prefix (g_uri_get_scheme (uri), "qemu") && g_strcmp0 (g_uri_get_path (uri), "/system") == 0;
}

/** ramet_connection_is_local: whether paths in its XML are paths of this machine: the URI names no host */
gboolean
ramet_connection_is_local (RametConnection *connection)
{
  const char *authority = strstr (connection->uri, "://");

  return authority && authority[3] == '/' && !strchr (connection->uri, '+');
}

/* "+64055:+64055" */
static gboolean
parse_dac_label (const char *label, uid_t *ret_uid, gid_t *ret_gid)
{
  unsigned uid, gid;

  if (label == NULL || sscanf (label, "+%u:+%u", &uid, &gid) != 2)
    return FALSE;
  *ret_uid = uid;
  *ret_gid = gid;
  return TRUE;
}

/**
 * ramet_connection_get_qemu_user:
 * @ret_uid: (out): the user that QEMU runs as, from the "dac" security model in libvirt's capabilities
 *
 * With qemu:///session that is the user of the session.
 */
gboolean
ramet_connection_get_qemu_user (RametConnection *connection, uid_t *ret_uid, gid_t *ret_gid, GError **error)
{
  g_autofree char *xml = virConnectGetCapabilities (connection->conn);
  g_autoptr (xmlDoc) doc = NULL;
  xmlNode *host;

  if (xml == NULL)
    {
      ramet_libvirt_error (error, "cannot ask libvirt for its capabilities");
      return FALSE;
    }
  doc = ramet_xml_parse (xml, "capabilities", error);
  if (doc == NULL)
    return FALSE;
  host = ramet_xml_first (xmlDocGetRootElement (doc), "host");
  for (xmlNode *model = ramet_xml_first (host, "secmodel"); model; model = ramet_xml_next (model, "secmodel"))
    {
      g_autofree char *name = ramet_xml_text (ramet_xml_first (model, "model"));
      g_autofree char *label = ramet_xml_text (ramet_xml_first (model, "baselabel"));

      if (g_strcmp0 (name, "dac") == 0 && parse_dac_label (label, ret_uid, ret_gid))
        return TRUE;
    }
  *ret_uid = getuid ();
  *ret_gid = getgid ();
  return TRUE;
}

/* libvirt's way to put a version into one number */
static char *
version_text (unsigned long version)
{
  return g_strdup_printf ("%lu.%lu.%lu", version / 1000000, version / 1000 % 1000, version % 1000);
}

/** ramet_connection_get_versions: (out) (transfer full): "7.2.0" each: QEMU's as libvirtd starts it, and libvirtd's own */
gboolean
ramet_connection_get_versions (RametConnection *connection, char **ret_qemu, char **ret_libvirt, GError **error)
{
  unsigned long qemu;
  unsigned long libvirt;

  if (virConnectGetVersion (connection->conn, &qemu) < 0 || virConnectGetLibVersion (connection->conn, &libvirt) < 0)
    {
      ramet_libvirt_error (error, "cannot ask libvirt for its version and QEMU's");
      return FALSE;
    }
  *ret_qemu = version_text (qemu);
  *ret_libvirt = version_text (libvirt);
  return TRUE;
}

/** ramet_connection_get_capabilities: (transfer full): libvirt's XML of what its host is and can do */
char *
ramet_connection_get_capabilities (RametConnection *connection, GError **error)
{
  char *xml = virConnectGetCapabilities (connection->conn);

  if (xml == NULL)
    ramet_libvirt_error (error, "cannot ask libvirt what its host can do");
  return xml;
}

/** ramet_connection_has_security: whether libvirt confines QEMU by the security model @model: "apparmor" */
gboolean
ramet_connection_has_security (RametConnection *connection, const char *model)
{
  g_autofree char *xml = virConnectGetCapabilities (connection->conn);
  g_autoptr (xmlDoc) doc = xml ? ramet_xml_parse (xml, "capabilities", NULL) : NULL;
  xmlNode *host = doc ? ramet_xml_first (xmlDocGetRootElement (doc), "host") : NULL;

  for (xmlNode *node = host ? ramet_xml_first (host, "secmodel") : NULL; node; node = ramet_xml_next (node, "secmodel"))
    {
      g_autofree char *name = ramet_xml_text (ramet_xml_first (node, "model"));

      if (g_strcmp0 (name, model) == 0)
        return TRUE;
    }
  return FALSE;
}

/** ramet_connection_has_network: @ret_active is written if there is such a network */
gboolean
ramet_connection_has_network (RametConnection *connection, const char *name, gboolean *ret_active)
{
  g_autoptr (virNetwork) network = virNetworkLookupByName (connection->conn, name);

  if (network == NULL)
    return FALSE;
  *ret_active = virNetworkIsActive (network) == 1;
  return TRUE;
}
