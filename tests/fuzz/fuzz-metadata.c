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
      g_assert_cmpint (x->spare, ==, y->spare);
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

static void
check_same_points (GPtrArray *a, GPtrArray *b)
{
  g_assert_cmpuint (a->len, ==, b->len);
  for (guint i = 0; i < a->len; i++)
    {
      const RametPoint *x = g_ptr_array_index (a, i), *y = g_ptr_array_index (b, i);

      g_assert_nonnull (x->name);
      g_assert_cmpstr (x->name, ==, y->name);
      g_assert_cmpstr (x->created, ==, y->created);
      g_assert_cmpstr (x->parent, ==, y->parent);
      g_assert_cmpint (x->memory != NULL, ==, y->memory != NULL);
      if (x->memory)
        g_assert_cmpstr (x->memory->path, ==, y->memory->path);
      g_assert_cmpstr (x->nvram, ==, y->nvram);
      g_assert_cmpstr (x->run, ==, y->run);
      g_assert_cmpint (x->making, ==, y->making);
      g_assert_cmpint (x->dropped, ==, y->dropped);
      check_same_fingerprints (x->layers, y->layers);
    }
}

/* Whatever an edit left of the points, counting them comes to an end, and each step takes one away. */
static void
check_steps (RametMetadata *metadata)
{
  g_autoptr (GHashTable) held = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (GPtrArray) below = ramet_points_below (metadata->points, metadata->current, "x");

  g_assert_cmpuint (below->len, <=, metadata->points->len);
  for (guint left = metadata->points->len;; left--)
    {
      RametPointStep step = ramet_points_next_step (metadata->points, metadata->current, held);

      g_assert_cmpuint (metadata->points->len, ==, left);
      if (step.kind == RAMET_POINT_STEP_NONE)
        return;
      g_assert_true (step.point->dropped);
      ramet_points_done (metadata->points, &metadata->current, &step);
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
check_same_template (const RametTemplate *a, const RametTemplate *b)
{
  g_assert_cmpint (a != NULL, ==, b != NULL);
  if (a == NULL)
    return;
  g_assert_cmpuint (a->n_slots, <=, RAMET_TEMPLATE_MAX_SLOTS);
  g_assert_cmpuint (a->packages->len, <=, RAMET_TEMPLATE_MAX_PACKAGES);
  g_assert_cmpuint (a->memory.print->size, ==, a->memory_kib * 1024);
  g_assert_cmpstr (a->content, ==, b->content);
  g_assert_cmpstr (a->memory.sha256, ==, b->memory.sha256);
  g_assert_cmpstr (a->memory.print->path, ==, b->memory.print->path);
  g_assert_cmpuint (a->memory.print->inode, ==, b->memory.print->inode);
  g_assert_cmpstr (a->state.sha256, ==, b->state.sha256);
  g_assert_cmpuint (a->vcpus, ==, b->vcpus);
  g_assert_cmpuint (a->n_slots, ==, b->n_slots);
  g_assert_cmpuint (a->uid, ==, b->uid);
  g_assert_cmpstr (a->mac, ==, b->mac);
  g_assert_cmpstr (a->machine, ==, b->machine);
  g_assert_cmpstr (a->host_cpu, ==, b->host_cpu);
  g_assert_cmpstr (a->definition, ==, b->definition);
  g_assert_cmpuint (a->packages->len, ==, b->packages->len);
  check_same_fingerprints (a->disks, b->disks);
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
  check_same_template (a->template, b->template);
  check_same_shares (a->shares, b->shares);
  check_same_volumes (a->volumes, b->volumes);
  check_same_fingerprints (a->fingerprints, b->fingerprints);
  check_same_points (a->points, b->points);
  g_assert_cmpstr (a->current, ==, b->current);
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
  check_steps (metadata);
  return 0;
}
