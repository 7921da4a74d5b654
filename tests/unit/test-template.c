/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "model/template-fit.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define SHA_C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define SHA_D "dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"

static RametFingerprint *
print_new (const char *target, const char *path, guint64 size)
{
  RametFingerprint *print = ramet_fingerprint_new (target, path, NULL);

  print->size = size;
  print->inode = G_MAXUINT64;
  print->mtime_ns = 1795287047000000001;
  return print;
}

static RametMetadata *
template_metadata (void)
{
  RametMetadata *metadata = ramet_metadata_new (RAMET_STATE_TEMPLATE);
  RametTemplate *template = ramet_template_new ();

  metadata->template = template;
  metadata->base_name = g_strdup ("debian-12");
  metadata->user = g_strdup ("ada");
  metadata->setup = g_strdup (SHA_D);
  template->content = ramet_template_content (SHA_A, SHA_B);
  template->memory.print = print_new (NULL, "/t/a,<b>.mem", 1 << 30);
  template->memory.sha256 = g_strdup (SHA_A);
  template->state.print = print_new (NULL, "/t/a.state", 1000);
  template->state.sha256 = g_strdup (SHA_B);
  g_ptr_array_add (template->disks, print_new ("vda", "/p/t.qcow2", 7));
  template->vcpus = 1;
  template->memory_kib = 1 << 20;
  template->n_slots = 4;
  template->mac = g_strdup ("52:54:00:12:34:56");
  template->machine = g_strdup ("pc-q35-7.2");
  template->cpu = g_strdup ("maximum");
  template->ram_block = g_strdup ("pc.ram");
  template->qemu = g_strdup ("7.2.0");
  template->libvirt = g_strdup ("9.0.0");
  template->host_cpu = g_strdup ("Sky Lake 0123456789ab");
  template->definition = g_strdup (SHA_C);
  template->uid = 1000;
  template->ssh_keys = g_strdup (SHA_D);
  template->steps = g_strdup (SHA_A);
  g_ptr_array_add (template->packages, g_strdup ("git"));
  g_ptr_array_add (template->packages, g_strdup ("gcc-12"));
  return metadata;
}

static void
test_round_trip (void)
{
  g_autoptr (RametMetadata) before = template_metadata ();
  g_autofree char *xml = ramet_metadata_to_xml (before);
  g_autoptr (RametMetadata) after = ramet_metadata_parse (xml, NULL);
  g_autofree char *again = ramet_metadata_to_xml (after);
  const RametTemplate *template = after->template;

  g_assert_cmpint (after->state, ==, RAMET_STATE_TEMPLATE);
  g_assert_nonnull (template);
  g_assert_cmpstr (again, ==, xml);
  g_assert_cmpstr (template->content, ==, before->template->content);
  g_assert_cmpstr (template->memory.print->path, ==, "/t/a,<b>.mem");
  g_assert_cmpuint (template->memory.print->inode, ==, G_MAXUINT64);
  g_assert_cmpuint (template->memory.print->size, ==, 1 << 30);
  g_assert_cmpint (template->memory.print->mtime_ns, ==, 1795287047000000001);
  g_assert_cmpstr (template->memory.sha256, ==, SHA_A);
  g_assert_cmpstr (template->state.print->path, ==, "/t/a.state");
  g_assert_cmpstr (template->state.sha256, ==, SHA_B);
  g_assert_cmpuint (template->vcpus, ==, 1);
  g_assert_cmpuint (template->memory_kib, ==, 1 << 20);
  g_assert_cmpuint (template->n_slots, ==, 4);
  g_assert_cmpuint (template->uid, ==, 1000);
  g_assert_cmpstr (template->mac, ==, "52:54:00:12:34:56");
  g_assert_cmpstr (template->machine, ==, "pc-q35-7.2");
  g_assert_cmpstr (template->cpu, ==, "maximum");
  g_assert_cmpstr (template->ram_block, ==, "pc.ram");
  g_assert_cmpstr (template->qemu, ==, "7.2.0");
  g_assert_cmpstr (template->libvirt, ==, "9.0.0");
  g_assert_cmpstr (template->host_cpu, ==, "Sky Lake 0123456789ab");
  g_assert_cmpstr (template->definition, ==, SHA_C);
  g_assert_cmpstr (template->ssh_keys, ==, SHA_D);
  g_assert_cmpstr (template->steps, ==, SHA_A);
  g_assert_cmpuint (template->packages->len, ==, 2);
  g_assert_cmpstr (g_ptr_array_index (template->packages, 1), ==, "gcc-12");
  g_assert_cmpuint (template->disks->len, ==, 1);
}

