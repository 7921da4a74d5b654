/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold of every clone, asked of the XML alone: see domain-places.c for what may stand where. */
#include "domain-oracle.h"

#include <libxml/xpath.h>
#include <libxml/xpathInternals.h>
#include <string.h>

#include "domain-places.h"
#include "model/share.h"

#define AGENT "org.qemu.guest_agent.0"
#define OSINFO_URI "http://libosinfo.org/"
#define OWN_URI "urn:ramet:1"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlXPathContext, xmlXPathFreeContext)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlXPathObject, xmlXPathFreeObject)

void
domain_fail (GPtrArray *failures, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (failures, g_strdup_vprintf (format, args));
  va_end (args);
}

static void
register_namespaces (xmlXPathContext *context, xmlNode *node)
{
  for (xmlNs *ns = node->nsDef; ns; ns = ns->next)
    if (ns->prefix)
      xmlXPathRegisterNs (context, ns->prefix, ns->href);
  for (xmlNode *child = ramet_xml_first (node, NULL); child; child = ramet_xml_next (child, NULL))
    register_namespaces (context, child);
}

/** domain_find: (transfer container) (element-type xmlNode): in document order; the prefixes are the document's own */
GPtrArray *
domain_find (xmlDoc *doc, const char *xpath)
{
  GPtrArray *nodes = g_ptr_array_new ();
  g_autoptr (xmlXPathContext) context = xmlXPathNewContext (doc);
  g_autoptr (xmlXPathObject) found = NULL;

  register_namespaces (context, xmlDocGetRootElement (doc));
  found = xmlXPathEvalExpression ((const xmlChar *) xpath, context);
  for (int i = 0; found && found->nodesetval && i < found->nodesetval->nodeNr; i++)
    g_ptr_array_add (nodes, found->nodesetval->nodeTab[i]);
  return nodes;
}

static xmlNode *
find_one (xmlDoc *doc, const char *xpath)
{
  g_autoptr (GPtrArray) nodes = domain_find (doc, xpath);

  return nodes->len > 0 ? g_ptr_array_index (nodes, 0) : NULL;
}

/* The text of an element or an attribute, or NULL. */
static char *
text_at (xmlDoc *doc, const char *xpath)
{
  return ramet_xml_text (find_one (doc, xpath));
}

static gboolean
is_kept (Place place)
{
  return place == PLACE_INSIDE || place == PLACE_KEPT || place == PLACE_SHARED;
}

static char *
leaf_key (const Leaf *leaf)
{
  return g_strdup_printf ("%s = '%s'", leaf->path, leaf->value);
}

/* How often each place with its value is in @leaves, of those that are kept. */
static GHashTable *
count_kept (GPtrArray *leaves)
{
  GHashTable *counts = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < leaves->len; i++)
    {
      const Leaf *leaf = g_ptr_array_index (leaves, i);
      char *key = leaf_key (leaf);

      if (is_kept (leaf->place))
        g_hash_table_replace (counts, key, GUINT_TO_POINTER (1 + GPOINTER_TO_UINT (g_hash_table_lookup (counts, key))));
      else
        g_free (key);
    }
  return counts;
}

static void
check_kept (const DomainCheck *check, GPtrArray *base, GPtrArray *clone)
{
  g_autoptr (GHashTable) had = count_kept (base);
  g_autoptr (GHashTable) has = count_kept (clone);
  GHashTableIter iter;
  gpointer key;
  gpointer value;

  g_hash_table_iter_init (&iter, had);
  while (g_hash_table_iter_next (&iter, &key, &value))
    if (GPOINTER_TO_UINT (g_hash_table_lookup (has, key)) < GPOINTER_TO_UINT (value))
      domain_fail (check->failures, "lost: %s", (char *) key);
  for (guint i = 0; i < clone->len; i++)
    {
      const Leaf *leaf = g_ptr_array_index (clone, i);
      g_autofree char *name = leaf_key (leaf);

      if (leaf->place == PLACE_SHARED && !g_hash_table_contains (had, name))
        domain_fail (check->failures, "not the base's: %s", name);
    }
}

static gboolean
names_something (const char *value)
{
  return *value == '/' || strstr (value, "://") || g_uuid_string_is_valid (value) ||
         (strlen (value) == strlen ("52:54:00:00:00:00") &&
          g_regex_match_simple ("^([0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}$", value, 0, 0));
}

