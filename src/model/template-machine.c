/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/template-machine.h"

#include <string.h>

#include "core/error.h"
#include "core/text.h"
#include "model/domain.h"
#include "model/hardware.h"
#include "model/memory-arguments.h"
#include "model/migration.h"
#include "model/names.h"
#include "model/rewrite.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"
#define OLDEST_MACHINE 4 /* machine types of older QEMUs name the RAM in another way, see model/migration.h */
#define DIGEST_DIGITS 12

static gboolean
refuse (GError **error, const char *why)
{
  ramet_error_set (error, RAMET_ERROR_REFUSED, "clones cannot go on from its memory: %s", why);
  return FALSE;
}

/* Memory in one piece, which nothing else knows of: only that can be a view of a file instead. */
static gboolean
check_memory (xmlNode *root, GError **error)
{
  if (ramet_xml_at (root, "cpu/numa") || ramet_xml_first (root, "maxMemory") || ramet_xml_at (root, "devices/memory"))
    return refuse (error, "its memory is in several pieces (NUMA cells, or modules that can be plugged)");
  if (ramet_xml_first (ramet_xml_first (root, "memoryBacking"), NULL))
    return refuse (error, "its memory is set up in a way of its own (<memoryBacking>)");
  if (ramet_xml_first (root, "launchSecurity"))
    return refuse (error, "its memory is encrypted");
  return TRUE;
}

/* Pages that a balloon gives back would be gone from the file, for all. */
static gboolean
check_balloon (xmlNode *devices, GError **error)
{
  xmlNode *balloon = ramet_xml_first (devices, "memballoon");

  if (ramet_xml_has (balloon, "model", "none") && ramet_xml_next (balloon, "memballoon") == NULL)
    return TRUE;
  return refuse (error, "it has a memory balloon, which would punch holes into what all clones share");
}

static guint
count (xmlNode *devices, const char *name)
{
  guint n = 0;

  for (xmlNode *node = ramet_xml_first (devices, name); node; node = ramet_xml_next (node, name))
    n++;
  return n;
}

static gboolean
has_agent (xmlNode *devices)
{
  for (xmlNode *node = ramet_xml_first (devices, "channel"); node; node = ramet_xml_next (node, "channel"))
    if (ramet_xml_has (ramet_xml_first (node, "target"), "name", AGENT_CHANNEL))
      return TRUE;
  return FALSE;
}

static gboolean
check_devices (xmlNode *devices, GError **error)
{
  if (count (devices, "interface") != 1)
    return refuse (error, "it has not just one network interface");
  if (ramet_xml_first (devices, "tpm"))
    return refuse (error, "it has a TPM, whose secrets all clones would share");
  if (!has_agent (devices))
    return refuse (error, "it has no channel for a guest agent, which gives clones an identity of their own");
  return TRUE;
}

/**
 * ramet_template_machine_xml:
 * @clone_xml: of an ordinary clone without shares, see ramet_rewrite_domain()
 * @slot_folder: an empty folder on the host
 * @n_slots: how many shares its clones can have, at most RAMET_TEMPLATE_MAX_SLOTS
 * @error: RAMET_ERROR_REFUSED if it is of no use as a template
 *
 * Returns: (transfer full): the definition of the VM that becomes a template; libvirt adds to it which machine type it is
 */
char *
ramet_template_machine_xml (const char *clone_xml, const char *slot_folder, guint n_slots, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (clone_xml, "domain", error);
  xmlNode *root;
  xmlNode *devices;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  devices = ramet_xml_first (root, "devices");
  if (!check_memory (root, error) || !check_devices (devices, error))
    return NULL;
  if (ramet_xml_first (devices, "filesystem"))
    return refuse (error, "it has shares already"), NULL;
  /* how a guest's kernel hears that it goes on elsewhere, and draws new random numbers */
  if (ramet_xml_first (root, "genid") == NULL)
    ramet_xml_add (root, "genid", NULL);
  ramet_xml_drop_children (devices, "memballoon");
  ramet_xml_set (ramet_xml_add (devices, "memballoon", NULL), "model", "none");
  for (guint i = 0; i < n_slots; i++)
    {
      g_autofree char *tag = ramet_template_slot_tag (i);
      g_autoptr (RametShare) slot = ramet_share_new (slot_folder, slot_folder, tag);

      ramet_hardware_add_share (devices, slot);
    }
  return ramet_xml_dump (doc);
}

