/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <string.h>

#include "core/error.h"
#include "model/domain.h"
#include "model/rewrite.h"
#include "model/share.h"
#include "model/template.h"
#include "model/xml.h"

#define UUID "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
#define MAC "52:54:00:aa:bb:cc"

#define DISK "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/b.qcow2'/>" \
             "<target dev='vda' bus='virtio'/></disk>"
#define NIC "<interface type='network'><mac address='52:54:00:11:11:11'/><source network='default' portid='p'/>" \
            "<target dev='vnet3'/></interface>"

/* A domain with @top among its elements and @devices among its devices. */
static char *
domain (const char *top, const char *devices)
{
  return g_strdup_printf ("<domain type='kvm' id='3'><name>base</name><uuid>11111111-1111-1111-1111-111111111111</uuid>"
                          "<memory unit='KiB'>1048576</memory><vcpu>2</vcpu><os><type>hvm</type></os>%s"
                          "<devices>" DISK NIC "%s</devices></domain>",
                          top, devices);
}

static RametIdentity *
identity (void)
{
  RametIdentity *made = ramet_identity_new ("web");
  RametOverlay *overlay = ramet_overlay_new ("vda", "/o.qcow2");

  g_free (made->uuid);
  made->uuid = g_strdup (UUID);
  g_ptr_array_add (made->macs, g_strdup (MAC));
  g_ptr_array_add (made->macs, g_strdup ("52:54:00:aa:bb:cd"));
  ramet_overlay_add_layer (overlay, "/b.qcow2", "qcow2");
  ramet_overlay_add_layer (overlay, "/a.img", "raw");
  g_ptr_array_add (made->overlays, overlay);
  made->metadata = g_strdup ("<vm state='creating'/>");
  return made;
}

static char *
rewrite (const char *top, const char *devices, const RametIdentity *with, GError **error)
{
  g_autofree char *xml = domain (top, devices);
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);

  return ramet_rewrite_domain (xml, with, notes, error);
}

/* A rule: what stands in the base, what must stand in the clone and what must not. "" is no demand. */
static const struct
{
  const char *name;
  const char *top;
  const char *devices;
  const char *has;
  const char *lacks;
} kept[] = {
  { "name", "", "", "<name>web</name>", "<name>base</name>" },
  { "uuid", "", "", "<uuid>" UUID "</uuid>", "11111111-1111" },
  { "id", "", "", "", "id=\"3\"" },
  { "sysinfo uuid", "<sysinfo type='smbios'><system><entry name='uuid'>x</entry></system></sysinfo>", "",
    "<entry name=\"uuid\">" UUID "</entry>", "" },
  { "genid", "<genid>99999999-9999-9999-9999-999999999999</genid>", "", "<genid/>", "99999999" },
  { "title", "<title>t</title><description>d</description>", "", "", "<title>" },
  { "metadata of others", "<metadata><x:y xmlns:x='urn:x'/></metadata>", "", "urn:ramet:1", "urn:x" },
  { "metadata of libosinfo", "<metadata><l:l xmlns:l='http://libosinfo.org/xmlns/libvirt/domain/1.0'/></metadata>", "",
    "libosinfo", "" },
  { "our own metadata", "<metadata><r:vm xmlns:r='urn:ramet:1' state='base'/></metadata>", "", "state=\"creating\"",
    "state=\"base\"" },
  { "mac", "", "", MAC, "52:54:00:11:11:11" },
  { "tap device", "", "", "", "vnet3" },
  { "port id", "", "", "", "portid" },
  { "overlay", "", "", "<source file=\"/o.qcow2\"/>", "" },
  { "backing chain", "", "", "<source file=\"/a.img\">", "" },
  { "owner left alone", "", "", "<seclabel model=\"dac\" relabel=\"no\"/>", "" },
  { "agent channel added", "", "", "org.qemu.guest_agent.0", "" },
  { "agent channel's socket", "",
    "<channel type='unix'><source mode='bind' path='/s'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>",
    "org.qemu.guest_agent.0", "path=\"/s\"" },
  { "pty", "", "<serial type='pty'><source path='/dev/pts/7'/><target port='0'/></serial>", "<serial type=\"pty\">",
    "/dev/pts/7" },
  { "serial log", "", "<serial type='pty'><log file='/l'/><target port='0'/></serial>", "", "file=\"/l\"" },
  { "serial to a file", "", "<serial type='file'><source path='/v/x'/></serial>", "path=\"/v/web-x\"", "\"/v/x\"" },
  { "vnc port", "", "<graphics type='vnc' port='5907' autoport='no' passwd='p' websocket='5700'/>", "autoport=\"yes\"",
    "5907" },
  { "vsock", "", "<vsock model='virtio'><cid auto='no' address='3'/></vsock>", "auto=\"yes\"", "address=\"3\"" },
  { "static label", "<seclabel type='static' model='dac'><label>+1:+1</label></seclabel>", "", "", "+1:+1" },
  { "the base's shares", "", "<filesystem type='mount'><source dir='/x'/><target dir='y'/></filesystem>", "",
    "dir=\"/x\"" },
  { "cdrom", "", "<disk type='file' device='cdrom'><source file='/i.iso'/><target dev='sda'/></disk>", "<readonly/>", "" },
  { "PCI addresses", "", "<hub type='usb'><address type='usb' bus='0' port='1'/></hub>", "port=\"1\"", "" },
};

