/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/metadata.h"

static void
add_points (RametMetadata *metadata)
{
  RametPoint *point = ramet_point_new ("first");
  RametFingerprint *layer = ramet_fingerprint_new ("vda", "/p/web<1>.qcow2", "qcow2");

  layer->inode = 1;
  layer->mtime_ns = G_MININT64;
  point->created = g_strdup ("2026-01-02T03:04:05Z");
  point->memory = ramet_fingerprint_new (NULL, "/p/web.first.mem", NULL);
  point->memory->size = 5;
  point->nvram = g_strdup ("/n/web.first_VARS.fd");
  point->run = g_strdup ("running");
  point->dropped = TRUE;
  g_ptr_array_add (point->layers, layer);
  g_ptr_array_add (metadata->points, point);
  point = ramet_point_new ("second");
  point->parent = g_strdup ("first");
  point->making = TRUE;
  g_ptr_array_add (metadata->points, point);
}

static void
check_points (const RametMetadata *metadata)
{
  const RametPoint *first = ramet_points_find (metadata->points, "first");
  const RametPoint *second = ramet_points_find (metadata->points, metadata->current);

  g_assert_cmpuint (metadata->points->len, ==, 2);
  g_assert_true (first->dropped);
  g_assert_false (first->making);
  g_assert_cmpstr (first->memory->path, ==, "/p/web.first.mem");
  g_assert_cmpuint (first->memory->size, ==, 5);
  g_assert_null (second->memory);
  g_assert_cmpstr (first->nvram, ==, "/n/web.first_VARS.fd");
  g_assert_cmpstr (first->run, ==, "running");
  g_assert_null (first->parent);
  g_assert_cmpint (ramet_point_find_layer (first, "vda")->mtime_ns, ==, G_MININT64);
  g_assert_null (ramet_point_find_layer (first, "vdb"));
  g_assert_cmpstr (second->parent, ==, "first");
  g_assert_true (second->making);
  g_assert_false (second->dropped);
  g_assert_false (ramet_metadata_find_volume (metadata, "/p/web.qcow2")->spare);
  g_assert_true (ramet_metadata_find_volume (metadata, "/p/web.x.qcow2")->spare);
  g_assert_null (ramet_metadata_find_volume (metadata, "/p/other"));
}

