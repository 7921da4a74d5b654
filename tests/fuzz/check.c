/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libxml/parser.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/text.h"
#include "fuzz.h"

static void
on_trap (int signal_number)
{
  abort ();
}

/* GLib ends the program with a trap for a debugger, on g_error() and fatal warnings; libFuzzer knows only abort(). */
__attribute__ ((constructor)) static void
abort_on_trap (void)
{
  signal (SIGTRAP, on_trap);
}

/** fuzz_text: (transfer full): @data up to its first NUL */
char *
fuzz_text (const guint8 *data, size_t size)
{
  return g_strndup ((const char *) data, size);
}

/**
 * fuzz_matches:
 * @pattern: a POSIX extended regular expression
 *
 * The C library's matcher stands beside our own parsers as a second opinion. It sees bytes, as no locale is set.
 */
gboolean
fuzz_matches (const char *text, const char *pattern)
{
  static GHashTable *compiled; /* by the pattern's address: patterns are literals */
  regex_t *regex;

  if (compiled == NULL)
    compiled = g_hash_table_new (NULL, NULL);
  regex = g_hash_table_lookup (compiled, pattern);
  if (regex == NULL)
    {
      regex = g_new0 (regex_t, 1);
      g_assert_cmpint (regcomp (regex, pattern, REG_EXTENDED | REG_NOSUB), ==, 0);
      g_hash_table_insert (compiled, (gpointer) pattern, regex);
    }
  return regexec (regex, text, 0, NULL, 0) == 0;
}

/** fuzz_check_message: that @text may go to a terminal as it is, and takes no more than @max_columns */
void
fuzz_check_message (const char *text, gsize max_columns)
{
  g_assert_nonnull (text);
  g_assert_true (g_utf8_validate (text, -1, NULL));
  g_assert_cmpuint (ramet_text_columns (text), <=, max_columns);
  for (const char *p = text; *p; p = g_utf8_next_char (p))
    g_assert_false (g_unichar_iscntrl (g_utf8_get_char (p)));
}

/** fuzz_check_refusal: that @error and those behind it are of ours, of one line, and with a hint */
void
fuzz_check_refusal (const GError *error, gsize max_columns)
{
  g_assert_nonnull (error);
  for (; error; error = ramet_error_get_next (error))
    {
      g_assert_true (error->domain == RAMET_ERROR);
      g_assert_true (error->code == RAMET_ERROR_USAGE || error->code == RAMET_ERROR_REFUSED);
      fuzz_check_message (error->message, max_columns);
      fuzz_check_message (ramet_error_get_hint (error), max_columns);
    }
}

/** fuzz_check_xml: that @xml is well-formed */
void
fuzz_check_xml (const char *xml)
{
  xmlDoc *doc = xmlReadMemory (xml, (int) strlen (xml), NULL, NULL,
                               XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

  if (doc == NULL)
    g_error ("this is not well-formed: %s", xml);
  xmlFreeDoc (doc);
}
