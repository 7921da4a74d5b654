/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/rewrite.h"

#include <string.h>

#include "model/metadata.h"
#include "model/share.h"
#include "model/xml.h"

/* One pass over a base's XML. */
typedef struct
{
  const RametIdentity *identity;
  RametFindings *findings; /* what cannot be cloned safely */
  GPtrArray *notes;        /* (element-type utf8): what a clone lacks or shares; for the user */
  guint n_interfaces;      /* seen so far */
  gboolean has_agent;
} Rewrite;

typedef void (*NodeRule) (Rewrite *rewrite, xmlNode *node);

static void
layer_free (gpointer data)
{
  RametLayer *layer = data;

  g_free (layer->path);
  g_free (layer->format);
  g_free (layer);
}

static void
overlay_free (gpointer data)
{
  RametOverlay *overlay = data;

  g_free (overlay->target);
  g_free (overlay->overlay);
  g_ptr_array_unref (overlay->layers);
  g_free (overlay);
}

RametOverlay *
ramet_overlay_new (const char *target, const char *path)
{
  RametOverlay *overlay = g_new0 (RametOverlay, 1);

  overlay->target = g_strdup (target);
  overlay->overlay = g_strdup (path);
  overlay->layers = g_ptr_array_new_with_free_func (layer_free);
  return overlay;
}

void
ramet_overlay_add_layer (RametOverlay *overlay, const char *path, const char *format)
{
  RametLayer *layer = g_new0 (RametLayer, 1);

  layer->path = g_strdup (path);
  layer->format = g_strdup (format);
  g_ptr_array_add (overlay->layers, layer);
}

RametIdentity *
ramet_identity_new (const char *name)
{
  RametIdentity *identity = g_new0 (RametIdentity, 1);

  identity->name = g_strdup (name);
  identity->uuid = g_uuid_string_random ();
  identity->macs = g_ptr_array_new_with_free_func (g_free);
  identity->overlays = g_ptr_array_new_with_free_func (overlay_free);
  identity->shares = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);
  return identity;
}

void
ramet_identity_free (RametIdentity *identity)
{
  g_free (identity->name);
  g_free (identity->uuid);
  g_ptr_array_unref (identity->macs);
  g_ptr_array_unref (identity->overlays);
  g_ptr_array_unref (identity->shares);
  g_free (identity->metadata);
  g_free (identity->nvram);
  g_free (identity->network);
  g_free (identity);
}

static void
note (Rewrite *rewrite, const char *format, ...) G_GNUC_PRINTF (2, 3);

static void
note (Rewrite *rewrite, const char *format, ...)
{
  va_list args;

  va_start (args, format);
  g_ptr_array_add (rewrite->notes, g_strdup_vprintf (format, args));
  va_end (args);
}

static void
refuse (Rewrite *rewrite, xmlNode *node, const char *why)
{
  g_autofree char *where = ramet_xml_where (node);
  GError *error = NULL;

  ramet_error_set (&error, RAMET_ERROR_REFUSED, "%s cannot be cloned safely: %s", where, why);
  ramet_error_hint (&error, "take it out of the base with 'virsh edit', or clone from another base");
  ramet_findings_take (rewrite->findings, error);
}

static void
keep (Rewrite *rewrite, xmlNode *node)
{
}

static void
drop (Rewrite *rewrite, xmlNode *node)
{
  ramet_xml_drop (node);
}

static void
refuse_host_device (Rewrite *rewrite, xmlNode *node)
{
  refuse (rewrite, node, "it hands a device or memory of the host to one guest");
}

static void
refuse_unknown (Rewrite *rewrite, xmlNode *node)
{
  refuse (rewrite, node, "this version of ramet does not know what it would share with the base");
}

static void
rule_uuid (Rewrite *rewrite, xmlNode *node)
{
  xmlNodeSetContent (node, (const xmlChar *) rewrite->identity->uuid);
}

static void
rule_name (Rewrite *rewrite, xmlNode *node)
{
  xmlNodeSetContent (node, (const xmlChar *) rewrite->identity->name);
}

/* Without content libvirt makes a new one. */
static void
rule_genid (Rewrite *rewrite, xmlNode *node)
{
  xmlNodeSetContent (node, NULL);
}

