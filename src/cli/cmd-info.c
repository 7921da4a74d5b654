/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/commands.h"
#include "cli/entries.h"
#include "cli/names.h"
#include "cli/output.h"
#include "core/error.h"
#include "core/text.h"

static void
print_pair (const char *name, const char *value)
{
  g_autofree char *safe = value ? ramet_text_escape (value, -1) : NULL;

  if (safe)
    g_print ("%-10s %s\n", name, safe);
}

static void
print_base (const RametMetadata *metadata)
{
  g_autofree char *point = metadata->base_name && metadata->base_point
                             ? g_strdup_printf ("%s@%s", metadata->base_name, metadata->base_point)
                             : NULL;

  print_pair ("base", point ? point : metadata->base_name);
}

static void
print_info (const RametEntry *entry)
{
  const RametMetadata *metadata = entry->vm->metadata;
  g_autofree char *host = ramet_vm_host_name (ramet_vm_get_name (entry->vm));
  g_autofree char *cpus = g_strdup_printf ("%u", entry->vcpus);
  g_autofree char *memory = ramet_text_size (entry->memory_kib * 1024);
  g_autofree char *disk = ramet_text_size (entry->own_bytes);
  g_autofree char *shared = ramet_text_size (entry->shared_bytes);
  g_autoptr (GPtrArray) snapshots = ramet_entry_snapshots (entry);
  g_autofree char *all = NULL;

  g_ptr_array_add (snapshots, NULL);
  all = g_strjoinv (" ", (char **) snapshots->pdata);
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
  print_base (metadata);
  print_pair ("project", metadata->project);
  print_pair ("user", metadata->user);
  print_pair ("created", metadata->created);
  print_pair ("disk", disk);
  print_pair ("shared", entry->shared_bytes ? shared : NULL);
  for (guint i = 0; i < metadata->volumes->len; i++)
    print_pair ("file", ((RametVolumeRef *) g_ptr_array_index (metadata->volumes, i))->path);
  for (guint i = 0; i < metadata->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (metadata->shares, i);
      g_autofree char *text = g_strdup_printf ("%s at %s", share->source, share->target);

      print_pair ("share", text);
    }
  print_pair ("snapshots", *all ? all : NULL);
  for (guint i = 0; i < metadata->grants->len; i++)
    print_pair ("grant", g_ptr_array_index (metadata->grants, i));
}

/* The findings beside what was shown of the others. */
static gboolean
tell_missing (GPtrArray *findings, guint n_found, GError **error)
{
  if (findings->len == 0 || n_found == 0)
    return ramet_findings_raise (findings, error);
  for (guint i = 0; i < findings->len; i++)
    ramet_print_error (g_ptr_array_index (findings, i));
  ramet_error_set (error, RAMET_ERROR_PARTLY, "shown %u of %u VMs", n_found, n_found + findings->len);
  return FALSE;
}

gboolean
ramet_cmd_info (RametInvocation *invocation, char **args, GError **error)
{
  g_autoptr (GPtrArray) names = ramet_expand_names (invocation, args, RAMET_NAMES_AS_WRITTEN, error);
  g_autoptr (GPtrArray) entries = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_entry_free);
  g_autoptr (GPtrArray) findings = ramet_findings_new ();

  for (guint i = 0; names && i < names->len; i++)
    {
      GError *why = NULL;
      RametEntry *entry = ramet_inventory_get (invocation->connection, g_ptr_array_index (names, i), &why);

      ramet_names_add_project_hint (g_ptr_array_index (names, i), &why);
      if (entry)
        g_ptr_array_add (entries, entry);
      ramet_findings_take (findings, why);
    }
  if (invocation->json && entries->len > 0)
    ramet_entries_print_json (entries, FALSE);
  for (guint i = 0; i < entries->len && !invocation->json; i++)
    {
      if (i > 0)
        g_print ("\n");
      print_info (g_ptr_array_index (entries, i));
    }
  return names && tell_missing (findings, entries->len, error);
}

