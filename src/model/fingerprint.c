/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/fingerprint.h"

/** ramet_fingerprint_new: for the caller to fill in what else is known */
RametFingerprint *
ramet_fingerprint_new (const char *target, const char *path, const char *format)
{
  RametFingerprint *print = g_new0 (RametFingerprint, 1);

  print->target = g_strdup (target);
  print->path = g_strdup (path);
  print->format = g_strdup (format);
  return print;
}

void
ramet_fingerprint_free (RametFingerprint *print)
{
  g_free (print->target);
  g_free (print->path);
  g_free (print->format);
  g_free (print->header);
  g_free (print);
}

static guint64
get_number (xmlNode *node, const char *attribute)
{
  g_autofree char *text = ramet_xml_get (node, attribute);

  return text ? g_ascii_strtoull (text, NULL, 10) : 0;
}

/** ramet_fingerprint_read: (transfer full) (nullable): %NULL if @node names no file */
RametFingerprint *
ramet_fingerprint_read (xmlNode *node)
{
  g_autofree char *target = ramet_xml_get (node, "target");
  g_autofree char *path = ramet_xml_get (node, "path");
  g_autofree char *format = ramet_xml_get (node, "format");
  g_autofree char *mtime = ramet_xml_get (node, "mtime-ns");
  RametFingerprint *print;

  if (path == NULL)
    return NULL;
  print = ramet_fingerprint_new (target, path, format);
  print->inode = get_number (node, "inode");
  print->size = get_number (node, "size");
  print->mtime_ns = mtime ? g_ascii_strtoll (mtime, NULL, 10) : 0;
  print->capacity = get_number (node, "capacity");
  print->header = ramet_xml_get (node, "header");
  return print;
}

static void
set_if (xmlNode *node, const char *attribute, const char *value)
{
  if (value)
    ramet_xml_set (node, attribute, value);
}

static void
set_number (xmlNode *node, const char *attribute, guint64 value)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);

  if (value)
    ramet_xml_set (node, attribute, text);
}

/** ramet_fingerprint_add: writes it as the last child of @parent */
void
ramet_fingerprint_add (const RametFingerprint *print, xmlNode *parent, const char *element)
{
  g_autofree char *mtime = g_strdup_printf ("%" G_GINT64_FORMAT, print->mtime_ns);
  xmlNode *node = ramet_xml_add (parent, element, NULL);

  set_if (node, "target", print->target);
  set_if (node, "path", print->path);
  set_if (node, "format", print->format);
  set_number (node, "inode", print->inode);
  set_number (node, "size", print->size);
  set_if (node, "mtime-ns", print->mtime_ns ? mtime : NULL);
  set_number (node, "capacity", print->capacity);
  set_if (node, "header", print->header);
}