/* (nullable): what QEMU calls the RAM of a machine type with a version; of others it is not known */
static const char *
get_ram_block (xmlNode *type)
{
  static const char *const prefixes[] = { "pc-q35-", "pc-i440fx-" };
  g_autofree char *arch = ramet_xml_get (type, "arch");
  g_autofree char *machine = ramet_xml_get (type, "machine");

  if (machine == NULL || (g_strcmp0 (arch, "x86_64") != 0 && g_strcmp0 (arch, "i686") != 0))
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (prefixes); i++)
    {
      const char *version = machine + strlen (prefixes[i]);
      char *end;

      if (g_str_has_prefix (machine, prefixes[i]) && g_ascii_isdigit (*version) &&
          g_ascii_strtoull (version, &end, 10) >= OLDEST_MACHINE && *end == '.')
        return "pc.ram";
    }
  return NULL;
}

static guint
count_slots (xmlNode *devices)
{
  guint n_slots = 0;
  gboolean found = TRUE;

  while (found && n_slots < RAMET_TEMPLATE_MAX_SLOTS)
    {
      g_autofree char *tag = ramet_template_slot_tag (n_slots);

      found = FALSE;
      for (xmlNode *node = ramet_xml_first (devices, "filesystem"); node; node = ramet_xml_next (node, "filesystem"))
        found |= ramet_xml_has (ramet_xml_first (node, "target"), "dir", tag);
      n_slots += found;
    }
  return n_slots;
}

/* (transfer full): "Skylake-Client-IBRS", or "host-passthrough" where the XML tells no more */
static char *
get_cpu (xmlNode *cpu)
{
  char *model = ramet_xml_text (ramet_xml_first (cpu, "model"));

  if (model == NULL)
    model = ramet_xml_get (cpu, "mode");
  return model ? model : g_strdup ("default");
}

/* Nothing of @template is changed before all is known. */
static gboolean
take_machine (RametTemplate *template, xmlNode *root, const RametDomainFacts *facts, GError **error)
{
  xmlNode *devices = ramet_xml_first (root, "devices");
  xmlNode *type = ramet_xml_at (root, "os/type");
  const char *ram_block = get_ram_block (type);
  g_autofree char *genid = ramet_xml_text (ramet_xml_first (root, "genid"));
  g_autofree char *mac = NULL;

  if (!check_memory (root, error) || !check_devices (devices, error) || !check_balloon (devices, error))
    return FALSE;
  if (ram_block == NULL)
    return refuse (error, "its machine type is none of QEMU's own PCs with a version, of 4.0 or newer");
  if (genid == NULL || *genid == '\0')
    return refuse (error, "it has no generation id, so clones would draw the same random numbers");
  if (facts->macs->len != 1 || !ramet_name_parse_mac (g_ptr_array_index (facts->macs, 0), &mac, NULL))
    return refuse (error, "its network interface has no MAC address");
  if (facts->memory_kib == 0 || facts->memory_kib > RAMET_MIGRATION_MAX_RAM_BYTES / 1024 || facts->vcpus == 0)
    return refuse (error, "its memory or CPUs are out of bounds");
  g_free (template->mac);
  template->mac = g_steal_pointer (&mac);
  g_free (template->machine);
  template->machine = ramet_xml_get (type, "machine");
  g_free (template->cpu);
  template->cpu = get_cpu (ramet_xml_first (root, "cpu"));
  g_free (template->ram_block);
  template->ram_block = g_strdup (ram_block);
  template->vcpus = facts->vcpus;
  template->memory_kib = facts->memory_kib;
  template->n_slots = count_slots (devices);
  return TRUE;
}