static void
test_round_trip (void)
{
  g_autoptr (RametMetadata) before = ramet_metadata_new (RAMET_STATE_READY);
  g_autoptr (RametMetadata) after = NULL;
  RametFingerprint *print = g_new0 (RametFingerprint, 1);
  g_autofree char *xml = NULL;
  g_autofree char *again = NULL;

  before->created = g_strdup ("2026-01-02T03:04:05Z");
  before->base_name = g_strdup ("a <base> & \"more\"");
  before->base_uuid = g_strdup ("11111111-2222-3333-4444-555555555555");
  before->base_point = g_strdup ("before");
  before->project = g_strdup ("shop");
  before->user = g_strdup ("dev");
  before->worker = g_strdup ("0a-1b-2-3-4-5");
  before->host_keys = g_strdup ("ssh-ed25519 AAAA\nssh-rsa BBBB");
  g_ptr_array_add (before->shares, ramet_share_new ("/home/é <x>", "/srv/y", "ramet0"));
  g_ptr_array_add (before->former_shares, ramet_share_new ("/home/z", "/srv/z", "ramet1"));
  g_ptr_array_add (before->grants, g_strdup ("64055 none --x none /home/é"));
  before->recipe = ramet_recipe_new ("debian <12>");
  before->recipe->suite = g_strdup ("bookworm");
  before->recipe->mirror = g_strdup ("deb [trusted=yes] http://x/?a&b ./");
  before->recipe->disk_bytes = 1ULL << 40;
  before->recipe->emulate = TRUE;
  ramet_metadata_add_volume (before, "default", "web.qcow2", "/p/web.qcow2");
  ramet_metadata_add_volume (before, "default", "web.x.qcow2", "/p/web.x.qcow2")->spare = TRUE;
  before->current = g_strdup ("second");
  add_points (before);
  print->target = g_strdup ("vda");
  print->path = g_strdup ("/p/base.qcow2");
  print->format = g_strdup ("qcow2");
  print->size = G_MAXUINT64;
  print->mtime_ns = -5;
  print->inode = 7;
  print->capacity = 1 << 30;
  print->header = g_strdup ("0a1b");
  g_ptr_array_add (before->fingerprints, print);

  xml = ramet_metadata_to_xml (before);
  after = ramet_metadata_parse (xml, NULL);
  g_assert_nonnull (after);
  again = ramet_metadata_to_xml (after);
  g_assert_cmpstr (again, ==, xml);
  g_assert_cmpstr (after->host_keys, ==, before->host_keys);
  g_assert_cmpstr (after->recipe->version_of, ==, "debian <12>");
  g_assert_cmpstr (after->recipe->mirror, ==, before->recipe->mirror);
  g_assert_null (after->recipe->init);
  g_assert_cmpuint (after->recipe->disk_bytes, ==, 1ULL << 40);
  g_assert_true (after->recipe->emulate);
  g_assert_false (after->recipe->from_image);
  g_assert_cmpstr (after->worker, ==, before->worker);
  g_assert_cmpstr (after->base_point, ==, "before");
  check_points (after);
  g_assert_cmpuint (((RametFingerprint *) g_ptr_array_index (after->fingerprints, 0))->size, ==, G_MAXUINT64);
  g_assert_cmpint (((RametFingerprint *) g_ptr_array_index (after->fingerprints, 0))->mtime_ns, ==, -5);
  g_assert_cmpstr (((RametFingerprint *) g_ptr_array_index (after->fingerprints, 0))->header, ==, "0a1b");
}

static const struct
{
  const char *name;
  const char *xml;
  RametErrorCode code;
} bad[] = {
  { "no XML", "junk", RAMET_ERROR_FAILED },
  { "empty", "", RAMET_ERROR_FAILED },
  { "another root", "<domain/>", RAMET_ERROR_FAILED },
  { "no state", "<vm/>", RAMET_ERROR_REFUSED },
  { "an unknown state", "<vm state='half'/>", RAMET_ERROR_REFUSED },
  { "foreign is never written", "<vm state='foreign'/>", RAMET_ERROR_REFUSED },
  { "a document type", "<!DOCTYPE vm [<!ENTITY x 'y'>]><vm state='ready'/>", RAMET_ERROR_REFUSED },
};

static void
test_bad (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;

  g_assert_null (ramet_metadata_parse (bad[i].xml, &error));
  g_assert_error (error, RAMET_ERROR, (int) bad[i].code);
}

/* Half of what should be there is missing: the rest is taken. */
static void
test_sparse (void)
{
  g_autoptr (RametMetadata) metadata = ramet_metadata_parse (
    "<ramet:vm xmlns:ramet='urn:ramet:1' state='ready'><share tag='x'/><volume/><base name='b'><disk/></base>"
    "<point/><point name='p'><layer/></point></ramet:vm>",
    NULL);

  g_assert_nonnull (metadata);
  g_assert_cmpuint (metadata->shares->len, ==, 0);
  g_assert_cmpuint (metadata->volumes->len, ==, 0);
  g_assert_cmpuint (metadata->fingerprints->len, ==, 0);
  g_assert_null (metadata->host_keys);
  g_assert_cmpuint (metadata->points->len, ==, 1);
  g_assert_cmpuint (((RametPoint *) g_ptr_array_index (metadata->points, 0))->layers->len, ==, 0);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/metadata/round trip", test_round_trip);
  g_test_add_func ("/metadata/sparse", test_sparse);
  for (gsize i = 0; i < G_N_ELEMENTS (bad); i++)
    {
      g_autofree char *path = g_strconcat ("/metadata/bad/", bad[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_bad);
    }
  return g_test_run ();
}
