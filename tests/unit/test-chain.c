/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/chain.h"

#define BEFORE                                                                                                        \
  "<domain><name>web</name>"                                                                                          \
  "<metadata><x:tool xmlns:x='urn:x'>kept</x:tool><ramet:vm xmlns:ramet='urn:ramet:1' state='raw'/></metadata>"       \
  "<devices>"                                                                                                         \
  "<disk type='file' device='disk'><driver type='qcow2' discard='unmap'/><source file='/p/web.qcow2'/>"               \
  "<backingStore type='file'><format type='raw'/><source file='/old'/><backingStore/></backingStore>"                 \
  "<target dev='vda'/><serial>s</serial></disk>"                                                                      \
  "<disk type='file' device='disk'><source file='/p/data.img'/><target dev='vdb'/></disk>"                            \
  "<disk type='network' device='disk'><source name='n'/><target dev='vdc'/></disk>"                                   \
  "<disk type='file' device='cdrom'><target dev='sda'/></disk>"                                                       \
  "</devices></domain>"
#define DATA_DISK "<disk type=\"file\" device=\"disk\"><source file=\"/p/data.img\"/><target dev=\"vdb\"/></disk>"

/* Without the line breaks that make a definition readable. */
static char *
squeeze (const char *xml)
{
  g_auto (GStrv) lines = g_strsplit (xml, "\n", -1);

  for (char **line = lines; *line; line++)
    g_strstrip (*line);
  return g_strjoinv ("", lines);
}

static char *
rewrite (const char *target, const char *path, const char *layer, GError **error)
{
  g_autoptr (GPtrArray) overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);
  RametOverlay *overlay = ramet_overlay_new (target, path);
  g_autofree char *xml = NULL;

  g_ptr_array_add (overlays, overlay);
  if (layer)
    {
      ramet_overlay_add_layer (overlay, layer, "qcow2");
      ramet_overlay_add_layer (overlay, "/dev/vg/a&b", "raw");
    }
  xml = ramet_chain_rewrite (BEFORE, overlays, "<vm state='ready'/>", error);
  return xml ? squeeze (xml) : NULL;
}

/* What the definition says of a file's owner holds for it at another place in the chain, too. */
static void
test_owner_kept (void)
{
  g_autofree char *others = rewrite ("vda", "/p/new.qcow2", "/old", NULL);
  g_autofree char *own = rewrite ("vda", "/p/new.qcow2", "/p/web.qcow2", NULL);

  g_assert_nonnull (strstr (others, "<source file=\"/old\"/>"));
  g_assert_nonnull (strstr (own, "<source file=\"/p/web.qcow2\"/>"));
  g_assert_nonnull (strstr (own, "<source dev=\"/dev/vg/a&amp;b\"><seclabel model=\"dac\" relabel=\"no\"/></source>"));
}

static void
test_moved (void)
{
  g_autofree char *after = rewrite ("vda", "/p/web.qcow2", "/new", NULL);

  g_assert_nonnull (after);
  g_assert_null (strstr (after, "/old"));
  g_assert_nonnull (strstr (after, "<source file=\"/p/web.qcow2\"/>"));
  g_assert_nonnull (strstr (after, "<backingStore type=\"file\"><format type=\"qcow2\"/><source file=\"/new\">"
                                   "<seclabel model=\"dac\" relabel=\"no\"/></source>"
                                   "<backingStore type=\"block\"><format type=\"raw\"/><source dev=\"/dev/vg/a&amp;b\">"
                                   "<seclabel model=\"dac\" relabel=\"no\"/></source><backingStore/></backingStore>"
                                   "</backingStore>"));
  /* what else there is stays */
  g_assert_nonnull (strstr (after, "<serial>s</serial>"));
  g_assert_nonnull (strstr (after, DATA_DISK));
  g_assert_nonnull (strstr (after, "kept"));
  g_assert_nonnull (strstr (after, "state=\"ready\""));
  g_assert_null (strstr (after, "state=\"raw\""));
}

static void
test_alone (void)
{
  g_autofree char *after = rewrite ("vda", "/p/web.flat.qcow2", NULL, NULL);

  g_assert_nonnull (after);
  g_assert_nonnull (strstr (after, "<source file=\"/p/web.flat.qcow2\"/>"));
  g_assert_nonnull (strstr (after, "<backingStore/></disk>"));
  g_assert_null (strstr (after, "<backingStore type"));
}

static const struct
{
  const char *name;
  const char *target;
} missing[] = {
  { "no such disk", "vdx" },
  { "a disk over the network", "vdc" },
  { "an empty drive", "sda" },
};

static void
test_missing (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (GError) error = NULL;
  g_autofree char *after = rewrite (missing[i].target, "/p/x", "/new", &error);

  g_assert_null (after);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_NOT_FOUND);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/chain/another place", test_moved);
  g_test_add_func ("/chain/owners kept", test_owner_kept);
  g_test_add_func ("/chain/standing alone", test_alone);
  for (gsize i = 0; i < G_N_ELEMENTS (missing); i++)
    {
      g_autofree char *path = g_strconcat ("/chain/", missing[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_missing);
    }
  return g_test_run ();
}
