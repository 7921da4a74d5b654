/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/template.h"

#include <string.h>

#include "model/hardware.h"
#include "model/migration.h"
#include "model/names.h"

#define SHA256_DIGITS 64
#define CONTENT_DIGITS 16
#define MAX_WORD_BYTES 200

RametTemplate *
ramet_template_new (void)
{
  RametTemplate *template = g_new0 (RametTemplate, 1);

  template->packages = g_ptr_array_new_with_free_func (g_free);
  template->disks = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_fingerprint_free);
  return template;
}

static void
file_clear (RametTemplateFile *file)
{
  g_clear_pointer (&file->print, ramet_fingerprint_free);
  g_clear_pointer (&file->sha256, g_free);
}

void
ramet_template_free (RametTemplate *template)
{
  g_free (template->content);
  file_clear (&template->memory);
  file_clear (&template->state);
  g_free (template->mac);
  g_free (template->machine);
  g_free (template->cpu);
  g_free (template->ram_block);
  g_free (template->qemu);
  g_free (template->libvirt);
  g_free (template->host_cpu);
  g_free (template->definition);
  g_free (template->ssh_keys);
  g_free (template->steps);
  g_ptr_array_unref (template->packages);
  g_ptr_array_unref (template->disks);
  g_free (template);
}

/**
 * ramet_template_slot_tag:
 *
 * Returns: (transfer full): the mount tag of the @i-th device for a share. Its guest knows it already, so unlike other shares'
 * it does not tell of the folder
 */
char *
ramet_template_slot_tag (guint i)
{
  return g_strdup_printf ("ramet%u", i);
}

/**
 * ramet_template_content:
 *
 * Returns: (transfer full): the name that a template of these files has, short enough to be typed: 16 hex digits
 */
char *
ramet_template_content (const char *memory_sha256, const char *state_sha256)
{
  g_autofree char *both = g_strdup_printf ("%s\n%s\n", memory_sha256, state_sha256);
  g_autofree char *digest = g_compute_checksum_for_string (G_CHECKSUM_SHA256, both, -1);

  return g_strndup (digest, CONTENT_DIGITS);
}

static gboolean
is_hex (const char *text, gsize digits)
{
  return text && strlen (text) == digits && strspn (text, "0123456789abcdef") == digits;
}

/* A word of a few bytes in one line, such as a version. */
static gboolean
is_word (const char *text)
{
  gsize length = text ? strlen (text) : 0;

  if (length == 0 || length > MAX_WORD_BYTES)
    return FALSE;
  for (const char *at = text; *at; at++)
    if (!g_ascii_isgraph (*at) && *at != ' ')
      return FALSE;
  return TRUE;
}

static gboolean
read_number (xmlNode *node, const char *attribute, guint64 min, guint64 max, guint64 *ret_value)
{
  g_autofree char *text = ramet_xml_get (node, attribute);

  return text && g_ascii_string_to_unsigned (text, 10, min, max, ret_value, NULL);
}

static gboolean
read_file (xmlNode *node, RametTemplateFile *file)
{
  file->print = node ? ramet_fingerprint_read (node) : NULL;
  file->sha256 = ramet_xml_get (node, "sha256");
  return file->print && g_path_is_absolute (file->print->path) && file->print->size && is_hex (file->sha256, SHA256_DIGITS);
}

static gboolean
read_words (xmlNode *node, RametTemplate *template)
{
  const struct
  {
    const char *attribute;
    char **ret_word;
  } words[] = {
    { "machine", &template->machine }, { "cpu", &template->cpu },         { "ram-block", &template->ram_block },
    { "qemu", &template->qemu },       { "libvirt", &template->libvirt }, { "host-cpu", &template->host_cpu },
  };

  for (gsize i = 0; i < G_N_ELEMENTS (words); i++)
    {
      *words[i].ret_word = ramet_xml_get (node, words[i].attribute);
      if (!is_word (*words[i].ret_word))
        return FALSE;
    }
  return TRUE;
}

static gboolean
read_numbers (xmlNode *node, RametTemplate *template)
{
  guint64 vcpus;
  guint64 slots;
  guint64 uid;

  if (!read_number (node, "vcpus", 1, RAMET_HARDWARE_MAX_CPUS, &vcpus) || !read_number (node, "slots", 0, RAMET_TEMPLATE_MAX_SLOTS, &slots) ||
      !read_number (node, "uid", 0, G_MAXUINT32, &uid) ||
      !read_number (node, "memory-kib", 1, RAMET_MIGRATION_MAX_RAM_BYTES / 1024, &template->memory_kib))
    return FALSE;
  template->vcpus = (guint) vcpus;
  template->n_slots = (guint) slots;
  template->uid = (guint) uid;
  return TRUE;
}

