/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/memory-arguments.h"
#include "model/metadata.h"
#include "model/template-machine.h"

#define GENID "<genid>99999999-9999-9999-9999-999999999999</genid>"
#define TYPE "<type arch='x86_64' machine='pc-q35-7.2'>hvm</type>"
#define AGENT "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
#define NIC "<interface type='network'><mac address='52:54:00:11:11:11'/><source network='default'/><link state='down'/></interface>"
#define BALLOON "<memballoon model='none'/>"
#define SLOT(n) "<filesystem type='mount' accessmode='squash'><source dir='/none'/><target dir='ramet" n "'/><readonly/>" \
                "<address type='pci' slot='0x0" n "'/></filesystem>"
#define DISK "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/p/t.qcow2'/>"           \
             "<backingStore type='file'><format type='qcow2'/><source file='/p/base.qcow2'/><backingStore/></backingStore>" \
             "<target dev='vda' bus='virtio'/></disk>"
#define OURS(bytes) "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'>"                              \
                    "<q:arg value='-object'/><q:arg value='memory-backend-file,id=ramet.ram,size=" bytes ",mem-path=/old'/>" \
                    "<q:arg value='-machine'/><q:arg value='memory-backend=ramet.ram'/></q:commandline>"

/* What a save image says of a template, with @top among its elements and @devices among its devices. */
static char *
saved (const char *top, const char *type, const char *devices)
{
  return g_strdup_printf ("<domain type='kvm'><name>t</name><uuid>11111111-1111-1111-1111-111111111111</uuid>"
                          "<metadata><ramet:vm xmlns:ramet='urn:ramet:1' state='template'/></metadata>"
                          "<memory unit='KiB'>1048576</memory><vcpu>2</vcpu><os>%s</os>%s<cpu mode='maximum'/>"
                          "<devices>" DISK "%s</devices></domain>",
                          type, top, devices);
}

static const struct
{
  const char *name;
  const char *top;
  const char *type;
  const char *devices;
  const char *why; /* or NULL: it is a machine for a template */
} machines[] = {
  { "a good one", GENID, TYPE, AGENT NIC BALLOON SLOT ("0") SLOT ("1"), NULL },
  { "an older PC", GENID, "<type arch='x86_64' machine='pc-i440fx-4.0'>hvm</type>", AGENT NIC BALLOON, NULL },
  { "a PC of QEMU 10", GENID, "<type arch='x86_64' machine='pc-q35-10.1'>hvm</type>", AGENT NIC BALLOON, NULL },
  { "no genid", "", TYPE, AGENT NIC BALLOON, "no generation id" },
  { "an empty genid", "<genid/>", TYPE, AGENT NIC BALLOON, "no generation id" },
  { "a machine without a version", GENID, "<type arch='x86_64' machine='q35'>hvm</type>", AGENT NIC BALLOON, "machine type" },
  { "too old a machine", GENID, "<type arch='x86_64' machine='pc-q35-3.1'>hvm</type>", AGENT NIC BALLOON, "machine type" },
  { "a distribution's machine", GENID, "<type arch='x86_64' machine='pc-q35-rhel9.0.0'>hvm</type>", AGENT NIC BALLOON,
    "machine type" },
  { "another architecture", GENID, "<type arch='aarch64' machine='pc-q35-7.2'>hvm</type>", AGENT NIC BALLOON, "machine type" },
  { "no machine", GENID, "<type>hvm</type>", AGENT NIC BALLOON, "machine type" },
  { "two interfaces", GENID, TYPE, AGENT NIC NIC BALLOON, "just one network interface" },
  { "no interface", GENID, TYPE, AGENT BALLOON, "just one network interface" },
  { "no MAC", GENID, TYPE, AGENT "<interface type='network'/>" BALLOON, "no MAC address" },
  { "no agent", GENID, TYPE, NIC BALLOON, "guest agent" },
  { "a balloon", GENID, TYPE, AGENT NIC "<memballoon model='virtio'/>", "balloon" },
  { "libvirt's own choice of balloon", GENID, TYPE, AGENT NIC, "balloon" },
  { "a TPM", GENID, TYPE, AGENT NIC BALLOON "<tpm><backend type='emulator'/></tpm>", "TPM" },
  { "huge pages", GENID "<memoryBacking><hugepages/></memoryBacking>", TYPE, AGENT NIC BALLOON, "<memoryBacking>" },
  { "NUMA cells", GENID "<cpu><numa><cell id='0' memory='1'/></numa></cpu>", TYPE, AGENT NIC BALLOON, "NUMA" },
  { "memory to plug", GENID "<maxMemory slots='2'>9</maxMemory>", TYPE, AGENT NIC BALLOON, "NUMA" },
  { "a memory module", GENID, TYPE, AGENT NIC BALLOON "<memory model='dimm'/>", "NUMA" },
  { "encrypted memory", GENID "<launchSecurity type='sev'/>", TYPE, AGENT NIC BALLOON, "encrypted" },
};