/* Where the clone's serial console is logged: what stands in the base, and in the clone. */
static const struct
{
  const char *name, *devices, *has, *lacks;
} serial_logs[] = {
  { "there is none", "<serial type='pty'><target port='0'/></serial>", "<log file=\"/log/web.log\" append=\"on\"/>", "" },
  { "one of ramet's", "<serial type='pty'><log file='/log/base-serial0.log' append='off'/></serial>",
    "<log file=\"/log/web.log\" append=\"on\"/>", "base-" },
  { "another's", "<serial type='pty'><log file='/log/base.log'/></serial>", "<log file=\"/log/web.log\" append=\"on\"/>", "base" },
  { "only the first", "<serial type='pty'/><serial type='pty'><target port='1'/></serial>",
    "<log file=\"/log/web.log\" append=\"on\"/>", "" },
  { "no console", "<parallel type='pty'/>", "<parallel type=\"pty\"/>", "/log/web.log" },
};

static void
test_serial_log (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = NULL;
  const char *found;

  with->serial_log = g_strdup ("/log/web.log");
  xml = rewrite ("", serial_logs[i].devices, with, &error);
  g_assert_no_error (error);
  if (strstr (xml, serial_logs[i].has) == NULL)
    g_error ("no '%s' in %s", serial_logs[i].has, xml);
  found = strstr (xml, "<log ");
  g_assert_true (found == NULL || strstr (found + 1, "<log ") == NULL);
  g_assert_true (*serial_logs[i].lacks == '\0' || strstr (xml, serial_logs[i].lacks) == NULL);
}

static void
test_kept (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = rewrite (kept[i].top, kept[i].devices, with, &error);

  g_assert_no_error (error);
  g_assert_nonnull (strstr (xml, kept[i].has));
  if (*kept[i].lacks && strstr (xml, kept[i].lacks))
    g_error ("'%s' is still in %s", kept[i].lacks, xml);
}

