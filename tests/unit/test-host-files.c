/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "model/host-files.h"

typedef gboolean (*Says) (const char *text);

static gboolean
serves (const char *conf)
{
  g_autofree char *why_not = NULL;
  gboolean does = ramet_avahi_conf_serves (conf, "virbr0", &why_not);

  g_assert_cmpint (does, ==, why_not == NULL);
  return does;
}

static gboolean
has_kernel (const char *answer)
{
  g_autofree char *kernel = ramet_osinfo_get_kernel (answer);

  return g_strcmp0 (kernel, "6.10.3-amd64") == 0;
}

static const struct
{
  const char *name;
  Says says;
  const char *text;
  gboolean yes;
} cases[] = {
  { "nsswitch/Debian's own", ramet_nsswitch_knows_mdns, "passwd: files\nhosts:\tfiles mdns4_minimal [NOTFOUND=return] dns\n", TRUE },
  { "nsswitch/both protocols", ramet_nsswitch_knows_mdns, "hosts: files mdns dns", TRUE },
  { "nsswitch/resolved", ramet_nsswitch_knows_mdns, "hosts: files resolve [!UNAVAIL=return] dns\n", TRUE },
  { "nsswitch/without", ramet_nsswitch_knows_mdns, "hosts: files dns\n", FALSE },
  { "nsswitch/in a comment", ramet_nsswitch_knows_mdns, "# hosts: mdns\nhosts: files dns # mdns4\n", FALSE },
  { "nsswitch/of networks", ramet_nsswitch_knows_mdns, "hosts: files\nnetworks: mdns4\n", FALSE },
  { "nsswitch/empty", ramet_nsswitch_knows_mdns, "", FALSE },
  { "avahi/nothing said", serves, "[server]\n#allow-interfaces=eth0\n", TRUE },
  { "avahi/empty", serves, "", TRUE },
  { "avahi/junk", serves, "not a key file", TRUE },
  { "avahi/only another", serves, "[server]\nallow-interfaces=eth0\n", FALSE },
  { "avahi/ours too", serves, "[server]\nallow-interfaces=eth0, virbr0\n", TRUE },
  { "avahi/a longer name", serves, "[server]\nallow-interfaces=virbr01\n", FALSE },
  { "avahi/denied", serves, "[server]\ndeny-interfaces=virbr0\n", FALSE },
  { "avahi/another denied", serves, "[server]\ndeny-interfaces=eth0\n", TRUE },
  { "avahi/no IPv4", serves, "[server]\nuse-ipv4=no\n", FALSE },
  { "osinfo/as it should be", has_kernel, "{\"return\":{\"kernel-release\":\"6.10.3-amd64\",\"id\":\"debian\"}}", TRUE },
  { "osinfo/none", has_kernel, "{\"return\":{}}", FALSE },
  { "osinfo/an error", has_kernel, "{\"error\":{\"class\":\"GenericError\"}}", FALSE },
  { "osinfo/no text", has_kernel, "{\"return\":{\"kernel-release\":[6]}}", FALSE },
  { "osinfo/a number", has_kernel, "{\"return\":{\"kernel-release\":6}}", FALSE },
  { "osinfo/no object", has_kernel, "[1]", FALSE },
  { "osinfo/junk", has_kernel, "junk", FALSE },
  { "osinfo/nothing", has_kernel, "", FALSE },
  { "9p/6.1", ramet_kernel_breaks_9p, "6.1.0-13-amd64", FALSE },
  { "9p/6.8", ramet_kernel_breaks_9p, "6.8.0-45-generic", FALSE },
  { "9p/6.9", ramet_kernel_breaks_9p, "6.9.7-amd64", TRUE },
  { "9p/6.10", ramet_kernel_breaks_9p, "6.10.3-amd64", TRUE },
  { "9p/6.11", ramet_kernel_breaks_9p, "6.11", TRUE },
  { "9p/6.12", ramet_kernel_breaks_9p, "6.12.1", FALSE },
  { "9p/5.10", ramet_kernel_breaks_9p, "5.10.0-28-amd64", FALSE },
  { "9p/junk", ramet_kernel_breaks_9p, "six.ten", FALSE },
};

static void
test_case (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);

  g_assert_cmpint (cases[i].says (cases[i].text), ==, cases[i].yes);
}

#define UUID "11111111-2222-3333-4444-555555555555"
#define DENIED(profile, name) "[ 12.3] audit: type=1400 audit(1.2:3): apparmor=\"DENIED\" operation=\"open\" profile=\"" profile \
                              "\" name=\"" name "\" pid=7 comm=\"qemu-system-x86\" requested_mask=\"r\"\n"

static void
test_denials (void)
{
  g_autoptr (GPtrArray) paths = ramet_apparmor_list_denials (
    "[ 1.0] booting\n" DENIED ("libvirt-" UUID, "/home/ada/shop/a") DENIED ("libvirt-0" UUID, "/other")
    DENIED ("/usr/sbin/ntpd", "/etc/x") DENIED ("libvirt-" UUID, "/proc/1") "apparmor=\"ALLOWED\" profile=\"libvirt-" UUID
    "\" name=\"/fine\"\napparmor=\"DENIED\" profile=\"libvirt-" UUID "\" name=\"/cut", UUID);

  g_assert_cmpuint (paths->len, ==, 3);
  g_assert_cmpstr (paths->pdata[0], ==, "/home/ada/shop/a");
  g_assert_cmpstr (paths->pdata[1], ==, "/proc/1");
  g_assert_cmpstr (paths->pdata[2], ==, "/cut");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/host-files/apparmor/denials", test_denials);
  for (gsize i = 0; i < G_N_ELEMENTS (cases); i++)
    {
      g_autofree char *path = g_strconcat ("/host-files/", cases[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_case);
    }
  return g_test_run ();
}