static void
rule_metadata (Rewrite *rewrite, xmlNode *node)
{
  xmlNode *child = ramet_xml_first (node, NULL);

  while (child)
    {
      xmlNode *next = ramet_xml_next (child, NULL);

      if (child->ns == NULL || !g_str_has_prefix ((const char *) child->ns->href, "http://libosinfo.org/"))
        ramet_xml_drop (child);
      child = next;
    }
}

static void
rule_vcpu (Rewrite *rewrite, xmlNode *node)
{
  g_autofree char *count = g_strdup_printf ("%u", rewrite->identity->vcpus);

  if (rewrite->identity->vcpus == 0)
    return;
  xmlNodeSetContent (node, (const xmlChar *) count);
  ramet_xml_unset (node, "current");
  ramet_xml_unset (node, "cpuset");
}

static void
rule_memory (Rewrite *rewrite, xmlNode *node)
{
  g_autofree char *amount = g_strdup_printf ("%" G_GUINT64_FORMAT, rewrite->identity->memory_kib);

  if (rewrite->identity->memory_kib == 0)
    return;
  xmlNodeSetContent (node, (const xmlChar *) amount);
  ramet_xml_set (node, "unit", "KiB");
}

/* A <topology> or <numa> that speaks of another number of CPUs would make libvirt refuse the clone. */
static void
rule_cpu (Rewrite *rewrite, xmlNode *node)
{
  if (rewrite->identity->vcpus != 0)
    ramet_xml_drop_children (node, "topology");
  if ((rewrite->identity->vcpus != 0 || rewrite->identity->memory_kib != 0) && ramet_xml_first (node, "numa"))
    refuse (rewrite, node, "its NUMA cells fix the CPUs and memory, so --cpus and --memory cannot be given");
}

static void
rule_os (Rewrite *rewrite, xmlNode *node)
{
  xmlNode *nvram = ramet_xml_first (node, "nvram");

  if (nvram == NULL)
    return;
  if (ramet_xml_first (nvram, "source"))
    refuse (rewrite, nvram, "its variables are not in a plain file");
  else if (rewrite->identity->nvram)
    xmlNodeSetContent (nvram, (const xmlChar *) rewrite->identity->nvram);
}

/* libvirt objects where the uuid in <sysinfo> is not the domain's. */
static void
rule_sysinfo (Rewrite *rewrite, xmlNode *node)
{
  xmlNode *system = ramet_xml_first (node, "system");

  if (ramet_xml_has (node, "type", "fwcfg"))
    refuse (rewrite, node, "it hands files of the host to the firmware");
  for (xmlNode *entry = ramet_xml_first (system, "entry"); entry; entry = ramet_xml_next (entry, "entry"))
    if (ramet_xml_has (entry, "name", "uuid"))
      rule_uuid (rewrite, entry);
}

static RametOverlay *
find_overlay (Rewrite *rewrite, const char *target)
{
  for (guint i = 0; i < rewrite->identity->overlays->len; i++)
    {
      RametOverlay *overlay = g_ptr_array_index (rewrite->identity->overlays, i);

      if (g_strcmp0 (overlay->target, target) == 0)
        return overlay;
    }
  return NULL;
}

/*
 * Starting a clone would change the owner of the base's file, for good, if libvirt were left to label the chain: each
 * layer says that its owner stays as it is.
 */
static void
add_backing_chain (xmlNode *disk, GPtrArray *layers)
{
  xmlNode *parent = disk;

  for (guint i = 0; i < layers->len; i++)
    {
      const RametLayer *layer = g_ptr_array_index (layers, i);
      gboolean is_block = g_str_has_prefix (layer->path, "/dev/");
      xmlNode *store = ramet_xml_add (parent, "backingStore", NULL);
      xmlNode *source;
      xmlNode *label;

      ramet_xml_set (store, "type", is_block ? "block" : "file");
      ramet_xml_set (ramet_xml_add (store, "format", NULL), "type", layer->format);
      source = ramet_xml_add (store, "source", NULL);
      ramet_xml_set (source, is_block ? "dev" : "file", layer->path);
      label = ramet_xml_add (source, "seclabel", NULL);
      ramet_xml_set (label, "model", "dac");
      ramet_xml_set (label, "relabel", "no");
      parent = store;
    }
  ramet_xml_add (parent, "backingStore", NULL);
}

