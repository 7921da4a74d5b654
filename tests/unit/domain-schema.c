/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-schema.h"

#include <glib.h>
#include <libxml/relaxng.h>

#define SCHEMA "/usr/share/libvirt/schemas/domain.rng" /* of libvirt's library package */

static xmlRelaxNG *schema = NULL;

G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlRelaxNGParserCtxt, xmlRelaxNGFreeParserCtxt)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (xmlRelaxNGValidCtxt, xmlRelaxNGFreeValidCtxt)

/** domain_schema_load: once for all files; ends the test if libvirt's schema is not there */
void
domain_schema_load (void)
{
  g_autoptr (xmlRelaxNGParserCtxt) context = xmlRelaxNGNewParserCtxt (SCHEMA);

  schema = xmlRelaxNGParse (context);
  if (schema == NULL)
    g_error ("cannot read libvirt's schema, " SCHEMA);
}

void
domain_schema_unload (void)
{
  xmlRelaxNGFree (schema);
  schema = NULL;
}

static void G_GNUC_PRINTF (2, 3)
take_message (void *data, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_string_append_vprintf (data, format, args);
  va_end (args);
}

/** domain_schema_check: (transfer full) (nullable): why @doc does not pass libvirt's schema; %NULL if it does */
char *
domain_schema_check (xmlDoc *doc)
{
  g_autoptr (GString) why = g_string_new (NULL);
  g_autoptr (xmlRelaxNGValidCtxt) context = xmlRelaxNGNewValidCtxt (schema);

  xmlRelaxNGSetValidErrors (context, take_message, take_message, why);
  if (xmlRelaxNGValidateDoc (context, doc) == 0)
    return NULL;
  return g_strdup (why->len > 0 ? g_strstrip (why->str) : "no reason is given");
}
