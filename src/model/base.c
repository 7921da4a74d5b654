/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/base.h"

#include "core/error.h"
#include "model/metadata.h"
#include "model/xml.h"

/*
 * An emulated CPU has no model of the host's to pass through. Of all it can do, two things only cost time: virtualization,
 * for which the guest would load KVM while it boots, and page tables of five levels.
 */
static void
set_cpu (xmlNode *cpu, const char *type)
{
  static const char *const slow[] = { "svm", "la57" };
  gboolean emulated = !g_str_equal (type, "kvm");

  ramet_xml_set (cpu, "mode", emulated ? "maximum" : "host-passthrough");
  for (gsize i = 0; emulated && i < G_N_ELEMENTS (slow); i++)
    {
      xmlNode *feature = ramet_xml_add (cpu, "feature", NULL);

      ramet_xml_set (feature, "policy", "disable");
      ramet_xml_set (feature, "name", slow[i]);
    }
}

/* libvirt would pick the Secure Boot build, which refuses an unsigned boot loader. */
static void
set_uefi (xmlNode *os)
{
  xmlNode *firmware = ramet_xml_add (os, "firmware", NULL);
  xmlNode *feature = ramet_xml_add (firmware, "feature", NULL);

  ramet_xml_set (os, "firmware", "efi");
  ramet_xml_set (feature, "enabled", "no");
  ramet_xml_set (feature, "name", "secure-boot");
}

/* The places that are filled in. */
static gboolean
check_places (xmlNode *root, GError **error)
{
  static const char *const places[] = { "name", "memory", "cpu", "os", "devices/disk/source", "devices/interface/source" };

  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    if (ramet_xml_at (root, places[i]) == NULL)
      {
        ramet_error_set (error, RAMET_ERROR_USAGE, "the template of bases has no element '%s'", places[i]);
        ramet_error_hint (error, "it may be empty: what belongs there is put in");
        return FALSE;
      }
  return TRUE;
}

/**
 * ramet_base_domain_xml:
 * @template_xml: the text of templates/base-domain.xml
 *
 * Returns: (transfer full): the definition of a base
 */
char *
ramet_base_domain_xml (const char *template_xml, const RametBaseParameters *parameters, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (template_xml, "domain", error);
  g_autofree char *memory = g_strdup_printf ("%" G_GUINT64_FORMAT, parameters->memory_kib);
  xmlNode *root;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  if (!check_places (root, error))
    return NULL;
  ramet_xml_set (root, "type", parameters->type);
  ramet_xml_set_text (ramet_xml_first (root, "name"), parameters->name);
  ramet_xml_set_text (ramet_xml_first (root, "memory"), memory);
  set_cpu (ramet_xml_first (root, "cpu"), parameters->type);
  if (parameters->uefi)
    set_uefi (ramet_xml_first (root, "os"));
  ramet_xml_set (ramet_xml_at (root, "devices/disk/source"), "file", parameters->disk);
  ramet_xml_set (ramet_xml_at (root, "devices/interface/source"), "network", parameters->network);
  if (!ramet_metadata_embed (root, parameters->metadata, error))
    return NULL;
  return ramet_xml_dump (doc);
}
