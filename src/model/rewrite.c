/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/rewrite.h"

#include <string.h>

#include "core/text.h"
#include "model/hardware.h"
#include "model/metadata.h"
#include "model/rewrite-private.h"
#include "model/share.h"

/* Marks in a node's field for applications: nothing more is to be done with it and what is inside. */
static char dropped_mark, settled_mark;

void
ramet_rewrite_note (RametRewrite *rewrite, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_ptr_array_add (rewrite->notes, ramet_text_escape (text, -1));
}

static void
refuse_at (RametRewrite *rewrite, const char *where, const char *why, const char *hint)
{
  g_autofree char *safe = ramet_text_escape (where, -1);
  g_autofree char *reason = ramet_text_escape (why, -1);
  GError *error = NULL;

  ramet_error_set (&error, RAMET_ERROR_REFUSED, "%s cannot be cloned safely: %s", safe, reason);
  ramet_error_hint (&error, "%stake it out of the base with 'virsh edit', or clone from another base", hint ? hint : "");
  ramet_findings_take (rewrite->findings, error);
}

/** ramet_rewrite_refuse: @hint is %NULL or names the option that allows it, ending in "; or " */
void
ramet_rewrite_refuse (RametRewrite *rewrite, xmlNode *node, const char *why, const char *hint)
{
  g_autofree char *where = ramet_xml_where (node);

  refuse_at (rewrite, where, why, hint);
  ramet_rewrite_settle (node);
}

/** ramet_rewrite_drop: @node, which may be %NULL, is not in the clone */
void
ramet_rewrite_drop (RametRewrite *rewrite, xmlNode *node)
{
  if (node == NULL || node->_private == &dropped_mark)
    return;
  node->_private = &dropped_mark;
  g_ptr_array_add (rewrite->dropped, node);
}

void
ramet_rewrite_drop_children (RametRewrite *rewrite, xmlNode *parent, const char *name)
{
  for (xmlNode *child = ramet_xml_first (parent, name); child; child = ramet_xml_next (child, name))
    ramet_rewrite_drop (rewrite, child);
}

/** ramet_rewrite_leave_out: drops @node if the user asked for that, and says so; else it is refused */
gboolean
ramet_rewrite_leave_out (RametRewrite *rewrite, xmlNode *node, const char *why)
{
  g_autofree char *where = ramet_xml_where (node);

  if (!rewrite->identity->drop_host_devices)
    {
      ramet_rewrite_refuse (rewrite, node, why, "--drop-host-devices leaves it out; or ");
      return FALSE;
    }
  ramet_rewrite_note (rewrite, "left out: %s, since %s", where, why);
  ramet_rewrite_drop (rewrite, node);
  return TRUE;
}

/** ramet_rewrite_settle: what is inside @node is of no further concern */
void
ramet_rewrite_settle (xmlNode *node)
{
  if (node->_private == NULL)
    node->_private = &settled_mark;
}

gboolean
ramet_rewrite_is_done (const xmlNode *node)
{
  return node->_private != NULL;
}

/** ramet_rewrite_add: (transfer none): as ramet_xml_add(), for what is not the base's */
xmlNode *
ramet_rewrite_add (xmlNode *parent, const char *name, const char *text)
{
  xmlNode *node = ramet_xml_add (parent, name, text);

  ramet_rewrite_settle (node);
  return node;
}

static const RametRewriteRow *
find_row (const char *path)
{
  static GHashTable *rows = NULL; /* path to row; made once */
  const RametRewriteRow *row;

  if (g_once_init_enter (&rows))
    {
      GHashTable *made = g_hash_table_new (g_str_hash, g_str_equal);

      for (gsize i = 0; i < ramet_rewrite_n_rows; i++)
        g_hash_table_insert (made, (gpointer) ramet_rewrite_rows[i].path, (gpointer) &ramet_rewrite_rows[i]);
      g_once_init_leave (&rows, made);
    }
  row = g_hash_table_lookup (rows, path);
  if (row == NULL && g_str_has_prefix (path, "devices/"))
    {
      const char *rest = strchr (path + strlen ("devices/"), '/');
      g_autofree char *any = rest ? g_strconcat ("devices/*", rest, NULL) : NULL;

      row = any ? g_hash_table_lookup (rows, any) : NULL;
    }
  return row;
}

