/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/domain.h"

#include "core/error.h"
#include "model/metadata.h"
#include "model/xml.h"

static void
disk_free (gpointer data)
{
  RametDomainDisk *disk = data;

  g_free (disk->target);
  g_free (disk->type);
  g_free (disk->device);
  g_free (disk->path);
  g_free (disk->pool);
  g_free (disk->volume);
  g_free (disk->format);
  g_free (disk);
}

void
ramet_domain_facts_free (RametDomainFacts *facts)
{
  g_free (facts->name);
  g_free (facts->uuid);
  g_free (facts->type);
  g_free (facts->nvram);
  g_free (facts->metadata);
  g_ptr_array_unref (facts->boot_files);
  g_ptr_array_unref (facts->disks);
  g_ptr_array_unref (facts->macs);
  g_ptr_array_unref (facts->tags);
  g_ptr_array_unref (facts->folders);
  g_free (facts->network);
  g_free (facts->serial_log);
  g_free (facts);
}

static RametDomainDisk *
read_disk (xmlNode *node)
{
  RametDomainDisk *disk = g_new0 (RametDomainDisk, 1);
  xmlNode *source = ramet_xml_first (node, "source");

  disk->target = ramet_xml_get (ramet_xml_first (node, "target"), "dev");
  disk->type = ramet_xml_get (node, "type");
  disk->device = ramet_xml_get (node, "device");
  if (disk->device == NULL)
    disk->device = g_strdup ("disk");
  disk->path = ramet_xml_get (source, g_strcmp0 (disk->type, "block") == 0 ? "dev" : "file");
  disk->pool = ramet_xml_get (source, "pool");
  disk->volume = ramet_xml_get (source, "volume");
  disk->format = ramet_xml_get (ramet_xml_first (node, "driver"), "type");
  if (disk->format == NULL)
    disk->format = g_strdup ("raw");
  disk->readonly = ramet_xml_first (node, "readonly") != NULL;
  disk->shareable = ramet_xml_first (node, "shareable") != NULL;
  return disk;
}

/** ramet_domain_disk_wants_overlay: whether a clone writes to a layer of its own; what is shareable has no owner */
gboolean
ramet_domain_disk_wants_overlay (const RametDomainDisk *disk)
{
  return g_str_equal (disk->device, "disk") && !disk->readonly && !disk->shareable;
}

/* @unit as libvirt's parser takes it: https://libvirt.org/formatdomain.html#memory-allocation */
static guint64
memory_in_kib (xmlNode *node)
{
  static const struct
  {
    const char *name;
    guint64 bytes;
  } units[] = { { "b", 1 },                { "bytes", 1 },      { "KB", 1000 },          { "k", 1024 },
                { "KiB", 1024 },           { "MB", 1000000 },   { "M", 1024 * 1024 },    { "MiB", 1024 * 1024 },
                { "GB", 1000000000 },      { "G", 1ULL << 30 }, { "GiB", 1ULL << 30 },   { "T", 1ULL << 40 },
                { "TiB", 1ULL << 40 } };
  g_autofree char *text = ramet_xml_text (node);
  g_autofree char *unit = ramet_xml_get (node, "unit");
  guint64 value = text ? g_ascii_strtoull (text, NULL, 10) : 0;

  for (gsize i = 0; unit && i < G_N_ELEMENTS (units); i++)
    if (g_str_equal (unit, units[i].name))
      return value > G_MAXUINT64 / units[i].bytes ? G_MAXUINT64 / 1024 : value * units[i].bytes / 1024;
  return value;
}

static void
read_devices (xmlNode *devices, RametDomainFacts *facts)
{
  guint n_serials = 0;

  for (xmlNode *node = ramet_xml_first (devices, NULL); node; node = ramet_xml_next (node, NULL))
    {
      if (ramet_xml_is (node, "disk"))
        g_ptr_array_add (facts->disks, read_disk (node));
      else if (ramet_xml_is (node, "interface"))
        {
          g_autofree char *mac = ramet_xml_get (ramet_xml_first (node, "mac"), "address");

          if (facts->n_interfaces++ == 0)
            facts->network = ramet_xml_get (ramet_xml_first (node, "source"), "network");
          if (mac)
            g_ptr_array_add (facts->macs, g_ascii_strdown (mac, -1));
        }
      else if (ramet_xml_is (node, "filesystem"))
        {
          char *tag = ramet_xml_get (ramet_xml_first (node, "target"), "dir");
          char *folder = tag ? ramet_xml_get (ramet_xml_first (node, "source"), "dir") : NULL;

          if (tag)
            {
              g_ptr_array_add (facts->tags, tag);
              g_ptr_array_add (facts->folders, folder ? folder : g_strdup (""));
            }
        }
      else if (ramet_xml_is (node, "serial") && ramet_xml_has (node, "type", "pty"))
        facts->has_console = TRUE;
      if (ramet_xml_is (node, "serial") && n_serials++ == 0)
        facts->serial_log = ramet_xml_get (ramet_xml_first (node, "log"), "file");
    }
}

