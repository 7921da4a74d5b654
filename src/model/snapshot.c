/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/snapshot.h"

#include "core/error.h"
#include "model/chain.h"
#include "model/xml.h"

#define HELPER_MEMORY_MIB "16"

RametSnapshotDisk *
ramet_snapshot_disk_new (const char *target, const char *overlay)
{
  RametSnapshotDisk *disk = g_new0 (RametSnapshotDisk, 1);

  disk->target = g_strdup (target);
  disk->overlay = g_strdup (overlay);
  return disk;
}

void
ramet_snapshot_disk_free (RametSnapshotDisk *disk)
{
  g_free (disk->target);
  g_free (disk->overlay);
  g_free (disk);
}

static void
add_disk (xmlNode *disks, const RametSnapshotDisk *disk)
{
  xmlNode *node = ramet_xml_add (disks, "disk", NULL);

  ramet_xml_set (node, "name", disk->target);
  ramet_xml_set (node, "snapshot", disk->overlay ? "external" : "no");
  if (disk->overlay == NULL)
    return;
  ramet_xml_set (node, "type", "file");
  ramet_xml_set (ramet_xml_add (node, "driver", NULL), "type", "qcow2");
  ramet_xml_set (ramet_xml_add (node, "source", NULL), "file", disk->overlay);
}

/**
 * ramet_snapshot_xml:
 * @memory: (nullable): path of the file for the memory; without, it is a snapshot of the disks only
 * @disks: (element-type RametSnapshotDisk): all that the domain has, else libvirt would choose for the others
 *
 * Returns: (transfer full): as virDomainSnapshotCreateXML() wants it
 */
char *
ramet_snapshot_xml (const char *name, const char *memory, GPtrArray *disks)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *root = xmlNewNode (NULL, (const xmlChar *) "domainsnapshot");
  xmlNode *node;

  xmlDocSetRootElement (doc, root);
  ramet_xml_add (root, "name", name);
  node = ramet_xml_add (root, "memory", NULL);
  ramet_xml_set (node, "snapshot", memory ? "external" : "no");
  if (memory)
    ramet_xml_set (node, "file", memory);
  node = ramet_xml_add (root, "disks", NULL);
  for (guint i = 0; i < disks->len; i++)
    add_disk (node, g_ptr_array_index (disks, i));
  return ramet_xml_dump (doc);
}

/* (transfer full): @node and what is in it as a domain of its own */
static char *
dump_domain (xmlNode *node)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *copy = xmlDocCopyNode (node, doc, 1);

  xmlNodeSetName (copy, (const xmlChar *) "domain");
  xmlDocSetRootElement (doc, copy);
  return ramet_xml_dump (doc);
}

/**
 * ramet_snapshot_split:
 * @xml: a snapshot, as virDomainSnapshotGetXMLDesc() gives it
 * @ret_live: (out) (nullable): the domain as it ran then; %NULL if it was off
 * @ret_inactive: (out): its definition of then
 * @error: RAMET_ERROR_STATE if the snapshot does not say what the domain was like
 */
gboolean
ramet_snapshot_split (const char *xml, char **ret_live, char **ret_inactive, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (xml, "domainsnapshot", error);
  xmlNode *domain;
  xmlNode *inactive;

  if (doc == NULL)
    return FALSE;
  domain = ramet_xml_first (xmlDocGetRootElement (doc), "domain");
  inactive = ramet_xml_first (xmlDocGetRootElement (doc), "inactiveDomain");
  if (domain == NULL)
    {
      ramet_error_set (error, RAMET_ERROR_STATE, "libvirt's record of the snapshot does not say what the VM was like");
      return FALSE;
    }
  *ret_live = inactive ? dump_domain (domain) : NULL;
  *ret_inactive = dump_domain (inactive ? inactive : domain);
  return TRUE;
}

static void
copy_into (xmlNode *from, xmlNode *to)
{
  if (from)
    xmlAddChild (to, xmlDocCopyNode (from, to->doc, 1));
}

/**
 * ramet_snapshot_helper_xml:
 * @domain_xml: the VM whose layers they are; QEMU is taken as it is there
 * @name: of the helper
 * @chain: (element-type RametLayer): the file to write to, and what it stands on, nearest first
 *
 * Returns: (transfer full): a domain with nothing in it but a disk, so that QEMU can work on files that no VM runs with
 */
char *
ramet_snapshot_helper_xml (const char *domain_xml, const char *name, const char *target, GPtrArray *chain, GError **error)
{
  g_autoptr (xmlDoc) from = ramet_xml_parse (domain_xml, "domain", error);
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *root = xmlNewNode (NULL, (const xmlChar *) "domain");
  const RametLayer *top = g_ptr_array_index (chain, 0);
  g_autoptr (GPtrArray) below = g_ptr_array_new ();
  g_autofree char *type = NULL;
  xmlNode *node;

  xmlDocSetRootElement (doc, root);
  if (from == NULL)
    return NULL;
  type = ramet_xml_get (xmlDocGetRootElement (from), "type");
  ramet_xml_set (root, "type", type ? type : "qemu");
  ramet_xml_add (root, "name", name);
  ramet_xml_set (ramet_xml_add (root, "memory", HELPER_MEMORY_MIB), "unit", "MiB");
  copy_into (ramet_xml_at (xmlDocGetRootElement (from), "os/type"), ramet_xml_add (root, "os", NULL));
  node = ramet_xml_add (root, "devices", NULL);
  copy_into (ramet_xml_at (xmlDocGetRootElement (from), "devices/emulator"), node);
  ramet_xml_set (ramet_xml_add (node, "controller", NULL), "type", "usb");
  ramet_xml_set (ramet_xml_first (node, "controller"), "model", "none");
  ramet_xml_set (ramet_xml_add (node, "memballoon", NULL), "model", "none");
  node = ramet_xml_add (node, "disk", NULL);
  ramet_xml_set (node, "type", "file");
  ramet_xml_set (node, "device", "disk");
  ramet_xml_set (ramet_xml_add (node, "driver", NULL), "name", "qemu");
  ramet_xml_set (ramet_xml_first (node, "driver"), "type", top->format);
  ramet_xml_set (ramet_xml_add (node, "source", NULL), "file", top->path);
  ramet_xml_set (ramet_xml_add (node, "target", NULL), "dev", target);
  ramet_xml_set (ramet_xml_first (node, "target"), "bus", "virtio");
  for (guint i = 1; i < chain->len; i++)
    g_ptr_array_add (below, g_ptr_array_index (chain, i));
  ramet_chain_add (node, below);
  return ramet_xml_dump (doc);
}