static gboolean
has_word (const char *words, const char *word)
{
  gsize length = strlen (word);

  for (const char *at = words; (at = strstr (at, word)); at += length)
    if ((at == words || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
      return TRUE;
  return FALSE;
}

static void
check_attributes (RametRewrite *rewrite, xmlNode *node, const char *allowed)
{
  for (xmlAttr *attribute = node->properties; attribute; attribute = attribute->next)
    if (attribute->ns || !has_word (allowed, (const char *) attribute->name))
      {
        g_autofree char *where = ramet_xml_where ((xmlNode *) attribute);

        refuse_at (rewrite, where, "this version of ramet does not know what it would share with the base", NULL);
      }
}

static void
walk_children (RametRewrite *rewrite, xmlNode *parent, const char *path);

static void
walk (RametRewrite *rewrite, xmlNode *node, const char *path)
{
  gboolean is_qemu = node->ns && xmlStrEqual (node->ns->href, (const xmlChar *) RAMET_QEMU_URI);
  g_autofree char *marked = is_qemu ? g_strconcat ("qemu:", path, NULL) : NULL;
  const RametRewriteRow *row = node->ns && !is_qemu ? NULL : find_row (is_qemu ? marked : path);

  if (row == NULL)
    ramet_rewrite_refuse (rewrite, node, "this version of ramet does not know what it would share with the base", NULL);
  else if (row->rule)
    row->rule (rewrite, node);
  if (row == NULL || row->attributes == NULL || ramet_rewrite_is_done (node))
    return;
  check_attributes (rewrite, node, row->attributes);
  walk_children (rewrite, node, path);
}

static void
walk_children (RametRewrite *rewrite, xmlNode *parent, const char *path)
{
  for (xmlNode *node = ramet_xml_first (parent, NULL); node; node = ramet_xml_next (node, NULL))
    {
      g_autofree char *below = g_strconcat (path, *path ? "/" : "", (const char *) node->name, NULL);

      if (!ramet_rewrite_is_done (node))
        walk (rewrite, node, below);
    }
}

static void
add_shares (xmlNode *devices, GPtrArray *shares)
{
  for (guint i = 0; i < shares->len; i++)
    ramet_hardware_add_share (devices, g_ptr_array_index (shares, i));
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

/* What comes over the root console's line is kept, for `ramet log`, and in no other place than ramet's: what is beside a base's
 * own log nobody would take away again. libvirt has the console that goes with a port told twice. */
static void
add_serial_log (const RametIdentity *identity, xmlNode *devices)
{
  xmlNode *serial = ramet_xml_first (devices, "serial");
  xmlNode *log = ramet_xml_first (serial, "log");
  xmlNode *console = ramet_xml_first (devices, "console");
  xmlNode *again = ramet_xml_first (console, "log");

  if (identity->serial_log == NULL || serial == NULL || !ramet_xml_has (serial, "type", "pty"))
    return;
  if (again && ramet_xml_has (ramet_xml_first (console, "target"), "type", "serial"))
    ramet_xml_set (again, "file", identity->serial_log);
  if (log == NULL)
    log = ramet_xml_add (serial, "log", NULL);
  ramet_xml_set (log, "file", identity->serial_log);
  ramet_xml_set (log, "append", "on");
}

/* What could be added to a machine that starts, and cannot to one that goes on. */
static void
check_goes_on (RametRewrite *rewrite, xmlNode *root)
{
  if (!rewrite->has_agent)
    ramet_rewrite_refuse (rewrite, root, "it has no channel for a guest agent, which gives it an identity of its own", NULL);
  if (rewrite->n_slots_taken != rewrite->identity->shares->len)
    ramet_rewrite_refuse (rewrite, root, "it has no device for each of the shares", NULL);
}

/* What every clone has, whatever the base had. */
static gboolean
complete (RametRewrite *rewrite, xmlNode *root, GError **error)
{
  const RametIdentity *identity = rewrite->identity;
  xmlNode *devices = ramet_xml_first (root, "devices");

  if (ramet_xml_first (root, "name") == NULL)
    ramet_xml_add (root, "name", identity->name);
  if (ramet_xml_first (root, "uuid") == NULL)
    ramet_xml_add (root, "uuid", identity->uuid);
  if (!identity->goes_on)
    add_shares (devices, identity->shares);
  if (!rewrite->has_agent && !identity->goes_on)
    add_agent_channel (devices);
  add_serial_log (identity, devices);
  return identity->metadata == NULL || ramet_metadata_embed (root, identity->metadata, error);
}

/**
 * ramet_rewrite_domain:
 * @base_xml: the base's inactive definition; untrusted
 * @ret_notes: (element-type utf8): what the user should know is added here
 * @error: everything in the base that stands in the way, each with its XPath in the base
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
  g_autoptr (GPtrArray) dropped = g_ptr_array_new ();
  g_autoptr (xmlDoc) doc = ramet_xml_parse (base_xml, "domain", error);
  RametRewrite rewrite = { .identity = identity, .findings = findings, .notes = ret_notes, .dropped = dropped };
  xmlNode *root;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  ramet_xml_unset (root, "id");
  check_attributes (&rewrite, root, "type");
  walk_children (&rewrite, root, "");
  if (ramet_xml_first (root, "devices") == NULL)
    ramet_rewrite_refuse (&rewrite, root, "it has no devices", NULL);
  if (identity->goes_on)
    check_goes_on (&rewrite, root);
  if (!ramet_findings_raise (findings, error))
    return NULL;
  for (guint i = 0; i < dropped->len; i++)
    xmlUnlinkNode (g_ptr_array_index (dropped, i));
  for (guint i = 0; i < dropped->len; i++) /* one of them may be inside another */
    xmlFreeNode (g_ptr_array_index (dropped, i));
  return complete (&rewrite, root, error) ? ramet_xml_dump (doc) : NULL;
}
