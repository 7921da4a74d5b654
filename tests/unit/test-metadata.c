/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/metadata.h"

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
  before->project = g_strdup ("shop");
  before->user = g_strdup ("dev");
  before->worker = g_strdup ("0a-1b-2-3-4-5");
  before->host_keys = g_strdup ("ssh-ed25519 AAAA\nssh-rsa BBBB");
  g_ptr_array_add (before->shares, ramet_share_new ("/home/é <x>", "/srv/y", "ramet0"));
  g_ptr_array_add (before->grants, g_strdup ("64055 none --x none /home/é"));
  before->recipe = ramet_recipe_new ("debian <12>");
  before->recipe->suite = g_strdup ("bookworm");
  before->recipe->mirror = g_strdup ("deb [trusted=yes] http://x/?a&b ./");
  before->recipe->disk_bytes = 1ULL << 40;
  before->recipe->emulate = TRUE;
  ramet_metadata_add_volume (before, "default", "web.qcow2", "/p/web.qcow2");
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
  { "no state", "<vm/>", RAMET_ERROR_FAILED },
  { "an unknown state", "<vm state='half'/>", RAMET_ERROR_FAILED },
  { "foreign is never written", "<vm state='foreign'/>", RAMET_ERROR_FAILED },
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
    "<ramet:vm xmlns:ramet='urn:ramet:1' state='ready'><share tag='x'/><volume/><base name='b'><disk/></base></ramet:vm>",
    NULL);

  g_assert_nonnull (metadata);
  g_assert_cmpuint (metadata->shares->len, ==, 0);
  g_assert_cmpuint (metadata->volumes->len, ==, 0);
  g_assert_cmpuint (metadata->fingerprints->len, ==, 0);
  g_assert_null (metadata->host_keys);
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