static void
read_os (xmlNode *os, RametDomainFacts *facts)
{
  static const char *const files[] = { "loader", "kernel", "initrd", "dtb" };
  xmlNode *nvram = ramet_xml_first (os, "nvram");
  xmlNode *source = ramet_xml_first (nvram, "source");

  facts->firmware_efi = ramet_xml_has (os, "firmware", "efi");
  facts->nvram = source ? ramet_xml_get (source, "file") : ramet_xml_text (nvram);
  if (facts->nvram && *g_strstrip (facts->nvram) == '\0')
    g_clear_pointer (&facts->nvram, g_free);
  for (gsize i = 0; i < G_N_ELEMENTS (files); i++)
    {
      g_autofree char *path = ramet_xml_text (ramet_xml_first (os, files[i]));

      if (path && *g_strstrip (path))
        g_ptr_array_add (facts->boot_files, g_steal_pointer (&path));
    }
}

static char *
read_metadata (xmlNode *metadata)
{
  for (xmlNode *node = ramet_xml_first (metadata, "vm"); node; node = ramet_xml_next (node, "vm"))
    if (node->ns && xmlStrEqual (node->ns->href, (const xmlChar *) RAMET_METADATA_URI))
      {
        g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");

        xmlDocSetRootElement (doc, xmlDocCopyNode (node, doc, 1));
        return ramet_xml_dump (doc);
      }
  return NULL;
}

/**
 * ramet_domain_facts_new:
 * @xml: a domain, as virDomainGetXMLDesc() gives it; untrusted
 *
 * Returns: (transfer full)
 */
RametDomainFacts *
ramet_domain_facts_new (const char *xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (xml, "domain", error);
  g_autofree char *vcpus = NULL;
  RametDomainFacts *facts;
  xmlNode *root;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  facts = g_new0 (RametDomainFacts, 1);
  facts->boot_files = g_ptr_array_new_with_free_func (g_free);
  facts->disks = g_ptr_array_new_with_free_func (disk_free);
  facts->macs = g_ptr_array_new_with_free_func (g_free);
  facts->tags = g_ptr_array_new_with_free_func (g_free);
  facts->folders = g_ptr_array_new_with_free_func (g_free);
  facts->name = ramet_xml_text (ramet_xml_first (root, "name"));
  facts->uuid = ramet_xml_text (ramet_xml_first (root, "uuid"));
  facts->type = ramet_xml_get (root, "type");
  facts->memory_kib = memory_in_kib (ramet_xml_first (root, "memory"));
  vcpus = ramet_xml_text (ramet_xml_first (root, "vcpu"));
  facts->vcpus = vcpus ? (guint) g_ascii_strtoull (vcpus, NULL, 10) : 1;
  read_os (ramet_xml_first (root, "os"), facts);
  facts->metadata = read_metadata (ramet_xml_first (root, "metadata"));
  read_devices (ramet_xml_first (root, "devices"), facts);
  return facts;
}

/**
 * ramet_domain_xml_collect_macs:
 * @macs: a set of lower-case addresses (element-type utf8) to add to
 *
 * Returns: %FALSE if @xml is none
 */
gboolean
ramet_domain_xml_collect_macs (const char *xml, GHashTable *macs)
{
  g_autoptr (RametDomainFacts) facts = ramet_domain_facts_new (xml, NULL);

  if (facts == NULL)
    return FALSE;
  for (guint i = 0; i < facts->macs->len; i++)
    g_hash_table_add (macs, g_strdup (g_ptr_array_index (facts->macs, i)));
  return TRUE;
}