static void
test_content (void)
{
  g_autofree char *one = ramet_template_content (SHA_A, SHA_B);
  g_autofree char *other = ramet_template_content (SHA_B, SHA_A);

  g_assert_cmpuint (strlen (one), ==, 16);
  g_assert_cmpstr (one, !=, other);
}

/* An edit of the record: @from stands in it once at least, and what is left is not believed. */
static const struct
{
  const char *name;
  const char *from;
  const char *to;
} edits[] = {
  { "another content", "content=\"", "content=\"0" },
  { "no content", " content=", " x=" },
  { "another hash of the memory", "sha256=\"aa", "sha256=\"ab" },
  { "another hash of the state", "sha256=\"bb", "sha256=\"bc" },
  { "a short hash", "sha256=\"aa", "sha256=\"" },
  { "an upper-case hash", "sha256=\"aa", "sha256=\"AA" },
  { "no memory", "<memory ", "<remember " },
  { "no state", "<state ", "<status " },
  { "no disk", "<disk ", "<disc " },
  { "a disk that is none", "target=\"vda\"", "" },
  { "memory at a relative path", "path=\"/t/a,", "path=\"t/a," },
  { "memory of another length", "size=\"1073741824\"", "size=\"1073741825\"" },
  { "an endless memory", "memory-kib=\"1048576\"", "memory-kib=\"18446744073709551615\"" },
  { "a number with more behind it", "vcpus=\"1\"", "vcpus=\"1x\"" },
  { "no CPUs", "vcpus=\"1\"", "vcpus=\"0\"" },
  { "a negative number", "slots=\"4\"", "slots=\"-1\"" },
  { "too many slots", "slots=\"4\"", "slots=\"17\"" },
  { "a uid beyond 32 bits", "uid=\"1000\"", "uid=\"4294967296\"" },
  { "a broken MAC", "52:54:00:12:34:56", "52:54:00:12:34" },
  { "no machine", " machine=", " x=" },
  { "an empty machine", "machine=\"pc-q35-7.2\"", "machine=\"\"" },
  { "a CPU with a control character", "cpu=\"maximum\"", "cpu=\"a&#9;b\"" },
  { "a version beyond ASCII", "qemu=\"7.2.0\"", "qemu=\"7\xc2\xa0\"" },
  { "a package that is an option", ">git<", ">--x<" },
  { "a broken definition", "definition=\"cc", "definition=\"" },
};

static void
test_edited (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametMetadata) before = template_metadata ();
  g_autofree char *xml = ramet_metadata_to_xml (before);
  g_auto (GStrv) parts = g_strsplit (xml, edits[i].from, -1);
  g_autofree char *edited = g_strjoinv (edits[i].to, parts);
  g_autoptr (RametMetadata) after = ramet_metadata_parse (edited, NULL);
  g_autofree char *why = NULL;

  g_assert_cmpuint (g_strv_length (parts), >=, 2);
  g_assert_nonnull (after);
  g_assert_null (after->template);
  why = ramet_template_why_stale (after, &(RametTemplateNow){ 0 });
  g_assert_nonnull (strstr (why, "not whole"));
}

static void
test_too_many_packages (void)
{
  g_autoptr (RametMetadata) before = template_metadata ();

  while (before->template->packages->len <= RAMET_TEMPLATE_MAX_PACKAGES)
    {
      g_autofree char *xml = ramet_metadata_to_xml (before);
      g_autoptr (RametMetadata) after =
        before->template->packages->len >= RAMET_TEMPLATE_MAX_PACKAGES - 1 ? ramet_metadata_parse (xml, NULL) : NULL;

      g_assert_true (after == NULL || after->template != NULL);
      g_ptr_array_add (before->template->packages, g_strdup ("x"));
    }
  {
    g_autofree char *xml = ramet_metadata_to_xml (before);
    g_autoptr (RametMetadata) after = ramet_metadata_parse (xml, NULL);

    g_assert_null (after->template);
  }
}

