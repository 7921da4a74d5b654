/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "migration-maker.h"
#include "model/save-image.h"

#define XML "<domain type='kvm'>\n  <name>web</name>\n</domain>\n"
#define COOKIE "<cookie>\n  <slirpHelper/>\n</cookie>\n"
#define COOKIE_AT (RAMET_SAVE_IMAGE_HEADER_BYTES + sizeof XML)

static GByteArray *
make (const char *xml, const char *cookie)
{
  g_autoptr (Maker) maker = maker_new ("pc.ram", 1, "x");

  g_byte_array_append (maker->stream, (const guint8 *) "QEVM", 4);
  return maker_save_image (maker, xml, cookie);
}

static void
test_whole (void)
{
  g_autoptr (GByteArray) bytes = make (XML, COOKIE);
  g_autoptr (RametSaveImage) image = NULL;
  g_autoptr (GError) error = NULL;
  gsize length = ramet_save_image_length (bytes->data, RAMET_SAVE_IMAGE_HEADER_BYTES, &error);

  g_assert_no_error (error);
  g_assert_cmpuint (length, ==, bytes->len - 4);
  g_assert_cmpmem (bytes->data + length, 4, "QEVM", 4);
  image = ramet_save_image_parse (bytes->data, bytes->len, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (image->xml, ==, XML);
  g_assert_cmpstr (image->cookie, ==, COOKIE);
  g_assert_true (image->was_running);
}

static void
test_without_cookie (void)
{
  g_autoptr (GByteArray) bytes = make (XML, NULL);
  g_autoptr (RametSaveImage) image = ramet_save_image_parse (bytes->data, bytes->len, NULL);

  g_assert_nonnull (image);
  g_assert_cmpstr (image->xml, ==, XML);
  g_assert_null (image->cookie);
}

/* What another tool of libvirt's made has no room behind its texts. */
static void
test_without_room (void)
{
  g_autoptr (GByteArray) bytes = make (XML, COOKIE);
  guint32 text_bytes = sizeof XML + sizeof COOKIE;
  g_autoptr (RametSaveImage) image = NULL;

  memcpy (bytes->data + 20, &text_bytes, 4);
  image = ramet_save_image_parse (bytes->data, RAMET_SAVE_IMAGE_HEADER_BYTES + text_bytes, NULL);
  g_assert_nonnull (image);
  g_assert_cmpstr (image->cookie, ==, COOKIE);
}

static const struct
{
  const char *name;
  gsize at;
  guint32 value;
  gsize bytes;
  const char *why;
} flaws[] = {
  { "another file", 0, 0x464c457f, 4, "none of libvirt's" },
  { "not finished", 12, 0x74726150, 4, "not finished" },
  { "version 1", 16, 1, 4, "version" },
  { "version 3", 16, 3, 4, "version" },
  { "another byte order", 16, GUINT32_SWAP_LE_BE_CONSTANT (2), 4, "byte order" },
  { "no text", 20, 0, 4, "length of its XML" },
  { "endless text", 20, 0xffffffff, 4, "length of its XML" },
  { "text of 8 MiB and a byte", 20, 8 * 1024 * 1024 + 1, 4, "length of its XML" },
  { "the text is longer than the file", 20, 8 * 1024 * 1024, 4, "ends within its XML" },
  { "neither running nor not", 24, 2, 4, "neither 0 nor 1" },
  { "compressed by gzip", 28, 1, 4, "compressed" },
  { "of a kind of tomorrow", 28, 7, 4, "compressed" },
  { "the cookie is in the XML", 32, 5, 4, "cookie is not where" },
  { "the cookie is behind the text", 32, 0x7fffffff, 4, "cookie is out of bounds" },
  { "the cookie is at the very end", 32, sizeof XML + sizeof COOKIE + 65536, 4, "cookie is out of bounds" },
  { "the cookie is a byte late", 32, sizeof XML + 1, 4, "cookie is not where" },
  { "the first unused number is used", 36, 1, 4, "more than is known" },
  { "the last unused number is used", 88, 1, 4, "more than is known" },
  { "the XML has a NUL", RAMET_SAVE_IMAGE_HEADER_BYTES + 3, 0, 1, "cookie is not where" },
  { "the XML is empty", RAMET_SAVE_IMAGE_HEADER_BYTES, 0, 1, "XML is no text" },
  { "the XML has a control character", RAMET_SAVE_IMAGE_HEADER_BYTES + 3, 0x1b, 1, "XML is no text" },
  { "the XML is no UTF-8", RAMET_SAVE_IMAGE_HEADER_BYTES + 3, 0xff, 1, "XML is no text" },
  { "the cookie is empty", COOKIE_AT, 0, 1, "cookie is no text" },
  { "the cookie is no UTF-8", COOKIE_AT, 0xff, 1, "cookie is no text" },
  { "more behind the cookie", COOKIE_AT + sizeof COOKIE, 'x', 1, "more behind" },
  { "more at the end of the room", COOKIE_AT + sizeof COOKIE + 65535, 'x', 1, "more behind" },
};

static void
test_flaw (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GByteArray) bytes = make (XML, COOKIE);
  g_autoptr (GError) error = NULL;

  memcpy (bytes->data + flaws[i].at, &flaws[i].value, flaws[i].bytes);
  g_assert_null (ramet_save_image_parse (bytes->data, bytes->len, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_nonnull (strstr (error->message, flaws[i].why));
}

/* Cut off anywhere before QEMU's stream, it is refused, and never read past its end. */
static void
test_cut_off (void)
{
  g_autoptr (GByteArray) bytes = make (XML, COOKIE);

  for (gsize length = 0; length < bytes->len - 4; length += length < 400 ? 1 : 997)
    {
      g_autofree guint8 *exact = g_memdup2 (bytes->data, length);
      g_autoptr (GError) error = NULL;

      g_assert_null (ramet_save_image_parse (exact, length, &error));
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
      g_clear_error (&error);
      g_assert_cmpint (ramet_save_image_length (exact, length, &error) > 0, ==, length >= RAMET_SAVE_IMAGE_HEADER_BYTES);
    }
}

static char *
repeat (const char *text, gsize n)
{
  GString *out = g_string_new (NULL);

  for (gsize i = 0; i < n; i++)
    g_string_append (out, text);
  return g_string_free (out, FALSE);
}

/* XML of any length takes the place of the first, and is read back with all else unchanged. */
static void
test_build (void)
{
  static const gsize lengths[] = { 1, 2, sizeof XML - 1, 65536, 4 * 1024 * 1024 };
  static const char *const cookies[] = { COOKIE, NULL };

  for (gsize i = 0; i < G_N_ELEMENTS (lengths) * 4; i++)
    {
      RametSaveImage was = { (char *) XML, (char *) cookies[i / G_N_ELEMENTS (lengths) % 2],
                             i >= G_N_ELEMENTS (lengths) * 2 };
      g_autofree char *xml = repeat ("x", lengths[i % G_N_ELEMENTS (lengths)]);
      g_autoptr (GBytes) built = ramet_save_image_build (&was, xml);
      g_autoptr (RametSaveImage) is = NULL;
      g_autoptr (GError) error = NULL;
      gsize length;
      const guint8 *bytes = g_bytes_get_data (built, &length);

      g_assert_cmpuint (ramet_save_image_length (bytes, length, &error), ==, length);
      is = ramet_save_image_parse (bytes, length, &error);
      g_assert_no_error (error);
      g_assert_cmpstr (is->xml, ==, xml);
      g_assert_cmpstr (is->cookie, ==, was.cookie);
      g_assert_cmpint (is->was_running, ==, was.was_running);
    }
}

/* Byte for byte what libvirt would have written. */
static void
test_build_as_libvirt (void)
{
  g_autoptr (GByteArray) bytes = make (XML, COOKIE);
  g_autoptr (RametSaveImage) image = ramet_save_image_parse (bytes->data, bytes->len, NULL);
  g_autoptr (GBytes) built = ramet_save_image_build (image, XML);

  g_assert_cmpmem (g_bytes_get_data (built, NULL), g_bytes_get_size (built), bytes->data, bytes->len - 4);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/save-image/whole", test_whole);
  g_test_add_func ("/save-image/without cookie", test_without_cookie);
  g_test_add_func ("/save-image/without room", test_without_room);
  for (gsize i = 0; i < G_N_ELEMENTS (flaws); i++)
    {
      g_autofree char *path = g_strconcat ("/save-image/flaw/", flaws[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_flaw);
    }
  g_test_add_func ("/save-image/cut off", test_cut_off);
  g_test_add_func ("/save-image/build", test_build);
  g_test_add_func ("/save-image/build as libvirt does", test_build_as_libvirt);
  return g_test_run ();
}
