/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Changes to the definition of a VM that ramet made. */
#include "model/hardware.h"

#include "core/error.h"
#include "model/metadata.h"
#include "model/names.h"
#include "model/project-private.h"
#include "model/xml.h"

#define MEMORY_UNIT (1024 * 1024)
#define LEAST_MEMORY_BYTES (32 * 1024 * 1024)

/**
 * ramet_hardware_parse_cpus:
 * @key: where @text stands, for the error: "--cpus"
 * @error: RAMET_ERROR_USAGE
 */
gboolean
ramet_hardware_parse_cpus (const char *key, const char *text, guint *ret_cpus, GError **error)
{
  g_autofree char *safe = NULL;
  guint64 cpus = 0;

  if (g_ascii_string_to_unsigned (text, 10, 1, RAMET_HARDWARE_MAX_CPUS, &cpus, NULL))
    {
      *ret_cpus = (guint) cpus;
      return TRUE;
    }
  safe = ramet_project_shown (text);
  ramet_error_set (error, RAMET_ERROR_USAGE, "%s takes a number from 1 to %d, not '%s'", key, RAMET_HARDWARE_MAX_CPUS, safe);
  return FALSE;
}

/**
 * ramet_hardware_parse_memory:
 * @error: RAMET_ERROR_USAGE with a hint
 */
gboolean
ramet_hardware_parse_memory (const char *text, guint64 *ret_bytes, GError **error)
{
  g_autofree char *safe = NULL;
  guint64 bytes = 0;

  if (!ramet_name_parse_size (text, MEMORY_UNIT, &bytes, error))
    return FALSE;
  if (bytes >= LEAST_MEMORY_BYTES)
    {
      *ret_bytes = bytes;
      return TRUE;
    }
  safe = ramet_project_shown (text);
  ramet_error_set (error, RAMET_ERROR_USAGE, "'%s' is too little memory", safe);
  ramet_error_hint (error, "a number without a unit counts MiB; '1G' is usual");
  return FALSE;
}

/** ramet_hardware_add_share: the read-only 9p device that carries @share */
void
ramet_hardware_add_share (xmlNode *devices, const RametShare *share)
{
  xmlNode *node = ramet_xml_add (devices, "filesystem", NULL);

  ramet_xml_set (node, "type", "mount");
  /* squash: mapped would break every symlink of the tree */
  ramet_xml_set (node, "accessmode", "squash");
  ramet_xml_set (ramet_xml_add (node, "source", NULL), "dir", share->source);
  ramet_xml_set (ramet_xml_add (node, "target", NULL), "dir", share->tag);
  ramet_xml_add (node, "readonly", NULL);
}

static gboolean
has_tag (GPtrArray *shares, const char *tag)
{
  for (guint i = 0; i < shares->len; i++)
    if (g_strcmp0 (((RametShare *) g_ptr_array_index (shares, i))->tag, tag) == 0)
      return TRUE;
  return FALSE;
}

static xmlNode *
find_filesystem (xmlNode *devices, const char *tag)
{
  for (xmlNode *node = ramet_xml_first (devices, "filesystem"); node; node = ramet_xml_next (node, "filesystem"))
    if (ramet_xml_has (ramet_xml_first (node, "target"), "dir", tag))
      return node;
  return NULL;
}

/* Devices that stay keep their addresses; those that are not of ramet's making are left alone. */
static void
put_shares (xmlNode *devices, const RametHardware *hardware)
{
  for (guint i = 0; i < hardware->before->len; i++)
    {
      const RametShare *share = g_ptr_array_index (hardware->before, i);
      xmlNode *node = has_tag (hardware->shares, share->tag) ? NULL : find_filesystem (devices, share->tag);

      if (node)
        ramet_xml_drop (node);
    }
  for (guint i = 0; i < hardware->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (hardware->shares, i);

      if (find_filesystem (devices, share->tag) == NULL)
        ramet_hardware_add_share (devices, share);
    }
}

static gboolean
check_no_numa (xmlNode *root, GError **error)
{
  if (ramet_xml_first (ramet_xml_first (root, "cpu"), "numa") == NULL && ramet_xml_first (root, "maxMemory") == NULL)
    return TRUE;
  ramet_error_set (error, RAMET_ERROR_REFUSED, "its CPUs and memory are fixed by NUMA cells or slots for memory");
  ramet_error_hint (error, "'virsh edit' changes them by hand");
  return FALSE;
}

/* A <topology> that speaks of another number of CPUs would make libvirt refuse the definition. */
static void
put_vcpus (xmlNode *root, guint vcpus)
{
  g_autofree char *count = g_strdup_printf ("%u", vcpus);
  xmlNode *node = ramet_xml_first (root, "vcpu");
  xmlNode *cpu = ramet_xml_first (root, "cpu");

  if (node == NULL)
    node = ramet_xml_add (root, "vcpu", NULL);
  ramet_xml_set_text (node, count);
  ramet_xml_unset (node, "current");
  ramet_xml_unset (node, "cpuset");
  ramet_xml_drop_children (root, "vcpus");
  if (cpu)
    ramet_xml_drop_children (cpu, "topology");
}

static void
put_memory (xmlNode *root, guint64 memory_kib)
{
  static const char *const names[] = { "memory", "currentMemory" };
  g_autofree char *amount = g_strdup_printf ("%" G_GUINT64_FORMAT, memory_kib);

  for (gsize i = 0; i < G_N_ELEMENTS (names); i++)
    {
      xmlNode *node = ramet_xml_first (root, names[i]);

      if (node == NULL)
        node = ramet_xml_add (root, names[i], NULL);
      ramet_xml_set_text (node, amount);
      ramet_xml_set (node, "unit", "KiB");
    }
}

/**
 * ramet_hardware_rewrite:
 * @metadata_xml: our element in no namespace, instead of the one that is there
 *
 * Returns: (transfer full): @domain_xml with that and metadata changed in one go, and nothing else
 */
char *
ramet_hardware_rewrite (const char *domain_xml, const RametHardware *hardware, const char *metadata_xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (domain_xml, "domain", error);
  xmlNode *root;
  xmlNode *devices;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  devices = ramet_xml_first (root, "devices");
  if ((hardware->vcpus || hardware->memory_kib) && !check_no_numa (root, error))
    return NULL;
  if (hardware->vcpus)
    put_vcpus (root, hardware->vcpus);
  if (hardware->memory_kib)
    put_memory (root, hardware->memory_kib);
  if (hardware->shares && devices)
    put_shares (devices, hardware);
  return ramet_metadata_embed (root, metadata_xml, error) ? ramet_xml_dump (doc) : NULL;
}