static void
test_machine (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *xml = saved (machines[i].top, machines[i].type, machines[i].devices);
  g_autoptr (RametTemplate) template = ramet_template_new ();
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (ramet_template_read_machine (template, xml, &error), ==, machines[i].why == NULL);
  if (machines[i].why == NULL)
    {
      g_assert_no_error (error);
      g_assert_cmpstr (template->ram_block, ==, "pc.ram");
      return;
    }
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_nonnull (strstr (error->message, machines[i].why));
  g_assert_null (template->machine);
}

static void
test_machine_read (void)
{
  g_autofree char *xml = saved (GENID, TYPE, AGENT NIC BALLOON SLOT ("1") SLOT ("0") SLOT ("3"));
  g_autoptr (RametTemplate) template = ramet_template_new ();

  g_assert_true (ramet_template_read_machine (template, xml, NULL));
  g_assert_true (ramet_template_read_machine (template, xml, NULL)); /* again, over what is there */
  g_assert_cmpstr (template->mac, ==, "52:54:00:11:11:11");
  g_assert_cmpstr (template->machine, ==, "pc-q35-7.2");
  g_assert_cmpstr (template->cpu, ==, "maximum");
  g_assert_cmpuint (template->vcpus, ==, 2);
  g_assert_cmpuint (template->memory_kib, ==, 1048576);
  g_assert_cmpuint (template->n_slots, ==, 2); /* the gap ends them */
}

/* What is made of a clone is what a template needs, once libvirt has added its version. */
static void
test_made (void)
{
  g_autofree char *clone = saved ("", TYPE, AGENT NIC "<memballoon model='virtio'><address type='pci'/></memballoon>");
  g_autofree char *xml = ramet_template_machine_xml (clone, "/slots/<a>", 3, NULL);
  g_auto (GStrv) parts = g_strsplit (xml, "<genid/>", 2);
  g_autofree char *defined = g_strjoinv (GENID, parts);
  g_autoptr (RametTemplate) template = ramet_template_new ();
  g_autoptr (GError) error = NULL;

  g_assert_true (ramet_template_read_machine (template, defined, &error));
  g_assert_no_error (error);
  g_assert_cmpuint (template->n_slots, ==, 3);
  g_assert_nonnull (strstr (xml, "<source dir=\"/slots/&lt;a&gt;\"/>"));
  g_assert_null (strstr (xml, "model=\"virtio\""));
  g_assert_nonnull (strstr (xml, "/p/t.qcow2"));
}

static const struct
{
  const char *name;
  const char *top;
  const char *devices;
} no_use[] = {
  { "two interfaces", "", AGENT NIC NIC },
  { "shares", "", AGENT NIC SLOT ("0") },
  { "a TPM", "", AGENT NIC "<tpm><backend type='emulator'/></tpm>" },
  { "huge pages", "<memoryBacking><hugepages/></memoryBacking>", AGENT NIC },
  { "no agent", "", NIC },
};

