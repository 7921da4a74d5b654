/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The rules for devices. */
#include "model/chain.h"
#include "model/rewrite-private.h"
#include "model/share.h"

#define AGENT_CHANNEL "org.qemu.guest_agent.0"

/* Whether the attribute "type" of @node is one of @types, %NULL-terminated. */
static gboolean
has_type (xmlNode *node, const char *const *types)
{
  g_autofree char *type = ramet_xml_get (node, "type");

  return type && g_strv_contains (types, type);
}

static void
put_overlay (RametRewrite *rewrite, xmlNode *node, const RametOverlay *overlay)
{
  xmlNode *driver = ramet_xml_first (node, "driver");

  if (ramet_xml_has (node, "type", "block"))
    ramet_rewrite_note (rewrite, "the base's disk '%s' is a block device: see that nobody writes to it", overlay->target);
  ramet_rewrite_drop_children (rewrite, node, "source");
  ramet_xml_set (node, "type", "file");
  ramet_xml_unset (node, "rawio");
  ramet_xml_unset (node, "sgio");
  if (driver == NULL)
    {
      driver = ramet_rewrite_add (node, "driver", NULL);
      ramet_xml_set (driver, "name", "qemu");
    }
  ramet_xml_set (driver, "type", "qcow2");
  ramet_xml_set (ramet_rewrite_add (node, "source", NULL), "file", overlay->overlay);
  ramet_rewrite_settle (ramet_chain_add (node, overlay->layers));
}

static void
share_medium (RametRewrite *rewrite, xmlNode *node, const char *target)
{
  xmlNode *source = ramet_xml_first (node, "source");

  if (source)
    {
      ramet_rewrite_note (rewrite, "the medium in '%s' is shared with the base, read-only", target ? target : "?");
      ramet_rewrite_drop_children (rewrite, source, "seclabel");
      ramet_chain_leave_owner (source);
    }
  if (!ramet_xml_first (node, "readonly"))
    ramet_rewrite_add (node, "readonly", NULL);
}

static const char *
why_no_disk (xmlNode *node)
{
  static const char *const types[] = { "file", "block", "volume", NULL };
  xmlNode *source = ramet_xml_first (node, "source");

  if (!has_type (node, types))
    return "its disk is reached over the network or belongs to the host";
  if (ramet_xml_has (node, "device", "lun"))
    return "it passes a SCSI device of the host through";
  if (ramet_xml_first (node, "encryption") || ramet_xml_first (source, "encryption"))
    return "it is encrypted";
  if (ramet_xml_first (node, "transient"))
    return "it is transient";
  if (ramet_xml_first (source, "reservations"))
    return "it has persistent reservations";
  return NULL;
}

void
ramet_rule_disk (RametRewrite *rewrite, xmlNode *node)
{
  g_autofree char *target = ramet_xml_get (ramet_xml_first (node, "target"), "dev");
  const RametOverlay *overlay = ramet_identity_find_overlay (rewrite->identity, target);
  gboolean readonly = ramet_xml_first (node, "readonly") != NULL;
  const char *why = why_no_disk (node);

  ramet_rewrite_drop_children (rewrite, node, "backingStore");
  ramet_rewrite_drop_children (rewrite, node, "mirror");
  ramet_rewrite_drop_children (rewrite, node, "privateData");
  ramet_xml_unset (ramet_xml_first (node, "source"), "index");
  if (why)
    ramet_rewrite_refuse (rewrite, node, why, NULL);
  else if (ramet_xml_has (node, "device", "cdrom") || ramet_xml_has (node, "device", "floppy") || readonly)
    share_medium (rewrite, node, target);
  else if (ramet_xml_first (node, "shareable"))
    {
      char **shared = rewrite->identity->share_disks;

      if (shared && target && g_strv_contains ((const char *const *) shared, target))
        ramet_rewrite_note (rewrite, "base and clone both write to the shareable disk '%s'", target);
      else
        ramet_rewrite_refuse (rewrite, node, "base and clone would write to one shareable disk",
                              "--share-disk TARGET lets them; or ");
    }
  else if (ramet_xml_at (node, "source/slices"))
    ramet_rewrite_refuse (rewrite, node, "it is but a slice of a file, which an overlay cannot stand on", NULL);
  else if (overlay)
    put_overlay (rewrite, node, overlay);
  else
    ramet_rewrite_refuse (rewrite, node, "there is no overlay for it", NULL);
}

