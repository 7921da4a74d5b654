/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/metadata.h"

#include "core/error.h"

static const char *const state_names[] = {
  [RAMET_STATE_FOREIGN] = "foreign", [RAMET_STATE_CREATING] = "creating", [RAMET_STATE_BOOTSTRAPPING] = "bootstrapping",
  [RAMET_STATE_READY] = "ready",     [RAMET_STATE_RAW] = "raw",           [RAMET_STATE_REMOVING] = "removing",
  [RAMET_STATE_BASE] = "base",
};

/** ramet_state_name: (transfer none) */
const char *
ramet_state_name (RametState state)
{
  return state_names[state];
}

static void
volume_ref_free (gpointer data)
{
  RametVolumeRef *volume = data;

  g_free (volume->pool);
  g_free (volume->name);
  g_free (volume->path);
  g_free (volume);
}

static void
fingerprint_free (gpointer data)
{
  RametFingerprint *print = data;

  g_free (print->target);
  g_free (print->path);
  g_free (print->format);
  g_free (print);
}

/** ramet_metadata_new: with empty lists and nothing else known */
RametMetadata *
ramet_metadata_new (RametState state)
{
  RametMetadata *metadata = g_new0 (RametMetadata, 1);

  metadata->state = state;
  metadata->shares = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);
  metadata->volumes = g_ptr_array_new_with_free_func (volume_ref_free);
  metadata->grants = g_ptr_array_new_with_free_func (g_free);
  metadata->fingerprints = g_ptr_array_new_with_free_func (fingerprint_free);
  return metadata;
}

void
ramet_metadata_free (RametMetadata *metadata)
{
  g_free (metadata->created);
  g_free (metadata->base_name);
  g_free (metadata->base_uuid);
  g_free (metadata->project);
  g_free (metadata->user);
  g_free (metadata->host_keys);
  g_free (metadata->console);
  g_ptr_array_unref (metadata->shares);
  g_ptr_array_unref (metadata->volumes);
  g_ptr_array_unref (metadata->grants);
  g_ptr_array_unref (metadata->fingerprints);
  g_free (metadata);
}

void
ramet_metadata_add_volume (RametMetadata *metadata, const char *pool, const char *name, const char *path)
{
  RametVolumeRef *volume = g_new0 (RametVolumeRef, 1);

  volume->pool = g_strdup (pool);
  volume->name = g_strdup (name);
  volume->path = g_strdup (path);
  g_ptr_array_add (metadata->volumes, volume);
}

static gboolean
parse_state (const char *text, RametState *ret_state, GError **error)
{
  for (gsize i = RAMET_STATE_CREATING; i < G_N_ELEMENTS (state_names); i++)
    if (g_strcmp0 (text, state_names[i]) == 0)
      {
        *ret_state = (RametState) i;
        return TRUE;
      }
  ramet_error_set (error, RAMET_ERROR_FAILED, "the metadata has no state that this version of ramet knows");
  return FALSE;
}

static void
parse_base (xmlNode *base, RametMetadata *metadata)
{
  if (base == NULL)
    return;
  metadata->base_name = ramet_xml_get (base, "name");
  metadata->base_uuid = ramet_xml_get (base, "uuid");
  for (xmlNode *disk = ramet_xml_first (base, "disk"); disk; disk = ramet_xml_next (disk, "disk"))
    {
      RametFingerprint *print = g_new0 (RametFingerprint, 1);
      g_autofree char *size = ramet_xml_get (disk, "size");
      g_autofree char *mtime = ramet_xml_get (disk, "mtime");

      print->target = ramet_xml_get (disk, "target");
      print->path = ramet_xml_get (disk, "path");
      print->format = ramet_xml_get (disk, "format");
      print->size = size ? g_ascii_strtoull (size, NULL, 10) : 0;
      print->mtime = mtime ? g_ascii_strtoll (mtime, NULL, 10) : 0;
      g_ptr_array_add (metadata->fingerprints, print);
    }
}

static void
parse_lists (xmlNode *root, RametMetadata *metadata)
{
  for (xmlNode *node = ramet_xml_first (root, NULL); node; node = ramet_xml_next (node, NULL))
    {
      g_autofree char *first = NULL;
      g_autofree char *second = NULL;
      g_autofree char *third = NULL;

      if (ramet_xml_is (node, "share"))
        {
          first = ramet_xml_get (node, "source");
          second = ramet_xml_get (node, "target");
          third = ramet_xml_get (node, "tag");
          if (first && second && third)
            g_ptr_array_add (metadata->shares, ramet_share_new (first, second, third));
        }
      else if (ramet_xml_is (node, "volume"))
        {
          first = ramet_xml_get (node, "pool");
          second = ramet_xml_get (node, "name");
          third = ramet_xml_get (node, "path");
          if (first && second && third)
            ramet_metadata_add_volume (metadata, first, second, third);
        }
      else if (ramet_xml_is (node, "grant"))
        g_ptr_array_add (metadata->grants, ramet_xml_text (node));
    }
}