typedef struct
{
  RametTemplateNow now;
  RametFingerprint memory;
  RametFingerprint state;
} Now;

static void
now_init (Now *now, const RametMetadata *metadata)
{
  now->memory = *metadata->template->memory.print;
  now->state = *metadata->template->state.print;
  now->now = (RametTemplateNow){ "7.2.0", "9.0.0", "Sky Lake 0123456789ab", SHA_C, "", &now->memory, &now->state };
}

static void all_well (Now *now) {}
static void base_gone (Now *now) { now->now.base_definition = NULL; }
static void base_edited (Now *now) { now->now.base_definition = SHA_D; }
static void disk_changed (Now *now) { now->now.disk_change = "'/p/t.qcow2' was written to"; }
static void memory_gone (Now *now) { now->now.memory = NULL; }
static void memory_cut (Now *now) { now->memory.size--; }
static void memory_touched (Now *now) { now->memory.mtime_ns++; }
static void memory_replaced (Now *now) { now->memory.inode--; }
static void state_gone (Now *now) { now->now.state = NULL; }
static void state_touched (Now *now) { now->state.mtime_ns--; }
static void qemu_newer (Now *now) { now->now.qemu = "7.2.1"; }
static void qemu_unknown (Now *now) { now->now.qemu = NULL; }
static void libvirt_older (Now *now) { now->now.libvirt = "8.9.0"; }
static void cpu_other (Now *now) { now->now.host_cpu = "Zen 0123456789ab"; }
static void cpu_features (Now *now) { now->now.host_cpu = "Sky Lake 0123456789ac"; }
static void cpu_prefix (Now *now) { now->now.host_cpu = "Sky 0123456789ab"; }
static void cpu_unknown (Now *now) { now->now.host_cpu = NULL; }

static const struct
{
  const char *name;
  void (*change) (Now *now);
  const char *why;
} stale[] = {
  { "all well", all_well, NULL },
  { "base gone", base_gone, "its base 'debian-12' is gone" },
  { "base edited", base_edited, "the definition of its base 'debian-12' has changed since" },
  { "disk changed", disk_changed, "'/p/t.qcow2' was written to" },
  { "memory gone", memory_gone, "its memory, '/t/a,<b>.mem', is gone, or is no file any more" },
  { "memory cut off", memory_cut, "its memory, '/t/a,<b>.mem', has another length than it had" },
  { "memory written to", memory_touched, "its memory, '/t/a,<b>.mem', was written to since" },
  { "memory replaced", memory_replaced, "its memory, '/t/a,<b>.mem', was replaced by another file" },
  { "state gone", state_gone, "its saved state, '/t/a.state', is gone, or is no file any more" },
  { "state written to", state_touched, "its saved state, '/t/a.state', was written to since" },
  { "newer QEMU", qemu_newer, "it was made with QEMU 7.2.0, and here is 7.2.1" },
  { "unknown QEMU", qemu_unknown, "it was made with QEMU 7.2.0, and here is another" },
  { "older libvirt", libvirt_older, "it was made with libvirt 9.0.0, and here is 8.9.0" },
  { "another CPU", cpu_other, "it was made on another CPU: Sky Lake, and here is Zen" },
  { "another CPU with a name like it", cpu_prefix, "it was made on another CPU: Sky Lake, and here is Sky" },
  { "a CPU with other features", cpu_features, "it was made on a CPU of the same model (Sky Lake) that can do other things" },
  { "an unknown CPU", cpu_unknown, "it was made on another CPU: Sky Lake, and here is another" },
};

static void
test_stale (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametMetadata) metadata = template_metadata ();
  g_autofree char *why = NULL;
  Now now;

  now_init (&now, metadata);
  stale[i].change (&now);
  why = ramet_template_why_stale (metadata, &now.now);
  g_assert_cmpstr (why, ==, stale[i].why);
}