static const struct
{
  const char *name;
  const char *top;
  const char *devices;
  const char *where; /* in the error */
} refused[] = {
  { "hostdev", "", "<hostdev mode='subsystem' type='pci'/>", "/domain/devices/hostdev" },
  { "host interface", "", "<interface type='hostdev'/>", "/domain/devices/interface[2]" },
  { "network disk", "", "<disk type='network'><target dev='vdb'/></disk>", "/domain/devices/disk[2]" },
  { "SCSI passed through", "", "<disk type='block' device='lun'><target dev='vdb'/></disk>", "/domain/devices/disk[2]" },
  { "encrypted disk", "",
    "<disk type='file'><source file='/x'><encryption format='luks'/></source><target dev='vdb'/></disk>",
    "/domain/devices/disk[2]" },
  { "writable shareable disk", "", "<disk type='file'><source file='/x'/><target dev='vdb'/><shareable/></disk>",
    "/domain/devices/disk[2]" },
  { "disk without an overlay", "", "<disk type='file'><source file='/x'/><target dev='vdb'/></disk>",
    "/domain/devices/disk[2]" },
  { "serial over tcp", "", "<serial type='tcp'><source mode='bind' host='h' service='1'/></serial>",
    "/domain/devices/serial" },
  { "channel over tcp", "", "<channel type='tcp'/>", "/domain/devices/channel" },
  { "evdev", "", "<input type='evdev'/>", "/domain/devices/input" },
  { "TPM passed through", "", "<tpm><backend type='passthrough'/></tpm>", "/domain/devices/tpm" },
  { "shared memory", "", "<shmem name='x'/>", "/domain/devices/shmem" },
  { "an unknown device", "", "<teleporter/>", "/domain/devices/teleporter" },
  { "an unknown element", "<wormhole/>", "", "/domain/wormhole" },
  { "QEMU arguments", "<q:commandline xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'/>", "",
    "/domain/q:commandline" },
  { "launch security", "<launchSecurity type='sev'/>", "", "/domain/launchSecurity" },
};

static void
test_refused (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = rewrite (refused[i].top, refused[i].devices, with, &error);

  g_assert_null (xml);
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
  g_assert_true (g_str_has_prefix (error->message, refused[i].where));
}

static void
test_all_findings (void)
{
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = rewrite ("<wormhole/>", "<shmem name='x'/><teleporter/>", with, &error);
  guint n = 0;

  for (const GError *at = error; at; at = ramet_error_get_next (at))
    n++;
  g_assert_null (xml);
  g_assert_cmpuint (n, ==, 3);
}

static void
test_options (void)
{
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = NULL;

  with->vcpus = 6;
  with->memory_kib = 262144;
  with->network = g_strdup ("lab");
  with->link_down = TRUE;
  g_ptr_array_add (with->shares, ramet_share_new ("/a, \"b\" <é>", "/srv/x", "ramet0"));
  xml = rewrite ("<cpu mode='maximum'><topology sockets='1' cores='2' threads='1'/></cpu>", "", with, &error);
  g_assert_no_error (error);
  g_assert_nonnull (strstr (xml, "<vcpu>6</vcpu>"));
  g_assert_nonnull (strstr (xml, "<memory unit=\"KiB\">262144</memory>"));
  g_assert_null (strstr (xml, "topology"));
  g_assert_nonnull (strstr (xml, "<source network=\"lab\"/>"));
  g_assert_nonnull (strstr (xml, "<link state=\"down\"/>"));
  g_assert_nonnull (strstr (xml, "accessmode=\"squash\""));
  g_assert_nonnull (strstr (xml, "<source dir=\"/a, &quot;b&quot; &lt;é&gt;\"/>"));
}

/* A clone of a snapshot: ramet's own frozen layer may get QEMU's user as its owner, what is under it may not. */
static void
test_own_layer (void)
{
  g_autoptr (RametIdentity) with = identity ();
  const RametOverlay *overlay = g_ptr_array_index (with->overlays, 0);
  g_autofree char *xml = NULL;
  const char *frozen;
  const char *base;

  ((RametLayer *) g_ptr_array_index (overlay->layers, 0))->own = TRUE;
  xml = rewrite ("", "", with, NULL);
  frozen = strstr (xml, "<source file=\"/b.qcow2\"/>");
  base = strstr (xml, "<source file=\"/a.img\">");
  g_assert_nonnull (frozen);
  g_assert_nonnull (base);
  g_assert_true (frozen < base && base < strstr (xml, "relabel=\"no\""));
}

