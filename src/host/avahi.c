/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/avahi.h"

#include <errno.h>
#include <gio/gio.h>
#include <sys/stat.h>

#include "core/error.h"

#define PATIENCE_MS 2000

/**
 * ramet_avahi_find_daemon:
 * @ret_pid: (out): of avahi-daemon
 * @error: RAMET_ERROR_NOT_FOUND if it does not run, or there is no system bus that would know
 */
gboolean
ramet_avahi_find_daemon (gint *ret_pid, GError **error)
{
  g_autoptr (GError) why = NULL;
  g_autoptr (GDBusConnection) bus = g_bus_get_sync (G_BUS_TYPE_SYSTEM, NULL, &why);
  g_autoptr (GVariant) answer = NULL;
  guint32 pid = 0;

  if (bus)
    {
      /* otherwise libdbus's habit: a bus that ends would end us too */
      g_dbus_connection_set_exit_on_close (bus, FALSE);
      answer = g_dbus_connection_call_sync (bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
                                            "org.freedesktop.DBus", "GetConnectionUnixProcessID",
                                            g_variant_new ("(s)", "org.freedesktop.Avahi"), G_VARIANT_TYPE ("(u)"),
                                            G_DBUS_CALL_FLAGS_NONE, PATIENCE_MS, NULL, &why);
    }
  if (answer == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, bus ? "avahi-daemon is not running"
                                                        : "there is no D-Bus system bus, which avahi-daemon needs");
      return FALSE;
    }
  g_variant_get (answer, "(u)", &pid);
  *ret_pid = (gint) pid;
  return TRUE;
}

/** ramet_avahi_shares_our_network: whether it sees the interfaces that we see; only root may look at another's */
gboolean
ramet_avahi_shares_our_network (gint pid, gboolean *ret_shares, GError **error)
{
  g_autofree char *path = g_strdup_printf ("/proc/%d/ns/net", pid);
  struct stat theirs;
  struct stat ours;

  if (stat (path, &theirs) < 0 || stat ("/proc/self/ns/net", &ours) < 0)
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot look at the network of avahi-daemon: %s", g_strerror (errno));
      return FALSE;
    }
  *ret_shares = theirs.st_ino == ours.st_ino && theirs.st_dev == ours.st_dev;
  return TRUE;
}
