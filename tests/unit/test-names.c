/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>

#include "core/error.h"
#include "model/names.h"

#define TEN "aaaaaaaaaa"
#define SIXTY_THREE TEN TEN TEN TEN TEN TEN "aaa"

typedef gboolean (*CheckFunc) (const char *name, GError **error);

typedef struct
{
  const char *title;
  CheckFunc check;
  const char *text;
  const char *message; /* what the error says, or NULL if the name is fine */
} Row;

static const Row rows[] = {
  { "vm/plain", ramet_name_check_vm, "web", NULL },
  { "vm/one letter", ramet_name_check_vm, "a", NULL },
  { "vm/digits only", ramet_name_check_vm, "1", NULL },
  { "vm/hyphens inside", ramet_name_check_vm, "a--b", NULL },
  { "vm/63 characters", ramet_name_check_vm, SIXTY_THREE, NULL },
  { "vm/64 characters", ramet_name_check_vm, SIXTY_THREE "a", "*too long: 64 characters" },
  { "vm/empty", ramet_name_check_vm, "", "the VM name is empty" },
  { "vm/upper case", ramet_name_check_vm, "Web", "the VM name 'Web' has upper-case letters" },
  { "vm/upper case and worse", ramet_name_check_vm, "We b", "the VM name 'We b' has a ' ' in it" },
  { "vm/starts with a hyphen", ramet_name_check_vm, "-rf", "*'-rf' starts with a hyphen" },
  { "vm/ends with a hyphen", ramet_name_check_vm, "web-", "*'web-' ends with a hyphen" },
  { "vm/a path", ramet_name_check_vm, "../x", "*has a '.' in it" },
  { "vm/a blank", ramet_name_check_vm, "a b", "*has a ' ' in it" },
  { "vm/a dot", ramet_name_check_vm, "a.b", "*has a '.' in it" },
  { "vm/an underscore", ramet_name_check_vm, "a_b", "*has a '_' in it" },
  { "vm/beyond ASCII", ramet_name_check_vm, "é", "*'é' has a 'é' in it" },
  { "vm/no UTF-8", ramet_name_check_vm, "a\xff", "*'a\\xff' has a '\\xff' in it" },
  { "vm/an escape sequence", ramet_name_check_vm, "a\033[1m", "*has a '\\x1b' in it" },
  { "vm/localhost", ramet_name_check_vm, "localhost", "*cannot be named 'localhost'*" },
  { "project/plain", ramet_name_check_project, "shop", NULL },
  { "project/localhost is no host here", ramet_name_check_project, "localhost", NULL },
  { "project/upper case", ramet_name_check_project, "Shop", "the project name 'Shop' has upper*" },
  { "base/plain", ramet_name_check_base, "debian-12", NULL },
  { "base/blanks and more", ramet_name_check_base, "My VM (old) é/2", NULL },
  { "base/empty", ramet_name_check_base, "", "*is empty" },
  { "base/like an option", ramet_name_check_base, "-x", "*starts with a hyphen" },
  { "base/like a path", ramet_name_check_base, "/etc", "*starts with a slash" },
  { "base/a line end", ramet_name_check_base, "a\nb", "*'a\\x0ab' has a control character in it" },
  { "base/a C1 control", ramet_name_check_base, "a\302\205", "*has a control character in it" },
  { "base/no UTF-8", ramet_name_check_base, "a\xff", "*is not valid UTF-8" },
  { "package/plain", ramet_name_check_package, "git", NULL },
  { "package/C++", ramet_name_check_package, "libstdc++-12-dev:amd64", NULL },
  { "package/a version", ramet_name_check_package, "git=1:2.39~rc1-1+b2", NULL },
  { "package/a release", ramet_name_check_package, "git/bookworm-backports", NULL },
  { "package/an atom", ramet_name_check_package, "foo@testing", NULL },
  { "package/empty", ramet_name_check_package, "", "*does not start with*" },
  { "package/like an option", ramet_name_check_package, "--reinstall", "*does not start with*" },
  { "package/a file", ramet_name_check_package, "/tmp/x.deb", "*does not start with*" },
  { "package/two at once", ramet_name_check_package, "git vim", "*has a ' ' in it" },
  { "package/shell", ramet_name_check_package, "git;id", "*has a ';' in it" },
  { "user/plain", ramet_name_check_user, "dev", NULL },
  { "user/all kinds", ramet_name_check_user, "Jo.Doe_1-x", NULL },
  { "user/a service", ramet_name_check_user, "_apt", NULL },
  { "user/32 characters", ramet_name_check_user, TEN TEN TEN "aa", NULL },
  { "user/33 characters", ramet_name_check_user, TEN TEN TEN "aaa", "*too long: 33 characters" },
  { "user/empty", ramet_name_check_user, "", "*is empty" },
  { "user/like an option", ramet_name_check_user, "-x", "*does not start with*" },
  { "user/a dot first", ramet_name_check_user, "..", "*does not start with*" },
  { "user/a number", ramet_name_check_user, "1000", "*is a number" },
  { "user/a colon", ramet_name_check_user, "a:b", "*has a ':' in it" },
  { "user/a slash", ramet_name_check_user, "a/b", "*has a '/' in it" },
};