/* What a share of the same folder takes the place of is no news. */
static void
test_shares_again (void)
{
  static const char shared[] = "<filesystem type='mount'><source dir='/srv/a'/><target dir='t'/></filesystem>"
                               "<filesystem type='mount'><source dir='/srv/b'/><target dir='u'/></filesystem>";
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *base = domain ("", shared);
  g_autofree char *xml = NULL;

  g_ptr_array_add (with->shares, ramet_share_new ("/srv/a", "/srv/a", "ramet0"));
  xml = ramet_rewrite_domain (base, with, notes, NULL);
  g_assert_nonnull (strstr (xml, "<source dir=\"/srv/a\"/>"));
  g_assert_null (strstr (xml, "/srv/b"));
  g_assert_cmpuint (notes->len, ==, 1);
  g_assert_nonnull (strstr (g_ptr_array_index (notes, 0), "'/srv/b'"));
}

#define SLOT(tag) "<filesystem type='mount' accessmode='squash'><source dir='/none'/><target dir='" tag "'/><readonly/>" \
                  "<address type='pci' slot='0x07'/></filesystem>"
#define AGENT "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"

/* A guest that goes on from saved memory: @error is a part of the message where it is refused. */
static const struct
{
  const char *name;
  const char *top;
  const char *devices;
  guint n_shares;
  const char *has;
  const char *lacks;
  const char *error;
} going_on[] = {
  { "genid stays", "<genid>99999999-9999-9999-9999-999999999999</genid>", AGENT, 0, "<genid>99999999-", "", NULL },
  { "name", "", AGENT, 0, "<name>web</name>", "<name>base", NULL },
  { "mac", "", AGENT, 0, MAC, "52:54:00:11:11:11", NULL },
  { "tap device", "", AGENT, 0, "", "vnet3", NULL },
  { "overlay", "", AGENT, 0, "<source file=\"/o.qcow2\"/>", "", NULL },
  { "a share takes its slot", "", AGENT SLOT ("ramet0"), 1, "<source dir=\"/srv/0\"/>", "/none", NULL },
  { "a slot's device stays", "", AGENT SLOT ("ramet0"), 1, "<target dir=\"ramet0\"/>\n      <readonly/>\n      <address", "", NULL },
  { "a slot without a share", "", AGENT SLOT ("ramet0") SLOT ("ramet1"), 1, "<source dir=\"/slot\"/>", "/none", NULL },
  { "a share without a slot", "", AGENT SLOT ("ramet1"), 1, "", "", "no device for each of the shares" },
  { "two shares and one slot", "", AGENT SLOT ("ramet0"), 2, "", "", "no device for each of the shares" },
  { "one tag twice", "", AGENT SLOT ("ramet0") SLOT ("ramet0"), 1, "", "", "no device for each of the shares" },
  { "a writable share", "", AGENT "<filesystem type='mount'><source dir='/x'/><target dir='y'/></filesystem>", 0, "", "",
    "filesystem cannot be cloned safely: base and clone would write" },
  { "a share of RAM", "", AGENT "<filesystem type='ram'><source usage='1'/><target dir='y'/><readonly/></filesystem>", 0, "", "",
    "filesystem cannot be cloned safely" },
  { "no agent", "", "", 0, "", "", "no channel for a guest agent" },
  { "a TPM", "", AGENT "<tpm><backend type='emulator'/></tpm>", 0, "", "", "secrets of its TPM" },
  { "a host device", "", AGENT "<hostdev mode='subsystem' type='pci'/>", 0, "", "", "/domain/devices/hostdev" },
};

