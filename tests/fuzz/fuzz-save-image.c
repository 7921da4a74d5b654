/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/save-image.h"
#include "model/xml.h"

#define MAX_COLUMNS 120 /* of a message: nothing of the image stands in it */

static void
check_refusal (const GError *error)
{
  g_assert_true (g_error_matches (error, RAMET_ERROR, RAMET_ERROR_REFUSED));
  fuzz_check_message (error->message, MAX_COLUMNS);
}

/* The header, read a second time by hand. */
static gboolean
is_header (const guint8 *data, size_t size, guint32 numbers[19])
{
  static const guint8 zeros[56];

  if (size < 92 || memcmp (data, "LibvirtQemudSave", 16) != 0 || memcmp (data + 36, zeros, 56) != 0)
    return FALSE;
  memcpy (numbers, data + 16, 76);
  return numbers[0] == 2 && numbers[1] > 0 && numbers[1] <= 8 << 20 && numbers[2] <= 1 && numbers[3] == 0 &&
         numbers[4] < numbers[1];
}

/* With other XML, all else comes back; with its own XML, the texts stand as they did. */
static void
check_build (const RametSaveImage *image, const char *xml, const guint8 *data)
{
  g_autoptr (GBytes) built = ramet_save_image_build (image, xml);
  g_autoptr (RametSaveImage) again = NULL;
  g_autoptr (GError) error = NULL;
  gsize length;
  const guint8 *bytes = g_bytes_get_data (built, &length);

  g_assert_cmpuint (ramet_save_image_length (bytes, length, &error), ==, length);
  again = ramet_save_image_parse (bytes, length, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again->xml, ==, xml);
  g_assert_cmpstr (again->cookie, ==, image->cookie);
  g_assert_cmpint (again->was_running, ==, image->was_running);
  if (g_str_equal (xml, image->xml))
    {
      gsize n_text = strlen (xml) + 1 + (image->cookie ? strlen (image->cookie) + 1 : 0);

      g_assert_cmpmem (bytes + 92, n_text, data + 92, n_text);
    }
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) no_length = NULL;
  guint32 numbers[19];
  gboolean has_header = is_header (data, size, numbers);
  gsize length = ramet_save_image_length (data, size, &no_length);
  g_autoptr (RametSaveImage) image = ramet_save_image_parse (data, size, &error);

  g_assert_cmpuint (length, ==, has_header ? 92 + numbers[1] : 0);
  if (length == 0)
    check_refusal (no_length);
  if (image == NULL)
    {
      check_refusal (error);
      return 0;
    }
  g_assert_cmpuint (length, <=, size);
  g_assert_true (image->xml[0] != '\0' && ramet_xml_can_hold (image->xml));
  g_assert_cmpmem (image->xml, strlen (image->xml) + 1, data + 92, strlen (image->xml) + 1);
  g_assert_cmpint (image->cookie != NULL, ==, numbers[4] != 0);
  if (image->cookie)
    {
      g_assert_true (image->cookie[0] != '\0' && ramet_xml_can_hold (image->cookie));
      g_assert_cmpuint (strlen (image->xml) + 1, ==, numbers[4]);
      g_assert_cmpstr (image->cookie, ==, (const char *) data + 92 + numbers[4]);
    }
  g_assert_cmpint (image->was_running, ==, numbers[2] == 1);
  check_build (image, image->xml, data);
  check_build (image, "<domain/>", data);
  return 0;
}
