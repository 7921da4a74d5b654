/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/commands.h"
#include "cli/entries.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/text.h"

static gboolean opt_dot;

const GOptionEntry ramet_options_tree[] = {
  { "dot", 0, 0, G_OPTION_ARG_NONE, &opt_dot, "Print it as a graph for Graphviz: 'ramet tree --dot | dot -Tsvg'", NULL },
  G_OPTION_ENTRY_NULL,
};

/* A base, template or VM; or, with @cost, a snapshot of it. */
typedef struct _Node Node;
struct _Node
{
  const RametEntry *entry;
  const RametPointCost *cost;
  Node *parent;
  GPtrArray *children; /* (element-type Node) (unowned) */
  guint64 bytes;       /* what it takes itself, without its snapshots */
  guint number;
};

static void
node_free (gpointer data)
{
  Node *node = data;

  g_ptr_array_unref (node->children);
  g_free (node);
}

static Node *
add_node (GPtrArray *nodes, const RametEntry *entry, const RametPointCost *cost)
{
  Node *node = g_new0 (Node, 1);

  node->entry = entry;
  node->cost = cost;
  node->children = g_ptr_array_new ();
  node->number = nodes->len;
  node->bytes = cost ? cost->disk_bytes + cost->memory_bytes : entry->own_bytes;
  g_ptr_array_add (nodes, node);
  return node;
}

static Node *
find_point (GPtrArray *nodes, const RametEntry *entry, const char *name)
{
  for (guint i = 0; i < nodes->len; i++)
    {
      Node *node = g_ptr_array_index (nodes, i);

      if (node->entry == entry && node->cost && g_strcmp0 (node->cost->point->name, name) == 0)
        return node;
    }
  return NULL;
}

static Node *
find_entry (GPtrArray *nodes, const char *uuid)
{
  for (guint i = 0; i < nodes->len && uuid; i++)
    {
      Node *node = g_ptr_array_index (nodes, i);

      if (node->cost == NULL && g_strcmp0 (node->entry->uuid, uuid) == 0)
        return node;
    }
  return NULL;
}

static gboolean
stands_on_file (const RametMetadata *metadata, const char *path)
{
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    if (g_strcmp0 (((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, i))->path, path) == 0)
      return TRUE;
  return FALSE;
}

/* (nullable): the template on whose disk it stands */
static Node *
find_template (GPtrArray *nodes, const RametMetadata *metadata)
{
  for (guint i = 0; i < nodes->len; i++)
    {
      Node *node = g_ptr_array_index (nodes, i);
      const RametMetadata *theirs = node->entry->vm->metadata;

      if (node->cost || ramet_vm_get_state (node->entry->vm) != RAMET_STATE_TEMPLATE || theirs == metadata)
        continue;
      for (guint j = 0; j < theirs->volumes->len; j++)
        if (stands_on_file (metadata, ((RametVolumeRef *) g_ptr_array_index (theirs->volumes, j))->path))
          return node;
    }
  return NULL;
}

/* What is deleted and only left because others stand on it is not shown: its own parent stands for it. */
static Node *
find_parent_of_point (GPtrArray *nodes, const Node *node)
{
  GPtrArray *points = node->entry->vm->metadata->points;
  const char *name = node->cost->point->parent;

  for (guint i = 0; i < points->len && name; i++)
    {
      const RametPoint *parent = ramet_points_find (points, name);
      Node *found = find_point (nodes, node->entry, name);

      if (found)
        return found;
      name = parent ? parent->parent : NULL;
    }
  return find_entry (nodes, node->entry->uuid);
}

static Node *
find_parent (GPtrArray *nodes, const Node *node)
{
  const RametMetadata *metadata = node->entry->vm->metadata;
  Node *parent;
  Node *point;

  if (node->cost)
    return find_parent_of_point (nodes, node);
  if (metadata == NULL)
    return NULL;
  parent = find_template (nodes, metadata);
  if (parent)
    return parent;
  parent = find_entry (nodes, metadata->base_uuid);
  point = parent && metadata->base_point ? find_point (nodes, parent->entry, metadata->base_point) : NULL;
  return point ? point : parent;
}