/**
 * ramet_template_read_machine:
 * @template: gets what is known of its machine
 * @saved_xml: that of a save image; untrusted
 * @error: RAMET_ERROR_REFUSED if clones of it would not be safe
 */
gboolean
ramet_template_read_machine (RametTemplate *template, const char *saved_xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (saved_xml, "domain", error);
  g_autoptr (RametDomainFacts) facts = doc ? ramet_domain_facts_new (saved_xml, error) : NULL;

  return facts && take_machine (template, xmlDocGetRootElement (doc), facts, error);
}

/**
 * ramet_template_definition_digest:
 * @base_xml: the inactive definition of a base; untrusted
 *
 * Returns: (transfer full): SHA-256 of all in it that a clone may take over; what it is called and what is noted of it are
 * not among that
 */
char *
ramet_template_definition_digest (const char *base_xml, GError **error)
{
  static const char *const others[] = { "name", "title", "description", "metadata" };
  g_autoptr (xmlDoc) doc = ramet_xml_parse (base_xml, "domain", error);
  g_autofree char *text = NULL;

  if (doc == NULL)
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS (others); i++)
    ramet_xml_drop_children (xmlDocGetRootElement (doc), others[i]);
  text = ramet_xml_dump (doc);
  return g_compute_checksum_for_string (G_CHECKSUM_SHA256, text, -1);
}

static int
compare_words (gconstpointer a, gconstpointer b)
{
  return strcmp (*(char *const *) a, *(char *const *) b);
}

/**
 * ramet_template_host_cpu:
 * @capabilities_xml: libvirt's of the host
 *
 * A guest that has looked at its CPU goes on only where that is the same. How fast it counts and which microcode it has may
 * differ from one boot of a host to the next, and are no part of it.
 *
 * Returns: (transfer full): "Skylake-Client-IBRS 0123456789ab": the model and a digest of all that it can do
 */
char *
ramet_template_host_cpu (const char *capabilities_xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (capabilities_xml, "capabilities", error);
  xmlNode *cpu = doc ? ramet_xml_at (xmlDocGetRootElement (doc), "host/cpu") : NULL;
  g_autofree char *model = ramet_xml_text (ramet_xml_first (cpu, "model"));
  g_autofree char *vendor = ramet_xml_text (ramet_xml_first (cpu, "vendor"));
  g_autofree char *arch = ramet_xml_text (ramet_xml_first (cpu, "arch"));
  g_autofree char *bits = ramet_xml_get (ramet_xml_first (cpu, "maxphysaddr"), "bits");
  g_autoptr (GPtrArray) words = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *all = NULL;
  g_autofree char *digest = NULL;
  g_autofree char *safe = NULL;

  if (doc == NULL)
    return NULL;
  g_ptr_array_add (words, g_strdup_printf (" %s %s %s", arch ? arch : "", vendor ? vendor : "", bits ? bits : ""));
  for (xmlNode *node = ramet_xml_first (cpu, "feature"); node; node = ramet_xml_next (node, "feature"))
    {
      g_autofree char *name = ramet_xml_get (node, "name");

      g_ptr_array_add (words, g_strdup_printf ("%s", name ? name : ""));
    }
  g_ptr_array_sort (words, compare_words);
  g_ptr_array_add (words, NULL);
  all = g_strjoinv ("\n", (char **) words->pdata);
  digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, all, -1);
  safe = ramet_text_escape (model ? model : "unknown", -1);
  return g_strdup_printf ("%.100s %.*s", safe, DIGEST_DIGITS, digest);
}

static gboolean
is_used_slot (xmlNode *node, const RametIdentity *identity)
{
  for (guint i = 0; i < identity->shares->len; i++)
    if (ramet_xml_has (ramet_xml_first (node, "target"), "dir", ((RametShare *) g_ptr_array_index (identity->shares, i))->tag))
      return TRUE;
  return FALSE;
}

