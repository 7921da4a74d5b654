/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-places.h"

#include "model/xml.h"

#define QEMU_URI "http://libvirt.org/schemas/domain/qemu/1.0"

/*
 * The table of what becomes of what stands in a base, written down a second time: as an allow-list of places rather than
 * as rules. It knows nothing of how the rewriting is done. '*' stands for anything, slashes too; the first match counts.
 */
static const struct
{
  const char *pattern;
  Place place;
} places[] = {
  { "/domain", PLACE_INSIDE },
  { "/domain/@type", PLACE_INSIDE },
  { "/domain/@id", PLACE_GONE },
  { "/domain/name", PLACE_MADE },
  { "/domain/uuid", PLACE_MADE },
  { "/domain/genid", PLACE_MADE },
  { "/domain/title", PLACE_GONE },
  { "/domain/description", PLACE_GONE },
  { "/domain/metadata", PLACE_MAY },
  { "/domain/memory*", PLACE_INSIDE }, /* memoryBacking with its huge pages, too */
  { "/domain/currentMemory*", PLACE_INSIDE },
  { "/domain/maxMemory*", PLACE_INSIDE },
  { "/domain/memtune*", PLACE_INSIDE },
  { "/domain/blkiotune", PLACE_INSIDE },
  { "/domain/blkiotune/weight", PLACE_INSIDE },
  { "/domain/blkiotune/device*", PLACE_SHARED }, /* a limit, not a use */
  { "/domain/vcpu*", PLACE_INSIDE },
  { "/domain/iothread*", PLACE_INSIDE },
  { "/domain/defaultiothread*", PLACE_INSIDE },
  { "/domain/cputune*", PLACE_INSIDE },
  { "/domain/numatune*", PLACE_INSIDE },
  { "/domain/resource", PLACE_INSIDE },
  { "/domain/resource/partition", PLACE_SHARED },
  { "/domain/resource/fibrechannel*", PLACE_GONE },
  { "/domain/keywrap*", PLACE_INSIDE },
  { "/domain/features*", PLACE_INSIDE },
  { "/domain/cpu", PLACE_INSIDE },
  { "/domain/cpu/*", PLACE_INSIDE },
  { "/domain/clock*", PLACE_INSIDE },
  { "/domain/on_*", PLACE_INSIDE },
  { "/domain/pm", PLACE_INSIDE },
  { "/domain/pm/*", PLACE_INSIDE },
  { "/domain/perf*", PLACE_INSIDE },

  { "/domain/os", PLACE_INSIDE },
  { "/domain/os/@firmware", PLACE_INSIDE },
  { "/domain/os/loader*", PLACE_SHARED },
  { "/domain/os/kernel", PLACE_SHARED },
  { "/domain/os/initrd", PLACE_SHARED },
  { "/domain/os/dtb", PLACE_SHARED },
  { "/domain/os/cmdline", PLACE_KEPT },
  { "/domain/os/nvram/@template", PLACE_SHARED },
  { "/domain/os/nvram/@type", PLACE_INSIDE },
  { "/domain/os/nvram", PLACE_MADE },
  { "/domain/os/nvram/source", PLACE_MAY },
  { "/domain/os/nvram/source/@file", PLACE_MADE },
  { "/domain/os/type*", PLACE_INSIDE },
  { "/domain/os/boot*", PLACE_INSIDE },
  { "/domain/os/smbios*", PLACE_INSIDE },
  { "/domain/os/bios*", PLACE_INSIDE },
  { "/domain/os/firmware*", PLACE_INSIDE },
  { "/domain/os/acpi", PLACE_MAY }, /* may stay behind, empty */

  { "/domain/sysinfo:smbios/system/entry=uuid", PLACE_MADE },
  { "/domain/sysinfo:smbios*", PLACE_KEPT },
  { "/domain/sysinfo:fwcfg", PLACE_MAY }, /* may go with its last entry */
  { "/domain/sysinfo:fwcfg/@type", PLACE_MAY },
  { "/domain/sysinfo:fwcfg/entry=*@file", PLACE_GONE },
  { "/domain/sysinfo:fwcfg/entry=*", PLACE_KEPT },
  { "/domain/seclabel:*/label", PLACE_GONE },
  { "/domain/seclabel:*/imagelabel", PLACE_GONE },
  { "/domain/seclabel:dynamic*", PLACE_KEPT },
  { "/domain/seclabel:none*", PLACE_KEPT },
  { "/domain/seclabel:static*", PLACE_GONE },
  { "/domain/qemu!*", PLACE_KEPT }, /* only ever there with the option */

  { "/domain/devices", PLACE_INSIDE },
  { "/domain/devices/emulator", PLACE_SHARED },
  { "/domain/devices/*/alias/@name", PLACE_KEPT },
  { "/domain/devices/controller*", PLACE_INSIDE },

  { "/domain/devices/disk:own/@type", PLACE_MAY },
  { "/domain/devices/disk:own/driver", PLACE_INSIDE },
  { "/domain/devices/disk:own/driver/@type", PLACE_MAY },
  { "/domain/devices/disk:own/driver/@name", PLACE_INSIDE },
  { "/domain/devices/disk:own/source", PLACE_INSIDE },
  { "/domain/devices/disk:own/source/@file", PLACE_MADE },
  { "/domain/devices/disk:own/source/@startupPolicy", PLACE_MAY },
  { "/domain/devices/disk:own/source/@*", PLACE_GONE },
  { "/domain/devices/disk:own/source/*", PLACE_GONE },
  { "/domain/devices/disk:own/backingStore*", PLACE_MAY },
  { "/domain/devices/disk:own/mirror*", PLACE_GONE },
  { "/domain/devices/disk:own/privateData*", PLACE_GONE },
  { "/domain/devices/disk:own/auth*", PLACE_GONE },
  { "/domain/devices/disk:*/mirror*", PLACE_GONE },
  { "/domain/devices/disk:*/privateData*", PLACE_GONE },
  { "/domain/devices/disk:medium/source/@index", PLACE_GONE },
  { "/domain/devices/disk:shared/source/@index", PLACE_GONE },
  { "/domain/devices/disk:medium/readonly", PLACE_INSIDE },
  { "/domain/devices/disk:medium/source", PLACE_INSIDE },
  { "/domain/devices/disk:medium/source/@fdgroup", PLACE_UNKNOWN },
  { "/domain/devices/disk:medium/source/privateData*", PLACE_GONE },
  { "/domain/devices/disk:medium/source/seclabel*", PLACE_MAY },
  { "/domain/devices/disk:medium/source/*", PLACE_SHARED },
  { "/domain/devices/disk:medium/backingStore*", PLACE_MAY },
  { "/domain/devices/disk:shared/source", PLACE_INSIDE },
  { "/domain/devices/disk:shared/source/privateData*", PLACE_GONE },
  { "/domain/devices/disk:shared/source/*", PLACE_SHARED },
  { "/domain/devices/disk:shared/backingStore*", PLACE_MAY },
  { "/domain/devices/disk:*/serial", PLACE_KEPT },
  { "/domain/devices/disk:*/wwn", PLACE_KEPT },
  { "/domain/devices/disk:*/vendor", PLACE_KEPT },
  { "/domain/devices/disk:*/product", PLACE_KEPT },
  { "/domain/devices/disk:own*", PLACE_INSIDE },
  { "/domain/devices/disk:medium*", PLACE_INSIDE },
  { "/domain/devices/disk:shared*", PLACE_INSIDE },

  { "/domain/devices/interface:*/mac", PLACE_MAY }, /* a base may lack it */
  { "/domain/devices/interface:*/mac/@address", PLACE_MADE },
  { "/domain/devices/interface:*/target*", PLACE_GONE },
  { "/domain/devices/interface:*/portForward*", PLACE_GONE },
  { "/domain/devices/interface:*/backend/@logFile", PLACE_GONE },
  { "/domain/devices/interface:*/backend", PLACE_MAY },
  { "/domain/devices/interface:*/bandwidth/@classID", PLACE_GONE },
  { "/domain/devices/interface:*/virtualport/parameters/@interfaceid", PLACE_GONE },
  { "/domain/devices/interface:*/virtualport/parameters/@instanceid", PLACE_GONE },
  { "/domain/devices/interface:*/virtualport/parameters", PLACE_MAY },
  { "/domain/devices/interface:*/virtualport*", PLACE_SHARED },
  { "/domain/devices/interface:*/filterref/parameter=IP", PLACE_GONE },
  { "/domain/devices/interface:*/filterref/parameter=IP/@*", PLACE_GONE },
  { "/domain/devices/interface:*/filterref/parameter=IPV6", PLACE_GONE },
  { "/domain/devices/interface:*/filterref/parameter=IPV6/@*", PLACE_GONE },
  { "/domain/devices/interface:*/filterref/parameter=MAC", PLACE_GONE },
  { "/domain/devices/interface:*/filterref/parameter=MAC/@*", PLACE_GONE },
  { "/domain/devices/interface:*/filterref*", PLACE_SHARED },
  { "/domain/devices/interface:*/source/@portid", PLACE_GONE },
  { "/domain/devices/interface:*/script*", PLACE_UNKNOWN },
  { "/domain/devices/interface:*/downscript*", PLACE_UNKNOWN },
  { "/domain/devices/interface:*/rom/@file", PLACE_SHARED },
  { "/domain/devices/interface:*/backend/@*", PLACE_SHARED },
  { "/domain/devices/interface:user/source*", PLACE_SHARED },
  { "/domain/devices/interface:user*", PLACE_INSIDE },
  { "/domain/devices/interface:*/ip*", PLACE_UNKNOWN },
  { "/domain/devices/interface:*/route*", PLACE_UNKNOWN },
  { "/domain/devices/interface:network/source*", PLACE_SHARED },
  { "/domain/devices/interface:network*", PLACE_INSIDE },
  { "/domain/devices/interface:bridge/source*", PLACE_SHARED },
  { "/domain/devices/interface:bridge*", PLACE_INSIDE },
  { "/domain/devices/interface:direct/source*", PLACE_SHARED },
  { "/domain/devices/interface:direct*", PLACE_INSIDE },
  { "/domain/devices/interface:internal/source*", PLACE_SHARED },
  { "/domain/devices/interface:internal*", PLACE_INSIDE },
  { "/domain/devices/interface:mcast/source*", PLACE_SHARED },
  { "/domain/devices/interface:mcast*", PLACE_INSIDE },

  { "/domain/devices/chardev:*/@tty", PLACE_GONE },
  { "/domain/devices/chardev:*/log/@file", PLACE_MADE },
  { "/domain/devices/chardev:*/log*", PLACE_INSIDE },
  { "/domain/devices/chardev:*/target/@state", PLACE_GONE },
  { "/domain/devices/chardev:file/source/@path", PLACE_MADE },
  { "/domain/devices/chardev:file/source/seclabel*", PLACE_MAY },
  { "/domain/devices/chardev:file*", PLACE_INSIDE },
  { "/domain/devices/chardev:unix/source*", PLACE_GONE },
  { "/domain/devices/chardev:unix*", PLACE_INSIDE },
  { "/domain/devices/chardev:*/source/@path", PLACE_GONE },
  { "/domain/devices/chardev:*/source/seclabel*", PLACE_GONE },
  { "/domain/devices/chardev:*/source", PLACE_MAY },
  { "/domain/devices/chardev:pty*", PLACE_INSIDE },
  { "/domain/devices/chardev:null*", PLACE_INSIDE },
  { "/domain/devices/chardev:vc*", PLACE_INSIDE },
  { "/domain/devices/chardev:spicevmc*", PLACE_INSIDE },
  { "/domain/devices/chardev:spiceport*", PLACE_INSIDE },
  { "/domain/devices/chardev:qemu-vdagent*", PLACE_INSIDE },
  { "/domain/devices/chardev:dbus*", PLACE_INSIDE },
  { "/domain/devices/redirdev:spicevmc/log/@file", PLACE_MADE },
  { "/domain/devices/redirdev:spicevmc/source/@path", PLACE_GONE },
  { "/domain/devices/redirdev:spicevmc*", PLACE_INSIDE },
  { "/domain/devices/redirfilter*", PLACE_INSIDE },
  { "/domain/devices/smartcard:spicevmc/log/@file", PLACE_MADE },
  { "/domain/devices/smartcard:spicevmc/source/@path", PLACE_GONE },
  { "/domain/devices/smartcard:spicevmc*", PLACE_INSIDE },

  { "/domain/devices/graphics:*/@port", PLACE_GONE },
  { "/domain/devices/graphics:*/@tlsPort", PLACE_GONE },
  { "/domain/devices/graphics:*/@websocket", PLACE_GONE },
  { "/domain/devices/graphics:*/@socket", PLACE_GONE },
  { "/domain/devices/graphics:*/@passwd", PLACE_GONE },
  { "/domain/devices/graphics:*/@passwdValidTo", PLACE_GONE },
  { "/domain/devices/graphics:*/@autoport", PLACE_MAY },
  { "/domain/devices/graphics:*/@listen", PLACE_SHARED },
  { "/domain/devices/graphics:*/listen/@socket", PLACE_GONE },
  { "/domain/devices/graphics:*/listen*", PLACE_SHARED },
  { "/domain/devices/graphics:*/gl/@rendernode", PLACE_SHARED },
  { "/domain/devices/graphics:dbus/@address", PLACE_UNKNOWN },
  { "/domain/devices/graphics:vnc*", PLACE_INSIDE },
  { "/domain/devices/graphics:spice*", PLACE_INSIDE },
  { "/domain/devices/graphics:egl-headless*", PLACE_INSIDE },
  { "/domain/devices/graphics:dbus*", PLACE_INSIDE },

  { "/domain/devices/audio:file*", PLACE_UNKNOWN },
  { "/domain/devices/audio:none*", PLACE_INSIDE }, /* what a file may become */
  { "/domain/devices/audio:*", PLACE_SHARED },
  { "/domain/devices/sound*", PLACE_INSIDE },
  { "/domain/devices/video/model/acceleration/@rendernode", PLACE_SHARED },
  { "/domain/devices/video*", PLACE_INSIDE },
  { "/domain/devices/input:keyboard*", PLACE_INSIDE },
  { "/domain/devices/input:mouse*", PLACE_INSIDE },
  { "/domain/devices/input:tablet*", PLACE_INSIDE },
  { "/domain/devices/hub*", PLACE_INSIDE },
  { "/domain/devices/watchdog*", PLACE_INSIDE },
  { "/domain/devices/memballoon*", PLACE_INSIDE },
  { "/domain/devices/panic*", PLACE_INSIDE },
  { "/domain/devices/iommu*", PLACE_INSIDE },
  { "/domain/devices/nvram*", PLACE_INSIDE },
  { "/domain/devices/rng:random/backend", PLACE_SHARED },
  { "/domain/devices/rng:random*", PLACE_INSIDE },
  { "/domain/devices/rng:builtin*", PLACE_INSIDE },
  { "/domain/devices/crypto:builtin*", PLACE_INSIDE },
  { "/domain/devices/memory:dimm*", PLACE_INSIDE },
  { "/domain/devices/memory:virtio-mem*", PLACE_INSIDE },
  { "/domain/devices/tpm:emulator/backend/encryption*", PLACE_UNKNOWN },
  { "/domain/devices/tpm:emulator*", PLACE_INSIDE },
  { "/domain/devices/vsock/cid", PLACE_MAY },
  { "/domain/devices/vsock/cid/@auto", PLACE_MAY },
  { "/domain/devices/vsock/cid/@address", PLACE_GONE },
  { "/domain/devices/vsock*", PLACE_INSIDE },
  { "/domain/devices/filesystem*", PLACE_MAY }, /* only ours: checked by name */
};