static void
clean_filter (RametRewrite *rewrite, xmlNode *filter)
{
  static const char *const own[] = { "IP", "IPV6", "MAC", NULL };

  for (xmlNode *node = ramet_xml_first (filter, "parameter"); node; node = ramet_xml_next (node, "parameter"))
    {
      g_autofree char *name = ramet_xml_get (node, "name");

      if (name && g_strv_contains (own, name))
        ramet_rewrite_drop (rewrite, node);
    }
}

static void
clean_interface (RametRewrite *rewrite, xmlNode *node)
{
  ramet_rewrite_drop_children (rewrite, node, "target");
  if (ramet_xml_first (node, "portForward"))
    ramet_rewrite_note (rewrite, "the base's port forwards are not in the clone");
  ramet_rewrite_drop_children (rewrite, node, "portForward");
  clean_filter (rewrite, ramet_xml_first (node, "filterref"));
  ramet_xml_unset (ramet_xml_first (node, "source"), "portid");
  ramet_xml_unset (ramet_xml_first (node, "backend"), "logFile");
  ramet_xml_unset (ramet_xml_first (node, "bandwidth"), "classID");
  for (xmlNode *port = ramet_xml_first (node, "virtualport"); port; port = ramet_xml_next (port, "virtualport"))
    {
      ramet_xml_unset (ramet_xml_first (port, "parameters"), "interfaceid");
      ramet_xml_unset (ramet_xml_first (port, "parameters"), "instanceid");
    }
}

static const char *
why_no_interface (xmlNode *node)
{
  static const char *const types[] = { "network", "bridge", "user", "direct", "internal", "mcast", NULL };

  if (!has_type (node, types))
    return "an interface of this type belongs to one guest";
  if (ramet_xml_has (node, "type", "direct") && ramet_xml_has (ramet_xml_first (node, "source"), "mode", "passthrough"))
    return "it hands an interface of the host to one guest";
  if (ramet_xml_has (ramet_xml_first (node, "virtualport"), "type", "midonet"))
    return "its port was made for one guest";
  if (ramet_xml_first (node, "script") || ramet_xml_first (node, "downscript"))
    return "it runs a script on the host";
  return NULL;
}

void
ramet_rule_interface (RametRewrite *rewrite, xmlNode *node)
{
  const RametIdentity *identity = rewrite->identity;
  guint index = rewrite->n_interfaces++;
  const char *why = why_no_interface (node);
  xmlNode *mac = ramet_xml_first (node, "mac");
  xmlNode *link = ramet_xml_first (node, "link");

  if (why == NULL && index >= identity->macs->len)
    why = "there is no MAC address for it";
  if (why)
    {
      ramet_rewrite_refuse (rewrite, node, why, NULL);
      return;
    }
  if (mac == NULL)
    mac = ramet_rewrite_add (node, "mac", NULL);
  ramet_xml_set (mac, "address", g_ptr_array_index (identity->macs, index));
  clean_interface (rewrite, node);
  if (index == 0 && identity->network)
    {
      static const char *const of_another_type[] = { "ip", "route", "virtualport", "vlan" };

      for (gsize i = 0; i < G_N_ELEMENTS (of_another_type); i++)
        ramet_rewrite_drop_children (rewrite, node, of_another_type[i]);
      ramet_xml_unset (ramet_xml_first (node, "backend"), "type");
      ramet_rewrite_drop_children (rewrite, node, "source");
      ramet_xml_set (node, "type", "network");
      ramet_xml_set (ramet_rewrite_add (node, "source", NULL), "network", identity->network);
    }
  if (identity->link_down)
    ramet_xml_set (link ? link : ramet_rewrite_add (node, "link", NULL), "state", "down");
}

/* Of whatever device: all that have a line in or out can have one. */
void
ramet_rule_log (RametRewrite *rewrite, xmlNode *node)
{
  g_autofree char *path = ramet_xml_get (node, "file");
  g_autofree char *own = path ? ramet_identity_own_path (rewrite->identity, path) : NULL;

  if (own)
    ramet_xml_set (node, "file", own);
}