/* A clone that starts again has no empty slots, no link that is down, and a genid of its own. */
static char *
make_definition (xmlDoc *doc, const RametIdentity *identity)
{
  xmlNode *root = xmlDocGetRootElement (doc);
  xmlNode *devices = ramet_xml_first (root, "devices");
  xmlNode *next;

  for (xmlNode *node = ramet_xml_first (devices, NULL); node; node = next)
    {
      next = ramet_xml_next (node, NULL);
      if (ramet_xml_is (node, "interface") && ramet_xml_has (ramet_xml_first (node, "link"), "state", "down"))
        ramet_xml_drop_children (node, "link");
      else if (ramet_xml_is (node, "filesystem") && !is_used_slot (node, identity))
        ramet_xml_drop (node);
    }
  for (xmlNode *node = ramet_xml_first (root, "genid"); node; node = ramet_xml_next (node, "genid"))
    xmlNodeSetContent (node, NULL);
  return ramet_xml_dump (doc);
}

static char *
make_running (xmlDoc *doc, const char *memory_path, guint64 bytes)
{
  if (memory_path || bytes)
    ramet_memory_arguments_add (xmlDocGetRootElement (doc), memory_path, bytes);
  return ramet_xml_dump (doc);
}

/* (transfer full): @saved_xml without what is QEMU's alone; @ret_bytes is 0 unless the RAM is of our name in the stream */
static char *
take_arguments (const char *saved_xml, gboolean as_view, guint64 *ret_bytes, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (saved_xml, "domain", error);
  xmlNode *root = doc ? xmlDocGetRootElement (doc) : NULL;
  g_autofree char *path = NULL;

  if (root == NULL || !check_memory (root, error))
    return NULL;
  if (as_view && !check_balloon (ramet_xml_first (root, "devices"), error))
    return NULL;
  if (ramet_memory_arguments_drop (root, &path, ret_bytes) && *ret_bytes == 0 && !as_view)
    return refuse (error, "what was saved does not say how large its memory is"), NULL;
  return ramet_xml_dump (doc);
}

/**
 * ramet_template_clone_xml:
 * @saved_xml: that of a save image, a template's or one of a VM that ran; untrusted
 * @identity: the clone's; it goes on, with all links down
 * @memory_path: (nullable): a file of the guest's RAM to be a view of; the stream then lacks the RAM, and calls it
 *   RAMET_MEMORY_BLOCK. Without, the stream has all of it
 * @ret_notes: (element-type utf8): what the user should know is added here
 * @ret_definition: (out): what it is like from its next start on: nothing in it tells of the template
 * @ret_running: (out): what it is restored with, in its save image and beside it alike: libvirt compares the two
 * @error: RAMET_ERROR_REFUSED with all that stands in the way
 */
gboolean
ramet_template_clone_xml (const char *saved_xml, const RametIdentity *identity, const char *memory_path,
                          GPtrArray *ret_notes, char **ret_definition, char **ret_running, GError **error)
{
  guint64 bytes = 0;
  g_autofree char *plain = take_arguments (saved_xml, memory_path != NULL, &bytes, error);
  g_autoptr (RametDomainFacts) facts = plain ? ramet_domain_facts_new (plain, error) : NULL;
  g_autofree char *rewritten = facts ? ramet_rewrite_domain (plain, identity, ret_notes, error) : NULL;
  g_autoptr (xmlDoc) doc = rewritten ? ramet_xml_parse (rewritten, "domain", error) : NULL;
  g_autoptr (xmlDoc) again = doc ? xmlCopyDoc (doc, 1) : NULL;

  g_return_val_if_fail (identity->goes_on && identity->link_down, FALSE);
  if (again == NULL)
    return FALSE;
  *ret_running = make_running (doc, memory_path, memory_path ? facts->memory_kib * 1024 : bytes);
  *ret_definition = make_definition (again, identity);
  return TRUE;
}