/* What names one VM's own things in @leaves: the set of values, in lower case. */
static GHashTable *
own_values (GPtrArray *leaves)
{
  GHashTable *values = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < leaves->len; i++)
    {
      const Leaf *leaf = g_ptr_array_index (leaves, i);

      if (leaf->place == PLACE_MADE && *leaf->value)
        g_hash_table_add (values, g_ascii_strdown (leaf->value, -1));
    }
  return values;
}

static void
check_places (const DomainCheck *check, GPtrArray *base, GPtrArray *clone)
{
  g_autoptr (GHashTable) theirs = own_values (base);

  for (guint i = 0; i < clone->len; i++)
    {
      const Leaf *leaf = g_ptr_array_index (clone, i);
      g_autofree char *value = g_ascii_strdown (leaf->value, -1);

      if (leaf->place == PLACE_UNKNOWN)
        domain_fail (check->failures, "no rule lets this pass: %s = '%s'", leaf->path, leaf->value);
      else if (leaf->place == PLACE_GONE)
        domain_fail (check->failures, "still there: %s = '%s'", leaf->path, leaf->value);
      else if (leaf->place == PLACE_INSIDE && names_something (leaf->value))
        domain_fail (check->failures, "names something outside: %s = '%s'", leaf->path, leaf->value);
      else if (leaf->place == PLACE_MADE && g_hash_table_contains (theirs, value))
        domain_fail (check->failures, "shared with the base: %s = '%s'", leaf->path, leaf->value);
    }
}

/* Each node that @xpath finds in the clone says @expected, and at least @at_least do. */
static void
expect_text (const DomainCheck *check, const char *xpath, guint at_least, const char *expected)
{
  g_autoptr (GPtrArray) nodes = domain_find (check->clone, xpath);

  if (nodes->len < at_least)
    domain_fail (check->failures, "%s: there are %u of it, not %u", xpath, nodes->len, at_least);
  for (guint i = 0; i < nodes->len; i++)
    {
      g_autofree char *text = ramet_xml_text (g_ptr_array_index (nodes, i));

      if (g_strcmp0 (text, expected) != 0)
        domain_fail (check->failures, "%s: '%s' instead of '%s'", xpath, text, expected);
    }
}

static void
check_identity (const DomainCheck *check)
{
  g_autoptr (GPtrArray) interfaces = domain_find (check->clone, "/domain/devices/interface");
  g_autofree char *genid = text_at (check->clone, "/domain/genid");

  expect_text (check, "/domain/name", 1, check->identity->name);
  expect_text (check, "/domain/uuid", 1, check->identity->uuid);
  expect_text (check, "/domain/sysinfo/system/entry[@name='uuid']", 0, check->identity->uuid);
  if ((genid != NULL) != (find_one (check->base, "/domain/genid") != NULL))
    domain_fail (check->failures, "/domain/genid came or went");
  if (genid && *genid && !g_uuid_string_is_valid (genid))
    domain_fail (check->failures, "/domain/genid is '%s'", genid);
  for (guint i = 0; i < interfaces->len; i++)
    {
      xmlNode *mac = ramet_xml_first (g_ptr_array_index (interfaces, i), "mac");

      if (!ramet_xml_has (mac, "address", g_ptr_array_index (check->identity->macs, i)))
        domain_fail (check->failures, "interface %u has not the address that was made for it", i + 1);
    }
  expect_text (check, "/domain/os/nvram[not(source)][normalize-space()] | /domain/os/nvram/source/@file",
               check->identity->nvram ? 1 : 0, check->identity->nvram);
}

/* The backing chain as probed, to its end, every owner left alone. */
static void
check_layers (const DomainCheck *check, xmlNode *disk, const RametOverlay *overlay)
{
  xmlNode *at = disk;

  for (guint i = 0; i < overlay->layers->len; i++)
    {
      const RametLayer *layer = g_ptr_array_index (overlay->layers, i);
      gboolean is_block = g_str_has_prefix (layer->path, "/dev/");
      xmlNode *source;
      xmlNode *label;

      at = ramet_xml_first (at, "backingStore");
      source = ramet_xml_first (at, "source");
      label = ramet_xml_first (source, "seclabel");
      if (!ramet_xml_has (at, "type", is_block ? "block" : "file") ||
          !ramet_xml_has (source, is_block ? "dev" : "file", layer->path) ||
          !ramet_xml_has (ramet_xml_first (at, "format"), "type", layer->format))
        domain_fail (check->failures, "'%s' does not stand on %s (%s)", overlay->target, layer->path, layer->format);
      if (!ramet_xml_has (label, "model", "dac") || !ramet_xml_has (label, "relabel", "no"))
        domain_fail (check->failures, "the owner of %s is not left alone", layer->path);
    }
  at = ramet_xml_first (at, "backingStore");
  if (at == NULL || at->properties || ramet_xml_first (at, NULL))
    domain_fail (check->failures, "the backing chain of '%s' has no end", overlay->target);
}