/* Serial ports, consoles and parallel ports. The first serial port carries the root console. */
void
ramet_rule_chardev (RametRewrite *rewrite, xmlNode *node)
{
  static const char *const harmless[] = { "null", "vc", "spicevmc", "spiceport", "qemu-vdagent", "dbus", NULL };
  xmlNode *source = ramet_xml_first (node, "source");
  g_autofree char *path = ramet_xml_get (source, "path");
  gboolean is_root = (ramet_xml_is (node, "serial") && !rewrite->has_serial) ||
                     (ramet_xml_is (node, "console") && !rewrite->has_console);

  rewrite->has_serial |= ramet_xml_is (node, "serial");
  rewrite->has_console |= ramet_xml_is (node, "console");
  ramet_xml_unset (node, "tty");
  if (ramet_xml_has (node, "type", "pty") || (ramet_xml_has (node, "type", "unix") && path == NULL))
    ramet_rewrite_drop_children (rewrite, node, "source");
  else if (ramet_xml_has (node, "type", "file") && path)
    {
      g_autofree char *own = ramet_identity_own_path (rewrite->identity, path);

      ramet_xml_set (source, "path", own);
      ramet_rewrite_drop_children (rewrite, source, "seclabel");
    }
  else if (has_type (node, harmless))
    ramet_xml_unset (source, "path");
  else if (is_root)
    ramet_rewrite_refuse (rewrite, node, "base and clone would have one console, on one file, socket or port of the host",
                          "make it type='pty', which the root console needs anyway; or ");
  else
    ramet_rewrite_leave_out (rewrite, node, "base and clone would use one file, socket or port of the host");
}

void
ramet_rule_channel (RametRewrite *rewrite, xmlNode *node)
{
  static const char *const harmless[] = { "null", "spicevmc", "spiceport", "qemu-vdagent", "dbus", NULL };
  xmlNode *target = ramet_xml_first (node, "target");

  ramet_xml_unset (target, "state");
  if (ramet_xml_has (node, "type", "unix") || ramet_xml_has (node, "type", "pty"))
    ramet_rewrite_drop_children (rewrite, node, "source");
  else if (!has_type (node, harmless))
    {
      ramet_rewrite_leave_out (rewrite, node, "base and clone would use one file, socket or port of the host");
      return;
    }
  if (ramet_xml_has (target, "name", AGENT_CHANNEL))
    rewrite->has_agent = TRUE;
}

static void
rule_graphics_port (RametRewrite *rewrite, xmlNode *node)
{
  static const char *const own[] = { "port", "tlsPort", "websocket", "socket", "passwd", "passwdValidTo" };
  g_autofree char *password = ramet_xml_get (node, "passwd");

  if (password)
    ramet_rewrite_note (rewrite, "the password of the base's display is not in the clone");
  for (gsize i = 0; i < G_N_ELEMENTS (own); i++)
    ramet_xml_unset (node, own[i]);
  ramet_xml_set (node, "autoport", "yes");
  for (xmlNode *listen = ramet_xml_first (node, "listen"); listen; listen = ramet_xml_next (listen, "listen"))
    ramet_xml_unset (listen, "socket");
}

void
ramet_rule_graphics (RametRewrite *rewrite, xmlNode *node)
{
  g_autofree char *address = ramet_xml_get (node, "address");

  if (ramet_xml_has (node, "type", "vnc") || ramet_xml_has (node, "type", "spice"))
    rule_graphics_port (rewrite, node);
  else if (!ramet_xml_has (node, "type", "egl-headless") && (!ramet_xml_has (node, "type", "dbus") || address))
    ramet_rewrite_leave_out (rewrite, node, "it belongs to one display, port or bus of the host");
}

void
ramet_rule_input (RametRewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (node, "type", "evdev") || ramet_xml_has (node, "type", "passthrough"))
    ramet_rule_host_part (rewrite, node);
}

void
ramet_rule_rng (RametRewrite *rewrite, xmlNode *node)
{
  if (ramet_xml_has (ramet_xml_first (node, "backend"), "model", "egd"))
    ramet_rewrite_leave_out (rewrite, node, "base and clone would use one source of entropy, over one socket or port");
}