static gboolean
is_above (const Node *above, const Node *node)
{
  for (; node; node = node->parent)
    if (node == above)
      return TRUE;
  return FALSE;
}

/* (transfer full) (element-type Node): metadata that anybody may edit could name a circle: one of it has no parent then */
static GPtrArray *
nodes_of (GPtrArray *entries)
{
  GPtrArray *nodes = g_ptr_array_new_with_free_func (node_free);

  for (guint i = 0; i < entries->len; i++)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);
      Node *node = add_node (nodes, entry, NULL);

      for (guint j = 0; j < entry->points->len; j++)
        {
          const Node *point = add_node (nodes, entry, g_ptr_array_index (entry->points, j));

          node->bytes -= MIN (node->bytes, point->bytes);
        }
    }
  for (guint i = 0; i < nodes->len; i++)
    {
      Node *node = g_ptr_array_index (nodes, i);
      Node *parent = find_parent (nodes, node);

      if (parent == NULL || is_above (node, parent))
        continue;
      node->parent = parent;
      g_ptr_array_add (parent->children, node);
    }
  return nodes;
}

/* (transfer full): what it is, in words */
static char *
kind_of (const Node *node)
{
  const RametMetadata *metadata = node->entry->vm->metadata;

  if (node->cost == NULL)
    return ramet_entry_state_words (node->entry);
  return g_strdup_printf ("snapshot%s%s", node->cost->point->memory ? " with memory" : "",
                          g_strcmp0 (metadata->current, node->cost->point->name) == 0 ? ", current" : "");
}

static char *
label_of (const Node *node)
{
  return node->cost ? g_strconcat ("@", node->cost->point->name, NULL) : g_strdup (ramet_vm_get_name (node->entry->vm));
}

static const char *
created_of (const Node *node)
{
  const RametMetadata *metadata = node->entry->vm->metadata;

  return node->cost ? node->cost->point->created : metadata ? metadata->created : NULL;
}

/* ------------------------------------------------------------------ as lines */

/* Lines that lead to a node: of "│  ├─ ", the last part; where the locale has no such characters, of ASCII. */
typedef struct
{
  const char *through, *last, *past, *beyond;
} Lines;

static void
add_rows (RametTable *table, const Node *node, const Lines *lines, const char *lead, const char *lead_below)
{
  g_autofree char *label = label_of (node);
  g_autofree char *kind = kind_of (node);
  g_autofree char *name = g_strconcat (lead, label, NULL);
  g_autofree char *size = ramet_text_size (node->bytes);
  g_autofree char *age = ramet_created_age (created_of (node));

  ramet_table_add (table, name);
  ramet_table_add_coloured (table, kind, node->cost ? RAMET_COLOUR_DIM : ramet_entry_state_colour (node->entry));
  ramet_table_add (table, size);
  ramet_table_add (table, age);
  for (guint i = 0; i < node->children->len; i++)
    {
      gboolean last = i + 1 == node->children->len;
      g_autofree char *own = g_strconcat (lead_below, last ? lines->last : lines->through, NULL);
      g_autofree char *below = g_strconcat (lead_below, last ? lines->beyond : lines->past, NULL);

      add_rows (table, g_ptr_array_index (node->children, i), lines, own, below);
    }
}

