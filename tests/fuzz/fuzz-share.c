/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libxml/parserInternals.h>
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/share.h"

#define CWD "/home/ada/src"
#define HOME "/home/ada"
#define MAX_BYTES 512
#define MAX_COLUMNS (4 * MAX_BYTES + 200) /* of a message: the whole path stands in it, escaped */

/* An absolute path without an empty, "." or ".." part, of characters that XML and a mount table hold. */
static void
check_path (const char *path)
{
  g_auto (GStrv) parts = g_strsplit (path, "/", -1);

  g_assert_true (g_utf8_validate (path, -1, NULL));
  g_assert_cmpstr (parts[0], ==, "");
  for (char **part = parts + 1; *part && !g_str_equal (path, "/"); part++)
    {
      g_assert_cmpstr (*part, !=, "");
      g_assert_cmpstr (*part, !=, ".");
      g_assert_cmpstr (*part, !=, "..");
    }
  for (const char *p = path; *p; p = g_utf8_next_char (p))
    {
      guint c = g_utf8_get_char (p);

      g_assert_cmpuint (c, >=, 0x20);
      g_assert_true (IS_CHAR (c));
    }
}

/* What would be a catastrophe, told apart from the tables of share.c. */
static void
check_accepted_source (const char *path)
{
  g_assert_false (fuzz_matches (path, "^/(bin|boot|dev|etc|lib|proc|root|run|sbin|sys)(/.*)?$"));
  g_assert_false (fuzz_matches (path, "^(/|/home|/home/ada|/usr|/var|/tmp)$"));
  g_assert_false (fuzz_matches (path, "^/home/ada/[.](ssh|gnupg|aws|kube|password-store)(/.*)?$"));
}

static void
check_accepted_target (const char *path)
{
  g_assert_false (fuzz_matches (path, "^/(bin|boot|dev|etc|lib|lib64|proc|run|sbin|sys|var/lib/ramet)(/.*)?$"));
  g_assert_false (fuzz_matches (path, "^(/|/home|/root|/usr|/var|/tmp)$"));
  g_assert_false (fuzz_matches (path, "^/usr/(bin|sbin|lib)(/.*)?$"));
}

static void
check_source (const char *source, const char *home)
{
  g_autoptr (GError) error = NULL;

  if (!ramet_share_check_source (source, home, &error))
    fuzz_check_refusal (error, MAX_COLUMNS);
  else if (home == NULL || g_str_equal (home, HOME))
    {
      g_assert_no_error (error);
      if (home != NULL)
        check_accepted_source (source);
      check_path (source);
    }
}

/* Written out with colons and backslashes escaped, a share reads back as the same. */
static void
check_again (const char *source, const char *target)
{
  g_autoptr (GString) spec = g_string_new (NULL);
  g_autofree char *source_again = NULL;
  g_autofree char *target_again = NULL;
  GError *error = NULL;

  for (const char *p = source; *p; p++)
    {
      if (*p == ':' || *p == '\\')
        g_string_append_c (spec, '\\');
      g_string_append_c (spec, *p);
    }
  g_string_append_printf (spec, ":%s", target);
  if (ramet_share_check_target (target, NULL))
    {
      ramet_share_parse (spec->str, "/elsewhere", &source_again, &target_again, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (source_again, ==, source);
      g_assert_cmpstr (target_again, ==, target);
    }
}

static void
check_share (const char *source, const char *target)
{
  g_autofree char *tag = ramet_share_tag_for (source, target);
  g_autoptr (RametShare) share = ramet_share_new (source, target, tag);

  g_assert_cmpuint (strlen (share->tag), <=, 31);
  g_assert_cmpstr (share->source, ==, source);
  g_assert_true (share->source != source);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_autofree char *spec = fuzz_text (data, MIN (size, MAX_BYTES));
  g_autofree char *source = NULL;
  g_autofree char *target = NULL;
  g_autoptr (GError) error = NULL;

  if (!ramet_share_parse (spec, CWD, &source, &target, &error))
    {
      g_assert_null (source);
      g_assert_null (target);
      fuzz_check_refusal (error, MAX_COLUMNS);
      return 0;
    }
  g_assert_no_error (error);
  check_path (source);
  check_path (target);
  if (!g_str_equal (source, target))
    check_accepted_target (target);
  else if (ramet_share_check_target (target, NULL))
    check_accepted_target (target);
  check_source (source, HOME);
  check_source (source, NULL);
  check_source (source, target);
  check_again (source, target);
  check_share (source, target);
  return 0;
}
