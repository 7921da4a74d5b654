/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules for what is no device. */
#include "model/rewrite-private.h"

void
ramet_rule_drop (RametRewrite *rewrite, xmlNode *node)
{
  ramet_rewrite_drop (rewrite, node);
}

void
ramet_rule_name (RametRewrite *rewrite, xmlNode *node)
{
  ramet_xml_set_text (node, rewrite->identity->name);
}

void
ramet_rule_uuid (RametRewrite *rewrite, xmlNode *node)
{
  ramet_xml_set_text (node, rewrite->identity->uuid);
}

/*
 * Without content libvirt makes a new one. It compares it with what it was when memory was saved, and gives the guest a new one
 * at each restore whatever stands there.
 */
void
ramet_rule_genid (RametRewrite *rewrite, xmlNode *node)
{
  if (!rewrite->identity->goes_on)
    xmlNodeSetContent (node, NULL);
}

void
ramet_rule_metadata (RametRewrite *rewrite, xmlNode *node)
{
  for (xmlNode *child = ramet_xml_first (node, NULL); child; child = ramet_xml_next (child, NULL))
    if (child->ns == NULL || !g_str_has_prefix ((const char *) child->ns->href, "http://libosinfo.org/"))
      ramet_rewrite_drop (rewrite, child);
  ramet_rewrite_settle (node);
}

void
ramet_rule_vcpu (RametRewrite *rewrite, xmlNode *node)
{
  g_autofree char *count = g_strdup_printf ("%u", rewrite->identity->vcpus);

  if (rewrite->identity->vcpus == 0)
    return;
  ramet_xml_set_text (node, count);
  ramet_xml_unset (node, "current");
  ramet_xml_unset (node, "cpuset");
}

/* The list of single CPUs would be of another number. */
void
ramet_rule_vcpus (RametRewrite *rewrite, xmlNode *node)
{
  if (rewrite->identity->vcpus != 0)
    ramet_rewrite_drop (rewrite, node);
}

void
ramet_rule_memory (RametRewrite *rewrite, xmlNode *node)
{
  g_autofree char *amount = g_strdup_printf ("%" G_GUINT64_FORMAT, rewrite->identity->memory_kib);

  if (rewrite->identity->memory_kib == 0)
    return;
  ramet_xml_set_text (node, amount);
  ramet_xml_set (node, "unit", "KiB");
}

/* A <topology> or <numa> that speaks of another number of CPUs would make libvirt refuse the clone. */
void
ramet_rule_cpu (RametRewrite *rewrite, xmlNode *node)
{
  if (rewrite->identity->vcpus != 0)
    ramet_rewrite_drop_children (rewrite, node, "topology");
  if ((rewrite->identity->vcpus != 0 || rewrite->identity->memory_kib != 0) && ramet_xml_first (node, "numa"))
    ramet_rewrite_refuse (rewrite, node, "its NUMA cells fix the CPUs and memory", "leave out --cpus and --memory; or ");
}

/* A flash image is writable unless it says otherwise, and so holds the variables, too. */
void
ramet_rule_loader (RametRewrite *rewrite, xmlNode *node)
{
  g_autofree char *path = ramet_xml_text (node);

  if (path && *path && ramet_xml_has (node, "type", "pflash") && !ramet_xml_has (node, "readonly", "yes"))
    ramet_rewrite_refuse (rewrite, node, "base and clone would write to one firmware image",
                          "make it readonly='yes' if nothing is to be written there; or ");
}

/* The path stands as text, or since libvirt 8.5 in a <source>, which may be no file. */
void
ramet_rule_nvram (RametRewrite *rewrite, xmlNode *node)
{
  xmlNode *source = ramet_xml_first (node, "source");
  g_autofree char *text = source ? ramet_xml_get (source, "file") : ramet_xml_text (node);

  if (text && *g_strstrip (text) && rewrite->identity->nvram == NULL)
    ramet_rewrite_refuse (rewrite, node, "there is no file of its own for its variables", NULL);
  else if (source)
    {
      if (!ramet_xml_has (node, "type", "file") || ramet_xml_first (source, NULL))
        ramet_rewrite_refuse (rewrite, node, "its variables are not in a plain file", NULL);
      else if (rewrite->identity->nvram)
        ramet_xml_set (source, "file", rewrite->identity->nvram);
    }
  else if (text && *text)
    ramet_xml_set_text (node, rewrite->identity->nvram);
}

void
ramet_rule_acpi_table (RametRewrite *rewrite, xmlNode *node)
{
  ramet_rewrite_leave_out (rewrite, node, "it hands a file of the host to the firmware");
}

static void
rule_fwcfg (RametRewrite *rewrite, xmlNode *node)
{
  guint n_left = 0;

  for (xmlNode *entry = ramet_xml_first (node, NULL); entry; entry = ramet_xml_next (entry, NULL))
    {
      g_autofree char *file = ramet_xml_get (entry, "file");

      if (file == NULL || !ramet_rewrite_leave_out (rewrite, entry, "it hands a file of the host to the firmware"))
        n_left++;
    }
  if (n_left == 0)
    ramet_rewrite_drop (rewrite, node);
}

/* libvirt objects where the uuid in <sysinfo> is not the domain's. */
void
ramet_rule_sysinfo (RametRewrite *rewrite, xmlNode *node)
{
  xmlNode *system = ramet_xml_first (node, "system");

  if (ramet_xml_has (node, "type", "fwcfg"))
    {
      rule_fwcfg (rewrite, node);
      return;
    }
  if (!ramet_xml_has (node, "type", "smbios"))
    {
      ramet_rewrite_refuse (rewrite, node, "this version of ramet does not know what it would share with the base", NULL);
      return;
    }
  for (xmlNode *entry = ramet_xml_first (system, "entry"); entry; entry = ramet_xml_next (entry, "entry"))
    if (ramet_xml_has (entry, "name", "uuid"))
      ramet_rule_uuid (rewrite, entry);
}

void
ramet_rule_seclabel (RametRewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "type", "static"))
    return;
  ramet_rewrite_note (rewrite, "the base's static security label becomes a dynamic one");
  ramet_rewrite_drop (rewrite, node);
}

void
ramet_rule_host_part (RametRewrite *rewrite, xmlNode *node)
{
  ramet_rewrite_leave_out (rewrite, node, "it hands a device or memory of the host to one guest");
}

/* All attribute values in @node and below, with spaces between: of <qemu:arg value='-foo'/> the arguments. */
static void
collect_values (xmlNode *node, GString *text)
{
  for (xmlAttr *attribute = node->properties; attribute; attribute = attribute->next)
    {
      g_autofree char *value = ramet_xml_get (node, (const char *) attribute->name);

      g_string_append_printf (text, " %s", value ? value : "?"); /* one in a namespace has no meaning to libvirt */
    }
  for (xmlNode *child = ramet_xml_first (node, NULL); child; child = ramet_xml_next (child, NULL))
    collect_values (child, text);
}

void
ramet_rule_qemu (RametRewrite *rewrite, xmlNode *node)
{
  g_autoptr (GString) why = g_string_new (NULL);
  g_autofree char *where = ramet_xml_where (node);

  collect_values (node, why);
  if (rewrite->identity->keep_qemu_args)
    {
      ramet_rewrite_note (rewrite, "%s is taken over as it is, whatever it shares with the base:%s", where, why->str);
      return;
    }
  g_string_prepend (why, "it is handed to QEMU past libvirt:");
  ramet_rewrite_refuse (rewrite, node, why->str, "--keep-qemu-args takes it over as it is; or ");
}
