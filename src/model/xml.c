/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/xml.h"

#include <libxml/parser.h>
#include <string.h>

#include "core/error.h"

#define MAX_XML_BYTES (16 * 1024 * 1024)

/**
 * ramet_xml_parse:
 * @text: untrusted
 * @root: the name that the root element must have
 *
 * Document types are rejected, so no entity is ever expanded; the network is never asked.
 *
 * Returns: (transfer full): free with xmlFreeDoc()
 */
xmlDoc *
ramet_xml_parse (const char *text, const char *root, GError **error)
{
  gsize length = strlen (text);
  g_autoptr (xmlDoc) doc = NULL;

  if (length > MAX_XML_BYTES)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the XML is larger than 16 MiB");
      return NULL;
    }
  doc = xmlReadMemory (text, (int) length, NULL, NULL,
                       XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS);
  if (doc == NULL || xmlDocGetRootElement (doc) == NULL)
    {
      const xmlError *why = xmlGetLastError ();
      g_autofree char *message = why && why->message ? g_strstrip (g_strdup (why->message)) : g_strdup ("not XML");

      ramet_error_set (error, RAMET_ERROR_FAILED, "cannot parse the XML: %s", message);
      return NULL;
    }
  if (doc->intSubset != NULL || doc->extSubset != NULL)
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "the XML has a document type declaration");
      return NULL;
    }
  if (!ramet_xml_is (xmlDocGetRootElement (doc), root))
    {
      ramet_error_set (error, RAMET_ERROR_FAILED, "the XML's root element is not <%s>", root);
      return NULL;
    }
  return g_steal_pointer (&doc);
}

/** ramet_xml_dump: (transfer full): the document, indented, without an XML declaration */
char *
ramet_xml_dump (xmlDoc *doc)
{
  xmlBufferPtr buffer = xmlBufferCreate ();
  char *text;

  /* else whatever is beyond ASCII would be written as character references */
  if (doc->encoding == NULL)
    doc->encoding = xmlStrdup ((const xmlChar *) "UTF-8");
  xmlKeepBlanksDefault (0);
  xmlIndentTreeOutput = 1;
  xmlNodeDump (buffer, doc, xmlDocGetRootElement (doc), 0, 1);
  text = g_strdup_printf ("%s\n", (const char *) xmlBufferContent (buffer));
  xmlBufferFree (buffer);
  return text;
}

/** ramet_xml_can_hold: whether @text is UTF-8 and all of it can stand in XML, which has no place for most controls */
gboolean
ramet_xml_can_hold (const char *text)
{
  if (!g_utf8_validate (text, -1, NULL))
    return FALSE;
  for (const char *p = text; *p; p = g_utf8_next_char (p))
    {
      gunichar c = g_utf8_get_char (p);

      if ((c < 0x20 && !strchr ("\t\n\r", (int) c)) || c == 0xfffe || c == 0xffff)
        return FALSE;
    }
  return TRUE;
}

/** ramet_xml_where: (transfer full): the XPath of @node */
char *
ramet_xml_where (xmlNode *node)
{
  xmlChar *path = xmlGetNodePath (node);
  char *copy = g_strdup ((const char *) path);

  xmlFree (path);
  return copy;
}

/** ramet_xml_is: whether @node is an element of that local name, in no namespace or any */
gboolean
ramet_xml_is (xmlNode *node, const char *name)
{
  return node->type == XML_ELEMENT_NODE && xmlStrEqual (node->name, (const xmlChar *) name);
}

static xmlNode *
find_from (xmlNode *node, const char *name)
{
  for (; node; node = node->next)
    if (node->type == XML_ELEMENT_NODE && (name == NULL || ramet_xml_is (node, name)))
      return node;
  return NULL;
}

/** ramet_xml_first: (nullable): the first child element of that name, or of any if @name is %NULL */
xmlNode *
ramet_xml_first (xmlNode *parent, const char *name)
{
  return parent ? find_from (parent->children, name) : NULL;
}

/** ramet_xml_next: (nullable): the next sibling element of that name, or of any if @name is %NULL */
xmlNode *
ramet_xml_next (xmlNode *node, const char *name)
{
  return find_from (node->next, name);
}

/** ramet_xml_at: (nullable): the first element down @path, names with slashes between: "os/loader" */
xmlNode *
ramet_xml_at (xmlNode *node, const char *path)
{
  g_auto (GStrv) names = g_strsplit (path, "/", -1);

  for (char **name = names; node && *name; name++)
    node = ramet_xml_first (node, *name);
  return node;
}

/** ramet_xml_get: (transfer full) (nullable); @node may be %NULL */
char *
ramet_xml_get (xmlNode *node, const char *attribute)
{
  xmlChar *value = node ? xmlGetNoNsProp (node, (const xmlChar *) attribute) : NULL;
  char *copy = g_strdup ((const char *) value);

  if (value)
    xmlFree (value);
  return copy;
}

/** ramet_xml_has: whether @node, which may be %NULL, has @attribute with just that @value */
gboolean
ramet_xml_has (xmlNode *node, const char *attribute, const char *value)
{
  g_autofree char *is = ramet_xml_get (node, attribute);

  return g_strcmp0 (is, value) == 0;
}

void
ramet_xml_set (xmlNode *node, const char *attribute, const char *value)
{
  xmlSetProp (node, (const xmlChar *) attribute, (const xmlChar *) value);
}

void
ramet_xml_unset (xmlNode *node, const char *attribute)
{
  xmlUnsetProp (node, (const xmlChar *) attribute);
}

/** ramet_xml_text: (transfer full) (nullable): the text in @node, which may be %NULL, without blanks around it */
char *
ramet_xml_text (xmlNode *node)
{
  xmlChar *content = node ? xmlNodeGetContent (node) : NULL;
  char *copy = g_strdup ((const char *) content);

  if (content)
    xmlFree (content);
  return copy ? g_strstrip (copy) : NULL;
}

/** ramet_xml_set_text: instead of all that @node holds; xmlNodeSetContent() would read a '&' in it as an entity */
void
ramet_xml_set_text (xmlNode *node, const char *text)
{
  xmlNodeSetContent (node, NULL);
  xmlNodeAddContent (node, (const xmlChar *) text);
}

/** ramet_xml_add: (transfer none): a new last child; @text may be %NULL and is escaped as needed */
xmlNode *
ramet_xml_add (xmlNode *parent, const char *name, const char *text)
{
  return xmlNewTextChild (parent, NULL, (const xmlChar *) name, (const xmlChar *) text);
}

/** ramet_xml_drop: @node, which may be %NULL, and all in it */
void
ramet_xml_drop (xmlNode *node)
{
  if (node == NULL)
    return;
  xmlUnlinkNode (node);
  xmlFreeNode (node);
}

void
ramet_xml_drop_children (xmlNode *parent, const char *name)
{
  xmlNode *child;

  while ((child = ramet_xml_first (parent, name)) != NULL)
    ramet_xml_drop (child);
}
