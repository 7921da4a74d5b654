/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/chain.h"
#include "model/snapshot.h"

#define LIVE                                                                                                         \
  "<domain type=\"qemu\" id=\"3\"><name>web</name><devices><disk type=\"file\" device=\"disk\">"                        \
  "<source file=\"/p/web.qcow2\"/><backingStore type=\"file\"><format type=\"qcow2\"/><source file=\"/p/base.qcow2\"/>" \
  "<backingStore/></backingStore><target dev=\"vda\"/></disk></devices></domain>"
#define DEFINED "<name>web</name><os firmware=\"efi\"><type>hvm</type></os>"

/* Without the line breaks that make it readable. */
static char *
squeeze (const char *xml)
{
  g_auto (GStrv) lines = g_strsplit (xml, "\n", -1);

  for (char **line = lines; *line; line++)
    g_strstrip (*line);
  return g_strjoinv ("", lines);
}

static char *
make (const char *memory)
{
  g_autoptr (GPtrArray) disks = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_snapshot_disk_free);
  g_autofree char *xml = NULL;

  g_ptr_array_add (disks, ramet_snapshot_disk_new ("vda", "/p/a&b.qcow2"));
  g_ptr_array_add (disks, ramet_snapshot_disk_new ("sda", NULL));
  xml = ramet_snapshot_xml ("before", memory, disks);
  return squeeze (xml);
}

static void
test_with_memory (void)
{
  g_autofree char *xml = make ("/p/web.mem");

  g_assert_nonnull (strstr (xml, "<name>before</name><memory snapshot=\"external\" file=\"/p/web.mem\"/>"));
  g_assert_nonnull (strstr (xml, "<disk name=\"vda\" snapshot=\"external\" type=\"file\"><driver type=\"qcow2\"/>"
                                 "<source file=\"/p/a&amp;b.qcow2\"/></disk>"));
  g_assert_nonnull (strstr (xml, "<disk name=\"sda\" snapshot=\"no\"/>"));
}

static void
test_disk_only (void)
{
  g_autofree char *xml = make (NULL);

  g_assert_nonnull (strstr (xml, "<memory snapshot=\"no\"/>"));
}

static void
test_split_running (void)
{
  g_autofree char *live = NULL;
  g_autofree char *inactive = NULL;
  g_autofree char *squeezed = NULL;

  g_assert_true (ramet_snapshot_split ("<domainsnapshot><name>x</name>" LIVE "<inactiveDomain type='qemu'>" DEFINED
                                       "</inactiveDomain></domainsnapshot>",
                                       &live, &inactive, NULL));
  g_assert_nonnull (strstr (live, "id=\"3\""));
  g_assert_null (strstr (live, "firmware"));
  squeezed = squeeze (inactive);
  g_assert_nonnull (strstr (squeezed, "<domain type=\"qemu\">" DEFINED "</domain>"));
  g_assert_null (strstr (inactive, "inactiveDomain"));
}

static void
test_split_off (void)
{
  g_autofree char *live = NULL;
  g_autofree char *inactive = NULL;

  g_assert_true (ramet_snapshot_split ("<domainsnapshot><domain type='qemu'>" DEFINED "</domain></domainsnapshot>", &live,
                                       &inactive, NULL));
  g_assert_null (live);
  g_assert_nonnull (strstr (inactive, "<name>web</name>"));
}

static void
test_split_nothing (void)
{
  g_autoptr (GError) error = NULL;
  g_autofree char *live = NULL;
  g_autofree char *inactive = NULL;

  g_assert_false (ramet_snapshot_split ("<domainsnapshot><name>x</name></domainsnapshot>", &live, &inactive, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_STATE);
  g_clear_error (&error);
  g_assert_false (ramet_snapshot_split ("<domain/>", &live, &inactive, &error));
  g_assert_nonnull (error);
}

static void
test_read_chain (void)
{
  g_autoptr (GPtrArray) files = ramet_chain_read (LIVE, "vda", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpuint (files->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (files, 0), ==, "/p/web.qcow2");
  g_assert_cmpstr (g_ptr_array_index (files, 1), ==, "/p/base.qcow2");
  g_assert_null (ramet_chain_read (LIVE, "vdb", &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND);
}

/* The helper is of the same QEMU, has no more than the disk, and changes the owner of no file that is not the VM's own. */
static void
test_helper (void)
{
  static const char domain[] = "<domain type='kvm'><name>web</name><os><type arch='x86_64' machine='q35'>hvm</type>"
                               "<loader>/l</loader></os><devices><emulator>/usr/bin/q</emulator><filesystem/></devices></domain>";
  RametLayer layers[] = { { "/p/top.qcow2", "qcow2", TRUE }, { "/p/own.qcow2", "qcow2", TRUE }, { "/b/base.img", "raw", FALSE } };
  g_autoptr (GPtrArray) chain = g_ptr_array_new ();
  g_autofree char *xml = NULL;
  g_autofree char *squeezed = NULL;

  for (gsize i = 0; i < G_N_ELEMENTS (layers); i++)
    g_ptr_array_add (chain, &layers[i]);
  xml = ramet_snapshot_helper_xml (domain, "ramet-merge-web", "vda", chain, NULL);
  squeezed = squeeze (xml);
  g_assert_nonnull (strstr (squeezed, "<domain type=\"kvm\"><name>ramet-merge-web</name>"));
  g_assert_nonnull (strstr (squeezed, "<os><type arch=\"x86_64\" machine=\"q35\">hvm</type></os>"));
  g_assert_nonnull (strstr (squeezed, "<emulator>/usr/bin/q</emulator>"));
  g_assert_null (strstr (squeezed, "filesystem"));
  g_assert_nonnull (strstr (squeezed, "<source file=\"/p/top.qcow2\"/>"));
  g_assert_nonnull (strstr (squeezed, "<source file=\"/p/own.qcow2\"/>"));
  g_assert_nonnull (strstr (squeezed, "<source file=\"/b/base.img\"><seclabel model=\"dac\" relabel=\"no\"/></source>"
                                      "<backingStore/>"));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/snapshot/with memory", test_with_memory);
  g_test_add_func ("/snapshot/disks only", test_disk_only);
  g_test_add_func ("/snapshot/split one of a VM that ran", test_split_running);
  g_test_add_func ("/snapshot/split one of a VM that was off", test_split_off);
  g_test_add_func ("/snapshot/split what says nothing", test_split_nothing);
  g_test_add_func ("/snapshot/the chain of a disk", test_read_chain);
  g_test_add_func ("/snapshot/a helper to merge with", test_helper);
  return g_test_run ();
}
