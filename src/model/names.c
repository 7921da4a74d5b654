/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/names.h"

#include <string.h>

#include "core/error.h"
#include "core/text.h"

#define MAX_LABEL_BYTES 63
#define MAX_USER_BYTES 32
#define MAX_BASE_BYTES 255
#define MAX_PACKAGE_BYTES 255
#define MAX_SHOWN_COLUMNS 80

/* What a name looks like in a message: safe for a terminal, and not longer than a line. */
static char *
shown (const char *name)
{
  g_autofree char *safe = ramet_text_escape (name, -1);

  return ramet_text_clip (safe, MAX_SHOWN_COLUMNS);
}

/* The first character of @text, or its first byte if it is no UTF-8, for a message. */
static char *
shown_character (const char *text)
{
  gunichar c = g_utf8_get_char_validated (text, -1);
  gssize width = c == (gunichar) -1 || c == (gunichar) -2 ? 1 : g_unichar_to_utf8 (c, NULL);

  return ramet_text_escape (text, width);
}

static gboolean
is_label_character (char c)
{
  return g_ascii_islower (c) || g_ascii_isdigit (c) || c == '-';
}

/* Whether a name of label characters would do as a VM's. */
static gboolean
is_worth_proposing (const char *name)
{
  gsize length = strlen (name);

  return length <= MAX_LABEL_BYTES && name[0] != '-' && name[length - 1] != '-' && !g_str_equal (name, "localhost");
}

static gboolean
refuse_characters (const char *what, const char *name, GError **error)
{
  g_autofree char *safe = shown (name);
  g_autofree char *lower = g_ascii_strdown (name, -1);
  const char *bad = lower;

  while (is_label_character (*bad))
    bad++;
  if (*bad == '\0')
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "the %s name '%s' has upper-case letters", what, safe);
      if (is_worth_proposing (lower))
        ramet_error_hint (error, "write '%s'", lower);
      else
        ramet_error_hint (error, "use only a-z, 0-9 and hyphens, as in 'my-project'");
    }
  else
    {
      g_autofree char *character = shown_character (name + (bad - lower));

      ramet_error_set (error, RAMET_ERROR_USAGE, "the %s name '%s' has a '%s' in it", what, safe, character);
      ramet_error_hint (error, "use only a-z, 0-9 and hyphens, as in 'my-project'");
    }
  return FALSE;
}

/* A label as in RFC 1123, lower case; @what is "VM", "project" or "snapshot". */
static gboolean
check_label (const char *what, const char *name, GError **error)
{
  g_autofree char *safe = shown (name);
  gsize length = strlen (name);

  if (length == 0)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "the %s name is empty", what);
      ramet_error_hint (error, "give one of a-z, 0-9 and hyphens, as in 'my-project'");
      return FALSE;
    }
  for (const char *p = name; *p; p++)
    if (!is_label_character (*p))
      return refuse_characters (what, name, error);
  if (name[0] == '-' || name[length - 1] == '-')
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "the %s name '%s' %s with a hyphen", what, safe,
                       name[0] == '-' ? "starts" : "ends");
      ramet_error_hint (error, "let it start and end with one of a-z and 0-9");
      return FALSE;
    }
  if (length > MAX_LABEL_BYTES)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "the %s name '%s' is too long: %" G_GSIZE_FORMAT " characters", what,
                       safe, length);
      ramet_error_hint (error, "give at most %d characters, the limit for a part of a host name", MAX_LABEL_BYTES);
      return FALSE;
    }
  return TRUE;
}

/**
 * ramet_name_check_vm:
 * @error: RAMET_ERROR_USAGE with a hint
 *
 * A VM's name is its host name too: a lower-case RFC 1123 label of 1–63 characters, not "localhost".
 */
gboolean
ramet_name_check_vm (const char *name, GError **error)
{
  if (!check_label ("VM", name, error))
    return FALSE;
  if (g_str_equal (name, "localhost"))
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "a VM cannot be named 'localhost': every machine is that itself");
      ramet_error_hint (error, "take another name, as in 'my-project'");
      return FALSE;
    }
  return TRUE;
}

/** ramet_name_check_project: the rule for VMs, as a project's name makes up part of theirs */
gboolean
ramet_name_check_project (const char *name, GError **error)
{
  return check_label ("project", name, error);
}

/** ramet_name_check_snapshot: a label too, as it becomes part of files' names and is typed behind an '@' */
gboolean
ramet_name_check_snapshot (const char *name, GError **error)
{
  return check_label ("snapshot", name, error);
}

/** ramet_name_split_point: whether @text is VM@SNAPSHOT, with something on either side; the last '@' counts */
gboolean
ramet_name_split_point (const char *text, char **ret_vm, char **ret_snapshot)
{
  const char *at = strrchr (text, '@');

  if (at == NULL || at == text || at[1] == '\0')
    return FALSE;
  *ret_vm = g_strndup (text, (gsize) (at - text));
  *ret_snapshot = g_strdup (at + 1);
  return TRUE;
}

