/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libxml/xpath.h>
#include <string.h>

#include "core/error.h"
#include "fuzz.h"
#include "model/domain.h"
#include "model/metadata.h"
#include "model/rewrite.h"
#include "model/share.h"
#include "model/xml.h"

#define FOLDER "/home/ada/src/shop"
#define NETWORK "lab"
#define MAX_COLUMNS (16 * 8192) /* of a message: what the base holds may stand in it */

#define DEVICE "/domain/devices/"
#define CHARDEV DEVICE "*[self::serial or self::parallel or self::console]"

/* What no clone has, whatever its base had and whatever was allowed. */
static const char *const never[] = {
  "/domain/@id",
  "/domain/title",
  "/domain/description",
  "/domain/genid[string()]",
  "/domain/launchSecurity",
  "/domain/seclabel[@type='static']",
  "/domain/os/acpi/table",
  "/domain/sysinfo[@type='fwcfg']/entry/@file",
  "/domain/metadata/*[namespace-uri() != 'urn:ramet:1' and not(starts-with(namespace-uri(), 'http://libosinfo.org/'))]",

  DEVICE "*[self::hostdev or self::lease or self::shmem]",
  DEVICE "input[@type='evdev' or @type='passthrough']",
  DEVICE "rng[backend[1]/@model='egd']",
  DEVICE "tpm[not(backend[1]/@type='emulator')]",
  DEVICE "memory[@model='nvdimm' or @model='virtio-pmem' or @model='sgx-epc']",
  DEVICE "redirdev[not(@type='spicevmc')]",
  DEVICE "smartcard[not(@type='spicevmc')]",
  DEVICE "audio[@type='file']",
  DEVICE "filesystem[not(source/@dir='" FOLDER "')]",
  DEVICE "vsock[not(cid[1]/@auto='yes') or cid[1]/@address]",

  DEVICE "disk[not(@type='file' or @type='block' or @type='volume')]",
  DEVICE "disk[@device='lun']",
  DEVICE "disk/mirror",
  DEVICE "disk/transient",
  DEVICE "disk/encryption",
  DEVICE "disk/source/encryption",
  DEVICE "disk/source/reservations",
  DEVICE "disk/privateData",
  DEVICE "disk/source/privateData",
  DEVICE "disk/source/@index",

  DEVICE "interface[not(contains(' network bridge user direct internal mcast ', concat(' ', @type, ' ')))]",
  DEVICE "interface[@type='direct' and source/@mode='passthrough']",
  DEVICE "interface/target",
  DEVICE "interface/portForward",
  DEVICE "interface/script",
  DEVICE "interface/source/@portid",
  DEVICE "interface/backend/@logFile",
  DEVICE "interface/virtualport/parameters/@interfaceid",
  DEVICE "interface/filterref[1]/parameter[@name='IP' or @name='MAC']",

  CHARDEV "[not(contains(' pty null vc spicevmc spiceport qemu-vdagent dbus unix file ', concat(' ', @type, ' ')))]",
  CHARDEV "[@type='pty']/source",
  CHARDEV "[@type='unix']/source[1]/@path",
  DEVICE "channel[not(contains(' unix pty null spicevmc spiceport qemu-vdagent dbus ', concat(' ', @type, ' ')))]",
  DEVICE "channel[@type='unix' or @type='pty']/source",

  DEVICE "graphics[not(contains(' vnc spice egl-headless dbus ', concat(' ', @type, ' ')))]",
  DEVICE "graphics/@*[contains(' port tlsPort websocket socket passwd display ', concat(' ', name(), ' '))]",
  DEVICE "graphics[@type='vnc' or @type='spice'][not(@autoport='yes')]",
  DEVICE "graphics/listen/@socket",
};

/* What every clone has: these count to 1. */
static const char *const always[] = {
  "/domain/metadata/*[namespace-uri()='urn:ramet:1']",
  DEVICE "filesystem[source/@dir='" FOLDER "'][readonly]",
};

/* One XML and what goes with it. */
typedef struct
{
  char *xml;
  xmlDoc *doc;
  RametDomainFacts *facts;
  xmlXPathContext *context;
} Domain;

static void
domain_clear (Domain *domain)
{
  g_clear_pointer (&domain->context, xmlXPathFreeContext);
  g_clear_pointer (&domain->facts, ramet_domain_facts_free);
  g_clear_pointer (&domain->doc, xmlFreeDoc);
  g_clear_pointer (&domain->xml, g_free);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Domain, domain_clear)

