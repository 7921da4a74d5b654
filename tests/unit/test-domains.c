/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clones every XML of a folder, and looks at the clones from outside. tests/domains/README says what the comments at
 * the head of its files mean; the files of a folder named by RAMET_TEST_DOMAINS need none.
 */
#include <glib.h>
#include <libxml/parser.h>
#include <string.h>

#include "core/error.h"
#include "domain-cover.h"
#include "domain-expect.h"
#include "domain-oracle.h"
#include "domain-schema.h"
#include "model/rewrite.h"
#include "model/share.h"
#include "model/xml.h"

typedef struct
{
  char *text;
  DomainExpectation *expected;
  xmlDoc *doc;
  GPtrArray *failures; /* (element-type utf8) */
} Case;

static gboolean of_strangers = FALSE; /* the files carry no expectations */
static guint n_fetches = 0;

static xmlParserInputPtr
count_fetch (const char *url, const char *id, xmlParserCtxtPtr context)
{
  n_fetches++;
  return NULL;
}

static void
case_free (Case *self)
{
  g_free (self->text);
  if (self->expected)
    domain_expectation_free (self->expected);
  if (self->doc)
    xmlFreeDoc (self->doc);
  g_ptr_array_unref (self->failures);
  g_free (self);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC (Case, case_free)

static xmlDoc *
parse (const char *text)
{
  return xmlReadMemory (text, (int) strlen (text), NULL, NULL,
                        XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING | XML_PARSE_NOBLANKS);
}

/* Adds the backing chain that the base's XML declares, nearest first: @node is its disk or one of the stores. */
static void
add_layers (RametOverlay *overlay, xmlNode *node)
{
  xmlNode *source = ramet_xml_first (node, "source");
  xmlNode *format = ramet_xml_first (node, ramet_xml_is (node, "disk") ? "driver" : "format");
  g_autofree char *file = ramet_xml_get (source, "file");
  g_autofree char *device = ramet_xml_get (source, "dev");
  g_autofree char *pool = ramet_xml_get (source, "pool");
  g_autofree char *volume = ramet_xml_get (source, "volume");
  g_autofree char *in_pool = g_strdup_printf ("/srv/pools/%s/%s", pool, volume);
  g_autofree char *type = ramet_xml_get (format, "type");

  if (source)
    ramet_overlay_add_layer (overlay, file ? file : device ? device : in_pool, type ? type : "raw");
  if (ramet_xml_at (node, "backingStore/source"))
    add_layers (overlay, ramet_xml_first (node, "backingStore"));
}

static void
add_overlays (RametIdentity *made, xmlDoc *doc)
{
  g_autoptr (GPtrArray) disks = domain_find (doc, "/domain/devices/disk[not(@device='cdrom' or @device='floppy' or "
                                                  "readonly or shareable)]");

  for (guint i = 0; i < disks->len; i++)
    {
      xmlNode *disk = g_ptr_array_index (disks, i);
      g_autofree char *target = ramet_xml_get (ramet_xml_first (disk, "target"), "dev");
      g_autofree char *path = g_strdup_printf ("/var/lib/libvirt/R&D <images>/%s-%s.qcow2", made->name, target);
      RametOverlay *overlay;

      if (target == NULL)
        continue;
      overlay = ramet_overlay_new (target, path);
      add_layers (overlay, disk);
      g_ptr_array_add (made->overlays, overlay);
    }
}

/* Those that may be; else a name that none of them has. */
static void
add_shared_disks (RametIdentity *made, xmlDoc *doc, gboolean are_allowed)
{
  g_autoptr (GPtrArray) targets = domain_find (doc, "/domain/devices/disk[shareable][not(readonly)]/target/@dev");

  made->share_disks = g_new0 (char *, targets->len + 2);
  if (!are_allowed)
    made->share_disks[0] = g_strdup ("another");
  for (guint i = 0; are_allowed && i < targets->len; i++)
    made->share_disks[i] = ramet_xml_text (g_ptr_array_index (targets, i));
}

/* Everything new for a clone of @doc; the @number goes into what has no name. */
static RametIdentity *
identity_for (xmlDoc *doc, const char *name, guint number, const DomainAllowed *allowed)
{
  RametIdentity *made = ramet_identity_new (name);
  g_autoptr (GPtrArray) interfaces = domain_find (doc, "/domain/devices/interface");
  g_autoptr (GPtrArray) variables = domain_find (doc, "/domain/os/nvram[normalize-space() or source]");
  g_autofree char *shared = g_strdup_printf ("/srv/<work> of \"%s\" & 'more'", name);

  g_free (made->uuid);
  made->uuid = g_strdup_printf ("c10e0000-0000-4000-8000-%012u", number);
  for (guint i = 0; i < interfaces->len; i++)
    g_ptr_array_add (made->macs, g_strdup_printf ("52:54:00:c1:%02x:%02x", number & 0xff, i & 0xff));
  add_overlays (made, doc);
  g_ptr_array_add (made->shares, ramet_share_new (shared, "/work", "ramet0"));
  made->metadata = g_strdup_printf ("<vm state='creating' base='%s'/>", name);
  if (variables->len > 0)
    made->nvram = g_strdup_printf ("/srv/R&D &lt;/\"%s\"_VARS.fd", name);
  made->drop_host_devices = allowed->devices;
  made->keep_qemu_args = allowed->args;
  add_shared_disks (made, doc, allowed->disks);
  return made;
}

/* The same input and identity give the same bytes. */
static char *
rewrite (Case *self, const char *xml, const RametIdentity *identity, GPtrArray *notes, GError **error)
{
  g_autoptr (GPtrArray) other_notes = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *again = ramet_rewrite_domain (xml, identity, other_notes, NULL);
  char *clone = ramet_rewrite_domain (xml, identity, notes, error);

  if (g_strcmp0 (clone, again) != 0 || notes->len != other_notes->len)
    domain_fail (self->failures, "the same input gives something else a second time");
  if (n_fetches > 0)
    domain_fail (self->failures, "something was fetched");
  return clone;
}

/* All about one clone of @base; returns it. */
static xmlDoc *
check_clone (Case *self, xmlDoc *base, const char *clone_xml, const RametIdentity *identity, GPtrArray *notes)
{
  DomainCheck check = { .base = base, .identity = identity, .notes = notes, .failures = self->failures };
  xmlDoc *clone = parse (clone_xml);
  g_autofree char *why = NULL;

  if (clone == NULL)
    {
      domain_fail (self->failures, "the clone is not XML");
      return NULL;
    }
  check.clone = clone;
  domain_check_clone (&check);
  why = domain_schema_check (clone);
  if (why && self->expected->schema == DOMAIN_SCHEMA_VALID)
    domain_fail (self->failures, "the clone does not pass the schema: %s", why);
  return clone;
}

/* A clone of the clone: all of it holds again, and nothing of it is the base's or the first clone's. */
static void
check_second (Case *self, xmlDoc *first, const char *first_xml, const DomainAllowed *allowed)
{
  g_autoptr (RametIdentity) identity = identity_for (first, "second", 2, allowed);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = rewrite (self, first_xml, identity, notes, &error);
  g_autoptr (xmlDoc) second = NULL;

  if (xml == NULL)
    {
      domain_fail (self->failures, "the clone cannot be cloned: %s", error->message);
      return;
    }
  second = check_clone (self, first, xml, identity, notes);
  if (second)
    domain_check_differs (self->doc, second, self->failures);
}

/* With what every clone may be given besides, still nothing comes that the schema does not pass. */
static void
check_moved (Case *self, const DomainAllowed *allowed)
{
  g_autoptr (RametIdentity) identity = identity_for (self->doc, "moved", 3, allowed);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *xml = NULL;
  g_autofree char *why = NULL;
  g_autoptr (xmlDoc) clone = NULL;
  g_autoptr (GPtrArray) up = NULL;
  g_autoptr (GPtrArray) elsewhere = NULL;

  identity->network = g_strdup ("lab");
  identity->link_down = TRUE;
  xml = rewrite (self, self->text, identity, notes, NULL);
  clone = xml ? parse (xml) : NULL;
  why = clone ? domain_schema_check (clone) : g_strdup ("there is none");
  if (why && self->expected->schema == DOMAIN_SCHEMA_VALID)
    domain_fail (self->failures, "a clone in another network does not pass the schema: %s", why);
  if (clone == NULL)
    return;
  up = domain_find (clone, "//devices/interface[not(link/@state='down')]");
  elsewhere = domain_find (clone, "//devices/interface[1][not(@type='network' and source/@network='lab')"
                                  " or source/@*[name()!='network'] or ip or route or virtualport or vlan"
                                  " or backend/@type]");
  if (up->len > 0 || elsewhere->len > 0)
    domain_fail (self->failures, "a clone in another network is not in it, or not with its link down");
}

static void
check_cloned (Case *self, const char *xml, const RametIdentity *identity, GPtrArray *notes, const DomainAllowed *allowed)
{
  g_autoptr (xmlDoc) base = xmlCopyDoc (self->doc, 1);
  g_autoptr (xmlDoc) first = NULL;

  if (allowed->devices)
    domain_expectation_drop (self->expected, base, notes, self->failures);
  first = check_clone (self, base, xml, identity, notes);
  if (first)
    check_second (self, first, xml, allowed);
  check_moved (self, allowed);
}

/* One clone, with these options: refused for what they do not allow, or whole. */
static void
check_allowed (Case *self, const DomainAllowed *allowed)
{
  g_autoptr (RametIdentity) identity = identity_for (self->doc, "first", 1, allowed);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = rewrite (self, self->text, identity, notes, &error);
  guint before = self->failures->len;

  if ((xml == NULL) == (error == NULL))
    domain_fail (self->failures, "either a clone or an error must come");
  domain_expectation_check (self->expected, self->doc, allowed, error, self->failures);
  if (xml)
    check_cloned (self, xml, identity, notes, allowed);
  if (self->failures->len > before)
    domain_fail (self->failures, "with %s, %s, %s", allowed->devices ? "host devices dropped" : "all devices",
                 allowed->args ? "QEMU's arguments kept" : "no QEMU arguments",
                 allowed->disks ? "disks shared" : "no disk shared");
}

/* What is no domain, or wants something read for it, gives an error and nothing else. */
static void
check_error (Case *self)
{
  g_autoptr (RametIdentity) identity = ramet_identity_new ("first");
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = rewrite (self, self->text, identity, notes, &error);

  if (xml || error == NULL)
    domain_fail (self->failures, "it should be an error");
}

static void
check_domain (Case *self)
{
  g_autofree char *why = domain_schema_check (self->doc);
  DomainSchema schema = self->expected->schema;

  if (why && schema == DOMAIN_SCHEMA_VALID)
    domain_fail (self->failures, "the file does not pass the schema: %s", why);
  if (why == NULL && schema == DOMAIN_SCHEMA_INVALID)
    domain_fail (self->failures, "the file passes the schema, but says that it does not");
  for (guint i = 0; i < 8 && self->failures->len == 0; i++)
    {
      const DomainAllowed allowed = { (i & 1) != 0, (i & 2) != 0, (i & 4) != 0 };

      /* options that are for nothing in this file are tried together */
      if (i == 7 || domain_expectation_has (self->expected, &allowed))
        check_allowed (self, &allowed);
    }
}

/* A stranger's file says itself what to expect: what it is refused for is gone with the options that the hints name. */
static DomainExpectation *
expect_of_stranger (Case *self)
{
  static const DomainAllowed nothing = { FALSE, FALSE, FALSE };
  g_autoptr (RametIdentity) identity = NULL;
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = NULL;
  g_autofree char *why = NULL;

  if (self->doc == NULL || self->doc->intSubset || !ramet_xml_is (xmlDocGetRootElement (self->doc), "domain"))
    return domain_expectation_error ();
  identity = identity_for (self->doc, "first", 1, &nothing);
  xml = ramet_rewrite_domain (self->text, identity, notes, &error);
  why = domain_schema_check (self->doc);
  return domain_expectation_of (self->doc, error, why ? DOMAIN_SCHEMA_ANY : DOMAIN_SCHEMA_VALID, self->failures);
}

static void
test_file (gconstpointer data)
{
  const char *path = data;
  g_autoptr (Case) self = g_new0 (Case, 1);
  g_autoptr (GError) error = NULL;

  self->failures = g_ptr_array_new_with_free_func (g_free);
  if (!g_file_get_contents (path, &self->text, NULL, &error))
    g_error ("%s", error->message);
  self->doc = parse (self->text);
  n_fetches = 0;
  self->expected = of_strangers ? expect_of_stranger (self) : domain_expectation_read (self->text, self->failures);
  if (self->expected && self->expected->is_error)
    check_error (self);
  else if (self->expected && self->doc)
    check_domain (self);
  else
    domain_fail (self->failures, "it says not what to expect, or is not XML");
  for (guint i = 0; i < self->failures->len; i++)
    g_test_message ("%s", (const char *) g_ptr_array_index (self->failures, i));
  if (self->failures->len > 0)
    g_test_fail ();
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* (transfer full) (element-type filename): the folder's XML files, by name */
static GPtrArray *
list_files (const char *folder)
{
  GPtrArray *paths = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;
  g_autoptr (GDir) dir = g_dir_open (folder, 0, &error);
  const char *name;

  if (dir == NULL)
    g_error ("%s", error->message);
  while ((name = g_dir_read_name (dir)) != NULL)
    if (g_str_has_suffix (name, ".xml"))
      g_ptr_array_add (paths, g_build_filename (folder, name, NULL));
  g_ptr_array_sort (paths, compare_names);
  return paths;
}

static void
test_cover (gconstpointer data)
{
  domain_cover_check ((GPtrArray *) data);
}

int
main (int argc, char **argv)
{
  const char *strangers = g_getenv ("RAMET_TEST_DOMAINS");
  g_autofree char *own = NULL;
  g_autoptr (GPtrArray) paths = NULL;
  int status;

  g_test_init (&argc, &argv, NULL);
  g_test_set_nonfatal_assertions (); /* all that is wrong with all files, not the first */
  own = g_test_build_filename (G_TEST_DIST, "domains", NULL);
  of_strangers = strangers && *strangers;
  paths = list_files (of_strangers ? strangers : own);
  if (paths->len == 0)
    g_error ("there is no XML file in %s", of_strangers ? strangers : own);
  domain_schema_load ();
  xmlSetExternalEntityLoader (count_fetch);
  for (guint i = 0; i < paths->len; i++)
    {
      g_autofree char *file = g_path_get_basename (g_ptr_array_index (paths, i));
      g_autofree char *name = g_strconcat ("/domains/", file, NULL);

      g_test_add_data_func (name, g_ptr_array_index (paths, i), test_file);
    }
  if (!of_strangers)
    g_test_add_data_func ("/domains cover the table", paths, test_cover);
  status = g_test_run ();
  domain_schema_unload ();
  return status;
}
