/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/point.h"

/** ramet_point_new: without layers and nothing else known */
RametPoint *
ramet_point_new (const char *name)
{
  RametPoint *point = g_new0 (RametPoint, 1);

  point->name = g_strdup (name);
  point->layers = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_fingerprint_free);
  return point;
}

void
ramet_point_free (RametPoint *point)
{
  g_free (point->name);
  g_free (point->created);
  g_free (point->parent);
  g_clear_pointer (&point->memory, ramet_fingerprint_free);
  g_free (point->nvram);
  g_free (point->run);
  g_ptr_array_unref (point->layers);
  g_free (point);
}

/** ramet_point_read: (transfer full) (nullable): from the metadata's element @node; %NULL if it has no name */
RametPoint *
ramet_point_read (xmlNode *node)
{
  g_autofree char *name = ramet_xml_get (node, "name");
  RametPoint *point;

  if (name == NULL)
    return NULL;
  point = ramet_point_new (name);
  point->created = ramet_xml_get (node, "created");
  point->parent = ramet_xml_get (node, "parent");
  point->memory = ramet_fingerprint_read (ramet_xml_first (node, "memory"));
  point->nvram = ramet_xml_get (node, "nvram");
  point->run = ramet_xml_get (node, "run");
  point->making = ramet_xml_has (node, "making", "yes");
  point->dropped = ramet_xml_has (node, "dropped", "yes");
  for (xmlNode *layer = ramet_xml_first (node, "layer"); layer; layer = ramet_xml_next (layer, "layer"))
    {
      RametFingerprint *print = ramet_fingerprint_read (layer);

      if (print)
        g_ptr_array_add (point->layers, print);
    }
  return point;
}

static void
set_if (xmlNode *node, const char *attribute, const char *value)
{
  if (value)
    ramet_xml_set (node, attribute, value);
}

/** ramet_point_add: writes it as the last child of @parent, our element in a domain's metadata */
void
ramet_point_add (const RametPoint *point, xmlNode *parent)
{
  xmlNode *node = ramet_xml_add (parent, "point", NULL);

  ramet_xml_set (node, "name", point->name);
  set_if (node, "created", point->created);
  set_if (node, "parent", point->parent);
  set_if (node, "nvram", point->nvram);
  set_if (node, "run", point->run);
  set_if (node, "making", point->making ? "yes" : NULL);
  set_if (node, "dropped", point->dropped ? "yes" : NULL);
  if (point->memory)
    ramet_fingerprint_add (point->memory, node, "memory");
  for (guint i = 0; i < point->layers->len; i++)
    ramet_fingerprint_add (g_ptr_array_index (point->layers, i), node, "layer");
}

/** ramet_point_find_layer: (transfer none) (nullable): of the disk @target */
RametFingerprint *
ramet_point_find_layer (const RametPoint *point, const char *target)
{
  for (guint i = 0; i < point->layers->len; i++)
    {
      RametFingerprint *layer = g_ptr_array_index (point->layers, i);

      if (g_strcmp0 (layer->target, target) == 0)
        return layer;
    }
  return NULL;
}

/** ramet_points_find: (transfer none) (nullable): dropped ones too */
RametPoint *
ramet_points_find (GPtrArray *points, const char *name)
{
  for (guint i = 0; name && i < points->len; i++)
    {
      RametPoint *point = g_ptr_array_index (points, i);

      if (g_str_equal (point->name, name))
        return point;
    }
  return NULL;
}

/**
 * ramet_points_below:
 * @current: (nullable): the point that is stood on
 * @target: a disk
 *
 * Returns: (transfer container) (element-type RametFingerprint): the frozen layers that a disk stands on, nearest first; what
 * is under the last of them is the base's
 */
GPtrArray *
ramet_points_below (GPtrArray *points, const char *current, const char *target)
{
  GPtrArray *layers = g_ptr_array_new ();
  const RametPoint *point = ramet_points_find (points, current);

  /* parents that an edit made go round in a circle come to an end, too */
  for (guint i = 0; point && i < points->len; i++)
    {
      RametFingerprint *layer = ramet_point_find_layer (point, target);

      if (layer)
        g_ptr_array_add (layers, layer);
      point = ramet_points_find (points, point->parent);
    }
  return layers;
}

static gboolean
is_held (const RametPoint *point, GHashTable *held)
{
  for (guint i = 0; i < point->layers->len; i++)
    if (g_hash_table_contains (held, ((RametFingerprint *) g_ptr_array_index (point->layers, i))->path))
      return TRUE;
  return FALSE;
}

/* How many stand on @point; @ret_child is the last of them that is a point. */
static guint
count_children (GPtrArray *points, const char *current, const RametPoint *point, RametPoint **ret_child)
{
  guint n = g_strcmp0 (current, point->name) == 0;

  for (guint i = 0; i < points->len; i++)
    {
      RametPoint *other = g_ptr_array_index (points, i);

      if (other != point && g_strcmp0 (other->parent, point->name) == 0)
        {
          *ret_child = other;
          n++;
        }
    }
  return n;
}

/**
 * ramet_points_next_step:
 * @points: (element-type RametPoint)
 * @current: (nullable): the point that the VM's own layers stand on
 * @held: a set of paths that other VMs stand on
 *
 * Counts who stands on the layers of dropped points. A point that is whole needs its layers, and so does each that two or
 * more stand on, and each that a clone does.
 */
RametPointStep
ramet_points_next_step (GPtrArray *points, const char *current, GHashTable *held)
{
  for (guint i = 0; i < points->len; i++)
    {
      RametPoint *point = g_ptr_array_index (points, i);
      RametPoint *child = NULL;
      guint n;

      if (!point->dropped || is_held (point, held))
        continue;
      n = count_children (points, current, point, &child);
      if (n < 2)
        return (RametPointStep){ n == 0 ? RAMET_POINT_STEP_DELETE : RAMET_POINT_STEP_MERGE, point, child };
    }
  return (RametPointStep){ RAMET_POINT_STEP_NONE, NULL, NULL };
}

/** ramet_points_done: @step was taken: what stood on its point stands on that one's parent, and the point is freed */
void
ramet_points_done (GPtrArray *points, char **current, const RametPointStep *step)
{
  RametPoint *point = step->point;

  for (guint i = 0; i < points->len; i++)
    {
      RametPoint *other = g_ptr_array_index (points, i);

      if (other != point && g_strcmp0 (other->parent, point->name) == 0)
        {
          g_free (other->parent);
          other->parent = g_strdup (point->parent);
        }
    }
  if (g_strcmp0 (*current, point->name) == 0)
    {
      g_free (*current);
      *current = g_strdup (point->parent);
    }
  g_ptr_array_remove (points, point);
}
