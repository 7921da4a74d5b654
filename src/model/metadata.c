/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/metadata.h"

#include "core/error.h"

static const char *const state_names[] = {
  [RAMET_STATE_FOREIGN] = "foreign", [RAMET_STATE_CREATING] = "creating", [RAMET_STATE_BOOTSTRAPPING] = "bootstrapping",
  [RAMET_STATE_READY] = "ready",     [RAMET_STATE_RAW] = "raw",           [RAMET_STATE_REMOVING] = "removing",
  [RAMET_STATE_BASE] = "base",         [RAMET_STATE_TEMPLATE] = "template",
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

/** ramet_metadata_new: with empty lists and nothing else known */
RametMetadata *
ramet_metadata_new (RametState state)
{
  RametMetadata *metadata = g_new0 (RametMetadata, 1);

  metadata->state = state;
  metadata->shares = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);
  metadata->former_shares = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);
  metadata->volumes = g_ptr_array_new_with_free_func (volume_ref_free);
  metadata->grants = g_ptr_array_new_with_free_func (g_free);
  metadata->fingerprints = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_fingerprint_free);
  metadata->points = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_point_free);
  return metadata;
}

void
ramet_metadata_free (RametMetadata *metadata)
{
  g_free (metadata->created);
  g_free (metadata->base_name);
  g_free (metadata->base_uuid);
  g_free (metadata->base_point);
  g_free (metadata->project);
  g_free (metadata->user);
  g_free (metadata->host_keys);
  g_free (metadata->console);
  g_clear_pointer (&metadata->recipe, ramet_recipe_free);
  g_clear_pointer (&metadata->template, ramet_template_free);
  g_free (metadata->worker);
  g_free (metadata->setup);
  g_ptr_array_unref (metadata->shares);
  g_ptr_array_unref (metadata->former_shares);
  g_ptr_array_unref (metadata->volumes);
  g_ptr_array_unref (metadata->grants);
  g_ptr_array_unref (metadata->fingerprints);
  g_ptr_array_unref (metadata->points);
  g_free (metadata->current);
  g_free (metadata);
}

/** ramet_metadata_add_fingerprint: (transfer none): for the caller to fill in what else is known */
RametFingerprint *
ramet_metadata_add_fingerprint (RametMetadata *metadata, const char *target, const char *path, const char *format)
{
  RametFingerprint *print = ramet_fingerprint_new (target, path, format);

  g_ptr_array_add (metadata->fingerprints, print);
  return print;
}

/** ramet_metadata_add_volume: (transfer none) */
RametVolumeRef *
ramet_metadata_add_volume (RametMetadata *metadata, const char *pool, const char *name, const char *path)
{
  RametVolumeRef *volume = g_new0 (RametVolumeRef, 1);

  volume->pool = g_strdup (pool);
  volume->name = g_strdup (name);
  volume->path = g_strdup (path);
  g_ptr_array_add (metadata->volumes, volume);
  return volume;
}

/** ramet_metadata_find_volume: (transfer none) (nullable): what ramet made at @path */
RametVolumeRef *
ramet_metadata_find_volume (const RametMetadata *metadata, const char *path)
{
  for (guint i = 0; i < metadata->volumes->len; i++)
    {
      RametVolumeRef *volume = g_ptr_array_index (metadata->volumes, i);

      if (g_strcmp0 (volume->path, path) == 0)
        return volume;
    }
  return NULL;
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
  ramet_error_set (error, RAMET_ERROR_REFUSED, "the metadata has no state that this version of ramet knows");
  return FALSE;
}

static void
parse_base (xmlNode *base, RametMetadata *metadata)
{
  if (base == NULL)
    return;
  metadata->base_name = ramet_xml_get (base, "name");
  metadata->base_uuid = ramet_xml_get (base, "uuid");
  metadata->base_point = ramet_xml_get (base, "snapshot");
  for (xmlNode *disk = ramet_xml_first (base, "disk"); disk; disk = ramet_xml_next (disk, "disk"))
    {
      RametFingerprint *print = ramet_fingerprint_read (disk);

      if (print)
        g_ptr_array_add (metadata->fingerprints, print);
    }
}