/* Takes @xml. Gives whether it is a domain's. */
static gboolean
domain_init (Domain *domain, char *xml)
{
  GError *error = NULL;

  domain->xml = xml;
  domain->doc = ramet_xml_parse (xml, "domain", &error);
  domain->facts = ramet_domain_facts_new (xml, NULL);
  g_assert_cmpint (domain->doc != NULL, ==, domain->facts != NULL);
  g_assert_cmpint (domain->doc != NULL, ==, error == NULL);
  g_clear_error (&error);
  if (domain->doc == NULL)
    return FALSE;
  domain->context = xmlXPathNewContext (domain->doc);
  return TRUE;
}

static xmlXPathObject *
evaluate (const Domain *domain, const char *path)
{
  static GHashTable *compiled; /* by the address of a literal */
  xmlXPathCompExpr *expression;
  xmlXPathObject *found;

  if (compiled == NULL)
    compiled = g_hash_table_new (NULL, NULL);
  expression = g_hash_table_lookup (compiled, path);
  if (expression == NULL)
    {
      expression = xmlXPathCompile ((const xmlChar *) path);
      g_assert_nonnull (expression);
      g_hash_table_insert (compiled, (gpointer) path, expression);
    }
  found = xmlXPathCompiledEval (expression, domain->context);
  g_assert_nonnull (found);
  g_assert_cmpint (found->type, ==, XPATH_NODESET);
  return found;
}

static guint
count (const Domain *domain, const char *path)
{
  xmlXPathObject *found = evaluate (domain, path);
  guint n = found->nodesetval ? (guint) found->nodesetval->nodeNr : 0;

  xmlXPathFreeObject (found);
  return n;
}

/* (element-type utf8): the text of each node that @path finds */
static GPtrArray *
texts (const Domain *domain, const char *path)
{
  GPtrArray *found_texts = g_ptr_array_new_with_free_func (g_free);
  xmlXPathObject *found = evaluate (domain, path);

  for (int i = 0; found->nodesetval && i < found->nodesetval->nodeNr; i++)
    {
      char *text = ramet_xml_text (found->nodesetval->nodeTab[i]);

      g_ptr_array_add (found_texts, text);
    }
  xmlXPathFreeObject (found);
  return found_texts;
}

/* All that @path finds is @text. */
static void
check_all_are (const Domain *domain, const char *path, const char *text)
{
  g_autoptr (GPtrArray) found = texts (domain, path);

  for (guint i = 0; i < found->len; i++)
    g_assert_cmpstr (g_ptr_array_index (found, i), ==, text);
}

/* Nothing that @path finds in @clone is what it finds in @base. */
static void
check_none_same (const Domain *base, const Domain *clone, const char *path)
{
  g_autoptr (GPtrArray) before = texts (base, path);
  g_autoptr (GPtrArray) after = texts (clone, path);

  for (guint i = 0; i < after->len; i++)
    if (g_ptr_array_find_with_equal_func (before, g_ptr_array_index (after, i), g_str_equal, NULL))
      g_error ("%s is the base's '%s' in: %s", path, (const char *) g_ptr_array_index (after, i), clone->xml);
}

static void
add_macs (RametIdentity *identity, const RametDomainFacts *base)
{
  for (guint i = 0, n = 0; i < base->n_interfaces; n++)
    {
      char *mac = g_strdup_printf ("52:54:00:%02x:%02x:%02x", n >> 16 & 0xff, n >> 8 & 0xff, n & 0xff);

      if (g_ptr_array_find_with_equal_func (base->macs, mac, g_str_equal, NULL))
        {
          g_free (mac);
          continue;
        }
      g_ptr_array_add (identity->macs, mac);
      i++;
    }
}