/**
 * ramet_name_check_base:
 * @name: the name of any libvirt domain, which may be nearly anything
 * @error: RAMET_ERROR_USAGE with a hint
 */
gboolean
ramet_name_check_base (const char *name, GError **error)
{
  g_autofree char *safe = shown (name);
  const char *why = NULL;

  if (*name == '\0')
    why = "is empty";
  else if (*name == '-')
    why = "starts with a hyphen";
  else if (*name == '/')
    why = "starts with a slash";
  else if (!g_utf8_validate (name, -1, NULL))
    why = "is not valid UTF-8";
  else if (strlen (name) > MAX_BASE_BYTES)
    why = "is too long";
  for (const char *p = name; why == NULL && *p; p = g_utf8_next_char (p))
    if (g_unichar_iscntrl (g_utf8_get_char (p)))
      why = "has a control character in it";
  if (why == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_USAGE, "the base name '%s' %s", safe, why);
  ramet_error_hint (error, "'virsh list --all' shows the names there are");
  return FALSE;
}

/**
 * ramet_name_check_package:
 * @error: RAMET_ERROR_USAGE with a hint
 *
 * Lets through what Debian, Fedora, Alpine, Arch and openSUSE call a package, with a version or a release behind it,
 * and nothing that a package manager takes for an option.
 */
gboolean
ramet_name_check_package (const char *name, GError **error)
{
  g_autofree char *safe = shown (name);
  gsize good = strspn (name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "+._:~=@/-");

  if (name[good] != '\0')
    {
      g_autofree char *character = shown_character (name + good);

      ramet_error_set (error, RAMET_ERROR_USAGE, "the package name '%s' has a '%s' in it", safe, character);
    }
  else if (!g_ascii_isalnum (name[0]))
    ramet_error_set (error, RAMET_ERROR_USAGE, "the package name '%s' does not start with a letter or digit", safe);
  else if (good > MAX_PACKAGE_BYTES)
    ramet_error_set (error, RAMET_ERROR_USAGE, "the package name '%s' is too long", safe);
  else
    return TRUE;
  ramet_error_hint (error, "give one package by its name in the guest's own repositories, as in '--package git'");
  return FALSE;
}

/**
 * ramet_name_check_user:
 * @error: RAMET_ERROR_USAGE with a hint
 *
 * A portable POSIX user name, at most 32 bytes, not all digits (which programs take for a uid).
 */
gboolean
ramet_name_check_user (const char *name, GError **error)
{
  g_autofree char *safe = shown (name);
  gsize length = strlen (name);
  gsize good = strspn (name, G_CSET_A_2_Z G_CSET_a_2_z G_CSET_DIGITS "._-");

  if (length == 0)
    ramet_error_set (error, RAMET_ERROR_USAGE, "the user name is empty");
  else if (good < length)
    {
      g_autofree char *character = shown_character (name + good);

      ramet_error_set (error, RAMET_ERROR_USAGE, "the user name '%s' has a '%s' in it", safe, character);
    }
  else if (!g_ascii_isalnum (name[0]) && name[0] != '_')
    ramet_error_set (error, RAMET_ERROR_USAGE, "the user name '%s' does not start with a letter, digit or '_'", safe);
  else if (strspn (name, G_CSET_DIGITS) == length)
    ramet_error_set (error, RAMET_ERROR_USAGE, "the user name '%s' is a number", safe);
  else if (length > MAX_USER_BYTES)
    ramet_error_set (error, RAMET_ERROR_USAGE, "the user name '%s' is too long: %" G_GSIZE_FORMAT " characters", safe,
                     length);
  else
    return TRUE;
  ramet_error_hint (error, "give a name such as 'dev': at most %d of a-z, 0-9, '.', '_' and '-'", MAX_USER_BYTES);
  return FALSE;
}

/**
 * ramet_name_is_renameable:
 *
 * Returns: %TRUE for a name that ends in "-NUMBER": where two hosts claim it, avahi counts that number up, and what
 *          was `web-1.local` is then found as `web-2.local`
 */
gboolean
ramet_name_is_renameable (const char *name)
{
  const char *hyphen = strrchr (name, '-');

  return hyphen != NULL && hyphen > name && hyphen[1] != '\0' && hyphen[1 + strspn (hyphen + 1, G_CSET_DIGITS)] == '\0';
}

/* "aa:bb:cc:dd:ee:ff", two digits each. */
static gboolean
read_mac (const char *text, guint8 bytes[6])
{
  if (strlen (text) != 17)
    return FALSE;
  for (guint i = 0; i < 6; i++, text += 3)
    {
      if (!g_ascii_isxdigit (text[0]) || !g_ascii_isxdigit (text[1]) || text[2] != (i < 5 ? ':' : '\0'))
        return FALSE;
      bytes[i] = (guint8) (g_ascii_xdigit_value (text[0]) * 16 + g_ascii_xdigit_value (text[1]));
    }
  return TRUE;
}