static void
test_check (gconstpointer data)
{
  const Row *row = data;
  g_autoptr (GError) error = NULL;
  gboolean fine = row->check (row->text, &error);

  if (row->message == NULL)
    {
      g_assert_no_error (error);
      g_assert_true (fine);
      return;
    }
  g_assert_false (fine);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_USAGE);
  g_assert_nonnull (ramet_error_get_hint (error));
  g_assert_true (g_utf8_validate (error->message, -1, NULL));
  if (!g_pattern_match_simple (row->message, error->message))
    g_error ("the message is: %s", error->message);
}

static void
test_hint_of_upper_case (void)
{
  g_autoptr (GError) error = NULL;

  g_assert_false (ramet_name_check_vm ("MyShop", &error));
  g_assert_cmpstr (ramet_error_get_hint (error), ==, "write 'myshop'");
}

static const struct
{
  const char *name;
  gboolean renameable;
} renameable_rows[] = {
  { "web-1", TRUE }, { "a-b-22", TRUE }, { "web", FALSE },  { "web1", FALSE },
  { "web-a", FALSE }, { "web-1a", FALSE }, { "web-", FALSE }, { "1-x", FALSE },
};

static void
test_renameable (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);

  g_assert_cmpint (ramet_name_is_renameable (renameable_rows[i].name), ==, renameable_rows[i].renameable);
}

static const struct
{
  const char *title, *text, *mac;
} mac_rows[] = {
  { "plain", "52:54:00:12:34:56", "52:54:00:12:34:56" },
  { "upper case", "52:54:00:AB:CD:EF", "52:54:00:ab:cd:ef" },
  { "multicast", "01:00:5e:00:00:01", NULL },
  { "broadcast", "ff:ff:ff:ff:ff:ff", NULL },
  { "all zero", "00:00:00:00:00:00", NULL },
  { "short", "52:54:00:12:34", NULL },
  { "long", "52:54:00:12:34:56:78", NULL },
  { "no colons", "525400123456", NULL },
  { "single digits", "2:4:0:2:4:6", NULL },
  { "hyphens", "52-54-00-12-34-56", NULL },
  { "no digit", "52:54:00:12:34:5g", NULL },
  { "a blank", "52:54:00:12:34: 6", NULL },
  { "empty", "", NULL },
};

static void
test_mac (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  g_autofree char *mac = NULL;

  g_assert_cmpint (ramet_name_parse_mac (mac_rows[i].text, &mac, &error), ==, mac_rows[i].mac != NULL);
  g_assert_cmpstr (mac, ==, mac_rows[i].mac);
  if (mac_rows[i].mac == NULL)
    g_assert_error (error, RAMET_ERROR, RAMET_ERROR_USAGE);
}

static void
test_mac_from_bytes (void)
{
  g_autofree char *mac = ramet_name_mac_from_bytes ((const guint8[]) { 0x01, 0xab, 0xff });

  g_assert_cmpstr (mac, ==, "52:54:00:01:ab:ff");
}

#define KIB G_GUINT64_CONSTANT (1024)
#define MIB (KIB * KIB)
#define GIB (MIB * KIB)
#define EIB (GIB * GIB)

