/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes XML as a tree, so that what comes out is XML most of the time; now and then it changes bytes all the same */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <string.h>

#include "fuzz.h"

#define MAX_NODES 1024

/* Values that mean something somewhere. */
static const char *const values[] = {
  "block",   "bridge", "cdrom",   "dbus",     "direct", "disk",     "egd",       "emulator", "ethernet", "evdev",
  "file",    "floppy", "fwcfg",   "host",     "kvm",    "lun",      "mode",      "mount",    "network",  "no",
  "none",    "null",   "nvdimm",  "passthrough", "pty", "qcow2",    "raw",       "smbios",   "spice",    "spicevmc",
  "static",  "tcp",    "udp",     "unix",     "user",   "uuid",     "vc",        "vda",      "vdb",      "vnc",
  "volume",  "yes",    "off",     "",         "1",      "4096",     "../a&b<c>", "/",        "é\n",      "builtin",
};

/* Random numbers for one mutation. */
typedef struct
{
  guint32 state;
} Dice;

static guint
roll (Dice *dice, gsize sides)
{
  dice->state = dice->state * 1664525u + 1013904223u;
  return sides ? (dice->state >> 8) % (guint) sides : 0;
}

static void
collect (xmlNode *node, GPtrArray *elements)
{
  for (; node && elements->len < MAX_NODES; node = node->next)
    if (node->type == XML_ELEMENT_NODE)
      {
        g_ptr_array_add (elements, node);
        collect (node->children, elements);
      }
}

static xmlNode *
pick (Dice *dice, GPtrArray *elements)
{
  return g_ptr_array_index (elements, roll (dice, elements->len));
}

static xmlAttr *
pick_attribute (Dice *dice, xmlNode *node)
{
  xmlAttr *attribute = node->properties;

  for (guint n = roll (dice, 4); attribute && attribute->next && n > 0; n--)
    attribute = attribute->next;
  return attribute;
}

/* An element goes away, comes twice, or comes again inside or beside another. */
static void
change_tree (Dice *dice, xmlDoc *doc, xmlNode *node, xmlNode *other)
{
  xmlNode *copy = xmlDocCopyNode (node, doc, 1);

  switch (roll (dice, 4))
    {
    case 0:
      if (node != xmlDocGetRootElement (doc))
        {
          xmlUnlinkNode (node);
          xmlFreeNode (node);
        }
      break;
    case 1:
      xmlAddChild (other, copy);
      return;
    case 2:
      other = node;
      /* fall through */
    default:
      if (other != xmlDocGetRootElement (doc))
        {
          xmlAddNextSibling (other, copy);
          return;
        }
    }
  xmlFreeNode (copy);
}

/* An attribute goes away, or it or the text gets another value: of the list above, or of another element. */
static void
change_value (Dice *dice, xmlNode *node, xmlNode *other)
{
  xmlAttr *attribute = pick_attribute (dice, node);
  xmlAttr *source = pick_attribute (dice, other);
  g_autofree char *value = g_strdup (values[roll (dice, G_N_ELEMENTS (values))]);

  if (source && roll (dice, 3) == 0)
    {
      xmlChar *text = xmlNodeListGetString (other->doc, source->children, 1);

      g_free (value);
      value = g_strdup (text ? (const char *) text : "");
      xmlFree (text);
    }
  if (attribute == NULL || roll (dice, 8) == 0)
    {
      if (source)
        xmlSetProp (node, source->name, (const xmlChar *) value);
      else if (node->children == NULL || node->children->type == XML_TEXT_NODE)
        {
          xmlNodeSetContent (node, NULL);
          xmlNodeAddContent (node, (const xmlChar *) value);
        }
    }
  else if (roll (dice, 5) == 0)
    xmlRemoveProp (attribute);
  else
    xmlSetProp (node, attribute->name, (const xmlChar *) value);
}

static size_t
write_out (xmlDoc *doc, guint8 *data, size_t size, size_t max_size)
{
  xmlBufferPtr buffer = xmlBufferCreate ();
  size_t length;

  xmlNodeDump (buffer, doc, xmlDocGetRootElement (doc), 0, 0);
  length = (size_t) xmlBufferLength (buffer);
  if (length > 0 && length <= max_size)
    {
      memcpy (data, xmlBufferContent (buffer), length);
      size = length;
    }
  xmlBufferFree (buffer);
  return size;
}

size_t
LLVMFuzzerCustomMutator (guint8 *data, size_t size, size_t max_size, unsigned int seed)
{
  Dice dice = { seed };
  g_autoptr (GPtrArray) elements = g_ptr_array_new ();
  xmlDoc *doc = roll (&dice, 8) == 0 ? NULL
                                     : xmlReadMemory ((const char *) data, (int) size, NULL, NULL,
                                                      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);

  if (doc == NULL || doc->intSubset)
    {
      xmlFreeDoc (doc);
      return LLVMFuzzerMutate (data, size, max_size);
    }
  for (guint n = 1 + roll (&dice, 3); n > 0; n--)
    {
      g_ptr_array_set_size (elements, 0);
      collect (xmlDocGetRootElement (doc), elements);
      if (roll (&dice, 3) == 0)
        change_tree (&dice, doc, pick (&dice, elements), pick (&dice, elements));
      else
        change_value (&dice, pick (&dice, elements), pick (&dice, elements));
    }
  size = write_out (doc, data, size, max_size);
  xmlFreeDoc (doc);
  return size;
}

/* Into a copy of the first goes an element of the second, beside one of its kind or, if there is none, at the end. */
size_t
LLVMFuzzerCustomCrossOver (const guint8 *data1, size_t size1, const guint8 *data2, size_t size2, guint8 *out,
                           size_t max_size, unsigned int seed)
{
  const int options = XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING;
  Dice dice = { seed };
  g_autoptr (GPtrArray) elements = g_ptr_array_new ();
  xmlDoc *into = xmlReadMemory ((const char *) data1, (int) size1, NULL, NULL, options);
  xmlDoc *from = xmlReadMemory ((const char *) data2, (int) size2, NULL, NULL, options);
  size_t size = 0;

  if (into && from && !into->intSubset && !from->intSubset)
    {
      xmlNode *node, *parent = NULL;

      collect (xmlDocGetRootElement (from), elements);
      node = pick (&dice, elements);
      g_ptr_array_set_size (elements, 0);
      collect (xmlDocGetRootElement (into), elements);
      for (guint i = 0; i < elements->len; i++)
        if (node->parent && xmlStrEqual (((xmlNode *) elements->pdata[i])->name, node->parent->name))
          parent = elements->pdata[i];
      xmlAddChild (parent ? parent : xmlDocGetRootElement (into), xmlDocCopyNode (node, into, 1));
      size = write_out (into, out, 0, max_size);
    }
  xmlFreeDoc (into);
  xmlFreeDoc (from);
  return size;
}