static void
put_overlay (xmlNode *node, const RametOverlay *overlay)
{
  xmlNode *driver = ramet_xml_first (node, "driver");

  ramet_xml_drop_children (node, "source");
  ramet_xml_drop_children (node, "backingStore");
  ramet_xml_drop_children (node, "mirror");
  ramet_xml_set (node, "type", "file");
  if (driver == NULL)
    {
      driver = ramet_xml_add (node, "driver", NULL);
      ramet_xml_set (driver, "name", "qemu");
    }
  ramet_xml_set (driver, "type", "qcow2");
  ramet_xml_set (ramet_xml_add (node, "source", NULL), "file", overlay->overlay);
  add_backing_chain (node, overlay->layers);
}

static void
rule_disk (Rewrite *rewrite, xmlNode *node)
{
  g_autofree char *target = ramet_xml_get (ramet_xml_first (node, "target"), "dev");
  g_autofree char *type = ramet_xml_get (node, "type");
  const RametOverlay *overlay = find_overlay (rewrite, target);

  if (!type || !(g_str_equal (type, "file") || g_str_equal (type, "block") || g_str_equal (type, "volume")))
    refuse (rewrite, node, "its disk is reached over the network or belongs to the host");
  else if (ramet_xml_has (node, "device", "lun"))
    refuse (rewrite, node, "it passes a SCSI device of the host through");
  else if (ramet_xml_first (node, "encryption") || ramet_xml_at (node, "source/encryption"))
    refuse (rewrite, node, "it is encrypted");
  else if (ramet_xml_first (node, "transient") || ramet_xml_at (node, "source/reservations"))
    refuse (rewrite, node, "it is transient or has reservations");
  else if (overlay)
    put_overlay (node, overlay);
  else if (ramet_xml_first (node, "shareable") && !ramet_xml_first (node, "readonly"))
    refuse (rewrite, node, "base and clone would write to one shareable disk");
  else if (ramet_xml_has (node, "device", "cdrom") || ramet_xml_has (node, "device", "floppy") ||
           ramet_xml_first (node, "readonly"))
    {
      if (ramet_xml_first (node, "source"))
        note (rewrite, "the medium in '%s' is shared with the base, read-only", target ? target : "?");
      if (!ramet_xml_first (node, "readonly"))
        ramet_xml_add (node, "readonly", NULL);
    }
  else
    refuse (rewrite, node, "there is no overlay for it");
}

static void
rule_interface (Rewrite *rewrite, xmlNode *node)
{
  static const char *const allowed[] = { "network", "bridge", "user", "direct", "internal", NULL };
  g_autofree char *type = ramet_xml_get (node, "type");
  guint index = rewrite->n_interfaces++;
  xmlNode *mac = ramet_xml_first (node, "mac");
  xmlNode *source = ramet_xml_first (node, "source");
  xmlNode *link;

  if (type == NULL || !g_strv_contains (allowed, type))
    {
      refuse (rewrite, node, "an interface of this type belongs to one guest");
      return;
    }
  if (mac == NULL)
    mac = ramet_xml_add (node, "mac", NULL);
  ramet_xml_set (mac, "address", g_ptr_array_index (rewrite->identity->macs, index));
  ramet_xml_drop (ramet_xml_first (node, "target"));
  ramet_xml_drop (ramet_xml_first (node, "filterref"));
  ramet_xml_drop_children (node, "portForward");
  ramet_xml_unset (source, "portid");
  ramet_xml_unset (ramet_xml_first (node, "backend"), "logFile");
  for (xmlNode *port = ramet_xml_first (node, "virtualport"); port; port = ramet_xml_next (port, "virtualport"))
    ramet_xml_unset (ramet_xml_first (port, "parameters"), "interfaceid");
  if (index == 0 && rewrite->identity->network)
    {
      ramet_xml_drop_children (node, "source");
      ramet_xml_set (node, "type", "network");
      ramet_xml_set (ramet_xml_add (node, "source", NULL), "network", rewrite->identity->network);
    }
  if (!rewrite->identity->link_down)
    return;
  link = ramet_xml_first (node, "link");
  ramet_xml_set (link ? link : ramet_xml_add (node, "link", NULL), "state", "down");
}

static void
rule_chardev (Rewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "type", "pty") && !ramet_xml_has (node, "type", "null") &&
      !ramet_xml_has (node, "type", "vc"))
    {
      refuse (rewrite, node, "base and clone would use one file, socket or port of the host");
      return;
    }
  ramet_xml_drop_children (node, "source");
  ramet_xml_drop_children (node, "log");
  ramet_xml_unset (node, "tty");
}