static const struct
{
  const char *title, *text;
  guint64 bytes; /* 0 if it is none */
} size_rows[] = {
  { "G", "2G", 2 * GIB },
  { "GiB", "2GiB", 2 * GIB },
  { "GB", "2GB", 2000000000 },
  { "lower case", "512m", 512 * MIB },
  { "no unit", "20480", 20480 * MIB },
  { "bytes", "4096B", 4096 },
  { "K", "8k", 8 * KIB },
  { "T", "1TiB", 1024 * GIB },
  { "decimals", "1.5G", GIB + GIB / 2 },
  { "decimals, no unit", "1.25", MIB + MIB / 4 },
  { "many decimals", "0.123456789G", GIB / 1000000 * 123456 + GIB % 1000000 * 123456 / 1000000 },
  { "the biggest", "15.999999E", 15 * EIB + EIB / 1000000 * 999999 + EIB % 1000000 * 999999 / 1000000 },
  { "overflow by the unit", "16E", 0 },
  { "overflow by the digits", "99999999999999999999", 0 },
  { "overflow of the sum", "17592186044415.999999M99", 0 },
  { "zero", "0", 0 },
  { "zero with a unit", "0G", 0 },
  { "less than a byte", "0.1B", 0 },
  { "negative", "-1G", 0 },
  { "plus", "+1G", 0 },
  { "empty", "", 0 },
  { "unit only", "G", 0 },
  { "junk", "2X", 0 },
  { "junk behind", "2GiBs", 0 },
  { "half a unit", "2Gi", 0 },
  { "two points", "1.5.5G", 0 },
  { "nothing behind the point", "1.G", 0 },
  { "nothing before the point", ".5G", 0 },
  { "a blank", "2 G", 0 },
  { "exponent", "1e3", 0 },
  { "hexadecimal", "0x10", 0 },
};

static void
test_size (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  guint64 bytes = 42;

  if (size_rows[i].bytes == 0)
    {
      g_assert_false (ramet_name_parse_size (size_rows[i].text, MIB, &bytes, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_USAGE);
      g_assert_cmpuint (bytes, ==, 42);
      return;
    }
  g_assert_true (ramet_name_parse_size (size_rows[i].text, MIB, &bytes, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (bytes, ==, size_rows[i].bytes);
}

static void
add_row (const char *group, const char *title, gconstpointer data, GTestDataFunc func)
{
  g_autofree char *path = g_strdup_printf ("/names/%s/%s", group, title);

  g_test_add_data_func (path, data, func);
}

static const struct
{
  const char *text, *vm, *snapshot;
} point_rows[] = {
  { "web@before", "web", "before" },
  { "a@b@c", "a@b", "c" },
  { "web", NULL, NULL },
  { "web@", NULL, NULL },
  { "@shop", NULL, NULL },
  { "@", NULL, NULL },
};

static void
test_point (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *vm = NULL;
  g_autofree char *snapshot = NULL;

  g_assert_cmpint (ramet_name_split_point (point_rows[i].text, &vm, &snapshot), ==, point_rows[i].vm != NULL);
  g_assert_cmpstr (vm, ==, point_rows[i].vm);
  g_assert_cmpstr (snapshot, ==, point_rows[i].snapshot);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (rows); i++)
    add_row ("check", rows[i].title, &rows[i], test_check);
  for (gsize i = 0; i < G_N_ELEMENTS (renameable_rows); i++)
    add_row ("renameable", renameable_rows[i].name, GSIZE_TO_POINTER (i), test_renameable);
  for (gsize i = 0; i < G_N_ELEMENTS (mac_rows); i++)
    add_row ("mac", mac_rows[i].title, GSIZE_TO_POINTER (i), test_mac);
  for (gsize i = 0; i < G_N_ELEMENTS (size_rows); i++)
    add_row ("size", size_rows[i].title, GSIZE_TO_POINTER (i), test_size);
  for (gsize i = 0; i < G_N_ELEMENTS (point_rows); i++)
    add_row ("point", point_rows[i].text, GSIZE_TO_POINTER (i), test_point);
  g_test_add_func ("/names/hint-of-upper-case", test_hint_of_upper_case);
  g_test_add_func ("/names/mac-from-bytes", test_mac_from_bytes);
  return g_test_run ();
}
