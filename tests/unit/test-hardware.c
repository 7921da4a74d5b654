/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/domain.h"
#include "model/hardware.h"

#define BEFORE                                                                                                          \
  "<domain><name>web</name>"                                                                                            \
  "<metadata><x:tool xmlns:x='urn:x'>kept</x:tool><ramet:vm xmlns:ramet='urn:ramet:1' state='raw'/></metadata>"         \
  "<memory unit='KiB'>1048576</memory><currentMemory unit='GiB'>1</currentMemory>"                                      \
  "<vcpu placement='static' current='1'>2</vcpu><cpu mode='maximum'><topology sockets='2'/></cpu>"                      \
  "<devices>"                                                                                                           \
  "<filesystem type='mount'><source dir='/a'/><target dir='ramet0'/><address slot='4'/></filesystem>"                   \
  "<filesystem type='mount'><source dir='/b'/><target dir='ramet1'/></filesystem>"                                      \
  "<filesystem type='mount'><source dir='/mine'/><target dir='mine'/></filesystem>"                                     \
  "</devices></domain>"

static GPtrArray *
shares_new (const char *const *sources)
{
  GPtrArray *shares = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);

  for (; *sources; sources += 2)
    g_ptr_array_add (shares, ramet_share_new (sources[0], sources[0], sources[1]));
  return shares;
}

static void
test_shares (void)
{
  g_autoptr (GPtrArray) before = shares_new ((const char *[]){ "/a", "ramet0", "/b", "ramet1", NULL });
  g_autoptr (GPtrArray) after = shares_new ((const char *[]){ "/a", "ramet0", "/c&", "ramet-1", NULL });
  RametHardware hardware = { .shares = after, .before = before };
  g_autofree char *xml = ramet_hardware_rewrite (BEFORE, &hardware, "<vm state='ready'/>", NULL);
  g_autoptr (RametDomainFacts) facts = ramet_domain_facts_new (xml, NULL);
  g_autofree char *tags = NULL;

  g_ptr_array_add (facts->tags, NULL);
  tags = g_strjoinv (" ", (char **) facts->tags->pdata);
  g_assert_cmpstr (tags, ==, "ramet0 mine ramet-1");
  g_assert_nonnull (strstr (xml, "<address slot=\"4\"/>"));
  g_assert_nonnull (strstr (xml, "/c&amp;"));
  g_assert_nonnull (strstr (xml, "kept"));
  g_assert_nonnull (strstr (xml, "state=\"ready\""));
  g_assert_null (strstr (xml, "state=\"raw\""));
  g_assert_cmpuint (facts->vcpus, ==, 2);
  g_assert_nonnull (strstr (xml, "topology"));
}

static void
test_numbers (void)
{
  RametHardware hardware = { .vcpus = 3, .memory_kib = 2097152 };
  g_autofree char *xml = ramet_hardware_rewrite (BEFORE, &hardware, "<vm state='ready'/>", NULL);
  g_autoptr (RametDomainFacts) facts = ramet_domain_facts_new (xml, NULL);

  g_assert_cmpuint (facts->vcpus, ==, 3);
  g_assert_cmpuint (facts->memory_kib, ==, 2097152);
  g_assert_nonnull (strstr (xml, "<currentMemory unit=\"KiB\">2097152</currentMemory>"));
  g_assert_null (strstr (xml, "current=\""));
  g_assert_null (strstr (xml, "topology"));
  g_assert_cmpuint (facts->tags->len, ==, 3);
}

static void
test_numa (void)
{
  RametHardware hardware = { .vcpus = 3 };
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = ramet_hardware_rewrite ("<domain><cpu><numa/></cpu><devices/></domain>", &hardware, "<vm/>", &error);

  g_assert_null (xml);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
}

static void
test_tags (void)
{
  g_autofree char *one = ramet_share_tag_for ("/a", "/b");
  g_autofree char *same = ramet_share_tag_for ("/a", "/b");
  g_autofree char *other = ramet_share_tag_for ("/a", "/c");

  g_assert_cmpstr (one, ==, same);
  g_assert_cmpstr (one, !=, other);
  g_assert_cmpuint (strlen (one), <=, 31);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/hardware/shares", test_shares);
  g_test_add_func ("/hardware/numbers", test_numbers);
  g_test_add_func ("/hardware/numa", test_numa);
  g_test_add_func ("/hardware/tags", test_tags);
  return g_test_run ();
}