static void
rule_channel (Rewrite *rewrite, xmlNode *node)
{
  xmlNode *target = ramet_xml_first (node, "target");

  if (ramet_xml_has (target, "name", "org.qemu.guest_agent.0"))
    rewrite->has_agent = TRUE;
  if (ramet_xml_has (node, "type", "unix"))
    ramet_xml_drop_children (node, "source");
  else if (!ramet_xml_has (node, "type", "spicevmc") && !ramet_xml_has (node, "type", "pty"))
    refuse (rewrite, node, "base and clone would use one file, socket or port of the host");
}

static void
rule_graphics (Rewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (node, "type", "vnc") || ramet_xml_has (node, "type", "spice"))
    {
      ramet_xml_set (node, "autoport", "yes");
      ramet_xml_unset (node, "port");
      ramet_xml_unset (node, "tlsPort");
      ramet_xml_unset (node, "websocket");
      ramet_xml_unset (node, "socket");
      ramet_xml_unset (node, "passwd");
      for (xmlNode *listen = ramet_xml_first (node, "listen"); listen; listen = ramet_xml_next (listen, "listen"))
        ramet_xml_unset (listen, "socket");
    }
  else if (!ramet_xml_has (node, "type", "egl-headless") && !ramet_xml_has (node, "type", "dbus"))
    refuse (rewrite, node, "it belongs to one display of the host");
}

static void
rule_input (Rewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (node, "type", "evdev") || ramet_xml_has (node, "type", "passthrough"))
    refuse_host_device (rewrite, node);
}

static void
rule_rng (Rewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (ramet_xml_first (node, "backend"), "model", "egd"))
    refuse_host_device (rewrite, node);
}

static void
rule_tpm (Rewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (ramet_xml_first (node, "backend"), "type", "emulator"))
    refuse_host_device (rewrite, node);
  else
    note (rewrite, "the clone gets a fresh TPM: secrets in the base's are not copied");
}

static void
rule_redirdev (Rewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "type", "spicevmc"))
    refuse_host_device (rewrite, node);
}

static void
rule_audio (Rewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (node, "type", "file"))
    refuse (rewrite, node, "base and clone would write to one file");
}

static void
rule_memory_device (Rewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "model", "dimm") && !ramet_xml_has (node, "model", "virtio-mem"))
    refuse_host_device (rewrite, node);
}

static void
rule_vsock (Rewrite *rewrite, xmlNode *node)
{
  xmlNode *cid = ramet_xml_first (node, "cid");

  if (cid == NULL)
    cid = ramet_xml_add (node, "cid", NULL);
  ramet_xml_unset (cid, "address");
  ramet_xml_set (cid, "auto", "yes");
}

static void
rule_filesystem (Rewrite *rewrite, xmlNode *node)
{
  g_autofree char *dir = ramet_xml_get (ramet_xml_first (node, "source"), "dir");

  note (rewrite, "the base's own share of '%s' is not in the clone", dir ? dir : "?");
  ramet_xml_drop (node);
}

static void
rule_seclabel (Rewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (node, "type", "static"))
    {
      note (rewrite, "the base's static security label becomes a dynamic one");
      ramet_xml_drop (node);
    }
}

/* The allow-lists: an element that is not in them may name something outside the guest, and is refused. */
typedef struct
{
  const char *name;
  NodeRule rule;
} Rule;

static const Rule device_rules[] = {
  { "emulator", keep },           { "disk", rule_disk },           { "controller", keep },
  { "interface", rule_interface }, { "serial", rule_chardev },     { "console", rule_chardev },
  { "parallel", rule_chardev },   { "channel", rule_channel },     { "input", rule_input },
  { "tpm", rule_tpm },            { "graphics", rule_graphics },   { "sound", keep },
  { "audio", rule_audio },        { "video", keep },               { "hostdev", refuse_host_device },
  { "redirdev", rule_redirdev },  { "redirfilter", keep },         { "smartcard", refuse_host_device },
  { "hub", keep },                { "watchdog", keep },            { "memballoon", keep },
  { "rng", rule_rng },            { "panic", keep },               { "shmem", refuse_host_device },
  { "memory", rule_memory_device }, { "iommu", keep },             { "vsock", rule_vsock },
  { "filesystem", rule_filesystem }, { "lease", refuse_host_device }, { "crypto", refuse_host_device },
  { "nvram", keep },
};

static void
rule_devices (Rewrite *rewrite, xmlNode *node);

