/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-expect.h"

#include <string.h>

#include "core/error.h"
#include "domain-oracle.h"
#include "model/xml.h"

static const char *const options[] = { "drop-host-devices", "keep-qemu-args", "share-disk", NULL };

static void
refusal_free (gpointer data)
{
  DomainRefusal *refusal = data;

  g_free (refusal->xpath);
  g_free (refusal->option);
  g_free (refusal);
}

static DomainExpectation *
expectation_new (DomainSchema schema)
{
  DomainExpectation *self = g_new0 (DomainExpectation, 1);

  self->schema = schema;
  self->refusals = g_ptr_array_new_with_free_func (refusal_free);
  return self;
}

void
domain_expectation_free (DomainExpectation *self)
{
  g_ptr_array_unref (self->refusals);
  g_free (self);
}

static void
add_refusal (DomainExpectation *self, const char *xpath, const char *option)
{
  DomainRefusal *refusal = g_new0 (DomainRefusal, 1);

  refusal->xpath = g_strdup (xpath);
  refusal->option = g_strdup (option);
  g_ptr_array_add (self->refusals, refusal);
}

static gboolean
read_line (DomainExpectation *self, const char *key, const char *value)
{
  g_auto (GStrv) words = g_strsplit (value, " ", -1);
  guint n = g_strv_length (words);
  const char *option = n == 3 && g_str_has_prefix (words[2], "option=") ? words[2] + strlen ("option=") : NULL;

  if (g_str_equal (key, "schema") && g_str_equal (value, "invalid"))
    self->schema = DOMAIN_SCHEMA_INVALID;
  else if (g_str_equal (key, "schema") && g_str_equal (value, "any"))
    self->schema = DOMAIN_SCHEMA_ANY;
  else if (g_str_equal (key, "expect") && g_str_equal (value, "error"))
    self->is_error = TRUE;
  else if (g_str_equal (key, "expect") && g_str_equal (words[0], "refused") &&
           (n == 2 || (option && g_strv_contains (options, option))))
    add_refusal (self, words[1], option);
  else
    return g_str_equal (key, "expect") && g_str_equal (value, "cloned");
  return TRUE;
}

/**
 * domain_expectation_read:
 * @text: of a file that need not be XML
 *
 * Returns: (nullable) (transfer full): what the comments in it say; %NULL if they say nothing
 */