void
ramet_rule_tpm (RametRewrite *rewrite, xmlNode *node)
{
  xmlNode *backend = ramet_xml_first (node, "backend");

  if (!ramet_xml_has (backend, "type", "emulator"))
    ramet_rule_host_part (rewrite, node);
  else if (rewrite->identity->goes_on)
    ramet_rewrite_refuse (rewrite, node, "a guest that goes on from saved memory needs the secrets of its TPM", NULL);
  else if (ramet_xml_first (backend, "encryption"))
    ramet_rewrite_leave_out (rewrite, node, "its state is encrypted with a secret of the base's");
  else
    ramet_rewrite_note (rewrite, "the clone gets a fresh TPM: secrets in the base's are not copied");
}

/* USB redirection and smart cards */
void
ramet_rule_spice_only (RametRewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "type", "spicevmc") || ramet_xml_has (node, "mode", "host") ||
      ramet_xml_has (node, "mode", "host-certificates"))
    ramet_rewrite_leave_out (rewrite, node, "it belongs to the host, or to one socket or port of it");
}

/* What uses it names it by its id, so it is not left out but silenced. */
void
ramet_rule_audio (RametRewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "type", "file"))
    return;
  if (!rewrite->identity->drop_host_devices)
    {
      ramet_rewrite_leave_out (rewrite, node, "base and clone would write to one file");
      return;
    }
  ramet_rewrite_note (rewrite, "the clone's sound is not written to the base's file, but nowhere");
  ramet_xml_set (node, "type", "none");
  ramet_xml_unset (node, "path");
}

void
ramet_rule_memory_device (RametRewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (node, "model", "dimm") && !ramet_xml_has (node, "model", "virtio-mem"))
    ramet_rule_host_part (rewrite, node);
}

void
ramet_rule_crypto (RametRewrite *rewrite, xmlNode *node)
{
  if (!ramet_xml_has (ramet_xml_first (node, "backend"), "model", "builtin"))
    ramet_rule_host_part (rewrite, node);
}

void
ramet_rule_vsock (RametRewrite *rewrite, xmlNode *node)
{
  xmlNode *cid = ramet_xml_first (node, "cid");

  if (cid == NULL)
    cid = ramet_rewrite_add (node, "cid", NULL);
  ramet_xml_unset (cid, "address");
  ramet_xml_set (cid, "auto", "yes");
}

/* The device stays, and with it the tag that the guest has read; what it shows is the clone's own. */
static void
take_slot (RametRewrite *rewrite, xmlNode *node)
{
  const RametIdentity *identity = rewrite->identity;
  xmlNode *source = ramet_xml_first (node, "source");
  const char *folder = identity->slot_folder;

  if (!ramet_xml_has (node, "type", "mount") || source == NULL || !ramet_xml_first (node, "readonly"))
    {
      ramet_rewrite_refuse (rewrite, node, "base and clone would write to one folder of the host", NULL);
      return;
    }
  for (guint i = 0; i < identity->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (identity->shares, i);

      if (ramet_xml_has (ramet_xml_first (node, "target"), "dir", share->tag))
        {
          folder = share->source;
          rewrite->n_slots_taken++;
        }
    }
  if (folder)
    ramet_xml_set (source, "dir", folder);
  else
    ramet_rewrite_refuse (rewrite, node, "there is no folder for it", NULL);
}

void
ramet_rule_filesystem (RametRewrite *rewrite, xmlNode *node)
{
  xmlNode *source = ramet_xml_first (node, "source");
  g_autofree char *dir = ramet_xml_get (source, "dir");
  g_autofree char *file = ramet_xml_get (source, "file");
  g_autofree char *where = ramet_xml_where (node);

  if (rewrite->identity->goes_on)
    {
      take_slot (rewrite, node);
      return;
    }
  ramet_rewrite_drop (rewrite, node);
  for (guint i = 0; dir && i < rewrite->identity->shares->len; i++)
    if (g_str_equal (((RametShare *) g_ptr_array_index (rewrite->identity->shares, i))->source, dir))
      return;
  ramet_rewrite_note (rewrite, "the base's own share of '%s' is not in the clone", dir ? dir : file ? file : where);
}
