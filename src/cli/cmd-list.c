/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/text.h"
#include "operations/inventory.h"
#include "operations/lifecycle.h"
#include "operations/versions.h"

static gboolean opt_all;
static char *opt_project;

const GOptionEntry ramet_options_list[] = {
  { "all", 'a', 0, G_OPTION_ARG_NONE, &opt_all, "Bases, and VMs that ramet did not make, too", NULL },
  { "project", 0, 0, G_OPTION_ARG_STRING, &opt_project, "Only those of a project", "NAME" },
  G_OPTION_ENTRY_NULL,
};

/** state_words: (transfer full): how it runs, and what else people should know first */
static char *
state_words (const RametVm *vm)
{
  RametState state = ramet_vm_get_state (vm);
  const char *run = ramet_run_name (vm->run);

  if (state == RAMET_STATE_READY || state == RAMET_STATE_FOREIGN)
    return g_strdup (run);
  if (state == RAMET_STATE_BASE && vm->run == RAMET_RUN_OFF)
    return g_strdup ("base");
  return g_strdup_printf ("%s (%s)", run, ramet_state_name (state));
}

static const char *
base_of (const RametVm *vm)
{
  return vm->metadata ? vm->metadata->base_name : NULL;
}

static void
add_shares (JsonBuilder *builder, const RametMetadata *metadata)
{
  json_builder_set_member_name (builder, "shares");
  json_builder_begin_array (builder);
  for (guint i = 0; metadata && i < metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (metadata->shares, i);

      json_builder_begin_object (builder);
      ramet_json_add_string (builder, "source", share->source);
      ramet_json_add_string (builder, "target", share->target);
      ramet_json_add_string (builder, "tag", share->tag);
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
}

static void
add_strings (JsonBuilder *builder, const char *name, GPtrArray *strings)
{
  json_builder_set_member_name (builder, name);
  json_builder_begin_array (builder);
  for (guint i = 0; i < strings->len; i++)
    json_builder_add_string_value (builder, g_ptr_array_index (strings, i));
  json_builder_end_array (builder);
}

/* Whether no other of the bases in @entries is a newer version of the same. */
static gboolean
is_newest (const RametEntry *entry, GPtrArray *entries)
{
  const char *version_of = ramet_version_of (entry->vm);

  for (guint i = 0; version_of && i < entries->len; i++)
    {
      const RametEntry *other = g_ptr_array_index (entries, i);

      if (g_strcmp0 (ramet_version_of (other->vm), version_of) == 0 &&
          g_strcmp0 (other->vm->metadata->created, entry->vm->metadata->created) > 0)
        return FALSE;
    }
  return version_of != NULL;
}

static void
add_entry (JsonBuilder *builder, const RametEntry *entry)
{
  const RametMetadata *metadata = entry->vm->metadata;
  const char *name = ramet_vm_get_name (entry->vm);
  g_autofree char *host = ramet_vm_host_name (name);

  ramet_json_add_string (builder, "name", name);
  ramet_json_add_string (builder, "uuid", entry->uuid);
  ramet_json_add_string (builder, "state", ramet_state_name (ramet_vm_get_state (entry->vm)));
  ramet_json_add_string (builder, "run", ramet_run_name (entry->vm->run));
  ramet_json_add_string (builder, "host", ramet_vm_get_state (entry->vm) == RAMET_STATE_READY ? host : NULL);
  ramet_json_add_string (builder, "address", entry->address);
  ramet_json_add_string (builder, "base", base_of (entry->vm));
  ramet_json_add_string (builder, "project", metadata ? metadata->project : NULL);
  ramet_json_add_string (builder, "user", metadata ? metadata->user : NULL);
  ramet_json_add_string (builder, "created", metadata ? metadata->created : NULL);
  ramet_json_add_int (builder, "cpus", entry->vcpus);
  ramet_json_add_int (builder, "memory_bytes", (gint64) entry->memory_kib * 1024);
  ramet_json_add_int (builder, "disk_bytes", (gint64) entry->own_bytes);
  ramet_json_add_bool (builder, "autostart", entry->autostart);
  add_strings (builder, "macs", entry->macs);
  add_shares (builder, metadata);
}

/* @bases: all of @entries are bases */
static void
print_entries_as_json (GPtrArray *entries, gboolean bases)
{
  g_autoptr (JsonBuilder) builder = json_builder_new ();

  json_builder_begin_array (builder);
  for (guint i = 0; i < entries->len; i++)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);

      json_builder_begin_object (builder);
      add_entry (builder, entry);
      if (bases)
        {
          ramet_json_add_string (builder, "version_of", ramet_version_of (entry->vm));
          ramet_json_add_bool (builder, "newest", is_newest (entry, entries));
        }
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  ramet_print_json (builder);
}