static void
test_not_made (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *clone = saved (no_use[i].top, TYPE, no_use[i].devices);
  g_autoptr (GError) error = NULL;

  g_assert_null (ramet_template_machine_xml (clone, "/slots", 1, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
}

static RametIdentity *
identity (void)
{
  RametIdentity *made = ramet_identity_new ("web");
  RametOverlay *overlay = ramet_overlay_new ("vda", "/p/web.qcow2");

  g_free (made->uuid);
  made->uuid = g_strdup ("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
  made->goes_on = TRUE;
  made->link_down = TRUE;
  made->slot_folder = g_strdup ("/slots");
  made->metadata = g_strdup ("<vm state='creating'/>");
  g_ptr_array_add (made->macs, g_strdup ("52:54:00:aa:bb:cc"));
  g_ptr_array_add (made->shares, ramet_share_new ("/home/x", "/home/x", "ramet0"));
  ramet_overlay_add_layer (overlay, "/p/t.qcow2", "qcow2");
  ramet_overlay_add_layer (overlay, "/p/base.qcow2", "qcow2");
  g_ptr_array_add (made->overlays, overlay);
  return made;
}

static gboolean
fork_xml (const char *xml, const char *memory, char **ret_definition, char **ret_running, GError **error)
{
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);

  return ramet_template_clone_xml (xml, with, memory, notes, ret_definition, ret_running, error);
}

static void
has (const char *xml, const char *text)
{
  if (strstr (xml, text) == NULL)
    g_error ("'%s' is not in %s", text, xml);
}

static void
lacks (const char *xml, const char *text)
{
  if (strstr (xml, text))
    g_error ("'%s' is in %s", text, xml);
}

static void
test_clone (void)
{
  g_autofree char *xml = saved (GENID, TYPE, AGENT NIC BALLOON SLOT ("0") SLOT ("1"));
  g_autofree char *definition = NULL;
  g_autofree char *running = NULL;
  g_autoptr (GError) error = NULL;
  const char *both[2];

  g_assert_true (fork_xml (xml, "/t/m", &definition, &running, &error));
  g_assert_no_error (error);
  both[0] = definition;
  both[1] = running;
  for (gsize i = 0; i < G_N_ELEMENTS (both); i++)
    {
      has (both[i], "<name>web</name>");
      has (both[i], "<uuid>aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee</uuid>");
      has (both[i], "52:54:00:aa:bb:cc");
      has (both[i], "<source file=\"/p/web.qcow2\"/>");
      has (both[i], "<source file=\"/p/t.qcow2\">");
      has (both[i], "<source file=\"/p/base.qcow2\">");
      has (both[i], "<source dir=\"/home/x\"/>");
      has (both[i], "slot=\"0x00\"");
      has (both[i], "state=\"creating\"");
      has (both[i], "machine=\"pc-q35-7.2\"");
      lacks (both[i], "state=\"template\"");
      lacks (both[i], "52:54:00:11:11:11");
      lacks (both[i], "/none");
    }
  has (running, "<link state=\"down\"/>");
  has (running, "<source dir=\"/slots\"/>");
  has (running, GENID);
  has (running, "memory-backend-file,id=ramet.ram,size=1073741824,mem-path=/t/m,share=off");
  lacks (definition, "<link");
  lacks (definition, "/slots");
  lacks (definition, "99999999-");
  lacks (definition, "qemu:");
}

/* Of a VM that ran: its RAM may be a view of a file by itself, and its new one a view of another, or a whole copy. */
static void
test_clone_of_running (void)
{
  static const char devices[] = AGENT NIC BALLOON SLOT ("0");
  g_autofree char *xml = saved (GENID OURS ("1073741824"), TYPE, devices);
  g_autofree char *booted = saved (GENID, TYPE, AGENT NIC "<memballoon model='virtio'/>" SLOT ("0"));
  g_autofree char *of_view = NULL;
  g_autofree char *of_copy = NULL;
  g_autofree char *of_plain = NULL;
  g_autofree char *view = NULL;
  g_autofree char *copy = NULL;
  g_autofree char *plain = NULL;

  g_assert_true (fork_xml (xml, "/t/new", &of_view, &view, NULL));
  has (view, "mem-path=/t/new,share=off");
  lacks (view, "/old");
  g_assert_true (fork_xml (xml, NULL, &of_copy, &copy, NULL));
  has (copy, "\"memory-backend-ram,id=ramet.ram,size=1073741824\"");
  lacks (copy, "/old");
  g_assert_true (fork_xml (booted, NULL, &of_plain, &plain, NULL));
  lacks (plain, "ramet.ram");
  lacks (of_view, "commandline");
  lacks (of_copy, "commandline");
  lacks (of_plain, "commandline");
}

static const struct
{
  const char *name;
  const char *top;
  const char *devices;
  const char *memory;
  const char *why;
} refused[] = {
  { "a view with a balloon", GENID, AGENT NIC "<memballoon model='virtio'/>" SLOT ("0"), "/t/m", "balloon" },
  { "a view of memory in pieces", GENID "<maxMemory>1</maxMemory>", AGENT NIC BALLOON SLOT ("0"), "/t/m", "NUMA" },
  { "too few slots", GENID, AGENT NIC BALLOON, "/t/m", "no device for each of the shares" },
  { "a host device", GENID, AGENT NIC BALLOON SLOT ("0") "<hostdev mode='subsystem' type='pci'/>", "/t/m", "hostdev" },
  { "a length that an edit took", GENID OURS (""), AGENT NIC BALLOON SLOT ("0"), NULL, "how large" },
  { "arguments that are not ours",
    GENID "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'><q:arg value='-x'/></q:commandline>",
    AGENT NIC BALLOON SLOT ("0"), "/t/m", "past libvirt" },
};

static void
test_clone_refused (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autofree char *xml = saved (refused[i].top, TYPE, refused[i].devices);
  g_autofree char *definition = NULL;
  g_autofree char *running = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_false (fork_xml (xml, refused[i].memory, &definition, &running, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_nonnull (strstr (error->message, refused[i].why));
  g_assert_null (definition);
  g_assert_null (running);
}

static void
test_digest (void)
{
  g_autofree char *a = ramet_template_definition_digest ("<domain><name>a</name><vcpu>1</vcpu><metadata><x/></metadata></domain>",
                                                         NULL);
  g_autofree char *b = ramet_template_definition_digest ("<domain>\n <title>t</title>\n <vcpu>1</vcpu>\n</domain>", NULL);
  g_autofree char *c = ramet_template_definition_digest ("<domain><vcpu>2</vcpu></domain>", NULL);

  g_assert_cmpuint (strlen (a), ==, 64);
  g_assert_cmpstr (a, ==, b);
  g_assert_cmpstr (a, !=, c);
  g_assert_null (ramet_template_definition_digest ("<volume/>", NULL));
}

#define CPU(inside) "<capabilities><host><cpu><arch>x86_64</arch>" inside "</cpu></host></capabilities>"

static void
test_host_cpu (void)
{
  g_autofree char *one = ramet_template_host_cpu (CPU ("<model>Zen</model><feature name='a'/><feature name='b'/>"), NULL);
  g_autofree char *same =
    ramet_template_host_cpu (CPU ("<model>Zen</model><microcode version='9'/><counter name='tsc' frequency='7'/>"
                                  "<feature name='b'/><feature name='a'/>"), NULL);
  g_autofree char *less = ramet_template_host_cpu (CPU ("<model>Zen</model><feature name='a'/>"), NULL);
  g_autofree char *other = ramet_template_host_cpu (CPU ("<model>Sky</model><feature name='a'/><feature name='b'/>"), NULL);
  g_autofree char *none = ramet_template_host_cpu ("<capabilities/>", NULL);

  g_assert_true (g_str_has_prefix (one, "Zen "));
  g_assert_cmpuint (strlen (one), ==, strlen ("Zen ") + 12);
  g_assert_cmpstr (one, ==, same);
  g_assert_cmpstr (one, !=, less);
  g_assert_cmpstr (one, !=, other);
  g_assert_true (g_str_has_prefix (none, "unknown "));
  g_assert_null (ramet_template_host_cpu ("x", NULL));
}

#define ADD_ALL(table, folder, test)                                                                                   \
  for (gsize i = 0; i < G_N_ELEMENTS (table); i++)                                                                     \
    {                                                                                                                  \
      g_autofree char *path = g_strconcat ("/template machine/" folder "/", table[i].name, NULL);                      \
                                                                                                                       \
      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test);                                                         \
    }

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/template machine/what is read of it", test_machine_read);
  g_test_add_func ("/template machine/made of a clone", test_made);
  g_test_add_func ("/template machine/a clone", test_clone);
  g_test_add_func ("/template machine/a clone of what ran", test_clone_of_running);
  g_test_add_func ("/template machine/digest", test_digest);
  g_test_add_func ("/template machine/host CPU", test_host_cpu);
  ADD_ALL (machines, "read", test_machine)
  ADD_ALL (no_use, "not made", test_not_made)
  ADD_ALL (refused, "clone refused", test_clone_refused)
  return g_test_run ();
}