/* As operations/clone/plan.c makes it, with a part of each kind. */
static RametIdentity *
make_identity (const RametDomainFacts *base, const char *name, gboolean allow_all)
{
  RametIdentity *identity = ramet_identity_new (name);
  g_autoptr (RametMetadata) metadata = ramet_metadata_new (RAMET_STATE_CREATING);
  GStrvBuilder *shared = g_strv_builder_new ();

  g_free (identity->uuid);
  identity->uuid = g_strdup_printf ("aaaaaaaa-bbbb-cccc-dddd-%012u", g_str_hash (name));
  add_macs (identity, base);
  for (guint i = 0; i < base->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (base->disks, i);
      g_autofree char *path = g_strdup_printf ("/pool/%s-%s.qcow2", name, disk->target ? disk->target : "");
      RametOverlay *overlay;

      if (disk->shareable && disk->target)
        g_strv_builder_add (shared, disk->target);
      if (!ramet_domain_disk_wants_overlay (disk) || disk->target == NULL)
        continue;
      overlay = ramet_overlay_new (disk->target, path);
      ramet_overlay_add_layer (overlay, disk->path ? disk->path : "/dev/vg/volume", "qcow2");
      ramet_overlay_add_layer (overlay, "/pool/bottom.img", "raw");
      g_ptr_array_add (identity->overlays, overlay);
    }
  g_ptr_array_add (identity->shares, ramet_share_new (FOLDER, "/srv/shop", "ramet0"));
  metadata->base_name = g_strdup (base->name);
  identity->metadata = ramet_metadata_to_xml (metadata);
  if (base->nvram)
    {
      g_autofree char *folder = g_path_get_dirname (base->nvram);

      identity->nvram = g_strdup_printf ("%s/%s_VARS.fd", folder, name);
    }
  if (allow_all)
    {
      identity->network = g_strdup (NETWORK);
      identity->vcpus = 3;
      identity->memory_kib = 4096;
      identity->link_down = TRUE;
      identity->drop_host_devices = TRUE;
      identity->keep_qemu_args = TRUE;
      identity->share_disks = g_strv_builder_end (shared);
    }
  g_strv_builder_unref (shared);
  return identity;
}

/* Writable disks stand on layers of their own, with what was probed below; the others are read-only or were allowed. */
static void
check_disks (const Domain *base, const Domain *clone, const RametIdentity *identity)
{
  g_assert_cmpuint (clone->facts->disks->len, ==, base->facts->disks->len);
  for (guint i = 0; i < clone->facts->disks->len; i++)
    {
      const RametDomainDisk *disk = g_ptr_array_index (clone->facts->disks, i);
      const RametDomainDisk *before = g_ptr_array_index (base->facts->disks, i);
      const RametOverlay *overlay = ramet_identity_find_overlay (identity, before->target);

      g_assert_cmpstr (disk->target, ==, before->target);
      if (g_str_equal (disk->device, "cdrom") || g_str_equal (disk->device, "floppy") || before->readonly)
        g_assert_true (disk->readonly);
      else if (before->shareable)
        {
          g_assert_nonnull (identity->share_disks);
          g_assert_true (g_strv_contains ((const char *const *) identity->share_disks, before->target));
        }
      else
        {
          g_assert_nonnull (overlay);
          g_assert_cmpstr (disk->type, ==, "file");
          g_assert_cmpstr (disk->path, ==, overlay->overlay);
          g_assert_cmpstr (disk->format, ==, "qcow2");
          g_assert_null (disk->pool);
        }
    }
  check_all_are (clone, DEVICE "disk[starts-with(source/@file, '/pool/')]/backingStore[1]/backingStore/source/@file",
                 "/pool/bottom.img");
  g_assert_cmpuint (count (clone, DEVICE "disk//backingStore/source[not(seclabel/@relabel='no')]"), ==, 0);
}

static void
check_interfaces (const Domain *clone, const RametIdentity *identity)
{
  g_autoptr (GPtrArray) macs = texts (clone, DEVICE "interface/mac[1]/@address");

  g_assert_cmpuint (clone->facts->n_interfaces, ==, identity->macs->len);
  g_assert_cmpuint (macs->len, ==, identity->macs->len);
  for (guint i = 0; i < macs->len; i++)
    g_assert_cmpstr (g_ptr_array_index (macs, i), ==, g_ptr_array_index (identity->macs, i));
  if (identity->network && macs->len > 0)
    g_assert_cmpuint (count (clone, DEVICE "interface[1][@type='network']/source[1][@network='" NETWORK "']"), ==, 1);
  if (identity->link_down)
    g_assert_cmpuint (count (clone, DEVICE "interface[not(link[1]/@state='down')]"), ==, 0);
}

