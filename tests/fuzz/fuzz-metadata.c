/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "core/error.h"
#include "fuzz.h"
#include "model/domain.h"
#include "model/metadata.h"

static void
check_same_shares (GPtrArray *a, GPtrArray *b)
{
  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++)
    {
      const RametShare *x = g_ptr_array_index (a, i), *y = g_ptr_array_index (b, i);

      g_assert_nonnull (x->tag);
      g_assert_cmpstr (x->source, ==, y->source);
      g_assert_cmpstr (x->target, ==, y->target);
      g_assert_cmpstr (x->tag, ==, y->tag);
    }
}

static void
check_same_volumes (GPtrArray *a, GPtrArray *b)
{
  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++)
    {
      const RametVolumeRef *x = g_ptr_array_index (a, i), *y = g_ptr_array_index (b, i);

      g_assert_nonnull (x->name);
      g_assert_cmpstr (x->pool, ==, y->pool);
      g_assert_cmpstr (x->name, ==, y->name);
      g_assert_cmpstr (x->path, ==, y->path);
    }
}

static void
check_same_fingerprints (GPtrArray *a, GPtrArray *b)
{
  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++)
    {
      const RametFingerprint *x = g_ptr_array_index (a, i), *y = g_ptr_array_index (b, i);

      g_assert_cmpstr (x->target, ==, y->target);
      g_assert_cmpstr (x->path, ==, y->path);
      g_assert_cmpstr (x->format, ==, y->format);
      g_assert_cmpstr (x->header, ==, y->header);
      g_assert_cmpuint (x->inode, ==, y->inode);
      g_assert_cmpuint (x->size, ==, y->size);
      g_assert_cmpint (x->mtime_ns, ==, y->mtime_ns);
      g_assert_cmpuint (x->capacity, ==, y->capacity);
    }
}

/* A name that is made for a version is one of that base, and of no other. */
static void
check_version_names (const RametRecipe *recipe)
{
  for (guint nth = 1; nth < 4; nth++)
    {
      g_autofree char *name = ramet_recipe_version_name (recipe->version_of, "20260102", nth);
      g_autofree char *other = g_strconcat ("x", name, NULL);

      g_assert_true (ramet_recipe_is_version_name (name, recipe->version_of));
      g_assert_false (ramet_recipe_is_version_name (other, name));
    }
}

static void
check_same_recipe (const RametRecipe *a, const RametRecipe *b)
{
  g_autoptr (RametRecipe) copy = NULL;

  g_assert_cmpint (a != NULL, ==, b != NULL);
  if (a == NULL)
    return;
  copy = ramet_recipe_copy (b);
  g_assert_cmpstr (a->version_of, ==, copy->version_of);
  g_assert_cmpstr (a->suite, ==, copy->suite);
  g_assert_cmpstr (a->init, ==, copy->init);
  g_assert_cmpstr (a->mirror, ==, copy->mirror);
  g_assert_cmpuint (a->disk_bytes, ==, copy->disk_bytes);
  g_assert_cmpint (a->emulate, ==, copy->emulate);
  g_assert_cmpint (a->from_image, ==, copy->from_image);
  check_version_names (a);
}

static void
check_same (const RametMetadata *a, const RametMetadata *b)
{
  g_assert_cmpstr (ramet_state_name (a->state), ==, ramet_state_name (b->state));
  g_assert_cmpstr (a->created, ==, b->created);
  g_assert_cmpstr (a->base_name, ==, b->base_name);
  g_assert_cmpstr (a->base_uuid, ==, b->base_uuid);
  g_assert_cmpstr (a->project, ==, b->project);
  g_assert_cmpstr (a->user, ==, b->user);
  g_assert_cmpstr (a->host_keys, ==, b->host_keys);
  g_assert_cmpstr (a->console, ==, b->console);
  g_assert_cmpstr (a->worker, ==, b->worker);
  check_same_recipe (a->recipe, b->recipe);
  check_same_shares (a->shares, b->shares);
  check_same_volumes (a->volumes, b->volumes);
  check_same_fingerprints (a->fingerprints, b->fingerprints);
  g_assert_cmpuint (a->grants->len, ==, b->grants->len);
  for (guint i = 0; i < a->grants->len; i++)
    g_assert_cmpstr (g_ptr_array_index (a->grants, i), ==, g_ptr_array_index (b->grants, i));
}

/* What is embedded in a domain beside others' metadata is found again, by its namespace. */
static void
check_embedded (const RametMetadata *metadata, const char *xml)
{
  static const char domain[] = "<domain type='kvm'><name>x</name><metadata><a:vm xmlns:a='urn:other' state='base'/>"
                               "</metadata></domain>";
  g_autoptr (xmlDoc) doc = ramet_xml_parse (domain, "domain", NULL);
  g_autoptr (RametDomainFacts) facts = NULL;
  g_autoptr (RametMetadata) found = NULL;
  g_autofree char *whole = NULL;

  g_assert_true (ramet_metadata_embed (xmlDocGetRootElement (doc), xml, NULL));
  whole = ramet_xml_dump (doc);
  fuzz_check_xml (whole);
  facts = ramet_domain_facts_new (whole, NULL);
  g_assert_nonnull (facts);
  g_assert_nonnull (facts->metadata);
  found = ramet_metadata_parse (facts->metadata, NULL);
  g_assert_nonnull (found);
  check_same (found, metadata);
}

int
LLVMFuzzerTestOneInput (const guint8 *data, size_t size)
{
  g_autofree char *text = fuzz_text (data, size);
  g_autoptr (GError) error = NULL;
  g_autoptr (RametMetadata) metadata = ramet_metadata_parse (text, &error);
  g_autoptr (RametMetadata) again = NULL;
  g_autofree char *xml = NULL;
  g_autofree char *xml_again = NULL;

  if (metadata == NULL)
    {
      g_autoptr (xmlDoc) doc = ramet_xml_parse ("<domain/>", "domain", NULL);

      g_assert_nonnull (error);
      g_assert_true (error->domain == RAMET_ERROR);
      ramet_metadata_embed (xmlDocGetRootElement (doc), text, NULL);
      return 0;
    }
  g_assert_no_error (error);
  g_assert_cmpint (metadata->state, !=, RAMET_STATE_FOREIGN);
  xml = ramet_metadata_to_xml (metadata);
  again = ramet_metadata_parse (xml, &error);
  g_assert_no_error (error);
  check_same (metadata, again);
  xml_again = ramet_metadata_to_xml (again);
  g_assert_cmpstr (xml_again, ==, xml);
  check_embedded (metadata, xml);
  return 0;
}