static void
check_disks (const DomainCheck *check)
{
  for (guint i = 0; i < check->identity->overlays->len; i++)
    {
      const RametOverlay *overlay = g_ptr_array_index (check->identity->overlays, i);
      g_autofree char *xpath = g_strdup_printf ("/domain/devices/disk[target/@dev='%s']", overlay->target);
      xmlNode *disk = find_one (check->clone, xpath);

      if (disk == NULL || !ramet_xml_has (disk, "type", "file") ||
          !ramet_xml_has (ramet_xml_first (disk, "source"), "file", overlay->overlay) ||
          !ramet_xml_has (ramet_xml_first (disk, "driver"), "type", "qcow2"))
        domain_fail (check->failures, "'%s' is not on the overlay made for it", overlay->target);
      else
        check_layers (check, disk, overlay);
    }
}

/* Nobody writes to what is shared, and libvirt does not change its owner. */
static void
check_media (const DomainCheck *check)
{
  g_autoptr (GPtrArray) open = domain_find (check->clone, "//disk[@device='cdrom' or @device='floppy'][not(readonly)]");
  g_autoptr (GPtrArray) labelled = domain_find (check->clone, "//disk[readonly]/source[not(seclabel[@model='dac']"
                                                              "[@relabel='no'])]");

  g_autoptr (GPtrArray) flash = domain_find (check->clone, "/domain/os/loader[@type='pflash'][not(@readonly='yes')]"
                                                           "[normalize-space()]");

  if (open->len > 0 || flash->len > 0)
    domain_fail (check->failures, "a shared medium or firmware image is writable");
  if (labelled->len > 0)
    domain_fail (check->failures, "the owner of a shared medium is not left alone");
}

/* Files that a device writes: beside the base's, with the clone's name before theirs. */
static void
check_written_files (const DomainCheck *check)
{
  static const char xpath[] = "//devices/*/log/@file | //devices/*[@type='file'][self::serial or self::console or "
                              "self::parallel or self::channel]/source/@path";
  g_autoptr (GPtrArray) before = domain_find (check->base, xpath);
  g_autoptr (GPtrArray) after = domain_find (check->clone, xpath);
  g_autoptr (GHashTable) expected = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  for (guint i = 0; i < before->len; i++)
    {
      g_autofree char *path = ramet_xml_text (g_ptr_array_index (before, i));
      g_autofree char *folder = g_path_get_dirname (path);
      g_autofree char *file = g_path_get_basename (path);

      g_hash_table_add (expected, g_strdup_printf ("%s/%s-%s", folder, check->identity->name, file));
    }
  if (before->len != after->len)
    domain_fail (check->failures, "%u files are written instead of %u", after->len, before->len);
  for (guint i = 0; i < after->len; i++)
    {
      g_autofree char *path = ramet_xml_text (g_ptr_array_index (after, i));

      if (!g_hash_table_contains (expected, path))
        domain_fail (check->failures, "writes to %s", path);
    }
}

static void
check_automatic (const DomainCheck *check)
{
  g_autoptr (GPtrArray) agents = domain_find (check->clone, "//channel[target/@name='" AGENT "']");
  g_autoptr (GPtrArray) before = domain_find (check->base, "//audio/@id");
  g_autoptr (GPtrArray) after = domain_find (check->clone, "//audio/@id");
  g_autoptr (GPtrArray) graphics = domain_find (check->clone, "//devices/graphics[@type='vnc' or @type='spice']");
  g_autoptr (GPtrArray) automatic = domain_find (check->clone, "//devices/graphics[@autoport='yes']");

  if (agents->len != 1)
    domain_fail (check->failures, "there are %u channels for the guest agent", agents->len);
  if (before->len != after->len)
    domain_fail (check->failures, "an audio device is lost, which sound devices may refer to");
  if (automatic->len != graphics->len)
    domain_fail (check->failures, "a display's port is not automatic");
  expect_text (check, "//devices/vsock/cid/@auto", find_one (check->base, "//devices/vsock") ? 1 : 0, "yes");
}