/**
 * ramet_metadata_parse:
 * @xml: our element, with or without its namespace; untrusted, since anybody may edit a domain
 *
 * Returns: (transfer full)
 */
RametMetadata *
ramet_metadata_parse (const char *xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (xml, "vm", error);
  g_autoptr (RametMetadata) metadata = ramet_metadata_new (RAMET_STATE_FOREIGN);
  g_autofree char *state = NULL;
  xmlNode *root;

  if (doc == NULL)
    return NULL;
  root = xmlDocGetRootElement (doc);
  state = ramet_xml_get (root, "state");
  if (!parse_state (state, &metadata->state, error))
    return NULL;
  metadata->created = ramet_xml_get (root, "created");
  metadata->project = ramet_xml_get (root, "project");
  metadata->user = ramet_xml_get (root, "user");
  metadata->console = ramet_xml_get (root, "console");
  metadata->host_keys = ramet_xml_text (ramet_xml_first (root, "host-keys"));
  parse_base (ramet_xml_first (root, "base"), metadata);
  parse_lists (root, metadata);
  return g_steal_pointer (&metadata);
}

static void
set_if (xmlNode *node, const char *attribute, const char *value)
{
  if (value)
    ramet_xml_set (node, attribute, value);
}

static void
add_base (xmlNode *root, const RametMetadata *metadata)
{
  xmlNode *base;

  if (metadata->base_name == NULL)
    return;
  base = ramet_xml_add (root, "base", NULL);
  ramet_xml_set (base, "name", metadata->base_name);
  set_if (base, "uuid", metadata->base_uuid);
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->fingerprints, i);
      g_autofree char *size = g_strdup_printf ("%" G_GUINT64_FORMAT, print->size);
      g_autofree char *mtime = g_strdup_printf ("%" G_GINT64_FORMAT, print->mtime);
      xmlNode *disk = ramet_xml_add (base, "disk", NULL);

      set_if (disk, "target", print->target);
      set_if (disk, "path", print->path);
      set_if (disk, "format", print->format);
      ramet_xml_set (disk, "size", size);
      ramet_xml_set (disk, "mtime", mtime);
    }
}

static void
add_lists (xmlNode *root, const RametMetadata *metadata)
{
  for (guint i = 0; i < metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (metadata->shares, i);
      xmlNode *node = ramet_xml_add (root, "share", NULL);

      ramet_xml_set (node, "tag", share->tag);
      ramet_xml_set (node, "source", share->source);
      ramet_xml_set (node, "target", share->target);
    }
  for (guint i = 0; i < metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (metadata->volumes, i);
      xmlNode *node = ramet_xml_add (root, "volume", NULL);

      ramet_xml_set (node, "pool", volume->pool);
      ramet_xml_set (node, "name", volume->name);
      ramet_xml_set (node, "path", volume->path);
    }
  for (guint i = 0; i < metadata->grants->len; i++)
    ramet_xml_add (root, "grant", g_ptr_array_index (metadata->grants, i));
}

/**
 * ramet_metadata_to_xml:
 *
 * Returns: (transfer full): the element in no namespace, as virDomainSetMetadata() wants it
 */
char *
ramet_metadata_to_xml (const RametMetadata *metadata)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *root = xmlNewNode (NULL, (const xmlChar *) "vm");

  xmlDocSetRootElement (doc, root);
  ramet_xml_set (root, "state", state_names[metadata->state]);
  set_if (root, "created", metadata->created);
  set_if (root, "project", metadata->project);
  set_if (root, "user", metadata->user);
  set_if (root, "console", metadata->console);
  if (metadata->host_keys)
    ramet_xml_add (root, "host-keys", metadata->host_keys);
  add_base (root, metadata);
  add_lists (root, metadata);
  return ramet_xml_dump (doc);
}

/**
 * ramet_metadata_embed:
 * @domain: the root of a domain's XML
 * @metadata_xml: from ramet_metadata_to_xml()
 */
gboolean
ramet_metadata_embed (xmlNode *domain, const char *metadata_xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (metadata_xml, "vm", error);
  xmlNode *metadata = ramet_xml_first (domain, "metadata");
  xmlNode *ours;

  if (doc == NULL)
    return FALSE;
  if (metadata == NULL)
    metadata = ramet_xml_add (domain, "metadata", NULL);
  ours = xmlDocCopyNode (xmlDocGetRootElement (doc), domain->doc, 1);
  xmlAddChild (metadata, ours);
  xmlSetNs (ours, xmlNewNs (ours, (const xmlChar *) RAMET_METADATA_URI, (const xmlChar *) RAMET_METADATA_PREFIX));
  return TRUE;
}
