/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/names.h"

/* Each rule a second time, as a regular expression. */
#define LABEL "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$" /* RFC 1123, section 2.1 */
#define PACKAGE "^[A-Za-z0-9][A-Za-z0-9+._:~=@/-]{0,254}$"
#define USER "^[A-Za-z0-9_][A-Za-z0-9._-]{0,31}$"
#define NUMBER "^[0-9]+$"
#define NUMBERED "^.+-[0-9]+$"
#define MAC "^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$"
#define ZERO_MAC "^00(:00){5}$"
#define GROUP_MAC "^.[13579BDFbdf]"

#define MAX_COLUMNS 300 /* of a message: a name stands in it, cut where it is long */

typedef gboolean (*Check) (const char *name, GError **error);

/* The hint of an upper-case name proposes another: that one must do. */
static void
check_proposal (Check check, const GError *error)
{
  const char *hint = ramet_error_get_hint (error);
  g_autofree char *proposal = NULL;

  if (!g_str_has_prefix (hint, "write '"))
    return;
  proposal = g_strndup (hint + strlen ("write '"), strlen (hint) - strlen ("write ''"));
  g_assert_true (check (proposal, NULL));
}

static void
check_name (const char *name, Check check, gboolean expected)
{
  g_autoptr (GError) error = NULL;
  gboolean good = check (name, &error);

  g_assert_cmpint (good, ==, expected);
  g_assert_cmpint (check (name, NULL), ==, expected);
  if (good)
    g_assert_no_error (error);
  else
    {
      fuzz_check_refusal (error, MAX_COLUMNS);
      check_proposal (check, error);
    }
}

static gboolean
is_base (const char *name)
{
  if (*name == '\0' || strchr ("-/", *name) || strlen (name) > 255 || !g_utf8_validate (name, -1, NULL))
    return FALSE;
  for (const guint8 *p = (const guint8 *) name; *p; p++)
    if (*p < 0x20 || *p == 0x7f || (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
      return FALSE;
  return TRUE;
}

static void
check_mac (const char *text)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *mac = NULL;
  gboolean expected = fuzz_matches (text, MAC) && !fuzz_matches (text, ZERO_MAC) && !fuzz_matches (text, GROUP_MAC);

  g_assert_cmpint (ramet_name_parse_mac (text, &mac, &error), ==, expected);
  if (!expected)
    {
      g_assert_null (mac);
      fuzz_check_refusal (error, MAX_COLUMNS);
      return;
    }
  g_assert_cmpint (g_ascii_strcasecmp (mac, text), ==, 0);
  g_assert_cmpuint (strcspn (mac, G_CSET_A_2_Z), ==, 17);
}

static void
check_mac_from_bytes (const guint8 *data, size_t size)
{
  guint8 bytes[3] = { 0 };
  g_autofree char *made = NULL;
  g_autofree char *parsed = NULL;

  memcpy (bytes, data, MIN (size, sizeof bytes));
  made = ramet_name_mac_from_bytes (bytes);
  g_assert_true (g_str_has_prefix (made, "52:54:00:"));
  g_assert_true (ramet_name_parse_mac (made, &parsed, NULL));
  g_assert_cmpstr (parsed, ==, made);
}

/* The units one by one, and 0 for what is none. */
static unsigned __int128
unit_of (const char *text, guint64 unit_default)
{
  static const struct
  {
    const char *name;
    guint64 power_1024, power_1000;
  } units[] = { { "k", 1ULL << 10, 1000ULL },          { "m", 1ULL << 20, 1000000ULL },
                { "g", 1ULL << 30, 1000000000ULL },    { "t", 1ULL << 40, 1000000000000ULL },
                { "p", 1ULL << 50, 1000000000000000ULL }, { "e", 1ULL << 60, 1000000000000000000ULL } };

  if (*text == '\0')
    return unit_default;
  if (g_ascii_strcasecmp (text, "b") == 0)
    return 1;
  for (gsize i = 0; i < G_N_ELEMENTS (units); i++)
    {
      if (g_ascii_strncasecmp (text, units[i].name, 1) != 0)
        continue;
      if (text[1] == '\0' || g_ascii_strcasecmp (text + 1, "ib") == 0)
        return units[i].power_1024;
      if (g_ascii_strcasecmp (text + 1, "b") == 0)
        return units[i].power_1000;
    }
  return 0;
}

/* The size in numbers twice as wide, 0 for what is none or none that fits. */
static guint64
model_size (const char *text, guint64 unit_default)
{
  unsigned __int128 whole = 0, fraction = 0, scale = 1, unit;
  const char *p = text;

  if (!fuzz_matches (text, "^[0-9]+([.][0-9]+)?[A-Za-z]*$"))
    return 0;
  for (; g_ascii_isdigit (*p); p++)
    if (whole <= G_MAXUINT64)
      whole = whole * 10 + (unsigned) (*p - '0');
  if (*p == '.')
    for (p++; g_ascii_isdigit (*p); p++)
      if (scale < 1000000)
        {
          fraction = fraction * 10 + (unsigned) (*p - '0');
          scale *= 10;
        }
  unit = unit_of (p, unit_default);
  if (whole > G_MAXUINT64 || whole * unit + unit * fraction / scale > G_MAXUINT64)
    return 0;
  return (guint64) (whole * unit + unit * fraction / scale);
}

static void
check_size (const char *text, guint64 unit_default)
{
  g_autoptr (GError) error = NULL;
  guint64 expected = model_size (text, unit_default);
  guint64 bytes = 0;

  g_assert_cmpint (ramet_name_parse_size (text, unit_default, &bytes, &error), ==, expected != 0);
  g_assert_cmpuint (bytes, ==, expected);
  if (expected == 0)
    fuzz_check_refusal (error, MAX_COLUMNS);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_autofree char *text = fuzz_text (data, size);
  gboolean is_label = fuzz_matches (text, LABEL);

  check_name (text, ramet_name_check_vm, is_label && !g_str_equal (text, "localhost"));
  check_name (text, ramet_name_check_project, is_label);
  check_name (text, ramet_name_check_base, is_base (text));
  check_name (text, ramet_name_check_package, fuzz_matches (text, PACKAGE));
  check_name (text, ramet_name_check_user, fuzz_matches (text, USER) && !fuzz_matches (text, NUMBER));
  g_assert_cmpint (ramet_name_is_renameable (text), ==, fuzz_matches (text, NUMBERED));
  check_mac (text);
  check_mac_from_bytes (data, size);
  check_size (text, 1);
  check_size (text, 1024 * 1024);
  check_size (text, 1ULL << 40);
  return 0;
}
