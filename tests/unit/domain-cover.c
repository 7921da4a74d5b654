/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "domain-cover.h"

#include <libxml/parser.h>
#include <string.h>

#include "domain-oracle.h"

#define AT_LEAST 150 /* files */
#define SPELLINGS 2  /* files that have each place */

/* Every place that the rewriting has a rule for. */
static const char *const places[] = {
  "/domain/@id", "/domain/genid", "/domain/title", "/domain/description", "/domain/sysinfo/system/entry[@name='uuid']",
  "/domain/metadata/*[starts-with(namespace-uri(), 'http://libosinfo.org/')]",
  "/domain/metadata/*[namespace-uri()='urn:ramet:1']",
  "/domain/metadata/*[not(starts-with(namespace-uri(), 'http://libosinfo.org/') or namespace-uri()='urn:ramet:1')]",

  "//interface[@type='network']", "//interface[@type='bridge']", "//interface[@type='user']",
  "//interface[@type='internal']", "//interface[@type='mcast']", "//interface[@type='direct'][source/@mode='bridge']",
  "//interface[@type='direct'][source/@mode='passthrough']", "//interface[@type='vhostuser']",
  "//interface[@type='hostdev']", "//interface[@type='vdpa']", "//interface[@type='server']",
  "//interface[@type='client']", "//interface[@type='ethernet']", "//interface[@type='udp']", "//interface/target/@dev",
  "//interface/virtualport/parameters/@interfaceid", "//interface/virtualport/parameters/@instanceid",
  "//interface/virtualport[@type='midonet']", "//filterref/parameter[@name='IP']",
  "//filterref/parameter[@name='IPV6']",
  "//filterref/parameter[@name='MAC']", "//filterref/parameter[@name='DHCPSERVER']", "//interface/source/@portid",
  "//interface/backend/@logFile", "//interface/portForward", "//interface/bandwidth/@classID", "//interface/script",
  "//interface/downscript", "//interface[not(mac)]",

  "//disk[@type='file']", "//disk[not(@type)]", "//disk[@type='volume']", "//disk[@type='block'][@device='disk']",
  "//disk[@device='cdrom'][source]", "//disk[@device='cdrom'][not(source)]", "//disk[@device='floppy']",
  "//disk[@device='disk'][readonly]", "//disk[shareable][not(readonly)]", "//disk[shareable][readonly]",
  "//disk/source[@protocol='rbd']", "//disk/source[@protocol='iscsi']", "//disk/source[@protocol='nbd']",
  "//disk/source[@protocol='http' or @protocol='https']", "//disk[@device='lun']", "//disk[@type='nvme']",
  "//disk[@type='vhostuser']", "//disk[@type='dir']", "//disk/encryption", "//disk/source/encryption",
  "//disk/backingStore[source]", "//disk/backingStore/backingStore[source]", "//disk/mirror", "//disk/source/@index",
  "//disk/privateData | //disk/source/privateData", "//disk/source/reservations", "//disk/transient",
  "//disk/iotune/group_name", "//disk/source/slices", "//disk/source/seclabel",

  "/domain/os/nvram", "/domain/os/nvram/@template", "/domain/os/nvram/source/@file",
  "/domain/os/nvram[@type='network' or @type='block']", "/domain/os[@firmware='efi'][not(nvram)]",
  "/domain/os/loader[@readonly='yes']",
  "/domain/os/loader[@type='pflash'][not(@readonly='yes')]",
  "/domain/os/kernel", "/domain/os/initrd", "/domain/os/dtb", "/domain/os/acpi/table",
  "//tpm/backend[@type='emulator']", "//tpm/backend[@type='external']", "//tpm/backend[@type='passthrough']",
  "//tpm/backend/encryption", "/domain/sysinfo[@type='fwcfg']/entry/@file",
  "/domain/sysinfo[@type='fwcfg']/entry[not(@file)]", "//redirdev[@type='tcp']", "//redirdev[@type='spicevmc']",
  "//redirdev[@type='unix']", "//redirdev/log | //smartcard/log", "//smartcard[@mode='host']",
  "//smartcard[@mode='host-certificates']",
  "//smartcard[@mode='passthrough'][@type='spicevmc']", "//smartcard[@mode='passthrough'][@type='tcp']", "//lease",
  "//audio[@type='file']", "//audio[@type='pulseaudio']", "//crypto/backend[@model='builtin']",
  "//crypto/backend[not(@model='builtin')]", "//hostdev[@type='pci']", "//hostdev[@type='usb']",
  "//hostdev[@type='mdev']", "//hostdev[@type='scsi']", "//input[@type='evdev']", "//input[@type='passthrough']",
  "//rng/backend[@model='egd']", "//rng/backend[@model='random']", "//rng/backend[@model='builtin']",
  "//memory[@model='nvdimm']", "//memory[@model='virtio-pmem']", "//memory[@model='sgx-epc']",
  "//memory[@model='dimm']", "//memory[@model='virtio-mem']", "//shmem", "/domain/launchSecurity",

  "//channel[@type='unix'][source]", "//channel[@type='unix'][not(source)]", "//channel[@type='spicevmc']",
  "//channel[@type='spiceport']", "//channel[@type='qemu-vdagent']", "//channel[@type='dbus']",
  "//channel[@type='tcp']",
  "//channel[@type='pty']", "//channel/target/@state", "//serial[@type='pty']/source", "//console/@tty",
  "//serial[@type='file']/source/@path", "//serial/log/@file", "//channel/log/@file", "//serial[@type='null']",
  "//serial[@type='vc']", "//serial[1][@type='tcp']", "//serial[2][@type='tcp']", "//serial[@type='udp']",
  "//serial[@type='dev']", "//serial[@type='pipe']", "//serial[@type='unix']", "//serial[@type='nmdm']",
  "//serial[@type='stdio']", "//parallel[@type='pty']", "//parallel[@type='dev']", "//parallel[@type='file']",

  "//graphics[@type='vnc']/@port", "//graphics[@type='spice']/@tlsPort", "//graphics/@websocket", "//graphics/@socket",
  "//graphics/listen/@socket", "//graphics/@passwd", "//graphics/@passwdValidTo", "//graphics[@type='egl-headless']",
  "//graphics[@type='dbus'][@address]", "//graphics[@type='dbus'][not(@address)]", "//graphics[@type='sdl']",
  "//graphics[@type='desktop']", "//graphics[@type='rdp']", "//graphics/gl/@rendernode",

  "/domain/seclabel[@type='static']", "/domain/seclabel[@type='dynamic']", "/domain/seclabel[@type='none']",
  "//vsock/cid/@address", "//filesystem[source/@dir]", "//filesystem/binary", "//emulator",
  "/domain/*[local-name()='commandline']/*[local-name()='arg']",
  "/domain/*[local-name()='commandline']/*[local-name()='env']", "/domain/*[local-name()='override']",
  "/domain/*[local-name()='capabilities']", "/domain/*[local-name()='deprecation']",

  "//disk/wwn", "//disk/serial", "//devices/*/address[@type='pci']", "//alias[starts-with(@name, 'ua-')]",
  "/domain/cputune", "/domain/numatune", "/domain/memoryBacking/hugepages", "/domain/blkiotune",
  "/domain/resource/partition", "/domain/iothreads",
};