static void
check_identity (const Domain *base, const Domain *clone, const RametIdentity *identity)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (RametMetadata) metadata = NULL;

  g_assert_cmpstr (clone->facts->name, ==, identity->name);
  check_all_are (clone, "/domain/name", identity->name);
  g_assert_cmpstr (clone->facts->uuid, ==, identity->uuid);
  check_all_are (clone, "/domain/uuid", identity->uuid);
  check_all_are (clone, "/domain/sysinfo[@type='smbios']/system[1]/entry[@name='uuid']", identity->uuid);
  if (base->facts->nvram || clone->facts->nvram)
    g_assert_cmpstr (clone->facts->nvram, ==, identity->nvram);
  check_all_are (clone, "/domain/os/nvram[not(source)][normalize-space()]", identity->nvram);
  check_all_are (clone, "/domain/os/nvram/source[1]/@file", identity->nvram);
  if (identity->vcpus)
    g_assert_true (clone->facts->vcpus == identity->vcpus || count (clone, "/domain/vcpu") == 0);
  if (identity->memory_kib)
    g_assert_true (clone->facts->memory_kib == identity->memory_kib || count (clone, "/domain/memory") == 0);
  metadata = ramet_metadata_parse (clone->facts->metadata, &error);
  g_assert_no_error (error);
  g_assert_cmpint (metadata->state, ==, RAMET_STATE_CREATING);
}

/* The rules of the table: see README and rewrite-table.c. */
static void
check_clone (const Domain *base, const Domain *clone, const RametIdentity *identity)
{
  for (gsize i = 0; i < G_N_ELEMENTS (never); i++)
    if (count (clone, never[i]) != 0)
      g_error ("%s is in: %s", never[i], clone->xml);
  for (gsize i = 0; i < G_N_ELEMENTS (always); i++)
    if (count (clone, always[i]) != 1)
      g_error ("not one %s is in: %s", always[i], clone->xml);
  g_assert_cmpuint (count (clone, DEVICE "channel/target[@name='org.qemu.guest_agent.0']"), >, 0);
  if (!identity->keep_qemu_args)
    g_assert_cmpuint (count (clone, "//*[namespace-uri()='http://libvirt.org/schemas/domain/qemu/1.0']"), ==, 0);
  check_identity (base, clone, identity);
  check_disks (base, clone, identity);
  check_interfaces (clone, identity);
  check_none_same (base, clone, CHARDEV "[@type='file']/source[1]/@path");
  check_none_same (base, clone, DEVICE "*/log/@file");
}

/* Rewrites @base to @ret_clone, and looks at what came of it. Gives whether it was accepted. */
static gboolean
rewrite (const Domain *base, const char *name, gboolean allow_all, Domain *ret_clone)
{
  g_autoptr (RametIdentity) identity = make_identity (base->facts, name, allow_all);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  char *xml = ramet_rewrite_domain (base->xml, identity, notes, &error);

  for (guint i = 0; i < notes->len; i++)
    fuzz_check_message (g_ptr_array_index (notes, i), MAX_COLUMNS);
  if (xml == NULL)
    {
      fuzz_check_refusal (error, MAX_COLUMNS);
      return FALSE;
    }
  g_assert_no_error (error);
  if (!domain_init (ret_clone, xml))
    g_error ("this is no domain: %s", xml);
  check_clone (base, ret_clone, identity);
  return TRUE;
}

/* What is cloned can be cloned: the rules hold for the clone's clone, and with the same allowed. */
static gboolean
rewrite_twice (const Domain *base, gboolean allow_all)
{
  g_auto (Domain) clone = { 0 };
  g_auto (Domain) clones_clone = { 0 };

  if (!rewrite (base, "web", allow_all, &clone))
    return FALSE;
  if (!rewrite (&clone, "web-again", allow_all, &clones_clone))
    g_error ("a clone of this is refused: %s", clone.xml);
  return TRUE;
}

static void
check_macs (const Domain *base)
{
  g_autoptr (GHashTable) macs = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);

  g_assert_true (ramet_domain_xml_collect_macs (base->xml, macs));
  for (guint i = 0; i < base->facts->macs->len; i++)
    g_assert_true (g_hash_table_contains (macs, g_ptr_array_index (base->facts->macs, i)));
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_auto (Domain) base = { 0 };

  if (!domain_init (&base, fuzz_text (data, size)))
    {
      g_autoptr (GHashTable) macs = g_hash_table_new (g_str_hash, g_str_equal);
      g_autoptr (RametIdentity) identity = ramet_identity_new ("web");
      g_autoptr (GPtrArray) notes = g_ptr_array_new ();

      g_assert_false (ramet_domain_xml_collect_macs (base.xml, macs));
      g_assert_null (ramet_rewrite_domain (base.xml, identity, notes, NULL));
      g_assert_cmpuint (notes->len, ==, 0);
      return 0;
    }
  check_macs (&base);
  if (rewrite_twice (&base, FALSE) && count (&base, "//numa") == 0)
    g_assert_true (rewrite_twice (&base, TRUE));
  else
    rewrite_twice (&base, TRUE);
  return 0;
}