/**
 * ramet_name_parse_mac:
 * @ret_mac: (out): in lower case, "aa:bb:cc:dd:ee:ff"
 * @error: RAMET_ERROR_USAGE if it is no address, or none that a single card can have
 */
gboolean
ramet_name_parse_mac (const char *text, char **ret_mac, GError **error)
{
  static const guint8 zero[6];
  g_autofree char *safe = shown (text);
  guint8 bytes[6];

  if (!read_mac (text, bytes))
    ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' is not a MAC address", safe);
  else if (memcmp (bytes, zero, sizeof bytes) == 0)
    ramet_error_set (error, RAMET_ERROR_USAGE, "the MAC address '%s' is all zero", safe);
  else if (bytes[0] & 1)
    ramet_error_set (error, RAMET_ERROR_USAGE, "the MAC address '%s' is one for many receivers (multicast)", safe);
  else
    {
      *ret_mac = g_ascii_strdown (text, -1);
      return TRUE;
    }
  ramet_error_hint (error, "give one such as '52:54:00:12:34:56', or leave it out to get one");
  return FALSE;
}

/** ramet_name_mac_from_bytes: (transfer full): an address in QEMU's range that ends in @bytes */
char *
ramet_name_mac_from_bytes (const guint8 bytes[3])
{
  return g_strdup_printf ("52:54:00:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2]);
}

/* The factor behind a unit; as in virsh, "G" and "GiB" are powers of 1024, "GB" is one of 1000. */
static gboolean
read_unit (const char *text, guint64 unit_default, guint64 *ret_unit)
{
  static const char prefixes[] = "kmgtpe";
  const char *prefix;
  guint64 unit = 1, base;

  if (*text == '\0')
    {
      *ret_unit = unit_default;
      return TRUE;
    }
  prefix = strchr (prefixes, g_ascii_tolower (*text));
  if (prefix != NULL)
    {
      text++;
      base = g_ascii_strcasecmp (text, "b") == 0 ? 1000 : 1024;
      for (const char *p = prefixes; p <= prefix; p++)
        unit *= base;
      if (*text != '\0' && g_ascii_strcasecmp (text, "b") != 0 && g_ascii_strcasecmp (text, "ib") != 0)
        return FALSE;
    }
  else if (g_ascii_strcasecmp (text, "b") != 0)
    return FALSE;
  *ret_unit = unit;
  return TRUE;
}

/* What stands behind the point, in @unit-ths, rounded down; up to six digits count. */
static const char *
read_fraction (const char *p, guint64 *ret_millionths)
{
  guint64 scale = 100000;

  for (*ret_millionths = 0; g_ascii_isdigit (*p); p++, scale /= 10)
    *ret_millionths += (guint64) (*p - '0') * scale;
  return p;
}

static const char *
read_size (const char *text, guint64 unit_default, guint64 *ret_bytes)
{
  guint64 whole = 0, millionths = 0, unit, bytes, part;
  const char *p = text;

  if (!g_ascii_isdigit (*p))
    return *p == '-' ? "is negative" : "is not a size";
  for (; g_ascii_isdigit (*p); p++)
    if (!g_uint64_checked_mul (&whole, whole, 10) || !g_uint64_checked_add (&whole, whole, (guint64) (*p - '0')))
      return "is too big";
  if (*p == '.')
    {
      if (!g_ascii_isdigit (*++p))
        return "is not a size";
      p = read_fraction (p, &millionths);
    }
  if (!read_unit (p, unit_default, &unit))
    return "is not a size";
  /* in two parts, for the product of the whole unit and a million does not fit */
  part = unit / 1000000 * millionths + unit % 1000000 * millionths / 1000000;
  if (!g_uint64_checked_mul (&bytes, whole, unit) || !g_uint64_checked_add (&bytes, bytes, part))
    return "is too big";
  if (bytes == 0)
    return "is nothing at all";
  *ret_bytes = bytes;
  return NULL;
}

/**
 * ramet_name_parse_size:
 * @text: "2G", "2GiB", "1.5g", "512M", "2GB" (powers of 1000), "20480"
 * @unit_default: what a number without a unit counts, in bytes
 * @ret_bytes: (out): more than 0; a fraction of a byte is dropped
 * @error: RAMET_ERROR_USAGE with a hint
 */
gboolean
ramet_name_parse_size (const char *text, guint64 unit_default, guint64 *ret_bytes, GError **error)
{
  const char *why = read_size (text, unit_default, ret_bytes);

  if (why != NULL)
    {
      g_autofree char *safe = shown (text);

      ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' %s", safe, why);
      ramet_error_hint (error, "give a number with a unit, such as '2G', '512M' or '1.5GiB'");
      return FALSE;
    }
  return TRUE;
}
