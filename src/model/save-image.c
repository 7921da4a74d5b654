/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/save-image.h"

#include <string.h>

#include "core/error.h"
#include "model/xml.h"

/* libvirt's src/qemu/qemu_saveimage.h: the magic, then numbers in the host's own byte order */
#define MAGIC "LibvirtQemudSave"
#define MAGIC_OF_UNFINISHED "LibvirtQemudPart"
#define MAGIC_BYTES 16
#define VERSION 2
#define N_NUMBERS ((RAMET_SAVE_IMAGE_HEADER_BYTES - MAGIC_BYTES) / 4)

/* libvirt sends no longer XML than 4 MiB; with it go the cookie and the room that is left for longer XML. */
#define MAX_TEXT_BYTES (8 * 1024 * 1024)
#define ROOM_BYTES 65536

enum
{
  NUMBER_VERSION,
  NUMBER_TEXT_BYTES, /* of XML, cookie and room, with their NULs */
  NUMBER_WAS_RUNNING,
  NUMBER_COMPRESSED,
  NUMBER_COOKIE_AT, /* counted from the XML's start; 0 if there is none */
  NUMBER_FIRST_UNUSED,
};

void
ramet_save_image_free (RametSaveImage *image)
{
  g_free (image->xml);
  g_free (image->cookie);
  g_free (image);
}

static gboolean
not_understood (GError **error, const char *why)
{
  ramet_error_set (error, RAMET_ERROR_REFUSED, "the save image is not understood: %s", why);
  return FALSE;
}

/* All that is told of another libvirt, or of a setting that ramet knows nothing about, ends here. */
static gboolean
parse_header (const guint8 *bytes, gsize length, guint32 numbers[N_NUMBERS], GError **error)
{
  if (length < RAMET_SAVE_IMAGE_HEADER_BYTES)
    return not_understood (error, "it ends within its header");
  if (memcmp (bytes, MAGIC_OF_UNFINISHED, MAGIC_BYTES) == 0)
    return not_understood (error, "libvirt has not finished it");
  if (memcmp (bytes, MAGIC, MAGIC_BYTES) != 0)
    return not_understood (error, "it is none of libvirt's");
  memcpy (numbers, bytes + MAGIC_BYTES, N_NUMBERS * sizeof numbers[0]);
  if (numbers[NUMBER_VERSION] == GUINT32_SWAP_LE_BE (VERSION))
    return not_understood (error, "it was saved on a host of another byte order");
  if (numbers[NUMBER_VERSION] != VERSION)
    return not_understood (error, "its version is not 2");
  if (numbers[NUMBER_COMPRESSED] != 0)
    return not_understood (error, "it is compressed");
  if (numbers[NUMBER_WAS_RUNNING] > 1)
    return not_understood (error, "whether the VM was running is neither 0 nor 1");
  for (gsize i = NUMBER_FIRST_UNUSED; i < N_NUMBERS; i++)
    if (numbers[i] != 0)
      return not_understood (error, "its header has more than is known of");
  if (numbers[NUMBER_TEXT_BYTES] == 0 || numbers[NUMBER_TEXT_BYTES] > MAX_TEXT_BYTES)
    return not_understood (error, "the length of its XML is out of bounds");
  if (numbers[NUMBER_COOKIE_AT] >= numbers[NUMBER_TEXT_BYTES])
    return not_understood (error, "its cookie is out of bounds");
  return TRUE;
}

/**
 * ramet_save_image_length:
 * @header: the first RAMET_SAVE_IMAGE_HEADER_BYTES of a save image; untrusted
 * @error: RAMET_ERROR_REFUSED if it is not understood
 *
 * Returns: how many bytes come before QEMU's stream, at most some MiB; 0 on error
 */
gsize
ramet_save_image_length (const guint8 *header, gsize length, GError **error)
{
  guint32 numbers[N_NUMBERS];

  if (!parse_header (header, length, numbers, error))
    return 0;
  return RAMET_SAVE_IMAGE_HEADER_BYTES + (gsize) numbers[NUMBER_TEXT_BYTES];
}