/* A writable disk wants one of its own; the words of the table for the others. */
static const char *
disk_kind (xmlNode *disk)
{
  g_autofree char *type = ramet_xml_get (disk, "type");
  gboolean readonly = ramet_xml_first (disk, "readonly") != NULL || ramet_xml_has (disk, "device", "cdrom") ||
                      ramet_xml_has (disk, "device", "floppy");

  if (type && !g_str_equal (type, "file") && !g_str_equal (type, "block") && !g_str_equal (type, "volume"))
    return "foreign";
  if (ramet_xml_has (disk, "device", "lun"))
    return "lun";
  if (readonly)
    return "medium";
  return ramet_xml_first (disk, "shareable") ? "shared" : "own";
}

static char *
with_kind (const char *name, xmlNode *node, const char *attribute, const char *otherwise)
{
  g_autofree char *kind = ramet_xml_get (node, attribute);

  return g_strdup_printf ("%s:%s", name, kind ? kind : otherwise);
}

static char *
device_label (xmlNode *node)
{
  static const char *const chardevs[] = { "serial", "parallel", "console", "channel", NULL };
  static const char *const typed[] = { "interface", "graphics", "redirdev", "audio", "input", NULL };
  const char *name = (const char *) node->name;

  if (g_str_equal (name, "disk"))
    return g_strdup_printf ("disk:%s", disk_kind (node));
  if (g_strv_contains (chardevs, name))
    return with_kind ("chardev", node, "type", "");
  if (g_strv_contains (typed, name))
    return with_kind (name, node, "type", "");
  if (g_str_equal (name, "smartcard"))
    return with_kind (name, ramet_xml_has (node, "mode", "passthrough") ? node : NULL, "type", "host");
  if (g_str_equal (name, "memory"))
    return with_kind (name, node, "model", "");
  if (g_str_equal (name, "tpm"))
    return with_kind (name, ramet_xml_first (node, "backend"), "type", "");
  if (g_str_equal (name, "rng") || g_str_equal (name, "crypto"))
    return with_kind (name, ramet_xml_first (node, "backend"), "model", "");
  return g_strdup (name);
}