static const Rule domain_rules[] = {
  { "name", rule_name },         { "uuid", rule_uuid },       { "genid", rule_genid },
  { "title", drop },             { "description", drop },     { "metadata", rule_metadata },
  { "memory", rule_memory },     { "currentMemory", rule_memory }, { "maxMemory", keep },
  { "memoryBacking", keep },     { "memtune", keep },         { "blkiotune", keep },
  { "vcpu", rule_vcpu },         { "vcpus", keep },           { "cputune", keep },
  { "numatune", keep },          { "iothreads", keep },       { "iothreadids", keep },
  { "resource", keep },          { "os", rule_os },           { "sysinfo", rule_sysinfo },
  { "features", keep },          { "cpu", rule_cpu },         { "clock", keep },
  { "on_poweroff", keep },       { "on_reboot", keep },       { "on_crash", keep },
  { "on_lockfailure", keep },    { "pm", keep },              { "perf", keep },
  { "devices", rule_devices },   { "seclabel", rule_seclabel }, { "launchSecurity", refuse_host_device },
};

static void
apply_rules (Rewrite *rewrite, xmlNode *parent, const Rule *rules, gsize n_rules)
{
  xmlNode *node = ramet_xml_first (parent, NULL);

  while (node)
    {
      xmlNode *next = ramet_xml_next (node, NULL); /* a rule may drop the node */
      NodeRule rule = refuse_unknown;

      for (gsize i = 0; i < n_rules && node->ns == NULL; i++)
        if (ramet_xml_is (node, rules[i].name))
          rule = rules[i].rule;
      rule (rewrite, node);
      node = next;
    }
}

static void
rule_devices (Rewrite *rewrite, xmlNode *node)
{
  apply_rules (rewrite, node, device_rules, G_N_ELEMENTS (device_rules));
}

static void
add_shares (xmlNode *devices, GPtrArray *shares)
{
  for (guint i = 0; i < shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (shares, i);
      xmlNode *node = ramet_xml_add (devices, "filesystem", NULL);

      ramet_xml_set (node, "type", "mount");
      /* squash: mapped would break every symlink of the tree */
      ramet_xml_set (node, "accessmode", "squash");
      ramet_xml_set (ramet_xml_add (node, "source", NULL), "dir", share->source);
      ramet_xml_set (ramet_xml_add (node, "target", NULL), "dir", share->tag);
      ramet_xml_add (node, "readonly", NULL);
    }
}

static void
add_agent_channel (xmlNode *devices)
{
  xmlNode *channel = ramet_xml_add (devices, "channel", NULL);
  xmlNode *target = ramet_xml_add (channel, "target", NULL);

  ramet_xml_set (channel, "type", "unix");
  ramet_xml_set (target, "type", "virtio");
  ramet_xml_set (target, "name", "org.qemu.guest_agent.0");
}

/**
 * ramet_rewrite_domain:
 * @base_xml: the base's inactive definition with its secrets left out; untrusted
 * @ret_notes: (element-type utf8): what the user should know is added here
 * @error: everything in the base that stands in the way, each with its XPath
 *
 * A pure function: it opens nothing and asks nobody. The schema's words are explained at
 * https://libvirt.org/formatdomain.html.
 *
 * Returns: (transfer full): the clone's XML
 */
char *
ramet_rewrite_domain (const char *base_xml, const RametIdentity *identity, GPtrArray *ret_notes, GError **error)
{
  g_autoptr (GPtrArray) findings = ramet_findings_new ();
  g_autoptr (xmlDoc) doc = ramet_xml_parse (base_xml, "domain", error);
  Rewrite rewrite = { .identity = identity, .findings = findings, .notes = ret_notes };
  xmlNode *devices;
  xmlNode *root;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  ramet_xml_unset (root, "id");
  apply_rules (&rewrite, root, domain_rules, G_N_ELEMENTS (domain_rules));
  devices = ramet_xml_first (root, "devices");
  if (devices == NULL)
    refuse (&rewrite, root, "it has no devices");
  if (!ramet_findings_raise (findings, error))
    return NULL;
  if (ramet_xml_first (root, "uuid") == NULL)
    ramet_xml_add (root, "uuid", identity->uuid);
  add_shares (devices, identity->shares);
  if (!rewrite.has_agent)
    add_agent_channel (devices);
  if (identity->metadata && !ramet_metadata_embed (root, identity->metadata, error))
    return NULL;
  return ramet_xml_dump (doc);
}