static void
parse_share (xmlNode *node, GPtrArray *shares)
{
  g_autofree char *source = ramet_xml_get (node, "source");
  g_autofree char *target = ramet_xml_get (node, "target");
  g_autofree char *tag = ramet_xml_get (node, "tag");

  if (source && target && tag)
    g_ptr_array_add (shares, ramet_share_new (source, target, tag));
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
        parse_share (node, metadata->shares);
      else if (ramet_xml_is (node, "former-share"))
        parse_share (node, metadata->former_shares);
      else if (ramet_xml_is (node, "volume"))
        {
          first = ramet_xml_get (node, "pool");
          second = ramet_xml_get (node, "name");
          third = ramet_xml_get (node, "path");
          if (first && second && third)
            ramet_metadata_add_volume (metadata, first, second, third)->spare = ramet_xml_has (node, "spare", "yes");
        }
      else if (ramet_xml_is (node, "point"))
        {
          RametPoint *point = ramet_point_read (node);

          if (point)
            g_ptr_array_add (metadata->points, point);
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
  metadata->current = ramet_xml_get (root, "current");
  metadata->setup = ramet_xml_get (root, "setup");
  metadata->guest_is_behind = ramet_xml_has (root, "guest", "behind");
  metadata->host_keys = ramet_xml_text (ramet_xml_first (root, "host-keys"));
  metadata->recipe = ramet_recipe_read (ramet_xml_first (root, "recipe"));
  metadata->template = ramet_template_read (ramet_xml_first (root, "template"));
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

  /* whatever an edit left of it: fingerprints guard a base whose name is gone too */
  if (metadata->base_name == NULL && metadata->base_uuid == NULL && metadata->base_point == NULL &&
      metadata->fingerprints->len == 0)
    return;
  base = ramet_xml_add (root, "base", NULL);
  set_if (base, "name", metadata->base_name);
  set_if (base, "uuid", metadata->base_uuid);
  set_if (base, "snapshot", metadata->base_point);
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    ramet_fingerprint_add (g_ptr_array_index (metadata->fingerprints, i), base, "disk");
}

static void
add_shares (xmlNode *root, const char *element, const GPtrArray *shares)
{
  for (guint i = 0; i < shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (shares, i);
      xmlNode *node = ramet_xml_add (root, element, NULL);

      ramet_xml_set (node, "tag", share->tag);
      ramet_xml_set (node, "source", share->source);
      ramet_xml_set (node, "target", share->target);
    }
}

static void
add_lists (xmlNode *root, const RametMetadata *metadata)
{
  add_shares (root, "share", metadata->shares);
  add_shares (root, "former-share", metadata->former_shares);
  for (guint i = 0; i < metadata->volumes->len; i++)
    {
      const RametVolumeRef *volume = g_ptr_array_index (metadata->volumes, i);
      xmlNode *node = ramet_xml_add (root, "volume", NULL);

      ramet_xml_set (node, "pool", volume->pool);
      ramet_xml_set (node, "name", volume->name);
      ramet_xml_set (node, "path", volume->path);
      set_if (node, "spare", volume->spare ? "yes" : NULL);
    }
  for (guint i = 0; i < metadata->grants->len; i++)
    ramet_xml_add (root, "grant", g_ptr_array_index (metadata->grants, i));
  for (guint i = 0; i < metadata->points->len; i++)
    ramet_point_add (g_ptr_array_index (metadata->points, i), root);
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
  set_if (root, "current", metadata->current);
  set_if (root, "setup", metadata->setup);
  set_if (root, "guest", metadata->guest_is_behind ? "behind" : NULL);
  if (metadata->host_keys)
    ramet_xml_add (root, "host-keys", metadata->host_keys);
  if (metadata->recipe)
    ramet_recipe_add (metadata->recipe, root);
  if (metadata->template)
    ramet_template_add (metadata->template, root);
  add_base (root, metadata);
  add_lists (root, metadata);
  return ramet_xml_dump (doc);
}

static void
drop_ours (xmlNode *metadata)
{
  xmlNode *node = ramet_xml_first (metadata, "vm");

  while (node)
    {
      xmlNode *next = ramet_xml_next (node, "vm");

      if (node->ns && xmlStrEqual (node->ns->href, (const xmlChar *) RAMET_METADATA_URI))
        ramet_xml_drop (node);
      node = next;
    }
}

/**
 * ramet_metadata_embed:
 * @domain: the root of a domain's XML
 * @metadata_xml: from ramet_metadata_to_xml(); takes the place of what there is of ours
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
  drop_ours (metadata);
  ours = xmlDocCopyNode (xmlDocGetRootElement (doc), domain->doc, 1);
  xmlAddChild (metadata, ours);
  xmlSetNs (ours, xmlNewNs (ours, (const xmlChar *) RAMET_METADATA_URI, (const xmlChar *) RAMET_METADATA_PREFIX));
  return TRUE;
}