/** domain_label: (transfer full): the name of @node with its kind where rules depend on that: "disk:own" */
char *
domain_label (xmlNode *node)
{
  xmlNode *parent = node->parent;
  const char *name = (const char *) node->name;

  if (node->ns && xmlStrEqual (node->ns->href, (const xmlChar *) QEMU_URI))
    return g_strdup_printf ("qemu!%s", name);
  if (node->ns)
    return g_strdup_printf ("foreign!%s", name);
  if (parent && ramet_xml_is (parent, "devices"))
    return device_label (node);
  if (g_str_equal (name, "sysinfo"))
    return with_kind (name, node, "type", "smbios");
  if (g_str_equal (name, "seclabel") && ramet_xml_is (parent, "domain"))
    return with_kind (name, node, "type", "dynamic");
  if (g_str_equal (name, "entry") || (g_str_equal (name, "parameter") && ramet_xml_is (parent, "filterref")))
    {
      g_autofree char *which = ramet_xml_get (node, "name");

      return g_strdup_printf ("%s=%s", name, which ? which : "");
    }
  return g_strdup (name);
}

/* Remembers what it found: a few hundred paths make up all the files. */
static Place
find_place (const char *path)
{
  static GHashTable *known = NULL;
  Place place = PLACE_UNKNOWN;
  gpointer value;

  if (known == NULL)
    known = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  if (g_hash_table_lookup_extended (known, path, NULL, &value))
    return GPOINTER_TO_INT (value);
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    if (g_pattern_match_simple (places[i].pattern, path))
      {
        place = places[i].place;
        break;
      }
  g_hash_table_insert (known, g_strdup (path), GINT_TO_POINTER (place));
  return place;
}