static void
print_entries (GPtrArray *entries)
{
  static const char *const headings[]
    = { "NAME", "STATE", "ADDRESS", "CPUS", "MEMORY", "DISK", "BASE", "PROJECT", NULL };
  g_autoptr (RametTable) table = ramet_table_new (headings);

  for (guint i = 0; i < entries->len; i++)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);
      g_autofree char *cpus = g_strdup_printf ("%u", entry->vcpus);
      g_autofree char *memory = ramet_text_size (entry->memory_kib * 1024);
      g_autofree char *disk = ramet_text_size (entry->own_bytes);
      g_autofree char *state = state_words (entry->vm);

      ramet_table_add (table, ramet_vm_get_name (entry->vm));
      ramet_table_add (table, state);
      ramet_table_add (table, entry->address);
      ramet_table_add (table, cpus);
      ramet_table_add (table, memory);
      ramet_table_add (table, entry->vm->metadata ? disk : NULL);
      ramet_table_add (table, base_of (entry->vm));
      ramet_table_add (table, entry->vm->metadata ? entry->vm->metadata->project : NULL);
    }
  ramet_table_print (table);
}

gboolean
ramet_cmd_list (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) entries = ramet_inventory_list (invocation->connection, opt_all, opt_project, error);

  if (entries == NULL)
    return FALSE;
  if (invocation->json)
    print_entries_as_json (entries, FALSE);
  else if (entries->len > 0)
    print_entries (entries);
  else if (!invocation->quiet)
    g_printerr ("no VMs yet: 'ramet clone BASE NAME' makes one\n");
  return TRUE;
}

static void
print_pair (const char *name, const char *value)
{
  g_autofree char *safe = value ? ramet_text_escape (value, -1) : NULL;

  if (safe)
    g_print ("%-10s %s\n", name, safe);
}

static void
print_info (const RametEntry *entry)
{
  const RametMetadata *metadata = entry->vm->metadata;
  g_autofree char *host = ramet_vm_host_name (ramet_vm_get_name (entry->vm));
  g_autofree char *cpus = g_strdup_printf ("%u", entry->vcpus);
  g_autofree char *memory = ramet_text_size (entry->memory_kib * 1024);
  g_autofree char *disk = ramet_text_size (entry->own_bytes);

  print_pair ("name", ramet_vm_get_name (entry->vm));
  print_pair ("state", ramet_state_name (ramet_vm_get_state (entry->vm)));
  print_pair ("runs", ramet_run_name (entry->vm->run));
  print_pair ("host", ramet_vm_get_state (entry->vm) == RAMET_STATE_READY ? host : NULL);
  print_pair ("address", entry->address);
  print_pair ("uuid", entry->uuid);
  for (guint i = 0; i < entry->macs->len; i++)
    print_pair ("mac", g_ptr_array_index (entry->macs, i));
  print_pair ("cpus", cpus);
  print_pair ("memory", memory);
  print_pair ("autostart", entry->autostart ? "yes" : "no");
  if (metadata == NULL)
    return;
  print_pair ("base", metadata->base_name);
  print_pair ("project", metadata->project);
  print_pair ("user", metadata->user);
  print_pair ("created", metadata->created);
  print_pair ("disk", disk);
  for (guint i = 0; i < metadata->volumes->len; i++)
    print_pair ("file", ((RametVolumeRef *) g_ptr_array_index (metadata->volumes, i))->path);
  for (guint i = 0; i < metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (metadata->shares, i);
      g_autofree char *text = g_strdup_printf ("%s at %s", share->source, share->target);

      print_pair ("share", text);
    }
  for (guint i = 0; i < metadata->grants->len; i++)
    print_pair ("grant", g_ptr_array_index (metadata->grants, i));
}

gboolean
ramet_cmd_info (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_entry_free);

  for (; *args; args++)
    {
      RametEntry *entry = ramet_inventory_get (invocation->connection, *args, error);

      if (entry == NULL)
        return FALSE;
      g_ptr_array_add (entries, entry);
    }
  if (invocation->json)
    print_entries_as_json (entries, FALSE);
  for (guint i = 0; i < entries->len && !invocation->json; i++)
    {
      if (i > 0)
        g_print ("\n");
      print_info (g_ptr_array_index (entries, i));
    }
  return TRUE;
}

static gboolean
stands_on (const RametEntry *entry, const char *uuid)
{
  return entry->vm->metadata && g_strcmp0 (entry->vm->metadata->base_uuid, uuid) == 0;
}