DomainExpectation *
domain_expectation_read (const char *text, GPtrArray *failures)
{
  DomainExpectation *self = expectation_new (DOMAIN_SCHEMA_VALID);
  g_autoptr (GRegex) regex = g_regex_new ("<!-- (expect|schema): (.*?) -->", G_REGEX_RAW, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;
  guint n_expected = 0;

  for (g_regex_match (regex, text, 0, &match); g_match_info_matches (match); g_match_info_next (match, NULL))
    {
      g_autofree char *key = g_match_info_fetch (match, 1);
      g_autofree char *value = g_match_info_fetch (match, 2);

      n_expected += g_str_equal (key, "expect");
      if (!read_line (self, key, value))
        domain_fail (failures, "what does this mean? %s: %s", key, value);
    }
  if (n_expected > 0)
    return self;
  domain_expectation_free (self);
  return NULL;
}

DomainExpectation *
domain_expectation_error (void)
{
  DomainExpectation *self = expectation_new (DOMAIN_SCHEMA_ANY);

  self->is_error = TRUE;
  return self;
}

/* (transfer full) (nullable): the XPath that an error's message names */
static char *
named_path (const GError *error)
{
  g_autoptr (GRegex) regex = g_regex_new ("/domain(/[^\\s']*[^\\s',;:])?", 0, 0, NULL);
  g_autoptr (GMatchInfo) match = NULL;

  return g_regex_match (regex, error->message, 0, &match) ? g_match_info_fetch (match, 0) : NULL;
}

/* (nullable): the node of @doc that an error names */
static xmlNode *
named_node (xmlDoc *doc, const GError *error, GPtrArray *failures)
{
  g_autofree char *xpath = named_path (error);
  g_autoptr (GPtrArray) nodes = xpath ? domain_find (doc, xpath) : NULL;

  if (error->domain != RAMET_ERROR || error->code != RAMET_ERROR_REFUSED)
    domain_fail (failures, "not a refusal: %s", error->message);
  if (nodes && nodes->len == 1)
    return g_ptr_array_index (nodes, 0);
  domain_fail (failures, "it names no node of the file: %s", error->message);
  return NULL;
}

/* (nullable): the option that a refusal's hint names */
static const char *
named_option (const GError *error)
{
  const char *hint = ramet_error_get_hint (error);

  for (gsize i = 0; hint && options[i]; i++)
    {
      g_autofree char *option = g_strconcat ("--", options[i], NULL);

      if (strstr (hint, option))
        return options[i];
    }
  return NULL;
}

/**
 * domain_expectation_of:
 * @error: (nullable): what came of a file when nothing was allowed
 *
 * Returns: what to expect of a file that says nothing: that each refusal keeps its word
 */
DomainExpectation *
domain_expectation_of (xmlDoc *doc, const GError *error, DomainSchema schema, GPtrArray *failures)
{
  DomainExpectation *self = expectation_new (schema);

  for (const GError *at = error; at; at = ramet_error_get_next (at))
    if (named_node (doc, at, failures))
      {
        g_autofree char *xpath = named_path (at);

        add_refusal (self, xpath, named_option (at));
      }
  return self;
}

static gboolean
is_allowed (const DomainRefusal *refusal, const DomainAllowed *allowed)
{
  return (allowed->devices && g_strcmp0 (refusal->option, "drop-host-devices") == 0) ||
         (allowed->args && g_strcmp0 (refusal->option, "keep-qemu-args") == 0) ||
         (allowed->disks && g_strcmp0 (refusal->option, "share-disk") == 0);
}

/** domain_expectation_has: whether every option of @allowed is for something in the file */
gboolean
domain_expectation_has (const DomainExpectation *self, const DomainAllowed *allowed)
{
  DomainAllowed left = *allowed;

  for (guint i = 0; i < self->refusals->len; i++)
    {
      const char *option = ((const DomainRefusal *) g_ptr_array_index (self->refusals, i))->option;

      left.devices = left.devices && g_strcmp0 (option, "drop-host-devices") != 0;
      left.args = left.args && g_strcmp0 (option, "keep-qemu-args") != 0;
      left.disks = left.disks && g_strcmp0 (option, "share-disk") != 0;
    }
  return !left.devices && !left.args && !left.disks;
}

static xmlNode *
refused_node (const DomainRefusal *refusal, xmlDoc *doc, GPtrArray *failures)
{
  g_autoptr (GPtrArray) nodes = domain_find (doc, refusal->xpath);

  if (nodes->len == 1)
    return g_ptr_array_index (nodes, 0);
  domain_fail (failures, "the file has no %s", refusal->xpath);
  return NULL;
}

static gboolean
is_within (xmlNode *node, xmlNode *outer)
{
  for (; node; node = node->parent)
    if (node == outer)
      return TRUE;
  return FALSE;
}

/* A refusal of QEMU's arguments shows them. */
static void
check_arguments (const GError *error, xmlNode *node, GPtrArray *failures)
{
  for (xmlAttr *attribute = node->properties; attribute; attribute = attribute->next)
    {
      g_autofree char *value = ramet_xml_text ((xmlNode *) attribute);

      if (!strstr (error->message, value))
        domain_fail (failures, "the refusal does not show '%s'", value);
    }
  for (xmlNode *child = ramet_xml_first (node, NULL); child; child = ramet_xml_next (child, NULL))
    check_arguments (error, child, failures);
}

/* Whether one of the errors is about @refusal: names its node or one in it, and its option. */
static gboolean
is_told (const DomainRefusal *refusal, xmlDoc *doc, const GError *error, GPtrArray *failures)
{
  xmlNode *wanted = refused_node (refusal, doc, failures);
  gboolean found = FALSE;

  for (const GError *at = error; wanted && at; at = ramet_error_get_next (at))
    {
      xmlNode *node = named_node (doc, at, failures);

      if (node == NULL || !is_within (node, wanted))
        continue;
      found = TRUE;
      if (g_strcmp0 (named_option (at), refusal->option) != 0)
        domain_fail (failures, "%s: the hint is '%s', the option %s", refusal->xpath, ramet_error_get_hint (at),
                     refusal->option ? refusal->option : "none");
      if (g_strcmp0 (refusal->option, "keep-qemu-args") == 0)
        check_arguments (at, node, failures);
    }
  return found;
}

/**
 * domain_expectation_check:
 * @error: (nullable): what came of the file with @allowed
 *
 * Every refusal that @allowed does not allow is told, and nothing else is.
 */
void
domain_expectation_check (const DomainExpectation *self, xmlDoc *doc, const DomainAllowed *allowed,
                          const GError *error, GPtrArray *failures)
{
  for (guint i = 0; i < self->refusals->len; i++)
    {
      const DomainRefusal *refusal = g_ptr_array_index (self->refusals, i);

      if (!is_allowed (refusal, allowed) && !is_told (refusal, doc, error, failures))
        domain_fail (failures, "not refused: %s", refusal->xpath);
    }
  for (const GError *at = error; at; at = ramet_error_get_next (at))
    {
      xmlNode *node = named_node (doc, at, failures);
      gboolean is_expected = FALSE;

      for (guint i = 0; i < self->refusals->len; i++)
        {
          const DomainRefusal *refusal = g_ptr_array_index (self->refusals, i);

          is_expected = is_expected || (!is_allowed (refusal, allowed) &&
                                        is_within (node, refused_node (refusal, doc, failures)));
        }
      if (node && !is_expected)
        domain_fail (failures, "refused without need: %s", at->message);
    }
}

static gboolean
is_in_another (xmlNode *node, GPtrArray *nodes)
{
  for (guint i = 0; i < nodes->len; i++)
    {
      xmlNode *other = g_ptr_array_index (nodes, i);

      if (other != node && is_within (node, other))
        return TRUE;
    }
  return FALSE;
}

/* Takes what --drop-host-devices leaves out of the base, so that the rest can be compared with the clone. */
void
domain_expectation_drop (const DomainExpectation *self, xmlDoc *doc, GPtrArray *notes, GPtrArray *failures)
{
  g_autoptr (GPtrArray) nodes = g_ptr_array_new ();
  g_autoptr (GPtrArray) outer = g_ptr_array_new ();

  for (guint i = 0; i < self->refusals->len; i++)
    {
      const DomainRefusal *refusal = g_ptr_array_index (self->refusals, i);
      xmlNode *node = refused_node (refusal, doc, failures);

      if (node && g_strcmp0 (refusal->option, "drop-host-devices") == 0 && !g_ptr_array_find (nodes, node, NULL))
        g_ptr_array_add (nodes, node);
    }
  for (guint i = 0; i < nodes->len; i++)
    if (!is_in_another (g_ptr_array_index (nodes, i), nodes))
      g_ptr_array_add (outer, g_ptr_array_index (nodes, i));
  for (guint i = 0; i < outer->len; i++)
    {
      xmlNode *node = g_ptr_array_index (outer, i);
      gboolean is_audio = ramet_xml_is (node, "audio"); /* which stays, silent */
      const char *word = is_audio ? "sound" : (const char *) node->name;
      gboolean is_noted = FALSE;

      for (guint j = 0; j < notes->len; j++)
        is_noted = is_noted || strstr (g_ptr_array_index (notes, j), word);
      if (!is_noted)
        domain_fail (failures, "no note says that a <%s> is left out", (const char *) node->name);
      if (!is_audio)
        ramet_xml_drop (node);
    }
}