static void
leaf_free (gpointer data)
{
  Leaf *leaf = data;

  g_free (leaf->path);
  g_free (leaf->value);
  g_free (leaf);
}

static void
take_leaf (GPtrArray *leaves, char *path, char *value)
{
  Leaf *leaf = g_new0 (Leaf, 1);

  leaf->path = path;
  leaf->value = value;
  leaf->place = find_place (path);
  g_ptr_array_add (leaves, leaf);
}

static void
walk (GPtrArray *leaves, xmlNode *node, const char *above)
{
  g_autofree char *label = domain_label (node);
  g_autofree char *path = g_strconcat (above, "/", label, NULL);
  gboolean has_children = ramet_xml_first (node, NULL) != NULL;

  take_leaf (leaves, g_strdup (path), has_children ? g_strdup ("") : ramet_xml_text (node));
  for (xmlAttr *attribute = node->properties; attribute; attribute = attribute->next)
    {
      xmlChar *value = xmlNodeGetContent ((xmlNode *) attribute);

      take_leaf (leaves, g_strconcat (path, "/@", (const char *) attribute->name, NULL), g_strdup ((char *) value));
      xmlFree (value);
    }
  if (g_str_equal (path, "/domain/metadata")) /* whose tools' words are checked by namespace */
    return;
  for (xmlNode *child = ramet_xml_first (node, NULL); child; child = ramet_xml_next (child, NULL))
    walk (leaves, child, path);
}

/**
 * domain_leaves:
 *
 * Every element and attribute of a domain, with its place in the table. Names in the paths carry the kind that the rules
 * ask for: 'disk:own' is one that the clone gets an overlay for, 'entry=uuid' the entry of that name, 'chardev:pty' a
 * serial, parallel, console or channel device.
 *
 * Returns: (transfer full) (element-type Leaf)
 */
GPtrArray *
domain_leaves (xmlNode *root)
{
  GPtrArray *leaves = g_ptr_array_new_with_free_func (leaf_free);

  walk (leaves, root, "");
  return leaves;
}
