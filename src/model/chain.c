/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/chain.h"

#include "core/error.h"
#include "model/metadata.h"

/** ramet_chain_leave_owner: else libvirt would give the file of @source to QEMU's user, for good */
void
ramet_chain_leave_owner (xmlNode *source)
{
  xmlNode *label = ramet_xml_add (source, "seclabel", NULL);

  ramet_xml_set (label, "model", "dac");
  ramet_xml_set (label, "relabel", "no");
}

/**
 * ramet_chain_add:
 * @layers: (element-type RametLayer): nearest first
 *
 * The whole chain stands in the definition, with its end, so that libvirt probes nothing.
 *
 * Returns: (transfer none): the <backingStore> that was added to @disk
 */
xmlNode *
ramet_chain_add (xmlNode *disk, GPtrArray *layers)
{
  xmlNode *first = ramet_xml_add (disk, "backingStore", NULL);
  xmlNode *store = first;

  for (guint i = 0; i < layers->len; i++)
    {
      const RametLayer *layer = g_ptr_array_index (layers, i);
      gboolean is_block = g_str_has_prefix (layer->path, "/dev/");
      xmlNode *source;

      ramet_xml_set (store, "type", is_block ? "block" : "file");
      ramet_xml_set (ramet_xml_add (store, "format", NULL), "type", layer->format);
      source = ramet_xml_add (store, "source", NULL);
      ramet_xml_set (source, is_block ? "dev" : "file", layer->path);
      if (!layer->own)
        ramet_chain_leave_owner (source);
      store = ramet_xml_add (store, "backingStore", NULL);
    }
  return first;
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

/* (transfer full) (nullable): the path in a <source> */
static char *
get_file (xmlNode *source)
{
  char *file = ramet_xml_get (source, "file");

  return file ? file : ramet_xml_get (source, "dev");
}

static gboolean
leaves_owner (xmlNode *source)
{
  for (xmlNode *label = ramet_xml_first (source, "seclabel"); label; label = ramet_xml_next (label, "seclabel"))
    if (ramet_xml_has (label, "model", "dac") && ramet_xml_has (label, "relabel", "no"))
      return TRUE;
  return FALSE;
}

/* A layer that is in @disk's chain already keeps the owner, or not, as it does there: it may be another VM's. */
static void
keep_owners (xmlNode *disk, GPtrArray *layers)
{
  for (xmlNode *node = disk; node; node = ramet_xml_first (node, "backingStore"))
    {
      xmlNode *source = ramet_xml_first (node, "source");
      g_autofree char *file = get_file (source);

      for (guint i = 0; file && i < layers->len; i++)
        {
          RametLayer *layer = g_ptr_array_index (layers, i);

          if (g_str_equal (layer->path, file))
            layer->own = !leaves_owner (source);
        }
    }
}

/* Gives a disk of @domain the file and layers of @overlay; none for a disk that stands alone. */
static gboolean
put_overlay (xmlNode *domain, const RametOverlay *overlay, GError **error)
{
  xmlNode *disk = find_disk (domain, overlay->target);
  xmlNode *source = ramet_xml_first (disk, "source");

  if (source == NULL || !ramet_xml_has (disk, "type", "file"))
    {
      ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the definition has no disk '%s' in a file", overlay->target);
      return FALSE;
    }
  keep_owners (disk, overlay->layers);
  ramet_xml_set (source, "file", overlay->overlay);
  ramet_xml_drop_children (disk, "backingStore");
  ramet_chain_add (disk, overlay->layers);
  return TRUE;
}

/**
 * ramet_chain_read:
 * @domain_xml: of a domain
 *
 * Returns: (transfer full) (nullable) (element-type utf8): the files of the disk @target as far as the XML tells them, nearest
 * first; %NULL if there is no such disk in a file
 */
GPtrArray *
ramet_chain_read (const char *domain_xml, const char *target, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (domain_xml, "domain", error);
  xmlNode *node = doc ? find_disk (xmlDocGetRootElement (doc), target) : NULL;
  GPtrArray *files;

  if (doc && node == NULL)
    ramet_error_set (error, RAMET_ERROR_NOT_FOUND, "the definition has no disk '%s'", target);
  if (node == NULL)
    return NULL;
  files = g_ptr_array_new_with_free_func (g_free);
  for (; node; node = ramet_xml_first (node, "backingStore"))
    {
      char *file = get_file (ramet_xml_first (node, "source"));

      if (file)
        g_ptr_array_add (files, file);
    }
  return files;
}

/**
 * ramet_chain_rewrite:
 * @overlays: (element-type RametOverlay): the disks to change, each with the file it shall have and the layers under that;
 *   whether libvirt leaves a layer's owner alone is taken from @domain_xml where that has the layer already
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
    if (!put_overlay (root, g_ptr_array_index (overlays, i), error))
      return NULL;
  if (!ramet_metadata_embed (root, metadata_xml, error))
    return NULL;
  return ramet_xml_dump (doc);
}
