/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/recipe.h"

#include <string.h>

#define DATE_DIGITS 8 /* 20261121 */

RametRecipe *
ramet_recipe_new (const char *version_of)
{
  RametRecipe *recipe = g_new0 (RametRecipe, 1);

  recipe->version_of = g_strdup (version_of);
  return recipe;
}

/** ramet_recipe_copy: (transfer full) */
RametRecipe *
ramet_recipe_copy (const RametRecipe *recipe)
{
  RametRecipe *copy = ramet_recipe_new (recipe->version_of);

  copy->suite = g_strdup (recipe->suite);
  copy->init = g_strdup (recipe->init);
  copy->mirror = g_strdup (recipe->mirror);
  copy->disk_bytes = recipe->disk_bytes;
  copy->emulate = recipe->emulate;
  copy->from_image = recipe->from_image;
  return copy;
}

void
ramet_recipe_free (RametRecipe *recipe)
{
  g_free (recipe->version_of);
  g_free (recipe->suite);
  g_free (recipe->init);
  g_free (recipe->mirror);
  g_free (recipe);
}

/** ramet_recipe_read: (transfer full) (nullable): from the metadata's element @node, which may be %NULL */
RametRecipe *
ramet_recipe_read (xmlNode *node)
{
  g_autofree char *version_of = ramet_xml_get (node, "version-of");
  g_autofree char *size = ramet_xml_get (node, "size");
  RametRecipe *recipe;

  if (version_of == NULL)
    return NULL;
  recipe = ramet_recipe_new (version_of);
  recipe->suite = ramet_xml_get (node, "suite");
  recipe->init = ramet_xml_get (node, "init");
  recipe->mirror = ramet_xml_get (node, "mirror");
  recipe->disk_bytes = size ? g_ascii_strtoull (size, NULL, 10) : 0;
  recipe->emulate = ramet_xml_has (node, "emulate", "yes");
  recipe->from_image = ramet_xml_has (node, "from-image", "yes");
  return recipe;
}

static void
set_if (xmlNode *node, const char *attribute, const char *value)
{
  if (value)
    ramet_xml_set (node, attribute, value);
}

/** ramet_recipe_add: writes it as the last child of @parent, our element in a domain's metadata */
void
ramet_recipe_add (const RametRecipe *recipe, xmlNode *parent)
{
  g_autofree char *size = g_strdup_printf ("%" G_GUINT64_FORMAT, recipe->disk_bytes);
  xmlNode *node = ramet_xml_add (parent, "recipe", NULL);

  ramet_xml_set (node, "version-of", recipe->version_of);
  set_if (node, "suite", recipe->suite);
  set_if (node, "init", recipe->init);
  set_if (node, "mirror", recipe->mirror);
  set_if (node, "size", recipe->disk_bytes ? size : NULL);
  set_if (node, "emulate", recipe->emulate ? "yes" : NULL);
  set_if (node, "from-image", recipe->from_image ? "yes" : NULL);
}

/**
 * ramet_recipe_version_name:
 * @date: of eight digits
 * @nth: 1 for the first of that day
 *
 * Returns: (transfer full): "debian-12-20261121", then "debian-12-20261121-2"
 */
char *
ramet_recipe_version_name (const char *version_of, const char *date, guint nth)
{
  return nth > 1 ? g_strdup_printf ("%s-%s-%u", version_of, date, nth) : g_strdup_printf ("%s-%s", version_of, date);
}

/** ramet_recipe_is_version_name: whether ramet_recipe_version_name() makes such names of @version_of */
gboolean
ramet_recipe_is_version_name (const char *name, const char *version_of)
{
  gsize length = strlen (version_of);
  const char *date = name + length + 1;

  if (!g_str_has_prefix (name, version_of) || name[length] != '-' || strspn (date, "0123456789") != DATE_DIGITS)
    return FALSE;
  date += DATE_DIGITS;
  return *date == '\0' || (*date == '-' && date[1] && strspn (date + 1, "0123456789") == strlen (date + 1));
}