static gboolean
has_parent_in (const RametEntry *entry, GPtrArray *entries)
{
  for (guint i = 0; i < entries->len; i++)
    if (stands_on (entry, ((RametEntry *) g_ptr_array_index (entries, i))->uuid))
      return TRUE;
  return FALSE;
}

/* @depth is bounded: metadata that anybody may edit could name a circle. */
static void
print_branch (const RametEntry *entry, GPtrArray *entries, guint depth)
{
  g_autofree char *disk = ramet_text_size (entry->own_bytes);
  g_autofree char *name = ramet_text_escape (ramet_vm_get_name (entry->vm), -1);
  g_autofree char *state = state_words (entry->vm);

  g_print ("%*s%s  %s  %s\n", (int) depth * 2, "", name, state,
           entry->vm->metadata ? disk : "-");
  for (guint i = 0; i < entries->len && depth < 16; i++)
    if (stands_on (g_ptr_array_index (entries, i), entry->uuid))
      print_branch (g_ptr_array_index (entries, i), entries, depth + 1);
}

static gboolean
is_parent (const RametEntry *entry, GPtrArray *entries)
{
  for (guint i = 0; i < entries->len; i++)
    if (stands_on (g_ptr_array_index (entries, i), entry->uuid))
      return TRUE;
  return FALSE;
}

gboolean
ramet_cmd_tree (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) entries = ramet_inventory_list (invocation->connection, TRUE, NULL, error);

  if (entries == NULL)
    return FALSE;
  for (guint i = entries->len; i-- > 0;)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);

      /* domains that have nothing to do with ramet are no part of the picture */
      if (entry->vm->metadata == NULL && !is_parent (entry, entries))
        g_ptr_array_remove_index (entries, i);
    }
  if (invocation->json)
    {
      print_entries_as_json (entries, FALSE);
      return TRUE;
    }
  for (guint i = 0; i < entries->len; i++)
    if (!has_parent_in (g_ptr_array_index (entries, i), entries))
      print_branch (g_ptr_array_index (entries, i), entries, 0);
  if (entries->len == 0 && !invocation->quiet)
    g_printerr ("nothing here yet: 'ramet base build' makes a base\n");
  return TRUE;
}

/* (transfer none) (nullable): what a base is among its versions, if there may be several */
static const char *
version_word (const RametEntry *entry, GPtrArray *entries)
{
  if (ramet_version_of (entry->vm) == NULL)
    return NULL;
  return is_newest (entry, entries) ? "newest" : "older";
}

gboolean
ramet_cmd_base_list (RametInvocation *invocation, char **args, GError **error)
{
  static const char *const headings[] = { "BASE", "VERSION", "MADE BY", "DISK", "CREATED", "CLONES", NULL };
  g_autoptr (GPtrArray) entries = ramet_inventory_list (invocation->connection, TRUE, NULL, error);
  g_autoptr (RametTable) table = ramet_table_new (headings);

  if (entries == NULL)
    return FALSE;
  for (guint i = entries->len; i-- > 0;)
    {
      const RametEntry *entry = g_ptr_array_index (entries, i);

      if (ramet_vm_get_state (entry->vm) != RAMET_STATE_BASE && !is_parent (entry, entries))
        g_ptr_array_remove_index (entries, i);
    }
  if (invocation->json)
    {
      print_entries_as_json (entries, TRUE);
      return TRUE;
    }
  for (guint i = 0; i < entries->len; i++)
    {
      RametEntry *entry = g_ptr_array_index (entries, i);
      g_autoptr (GPtrArray) clones = ramet_lifecycle_clones_of (entry->vm, error);
      g_autofree char *disk = ramet_text_size (entry->own_bytes);
      g_autofree char *names = NULL;

      if (clones == NULL)
        return FALSE;
      g_ptr_array_add (clones, NULL);
      names = g_strjoinv (" ", (char **) clones->pdata);
      ramet_table_add (table, ramet_vm_get_name (entry->vm));
      ramet_table_add (table, version_word (entry, entries));
      ramet_table_add (table, entry->vm->metadata ? "ramet" : "others");
      ramet_table_add (table, entry->vm->metadata ? disk : NULL);
      ramet_table_add (table, entry->vm->metadata ? entry->vm->metadata->created : NULL);
      ramet_table_add (table, names);
    }
  if (entries->len > 0)
    ramet_table_print (table);
  else if (!invocation->quiet)
    g_printerr ("no bases yet: 'ramet base build' makes one\n");
  return TRUE;
}
