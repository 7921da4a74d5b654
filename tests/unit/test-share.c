/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/share.h"

#define OK (-1)

static const struct
{
  const char *title, *spec, *source, *target;
  int code;
} parse_rows[] = {
  { "absolute", "/srv/a", "/srv/a", "/srv/a", OK },
  { "relative", "src", "/home/u/src", "/home/u/src", OK },
  { "this folder", ".", "/home/u", "/home/u", OK },
  { "dots", "./a/../b", "/home/u/b", "/home/u/b", OK },
  { "trailing slash", "/srv/a/", "/srv/a", "/srv/a", OK },
  { "many slashes", "//srv///a//", "/srv/a", "/srv/a", OK },
  { "a target", "src:/opt/src", "/home/u/src", "/opt/src", OK },
  { "a target with dots", "src:/opt/./x/../src/", "/home/u/src", "/opt/src", OK },
  { "a colon in the folder", "a\\:b:/opt/x", "/home/u/a:b", "/opt/x", OK },
  { "a colon in both", "a\\:b", "/home/u/a:b", "/home/u/a:b", OK },
  { "a colon in the target", "a:/opt/x:y", "/home/u/a", "/opt/x:y", OK },
  { "a backslash at the end", "a\\\\:/opt/x", "/home/u/a\\", "/opt/x", OK },
  { "a backslash inside", "a\\b", "/home/u/a\\b", "/home/u/a\\b", OK },
  { "comma, quotes, blank", "/srv/a,b 'c' \"d\"", "/srv/a,b 'c' \"d\"", "/srv/a,b 'c' \"d\"", OK },
  { "beyond ASCII", "/srv/é", "/srv/é", "/srv/é", OK },
  { "below the guest's tmp", "a:/tmp/x", "/home/u/a", "/tmp/x", OK },
  { "sources of the system", "/usr/src/linux", "/usr/src/linux", "/usr/src/linux", OK },
  { "empty", "", NULL, NULL, RAMET_ERROR_USAGE },
  { "no folder", ":/opt/x", NULL, NULL, RAMET_ERROR_USAGE },
  { "empty target", "a:", NULL, NULL, RAMET_ERROR_USAGE },
  { "relative target", "a:opt", NULL, NULL, RAMET_ERROR_USAGE },
  { "line end", "/srv/a\nb", NULL, NULL, RAMET_ERROR_USAGE },
  { "tab in the target", "/srv/a:/opt/a\tb", NULL, NULL, RAMET_ERROR_USAGE },
  { "no UTF-8", "/srv/\xff", NULL, NULL, RAMET_ERROR_USAGE },
  { "over the root", "a:/", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over the root by dots", "a:/x/..", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /etc", "a:/etc", NULL, NULL, RAMET_ERROR_REFUSED },
  { "below /etc", "a:/etc/ssh", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /usr", "a:/usr/", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /usr/bin", "a:/usr/bin", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /lib64", "a:/lib64", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /tmp", "a:/tmp", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /var", "a:/var", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over /root", "a:/root", NULL, NULL, RAMET_ERROR_REFUSED },
  { "below /proc", "a:/proc/x", NULL, NULL, RAMET_ERROR_REFUSED },
  { "below /run", "a:/run/x", NULL, NULL, RAMET_ERROR_REFUSED },
  { "over ramet's own", "a:/var/lib/ramet/shares", NULL, NULL, RAMET_ERROR_REFUSED },
  { "by default it is for the source's check to refuse", "/etc", "/etc", "/etc", OK },
};

static void
test_parse (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  g_autofree char *source = NULL;
  g_autofree char *target = NULL;
  gboolean fine = ramet_share_parse (parse_rows[i].spec, "/home/u", &source, &target, &error);

  if (parse_rows[i].code == OK)
    g_assert_no_error (error);
  else
    {
      g_assert_error (error, RAMET_ERROR, parse_rows[i].code);
      g_assert_nonnull (ramet_error_get_hint (error));
    }
  g_assert_cmpint (fine, ==, parse_rows[i].code == OK);
  g_assert_cmpstr (source, ==, parse_rows[i].source);
  g_assert_cmpstr (target, ==, parse_rows[i].target);
}

