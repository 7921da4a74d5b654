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
  g_free (print->header);
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
  g_clear_pointer (&metadata->recipe, ramet_recipe_free);
  g_free (metadata->worker);
  g_ptr_array_unref (metadata->shares);
  g_ptr_array_unref (metadata->volumes);
  g_ptr_array_unref (metadata->grants);
  g_ptr_array_unref (metadata->fingerprints);
  g_free (metadata);
}

/** ramet_metadata_add_fingerprint: (transfer none): for the caller to fill in what else is known */
RametFingerprint *
ramet_metadata_add_fingerprint (RametMetadata *metadata, const char *target, const char *path, const char *format)
{
  RametFingerprint *print = g_new0 (RametFingerprint, 1);

  print->target = g_strdup (target);
  print->path = g_strdup (path);
  print->format = g_strdup (format);
  g_ptr_array_add (metadata->fingerprints, print);
  return print;
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

static guint64
get_number (xmlNode *node, const char *attribute)
{
  g_autofree char *text = ramet_xml_get (node, attribute);

  return text ? g_ascii_strtoull (text, NULL, 10) : 0;
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
      g_autofree char *target = ramet_xml_get (disk, "target");
      g_autofree char *path = ramet_xml_get (disk, "path");
      g_autofree char *format = ramet_xml_get (disk, "format");
      g_autofree char *mtime = ramet_xml_get (disk, "mtime-ns");
      RametFingerprint *print;

      if (path == NULL)
        continue;
      print = ramet_metadata_add_fingerprint (metadata, target, path, format);
      print->inode = get_number (disk, "inode");
      print->size = get_number (disk, "size");
      print->mtime_ns = mtime ? g_ascii_strtoll (mtime, NULL, 10) : 0;
      print->capacity = get_number (disk, "capacity");
      print->header = ramet_xml_get (disk, "header");
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
  metadata->worker = ramet_xml_get (root, "worker");
  metadata->host_keys = ramet_xml_text (ramet_xml_first (root, "host-keys"));
  metadata->recipe = ramet_recipe_read (ramet_xml_first (root, "recipe"));
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
set_number (xmlNode *node, const char *attribute, guint64 value)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);

  if (value)
    ramet_xml_set (node, attribute, text);
}

static void
add_base (xmlNode *root, const RametMetadata *metadata)
{
  xmlNode *base;

  /* whatever an edit left of it: fingerprints guard a base whose name is gone too */
  if (metadata->base_name == NULL && metadata->base_uuid == NULL && metadata->fingerprints->len == 0)
    return;
  base = ramet_xml_add (root, "base", NULL);
  set_if (base, "name", metadata->base_name);
  set_if (base, "uuid", metadata->base_uuid);
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    {
      const RametFingerprint *print = g_ptr_array_index (metadata->fingerprints, i);
      g_autofree char *mtime = g_strdup_printf ("%" G_GINT64_FORMAT, print->mtime_ns);
      xmlNode *disk = ramet_xml_add (base, "disk", NULL);

      set_if (disk, "target", print->target);
      set_if (disk, "path", print->path);
      set_if (disk, "format", print->format);
      set_number (disk, "inode", print->inode);
      set_number (disk, "size", print->size);
      set_if (disk, "mtime-ns", print->mtime_ns ? mtime : NULL);
      set_number (disk, "capacity", print->capacity);
      set_if (disk, "header", print->header);
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
  set_if (root, "worker", metadata->worker);
  if (metadata->host_keys)
    ramet_xml_add (root, "host-keys", metadata->host_keys);
  if (metadata->recipe)
    ramet_recipe_add (metadata->recipe, root);
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
