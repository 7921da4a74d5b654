/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/entries.h"

#include "cli/output.h"
#include "core/text.h"
#include "operations/base/versions.h"

/** ramet_entry_state_words: (transfer full): how it runs, and what else people should know first */
char *
ramet_entry_state_words (const RametEntry *entry)
{
  const RametVm *vm = entry->vm;
  RametState state = ramet_vm_get_state (vm);
  const char *run = ramet_run_name (vm->run);

  if (state == RAMET_STATE_READY || state == RAMET_STATE_FOREIGN)
    return g_strdup (run);
  if (ramet_vm_is_parent (vm) && vm->run == RAMET_RUN_OFF)
    return g_strdup (ramet_state_name (state));
  return g_strdup_printf ("%s (%s)", run, ramet_state_name (state));
}

/** ramet_entry_state_colour: for what ramet_entry_state_words() says */
RametColour
ramet_entry_state_colour (const RametEntry *entry)
{
  RametState state = ramet_vm_get_state (entry->vm);

  if (state == RAMET_STATE_CREATING || state == RAMET_STATE_BOOTSTRAPPING || state == RAMET_STATE_REMOVING)
    return RAMET_COLOUR_YELLOW;
  switch (entry->vm->run)
    {
    case RAMET_RUN_RUNNING:
      return RAMET_COLOUR_GREEN;
    case RAMET_RUN_CRASHED:
      return RAMET_COLOUR_RED;
    case RAMET_RUN_PAUSED:
    case RAMET_RUN_STOPPING:
      return RAMET_COLOUR_YELLOW;
    case RAMET_RUN_SAVED:
      return RAMET_COLOUR_CYAN;
    case RAMET_RUN_OFF:
    default:
      return ramet_vm_is_parent (entry->vm) ? RAMET_COLOUR_CYAN : RAMET_COLOUR_DIM;
    }
}

/** ramet_entry_base: (transfer none) (nullable) */
const char *
ramet_entry_base (const RametEntry *entry)
{
  return entry->vm->metadata ? entry->vm->metadata->base_name : NULL;
}

/** ramet_created_age: (transfer full) (nullable): @created: (nullable): ISO 8601; what is yet to come is no age */
char *
ramet_created_age (const char *created)
{
  g_autoptr (GTimeZone) utc = g_time_zone_new_utc ();
  g_autoptr (GDateTime) at = created ? g_date_time_new_from_iso8601 (created, utc) : NULL;

  return at ? ramet_text_age (g_get_real_time () / G_USEC_PER_SEC - g_date_time_to_unix (at)) : NULL;
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

/** ramet_entry_snapshots: (transfer full) (element-type utf8): the names of those that it can be brought back to */
GPtrArray *
ramet_entry_snapshots (const RametEntry *entry)
{
  GPtrArray *names = g_ptr_array_new_with_free_func (g_free);

  for (guint i = 0; i < entry->points->len; i++)
    g_ptr_array_add (names, g_strdup (((RametPointCost *) g_ptr_array_index (entry->points, i))->point->name));
  return names;
}

/** ramet_entry_is_newest: whether no other of the bases in @entries is a newer version of the same */
gboolean
ramet_entry_is_newest (const RametEntry *entry, GPtrArray *entries)
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

/** ramet_entry_is_parent: whether any of @entries was cloned from it */
gboolean
ramet_entry_is_parent (const RametEntry *entry, GPtrArray *entries)
{
  for (guint i = 0; i < entries->len; i++)
    {
      const RametMetadata *metadata = ((RametEntry *) g_ptr_array_index (entries, i))->vm->metadata;

      if (metadata && g_strcmp0 (metadata->base_uuid, entry->uuid) == 0)
        return TRUE;
    }
  return FALSE;
}

static void
add_entry (JsonBuilder *builder, const RametEntry *entry)
{
  const RametMetadata *metadata = entry->vm->metadata;
  const char *name = ramet_vm_get_name (entry->vm);
  g_autofree char *host = ramet_vm_host_name (name);
  g_autoptr (GPtrArray) snapshots = ramet_entry_snapshots (entry);

  ramet_json_add_string (builder, "name", name);
  ramet_json_add_string (builder, "uuid", entry->uuid);
  ramet_json_add_string (builder, "state", ramet_state_name (ramet_vm_get_state (entry->vm)));
  ramet_json_add_string (builder, "run", ramet_run_name (entry->vm->run));
  ramet_json_add_string (builder, "host", ramet_vm_get_state (entry->vm) == RAMET_STATE_READY ? host : NULL);
  ramet_json_add_string (builder, "address", entry->address);
  ramet_json_add_string (builder, "base", ramet_entry_base (entry));
  ramet_json_add_string (builder, "base_snapshot", metadata ? metadata->base_point : NULL);
  ramet_json_add_string (builder, "project", metadata ? metadata->project : NULL);
  ramet_json_add_string (builder, "user", metadata ? metadata->user : NULL);
  ramet_json_add_string (builder, "created", metadata ? metadata->created : NULL);
  ramet_json_add_int (builder, "cpus", entry->vcpus);
  ramet_json_add_int (builder, "memory_bytes", (gint64) entry->memory_kib * 1024);
  ramet_json_add_int (builder, "disk_bytes", (gint64) entry->own_bytes);
  ramet_json_add_int (builder, "shared_bytes", (gint64) entry->shared_bytes);
  ramet_json_add_bool (builder, "autostart", entry->autostart);
  ramet_json_add_strings (builder, "macs", entry->macs);
  ramet_json_add_strings (builder, "snapshots", snapshots);
  add_shares (builder, metadata);
}

/** ramet_entries_print_json: @bases: all of @entries are bases */
void
ramet_entries_print_json (GPtrArray *entries, gboolean bases)
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
          ramet_json_add_bool (builder, "newest", ramet_entry_is_newest (entry, entries));
        }
      json_builder_end_object (builder);
    }
  json_builder_end_array (builder);
  ramet_print_json (builder);
}