static gboolean
read_packages (xmlNode *node, RametTemplate *template)
{
  for (xmlNode *package = ramet_xml_first (node, "package"); package; package = ramet_xml_next (package, "package"))
    {
      g_autofree char *name = ramet_xml_text (package);

      if (template->packages->len == RAMET_TEMPLATE_MAX_PACKAGES || !ramet_name_check_package (name, NULL))
        return FALSE;
      g_ptr_array_add (template->packages, g_steal_pointer (&name));
    }
  return TRUE;
}

static gboolean
read_disks (xmlNode *node, RametTemplate *template)
{
  for (xmlNode *disk = ramet_xml_first (node, "disk"); disk; disk = ramet_xml_next (disk, "disk"))
    {
      RametFingerprint *print = ramet_fingerprint_read (disk);

      if (print)
        g_ptr_array_add (template->disks, print);
      if (print == NULL || print->target == NULL)
        return FALSE;
    }
  return template->disks->len > 0;
}

/* What is recorded must hold together, or it is of no use. */
static gboolean
is_whole (const RametTemplate *template)
{
  g_autofree char *content = ramet_template_content (template->memory.sha256, template->state.sha256);

  return g_strcmp0 (template->content, content) == 0 && template->memory.print->size == template->memory_kib * 1024 &&
         is_hex (template->definition, SHA256_DIGITS) && is_hex (template->ssh_keys, SHA256_DIGITS) &&
         (template->steps == NULL || is_hex (template->steps, SHA256_DIGITS));
}

/**
 * ramet_template_read:
 * @node: (nullable): the metadata's element; untrusted
 *
 * Returns: (transfer full) (nullable): %NULL if there is none, or if it is not whole: half of it is not to be guessed at
 */
RametTemplate *
ramet_template_read (xmlNode *node)
{
  g_autoptr (RametTemplate) template = ramet_template_new ();
  g_autofree char *mac = ramet_xml_get (node, "mac");

  template->content = ramet_xml_get (node, "content");
  template->definition = ramet_xml_get (node, "definition");
  template->ssh_keys = ramet_xml_get (node, "ssh-keys");
  template->steps = ramet_xml_get (node, "steps");
  if (node == NULL || mac == NULL || !ramet_name_parse_mac (mac, &template->mac, NULL) || !read_words (node, template) ||
      !read_numbers (node, template) || !read_packages (node, template) ||
      !read_disks (node, template) ||
      !read_file (ramet_xml_first (node, "memory"), &template->memory) ||
      !read_file (ramet_xml_first (node, "state"), &template->state) || !is_whole (template))
    return NULL;
  return g_steal_pointer (&template);
}

static void
set_number (xmlNode *node, const char *attribute, guint64 value)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);

  ramet_xml_set (node, attribute, text);
}

static void
add_file (const RametTemplateFile *file, xmlNode *parent, const char *element)
{
  ramet_fingerprint_add (file->print, parent, element);
  ramet_xml_set (ramet_xml_first (parent, element), "sha256", file->sha256);
}

/** ramet_template_add: writes it, whole, as the last child of @parent, our element in a domain's metadata */
void
ramet_template_add (const RametTemplate *template, xmlNode *parent)
{
  xmlNode *node = ramet_xml_add (parent, "template", NULL);

  ramet_xml_set (node, "content", template->content);
  set_number (node, "vcpus", template->vcpus);
  set_number (node, "memory-kib", template->memory_kib);
  set_number (node, "slots", template->n_slots);
  ramet_xml_set (node, "mac", template->mac);
  ramet_xml_set (node, "machine", template->machine);
  ramet_xml_set (node, "cpu", template->cpu);
  ramet_xml_set (node, "ram-block", template->ram_block);
  ramet_xml_set (node, "qemu", template->qemu);
  ramet_xml_set (node, "libvirt", template->libvirt);
  ramet_xml_set (node, "host-cpu", template->host_cpu);
  ramet_xml_set (node, "definition", template->definition);
  set_number (node, "uid", template->uid);
  ramet_xml_set (node, "ssh-keys", template->ssh_keys);
  if (template->steps)
    ramet_xml_set (node, "steps", template->steps);
  add_file (&template->memory, node, "memory");
  add_file (&template->state, node, "state");
  for (guint i = 0; i < template->disks->len; i++)
    ramet_fingerprint_add (g_ptr_array_index (template->disks, i), node, "disk");
  for (guint i = 0; i < template->packages->len; i++)
    ramet_xml_add (node, "package", g_ptr_array_index (template->packages, i));
}