static void
print_lines (GPtrArray *nodes)
{
  /* what each costs is what people look for */
  static const RametColumn columns[]
    = { { "NAME", 0, 0, FALSE }, { "STATE", 1, 7, FALSE }, { "DISK", 0, 0, TRUE }, { "AGE", 2, 0, TRUE } };
  static const Lines drawn = { "├─ ", "└─ ", "│  ", "   " };
  static const Lines ascii = { "|- ", "`- ", "|  ", "   " };
  g_autoptr (RametTable) table = ramet_table_new_columns (columns, G_N_ELEMENTS (columns));
  g_autofree char *all = NULL;
  guint64 sum = 0;

  for (guint i = 0; i < nodes->len; i++)
    {
      const Node *node = g_ptr_array_index (nodes, i);

      sum += node->bytes;
      if (node->parent == NULL)
        add_rows (table, node, g_get_charset (NULL) ? &drawn : &ascii, "", "");
    }
  all = ramet_text_size (sum);
  ramet_table_print (table);
  g_print ("%s in all\n", all);
}

/* ------------------------------------------------------------------ as a graph */

/* (transfer full): within double quotes Graphviz knows backslashes and, in labels, entities as of HTML */
static char *
quote (const char *text)
{
  g_autofree char *safe = ramet_text_escape (text, -1);
  GString *out = g_string_new (NULL);

  for (const char *p = safe; *p; p++)
    if (*p == '&')
      g_string_append (out, "&amp;");
    else if (*p == '"' || *p == '\\')
      g_string_append_printf (out, "\\%c", *p);
    else
      g_string_append_c (out, *p);
  return g_string_free (out, FALSE);
}

/* Shapes say what it is where there are no colours. */
static const char *
style_of (const Node *node)
{
  RametState state = ramet_vm_get_state (node->entry->vm);

  if (node->cost)
    return "shape=note, style=dashed";
  if (state == RAMET_STATE_TEMPLATE)
    return "shape=component, style=filled, fillcolor=\"#e8f0fe\"";
  if (state == RAMET_STATE_BASE || state == RAMET_STATE_FOREIGN)
    return "shape=cylinder, style=filled, fillcolor=\"#eeeeee\"";
  return node->entry->vm->run == RAMET_RUN_RUNNING ? "shape=box, style=\"rounded,filled\", fillcolor=\"#e6f4ea\""
                                                  : "shape=box, style=rounded";
}

static void
print_graph (GPtrArray *nodes)
{
  g_print ("digraph ramet {\n  rankdir=LR;\n  charset=\"UTF-8\";\n  node [fontname=\"sans-serif\"];\n");
  for (guint i = 0; i < nodes->len; i++)
    {
      const Node *node = g_ptr_array_index (nodes, i);
      g_autofree char *label = label_of (node);
      g_autofree char *name = quote (label);
      g_autofree char *kind = kind_of (node);
      g_autofree char *size = ramet_text_size (node->bytes);

      g_print ("  n%u [label=\"%s\\n%s\\n%s\", %s];\n", node->number, name, kind, size, style_of (node));
    }
  for (guint i = 0; i < nodes->len; i++)
    {
      const Node *node = g_ptr_array_index (nodes, i);

      if (node->parent)
        g_print ("  n%u -> n%u%s;\n", node->parent->number, node->number, node->cost ? " [style=dashed]" : "");
    }
  g_print ("}\n");
}

gboolean
ramet_cmd_tree (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) entries = NULL;
  g_autoptr (GPtrArray) nodes = NULL;

  if (opt_dot && invocation->json)
    {
      ramet_error_set (error, RAMET_ERROR_USAGE, "--dot and --json exclude each other");
      return FALSE;
    }
  entries = ramet_inventory_list (invocation->connection, TRUE, NULL, error);
  if (entries == NULL)
    return FALSE;
  for (guint i = entries->len; i-- > 0;)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);

      /* domains that have nothing to do with ramet are no part of the picture */
      if (entry->vm->metadata == NULL && !ramet_entry_is_parent (entry, entries))
        g_ptr_array_remove_index (entries, i);
    }
  nodes = nodes_of (entries);
  if (invocation->json)
    ramet_entries_print_json (entries, FALSE);
  else if (opt_dot)
    print_graph (nodes);
  else if (entries->len > 0)
    print_lines (nodes);
  else if (!invocation->quiet)
    g_printerr ("nothing here yet: 'ramet base build' makes a base\n");
  return TRUE;
}
