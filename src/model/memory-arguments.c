/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/memory-arguments.h"

#include <string.h>

#include "model/xml.h"

#define OBJECT_OF_FILE "memory-backend-file,id=" RAMET_MEMORY_BLOCK ","
#define OBJECT_OF_RAM "memory-backend-ram,id=" RAMET_MEMORY_BLOCK ","
#define MACHINE "memory-backend=" RAMET_MEMORY_BLOCK

static xmlNode *
find_commandline (xmlNode *domain)
{
  xmlNode *node = ramet_xml_first (domain, "commandline");

  while (node && (node->ns == NULL || !xmlStrEqual (node->ns->href, (const xmlChar *) RAMET_QEMU_URI)))
    node = ramet_xml_next (node, "commandline");
  return node;
}

/* (transfer full): QEMU ends a value at a comma, unless it is doubled */
static char *
double_commas (const char *text)
{
  g_auto (GStrv) parts = g_strsplit (text, ",", -1);

  return g_strjoinv (",,", parts);
}

static void
add_argument (xmlNode *commandline, const char *value)
{
  ramet_xml_set (ramet_xml_add (commandline, "arg", NULL), "value", value);
}

/**
 * ramet_memory_arguments_add:
 * @domain: the root of a domain's XML that has none of them yet
 * @path: (nullable): a file of just that length, which QEMU's user may write to and which stays as it is; without, it is
 *   plain memory, for streams that hold all of it
 * @bytes: of the guest's RAM
 */
void
ramet_memory_arguments_add (xmlNode *domain, const char *path, guint64 bytes)
{
  g_autofree char *safe = path ? double_commas (path) : NULL;
  g_autofree char *object =
    path ? g_strdup_printf (OBJECT_OF_FILE "size=%" G_GUINT64_FORMAT ",mem-path=%s,share=off", bytes, safe)
         : g_strdup_printf (OBJECT_OF_RAM "size=%" G_GUINT64_FORMAT, bytes);
  xmlNode *node = find_commandline (domain);

  if (node == NULL)
    {
      node = ramet_xml_add (domain, "commandline", NULL);
      xmlSetNs (node, xmlNewNs (node, (const xmlChar *) RAMET_QEMU_URI, (const xmlChar *) "qemu"));
    }
  add_argument (node, "-object");
  add_argument (node, object);
  /* a second -machine is merged with libvirt's own, whose memory object is left unused */
  add_argument (node, "-machine");
  add_argument (node, MACHINE);
}

/* Reads `size=…,mem-path=…,share=off`, or only the first of them. */
static void
read_object (const char *at, char **ret_path, guint64 *ret_bytes)
{
  g_autoptr (GString) path = g_string_new (NULL);

  if (g_str_has_prefix (at, "size="))
    *ret_bytes = g_ascii_strtoull (at + strlen ("size="), NULL, 10);
  at = strstr (at, ",mem-path=");
  if (at == NULL)
    return;
  for (at += strlen (",mem-path="); *at && (*at != ',' || at[1] == ','); at++)
    {
      g_string_append_c (path, *at);
      at += *at == ',';
    }
  g_free (*ret_path);
  *ret_path = g_string_free (g_steal_pointer (&path), FALSE);
}

/* Whether @node and the argument after it, @value, are of ours. */
static gboolean
is_ours (xmlNode *node, const char *value)
{
  if (!ramet_xml_is (node, "arg"))
    return FALSE;
  if (ramet_xml_has (node, "value", "-object"))
    return g_str_has_prefix (value, OBJECT_OF_FILE) || g_str_has_prefix (value, OBJECT_OF_RAM);
  return ramet_xml_has (node, "value", "-machine") && g_str_equal (value, MACHINE);
}

/**
 * ramet_memory_arguments_drop:
 * @domain: the root of a domain's XML; untrusted
 * @ret_path: (out): the file that the RAM is a view of, or %NULL
 * @ret_bytes: (out): of the RAM; 0 if that is not known
 *
 * Takes out what ramet_memory_arguments_add() has put there, and no other argument.
 *
 * Returns: whether there was any
 */
gboolean
ramet_memory_arguments_drop (xmlNode *domain, char **ret_path, guint64 *ret_bytes)
{
  xmlNode *commandline = find_commandline (domain);
  xmlNode *node = ramet_xml_first (commandline, "arg");
  gboolean found = FALSE;

  *ret_path = NULL;
  *ret_bytes = 0;
  while (node)
    {
      xmlNode *second = ramet_xml_next (node, NULL);
      g_autofree char *value = second ? ramet_xml_get (second, "value") : NULL;
      xmlNode *next = second;

      if (value && ramet_xml_is (second, "arg") && is_ours (node, value))
        {
          next = ramet_xml_next (second, "arg");
          if (ramet_xml_has (node, "value", "-object"))
            read_object (strchr (strchr (value, ',') + 1, ',') + 1, ret_path, ret_bytes);
          ramet_xml_drop (node);
          ramet_xml_drop (second);
          found = TRUE;
        }
      node = next;
    }
  if (found && ramet_xml_first (commandline, NULL) == NULL)
    ramet_xml_drop (commandline);
  return found;
}
