/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/chain.h"

#include "core/error.h"
#include "model/metadata.h"

/*
 * The whole chain stands in the definition, with the files' owner left alone: otherwise libvirt would probe them, and give
 * them to QEMU's user for good.
 */
static void
add_layers (xmlNode *parent, GPtrArray *layers)
{
  for (guint i = 0; i < layers->len; i++)
    {
      const RametLayer *layer = g_ptr_array_index (layers, i);
      gboolean is_block = g_str_has_prefix (layer->path, "/dev/");
      xmlNode *store = ramet_xml_add (parent, "backingStore", NULL);
      xmlNode *source;
      xmlNode *label;

      ramet_xml_set (store, "type", is_block ? "block" : "file");
      ramet_xml_set (ramet_xml_add (store, "format", NULL), "type", layer->format);
      source = ramet_xml_add (store, "source", NULL);
      ramet_xml_set (source, is_block ? "dev" : "file", layer->path);
      label = ramet_xml_add (source, "seclabel", NULL);
      ramet_xml_set (label, "model", "dac");
      ramet_xml_set (label, "relabel", "no");
      parent = store;
    }
  ramet_xml_add (parent, "backingStore", NULL);
}

static xmlNode *
find_disk (xmlNode *domain, const char *target)
{
  xmlNode *devices = ramet_xml_first (domain, "devices");

  for (xmlNode *disk = ramet_xml_first (devices, "disk"); disk; disk = ramet_xml_next (disk, "disk"))
    if (ramet_xml_has (ramet_xml_first (disk, "target"), "dev", target))
      return disk;
  return NULL;
}

/**
 * ramet_chain_put:
 * @domain: the root of a clone's definition
 * @overlay: one of its disks, the file it shall have and the layers under that, none for a disk that stands alone
 * @error: RAMET_ERROR_NOT_FOUND if there is no such disk of a file's
 */
gboolean
ramet_chain_put (xmlNode *domain, const RametOverlay *overlay, GError **error)
{
  xmlNode *disk = find_disk (domain, overlay->target);
  xmlNode *source = ramet_xml_first (disk, "source");

  if (source == NULL || !ramet_xml_has (disk, "type", "file"))
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the definition has no disk '%s' in a file", overlay->target);
      return FALSE;
    }
  ramet_xml_set (source, "file", overlay->overlay);
  ramet_xml_drop_children (disk, "backingStore");
  add_layers (disk, overlay->layers);
  return TRUE;
}

static void
drop_our_metadata (xmlNode *metadata)
{
  xmlNode *node = ramet_xml_first (metadata, "vm");

  while (node)
    {
      xmlNode *next = ramet_xml_next (node, "vm");

      if (node->ns && xmlStrEqual (node->ns->href, (const xmlChar *) RAMET_METADATA_URI))
        ramet_xml_drop (node);
      node = next;
    }
}

/**
 * ramet_chain_rewrite:
 * @overlays: (element-type RametOverlay): the disks to change, see ramet_chain_put()
 * @metadata_xml: our element in no namespace, instead of the one that is there
 *
 * Returns: (transfer full): @domain_xml with disks and metadata changed in one go, and nothing else
 */
char *
ramet_chain_rewrite (const char *domain_xml, GPtrArray *overlays, const char *metadata_xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (domain_xml, "domain", error);
  xmlNode *root;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  for (guint i = 0; i < overlays->len; i++)
    if (!ramet_chain_put (root, g_ptr_array_index (overlays, i), error))
      return NULL;
  drop_our_metadata (ramet_xml_first (root, "metadata"));
  if (!ramet_metadata_embed (root, metadata_xml, error))
    return NULL;
  return ramet_xml_dump (doc);
}