static const struct
{
  const char *title, *path, *home;
  int code;
} source_rows[] = {
  { "a project", "/home/u/src", "/home/u", OK },
  { "elsewhere", "/srv/src", "/home/u", OK },
  { "below /tmp", "/tmp/x", "/home/u", OK },
  { "below /var/lib", "/var/lib/jenkins/x", "/home/u", OK },
  { "another's project", "/home/other/src", "/home/u", OK },
  { "looks like the home", "/home/user", "/home/u", OK },
  { "looks like .ssh", "/home/u/.sshfs", "/home/u", OK },
  { "looks like /etc", "/etcetera", "/home/u", OK },
  { "an editor's settings", "/home/u/.config/nvim", "/home/u", OK },
  { "comma, quotes, blank", "/srv/a,b 'c' \"d\"", "/home/u", OK },
  { "beyond ASCII", "/srv/é", "/home/u", OK },
  { "root's project", "/root/src", "/root", OK },
  { "a service's project", "/run/user/x/src", "/run/user/x", OK },
  { "no home known", "/srv/a", NULL, OK },
  { "a home at the root", "/srv/a", "/", OK },
  { "the root", "/", "/home/u", RAMET_ERROR_REFUSED },
  { "the root, no home known", "/", NULL, RAMET_ERROR_REFUSED },
  { "the home", "/home/u", "/home/u", RAMET_ERROR_REFUSED },
  { "root's home", "/root", "/root", RAMET_ERROR_REFUSED },
  { "above the home", "/data", "/data/homes/u", RAMET_ERROR_REFUSED },
  { "all homes", "/home", "/root", RAMET_ERROR_REFUSED },
  { "root's, for another", "/root/src", "/home/u", RAMET_ERROR_REFUSED },
  { "ssh keys", "/home/u/.ssh", "/home/u", RAMET_ERROR_REFUSED },
  { "below ssh keys", "/home/u/.ssh/x", "/home/u", RAMET_ERROR_REFUSED },
  { "root's ssh keys", "/root/.ssh", "/root", RAMET_ERROR_REFUSED },
  { "gnupg", "/home/u/.gnupg", "/home/u", RAMET_ERROR_REFUSED },
  { "aws", "/home/u/.aws", "/home/u", RAMET_ERROR_REFUSED },
  { "kube", "/home/u/.kube/cache", "/home/u", RAMET_ERROR_REFUSED },
  { "all settings", "/home/u/.config", "/home/u", RAMET_ERROR_REFUSED },
  { "etc", "/etc", "/home/u", RAMET_ERROR_REFUSED },
  { "below etc", "/etc/ssh", "/home/u", RAMET_ERROR_REFUSED },
  { "usr", "/usr", "/home/u", RAMET_ERROR_REFUSED },
  { "proc", "/proc/1", "/home/u", RAMET_ERROR_REFUSED },
  { "run", "/run/user/1000", "/home/u", RAMET_ERROR_REFUSED },
  { "libvirt", "/var/lib/libvirt/images", "/home/u", RAMET_ERROR_REFUSED },
  { "tmp itself", "/tmp", "/home/u", RAMET_ERROR_REFUSED },
  { "line end", "/srv/a\nb", "/home/u", RAMET_ERROR_USAGE },
  { "escape", "/srv/a\033b", "/home/u", RAMET_ERROR_USAGE },
  { "no UTF-8", "/srv/\xff", "/home/u", RAMET_ERROR_USAGE },
};

static void
test_source (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  gboolean fine = ramet_share_check_source (source_rows[i].path, source_rows[i].home, &error);

  if (source_rows[i].code == OK)
    g_assert_no_error (error);
  else
    {
      g_assert_error (error, RAMET_ERROR, source_rows[i].code);
      g_assert_nonnull (ramet_error_get_hint (error));
    }
  g_assert_cmpint (fine, ==, source_rows[i].code == OK);
}

static void
test_new (void)
{
  g_autoptr (RametShare) share = ramet_share_new ("/a", "/b", "ramet12");

  g_assert_cmpstr (share->source, ==, "/a");
  g_assert_cmpstr (share->target, ==, "/b");
  g_assert_cmpstr (share->tag, ==, "ramet12");
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (parse_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/share/parse/%s", parse_rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_parse);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (source_rows); i++)
    {
      g_autofree char *path = g_strdup_printf ("/share/source/%s", source_rows[i].title);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_source);
    }
  g_test_add_func ("/share/new", test_new);
  return g_test_run ();
}