static void
check_ours (const DomainCheck *check)
{
  g_autoptr (GPtrArray) filesystems = domain_find (check->clone, "//devices/filesystem");
  g_autoptr (GPtrArray) before = domain_find (check->base, "/domain/metadata/*");
  g_autoptr (GPtrArray) metadata = domain_find (check->clone, "/domain/metadata/*");
  guint n_before = 0;
  guint n_kept = 0;
  guint n_ours = 0;

  if (filesystems->len != check->identity->shares->len)
    domain_fail (check->failures, "there are %u shares instead of %u", filesystems->len, check->identity->shares->len);
  for (guint i = 0; i < filesystems->len && i < check->identity->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (check->identity->shares, i);
      xmlNode *node = g_ptr_array_index (filesystems, i);

      if (!ramet_xml_has (ramet_xml_first (node, "source"), "dir", share->source) ||
          ramet_xml_first (node, "readonly") == NULL)
        domain_fail (check->failures, "the share of %s is not there, read-only", share->source);
    }
  for (guint i = 0; i < before->len; i++)
    {
      xmlNode *node = g_ptr_array_index (before, i);

      n_before += node->ns && g_str_has_prefix ((const char *) node->ns->href, OSINFO_URI);
    }
  for (guint i = 0; i < metadata->len; i++)
    {
      xmlNode *node = g_ptr_array_index (metadata, i);

      n_ours += node->ns && xmlStrEqual (node->ns->href, (const xmlChar *) OWN_URI) &&
                ramet_xml_has (node, "base", check->identity->name); /* as the test wrote it */
      n_kept += node->ns && g_str_has_prefix ((const char *) node->ns->href, OSINFO_URI);
    }
  if (n_ours != 1 || n_kept != n_before || metadata->len != n_kept + n_ours)
    domain_fail (check->failures, "the metadata is not what the clone should have");
}

/* What the user must be told. Wherever @xpath finds something, a note has @word in it, or what was found. */
static const struct
{
  const char *xpath;
  const char *word;
} told[] = {
  { "//graphics/@passwd", "password" },
  { "//interface/portForward", "forward" },
  { "//tpm[backend/@type='emulator']", "TPM" },
  { "/domain/seclabel[@type='static']", "label" },
  { "//devices/filesystem/source/@dir", NULL },
};

static void
check_notes (const DomainCheck *check)
{
  for (gsize i = 0; i < G_N_ELEMENTS (told); i++)
    {
      g_autoptr (GPtrArray) nodes = domain_find (check->base, told[i].xpath);

      for (guint j = 0; j < nodes->len; j++)
        {
          g_autofree char *found = ramet_xml_text (g_ptr_array_index (nodes, j));
          const char *word = told[i].word ? told[i].word : found;
          gboolean is_told = FALSE;

          for (guint k = 0; k < check->notes->len; k++)
            is_told = is_told || strstr (g_ptr_array_index (check->notes, k), word);
          if (!is_told)
            domain_fail (check->failures, "no note of %s speaks of '%s'", told[i].xpath, word);
        }
    }
}

/** domain_check_clone: everything that must hold of one clone and its base */
void
domain_check_clone (const DomainCheck *check)
{
  g_autoptr (GPtrArray) base = domain_leaves (xmlDocGetRootElement (check->base));
  g_autoptr (GPtrArray) clone = domain_leaves (xmlDocGetRootElement (check->clone));

  check_places (check, base, clone);
  check_kept (check, base, clone);
  check_identity (check);
  check_disks (check);
  check_media (check);
  check_written_files (check);
  check_automatic (check);
  check_ours (check);
  check_notes (check);
}

/** domain_check_differs: that nothing which belongs to one VM alone is in two */
void
domain_check_differs (xmlDoc *one, xmlDoc *other, GPtrArray *failures)
{
  g_autoptr (GPtrArray) ones = domain_leaves (xmlDocGetRootElement (one));
  g_autoptr (GPtrArray) others = domain_leaves (xmlDocGetRootElement (other));
  g_autoptr (GHashTable) values = own_values (ones);

  for (guint i = 0; i < others->len; i++)
    {
      const Leaf *leaf = g_ptr_array_index (others, i);
      g_autofree char *value = g_ascii_strdown (leaf->value, -1);

      if (leaf->place == PLACE_MADE && g_hash_table_contains (values, value))
        domain_fail (failures, "shared with another: %s = '%s'", leaf->path, leaf->value);
    }
}