/* A clone's VM that somebody put a template's record into is none. */
static void
test_no_template (void)
{
  g_autoptr (RametMetadata) metadata = template_metadata ();
  g_autofree char *why = NULL;
  Now now;

  now_init (&now, metadata);
  metadata->state = RAMET_STATE_READY;
  why = ramet_template_why_stale (metadata, &now.now);
  g_assert_cmpstr (why, ==, "what was recorded of it is not whole");
}

#define MIB ((guint64) 1024)

static const struct
{
  const char *name;
  RametTemplateWanted wanted;
  const char *why;
} wants[] = {
  { "just this", { 1, 1024 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, NULL },
  { "all its slots", { 1, 1024 * MIB, 4, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, NULL },
  { "more CPUs", { 2, 1024 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, "it has 1 CPU, and 2 are wanted" },
  { "more memory", { 1, 2048 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, "it has 1.0 GiB of memory, and 2.0 GiB is wanted" },
  { "less memory", { 1, 512 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, "it has 1.0 GiB of memory, and 512.0 MiB is wanted" },
  { "more shares", { 1, 1024 * MIB, 5, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, "it has room for 4 shares, and 5 are wanted" },
  { "more interfaces", { 1, 1024 * MIB, 0, 2, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A },
    "it has one network interface, and 2 are wanted" },
  { "no interface", { 1, 1024 * MIB, 0, 0, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_A }, "it has one network interface, and 0 are wanted" },
  { "a larger disk", { 1, 1024 * MIB, 0, 1, TRUE, "ada", 1000, SHA_D, SHA_D, SHA_A },
    "its disk is as large as its base's, and a larger one is wanted" },
  { "another user", { 1, 1024 * MIB, 0, 1, FALSE, "bob", 1000, SHA_D, SHA_D, SHA_A },
    "it was made for the user 'ada' with the number 1000, not for 'bob' with 1000" },
  { "another number", { 1, 1024 * MIB, 0, 1, FALSE, "ada", 1001, SHA_D, SHA_D, SHA_A },
    "it was made for the user 'ada' with the number 1000, not for 'ada' with 1001" },
  { "other keys", { 1, 1024 * MIB, 0, 1, FALSE, "ada", 1000, SHA_C, SHA_D, SHA_A }, "it lets other ssh keys in than those wanted" },
  { "other packages", { 1, 1024 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, SHA_C, SHA_A },
    "it was set up with other packages or scripts than those wanted" },
  { "packages that are not known", { 1, 1024 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, NULL, SHA_A },
    "it was set up with other packages or scripts than those wanted" },
  { "other first-boot steps", { 1, 1024 * MIB, 0, 1, FALSE, "ada", 1000, SHA_D, SHA_D, SHA_B },
    "it was set up by other first-boot steps than those that there are now" },
};

static void
test_wanted (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametMetadata) metadata = template_metadata ();
  g_autofree char *why = ramet_template_why_not (metadata, &wants[i].wanted);

  g_assert_cmpstr (why, ==, wants[i].why);
}

/* One that was made before steps were recorded is read, and fits nobody. */
static void
test_steps_unknown (void)
{
  g_autoptr (RametMetadata) metadata = template_metadata ();
  g_autofree char *why = NULL;

  g_clear_pointer (&metadata->template->steps, g_free);
  why = ramet_template_why_not (metadata, &wants[0].wanted);
  g_assert_nonnull (why);
}

#define ADD_ALL(table, folder, test)                                                                                   \
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)                                                                     \
    {                                                                                                                  \
      g_autofree char *path = g_strconcat ("/template/" folder "/", table[i].name, NULL);                              \
                                                                                                                       \
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test);                                                         \
    }

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/template/round trip", test_round_trip);
  g_test_add_func ("/template/content", test_content);
  g_test_add_func ("/template/too many packages", test_too_many_packages);
  g_test_add_func ("/template/no template", test_no_template);
  g_test_add_func ("/template/steps unknown", test_steps_unknown);
  ADD_ALL (edits, "edited", test_edited)
  ADD_ALL (stale, "stale", test_stale)
  ADD_ALL (wants, "wanted", test_wanted)
  return g_test_run ();
}