/* Text up to its NUL, which stands within @length; gives where the text behind the NUL begins. */
static const guint8 *
take_text (const guint8 *bytes, gsize length, char **ret_text)
{
  const guint8 *end = memchr (bytes, '\0', length);

  if (end == NULL || end == bytes || !ramet_xml_can_hold ((const char *) bytes))
    return NULL;
  *ret_text = g_strndup ((const char *) bytes, (gsize) (end - bytes));
  return end + 1;
}

/**
 * ramet_save_image_parse:
 * @bytes: a save image, at least as much of it as ramet_save_image_length() says; untrusted
 * @error: RAMET_ERROR_REFUSED if it is not understood
 *
 * That the texts are XML is not looked at.
 *
 * Returns: (transfer full)
 */
RametSaveImage *
ramet_save_image_parse (const guint8 *bytes, gsize length, GError **error)
{
  g_autoptr (RametSaveImage) image = g_new0 (RametSaveImage, 1);
  guint32 numbers[N_NUMBERS];
  const guint8 *text, *end, *rest;

  if (!parse_header (bytes, length, numbers, error))
    return NULL;
  if (length - RAMET_SAVE_IMAGE_HEADER_BYTES < numbers[NUMBER_TEXT_BYTES])
    return not_understood (error, "it ends within its XML"), NULL;
  text = bytes + RAMET_SAVE_IMAGE_HEADER_BYTES;
  end = text + numbers[NUMBER_TEXT_BYTES];
  image->was_running = numbers[NUMBER_WAS_RUNNING] == 1;
  rest = take_text (text, numbers[NUMBER_TEXT_BYTES], &image->xml);
  if (rest == NULL)
    return not_understood (error, "its XML is no text, or has no end"), NULL;
  if (numbers[NUMBER_COOKIE_AT] != 0 && rest != text + numbers[NUMBER_COOKIE_AT])
    return not_understood (error, "its cookie is not where its XML ends"), NULL;
  if (numbers[NUMBER_COOKIE_AT] != 0)
    rest = take_text (rest, (gsize) (end - rest), &image->cookie);
  if (rest == NULL)
    return not_understood (error, "its cookie is no text, or has no end"), NULL;
  for (; rest < end; rest++)
    if (*rest != 0)
      return not_understood (error, "there is more behind its XML and cookie"), NULL;
  return g_steal_pointer (&image);
}

/**
 * ramet_save_image_build:
 * @image: whose cookie and was_running it gets
 * @xml: in the place of the image's own, of any length
 *
 * Returns: (transfer full): what comes before QEMU's stream, with as much room for longer XML as libvirt itself leaves
 */
GBytes *
ramet_save_image_build (const RametSaveImage *image, const char *xml)
{
  gsize xml_bytes = strlen (xml) + 1;
  gsize cookie_bytes = image->cookie ? strlen (image->cookie) + 1 : 0;
  gsize text_bytes = xml_bytes + cookie_bytes + ROOM_BYTES;
  guint32 numbers[N_NUMBERS] = {
    [NUMBER_VERSION] = VERSION,
    [NUMBER_TEXT_BYTES] = (guint32) text_bytes,
    [NUMBER_WAS_RUNNING] = image->was_running ? 1 : 0,
    [NUMBER_COOKIE_AT] = image->cookie ? (guint32) xml_bytes : 0,
  };
  guint8 *bytes = g_malloc0 (RAMET_SAVE_IMAGE_HEADER_BYTES + text_bytes);
  guint8 *text = bytes + RAMET_SAVE_IMAGE_HEADER_BYTES;

  memcpy (bytes, MAGIC, MAGIC_BYTES);
  memcpy (bytes + MAGIC_BYTES, numbers, sizeof numbers);
  memcpy (text, xml, xml_bytes);
  if (image->cookie)
    memcpy (text + xml_bytes, image->cookie, cookie_bytes);
  return g_bytes_new_take (bytes, RAMET_SAVE_IMAGE_HEADER_BYTES + text_bytes);
}