/* Ways to write the same, looked for in the text; "." matches line ends as well. */
static const char *const spellings[] = {
  "<\\?xml version=\"1.0\"", "<\\?xml version='1.0'", "<!\\[CDATA\\[", "&#x[0-9a-f]+;", "&#[0-9]+;", "&quot;|&apos;",
  "<mac\\s+address\\s*=\\s*['\"]([0-9A-F]{2}:){5}[0-9A-F]{2}['\"]", "\r\n", "\n\t", "<disk\\s*\n\\s*(type|device)\\s*=",
  "<(source|target)\\s+[a-z]+\\s*=\\s*\"", "<(source|target)\\s+[a-z]+\\s*=\\s*'", "<devices>.*<!--.*</devices>",
  "xmlns:qemu=", "xmlns:(?!qemu)[a-z0-9]+=['\"]http://libvirt.org/schemas/domain/qemu/1.0",
  "<(commandline|override) xmlns=['\"]http://libvirt.org/schemas/domain/qemu/1.0", "^\\S[^\n]*$",
};

static guint
count_files_with (GPtrArray *docs, const char *xpath)
{
  guint n = 0;

  for (guint i = 0; i < docs->len; i++)
    {
      g_autoptr (GPtrArray) nodes = domain_find (g_ptr_array_index (docs, i), xpath);

      n += nodes->len > 0;
    }
  return n;
}

/** domain_cover_check: whether the files hold everything that there is a rule for, in several spellings */
void
domain_cover_check (GPtrArray *paths)
{
  g_autoptr (GPtrArray) docs = g_ptr_array_new_with_free_func ((GDestroyNotify) xmlFreeDoc);
  gboolean spelled[G_N_ELEMENTS (spellings)] = { FALSE };

  for (guint i = 0; i < paths->len; i++)
    {
      const char *path = g_ptr_array_index (paths, i);
      g_autofree char *text = NULL;
      xmlDoc *doc;

      g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
      doc = xmlReadMemory (text, (int) strlen (text), NULL, NULL, XML_PARSE_NONET | XML_PARSE_NOERROR);
      if (doc)
        g_ptr_array_add (docs, doc);
      for (gsize j = 0; j < G_N_ELEMENTS (spellings); j++)
        spelled[j] = spelled[j] || g_regex_match_simple (spellings[j], text, G_REGEX_DOTALL | G_REGEX_RAW, 0);
    }
  if (paths->len < AT_LEAST)
    {
      g_test_message ("%u files are less than %u", paths->len, AT_LEAST);
      g_test_fail ();
    }
  for (gsize i = 0; i < G_N_ELEMENTS (places); i++)
    if (count_files_with (docs, places[i]) < SPELLINGS)
      {
        g_test_message ("in less than %d files: %s", SPELLINGS, places[i]);
        g_test_fail ();
      }
  for (gsize i = 0; i < G_N_ELEMENTS (spellings); i++)
    if (!spelled[i])
      {
        g_test_message ("in no file: /%s/", spellings[i]);
        g_test_fail ();
      }
}