static void
test_going_on (gconstpointer data)
{
  gsize i = GPOINTER_TO_SIZE (data);
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GError) error = NULL;
  g_autofree char *xml = NULL;

  with->goes_on = TRUE;
  with->slot_folder = g_strdup ("/slot");
  for (guint n = 0; n < going_on[i].n_shares; n++)
    {
      g_autofree char *tag = ramet_template_slot_tag (n);
      g_autofree char *source = g_strdup_printf ("/srv/%u", n);

      g_ptr_array_add (with->shares, ramet_share_new (source, source, tag));
    }
  xml = rewrite (going_on[i].top, going_on[i].devices, with, &error);
  if (going_on[i].error)
    {
      g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
      g_assert_nonnull (strstr (error->message, going_on[i].error));
      return;
    }
  g_assert_no_error (error);
  g_assert_nonnull (strstr (xml, going_on[i].has));
  if (*going_on[i].lacks && strstr (xml, going_on[i].lacks))
    g_error ("'%s' is still in %s", going_on[i].lacks, xml);
}

/* The clone's own XML, cloned again, keeps every rule. */
static void
test_again (void)
{
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autofree char *first = rewrite ("", "", with, NULL);
  g_autofree char *second = ramet_rewrite_domain (first, with, notes, NULL);

  g_assert_cmpstr (second, ==, first);
}

static void
test_document_type (void)
{
  g_autoptr (RametIdentity) with = identity ();
  g_autoptr (GPtrArray) notes = g_ptr_array_new_with_free_func (g_free);
  g_autoptr (GError) error = NULL;

  g_assert_null (ramet_rewrite_domain ("<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain>&x;</domain>",
                                       with, notes, &error));
  g_assert_error (error, RAMET_ERROR, RAMET_ERROR_REFUSED);
}

static void
test_facts (void)
{
  g_autofree char *xml = domain ("<metadata><ramet:vm xmlns:ramet='urn:ramet:1' state='base'/></metadata>",
                                 "<serial type='pty'/>"
                                 "<disk type='file' device='cdrom'><target dev='sda'/></disk>");
  g_autoptr (RametDomainFacts) facts = ramet_domain_facts_new (xml, NULL);
  const RametDomainDisk *disk = g_ptr_array_index (facts->disks, 0);

  g_assert_cmpstr (facts->name, ==, "base");
  g_assert_cmpuint (facts->memory_kib, ==, 1048576);
  g_assert_cmpuint (facts->vcpus, ==, 2);
  g_assert_cmpuint (facts->n_interfaces, ==, 1);
  g_assert_true (facts->has_console);
  g_assert_nonnull (facts->metadata);
  g_assert_cmpuint (facts->disks->len, ==, 2);
  g_assert_cmpstr (disk->path, ==, "/b.qcow2");
  g_assert_true (ramet_domain_disk_wants_overlay (disk));
  g_assert_false (ramet_domain_disk_wants_overlay (g_ptr_array_index (facts->disks, 1)));
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS (kept); i++)
    {
      g_autofree char *path = g_strconcat ("/rewrite/made new/", kept[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_kept);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (serial_logs); i++)
    {
      g_autofree char *path = g_strconcat ("/rewrite/serial log/", serial_logs[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_serial_log);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (refused); i++)
    {
      g_autofree char *path = g_strconcat ("/rewrite/refused/", refused[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_refused);
    }
  for (gsize i = 0; i < G_N_ELEMENTS (going_on); i++)
    {
      g_autofree char *path = g_strconcat ("/rewrite/going on/", going_on[i].name, NULL);

      g_test_add_data_func (path, GSIZE_TO_POINTER (i), test_going_on);
    }
  g_test_add_func ("/rewrite/all findings at once", test_all_findings);
  g_test_add_func ("/rewrite/options", test_options);
  g_test_add_func ("/rewrite/a layer of ramet's", test_own_layer);
  g_test_add_func ("/rewrite/shares taken over", test_shares_again);
  g_test_add_func ("/rewrite/a clone of the clone", test_again);
  g_test_add_func ("/rewrite/document type", test_document_type);
  g_test_add_func ("/rewrite/facts", test_facts);
  return g_test_run ();
}
