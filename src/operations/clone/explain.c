/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/clone/explain.h"

#include "core/text.h"
#include "host/text-diff.h"

/* (transfer none) (nullable): where the UEFI variables are copied to */
static const char *
nvram_path (const RametClonePlan *plan)
{
  for (guint i = 0; plan->nvram_source && i < plan->metadata->volumes->len; i++)
    {
      const char *path = ((RametVolumeRef *) g_ptr_array_index (plan->metadata->volumes, i))->path;

      if (g_str_has_suffix (path, "_VARS.fd"))
        return path;
    }
  return NULL;
}

static void
append_files (GString *text, const RametClonePlan *plan)
{
  for (guint i = 0; i < plan->volumes->len; i++)
    {
      const RametPlannedVolume *volume = g_ptr_array_index (plan->volumes, i);
      g_autofree char *size = ramet_text_size (volume->capacity);

      g_string_append_printf (text, "create %s (%s) on %s (%s)\n", volume->path, size, volume->backing,
                              volume->backing_format);
    }
  if (plan->nvram_source)
    g_string_append_printf (text, "copy the UEFI variables %s to %s\n", plan->nvram_source, nvram_path (plan));
  if (plan->state_path)
    g_string_append_printf (text, "create %s, its saved state, until it runs\n", plan->state_path);
}

static void
append_grants (GString *text, const RametClonePlan *plan)
{
  for (guint i = 0; i < plan->grants->len; i++)
    {
      const RametPlannedGrant *grant = g_ptr_array_index (plan->grants, i);

      if (grant->is_closed)
        g_string_append_printf (text, "let QEMU's user reach %s\n", grant->path);
    }
  for (guint i = 0; i < plan->identity->shares->len; i++)
    {
      const RametShare *share = g_ptr_array_index (plan->identity->shares, i);

      g_string_append_printf (text, "share %s, read-only, at %s\n", share->source, share->target);
    }
}

static void
append_way (GString *text, const RametClonePlan *plan)
{
  if (plan->options->no_bootstrap)
    g_string_append (text, "leave it off, its root console open\n");
  else if (plan->memory_of)
    g_string_append_printf (text, "let it go on from the memory of '%s', unplugged, and give it an identity of its own and "
                                  "user '%s' through its agent\n", plan->memory_of, plan->user);
  else if (plan->point)
    g_string_append_printf (text, "boot it unplugged, give it an identity of its own and user '%s' through its agent\n",
                            plan->user);
  else
    g_string_append_printf (text, "boot it, set it up for user '%s', seal its root console\n", plan->user);
}

/** ramet_clone_explain_steps: (transfer full) (element-type utf8): what would be done in the guest, in order */
GPtrArray *
ramet_clone_explain_steps (RametClonePlan *plan, GError **error)
{
  if (plan->options->no_bootstrap)
    return g_ptr_array_new_with_free_func (g_free);
  if (plan->memory_of)
    return ramet_steps_list_titles_of_memory (plan->steps, plan->point == NULL && plan->identity->shares->len > 0, error);
  return ramet_steps_list_titles (plan->steps, plan->options->extras, plan->point == NULL, error);
}

/** ramet_clone_explain: (transfer full): what ramet_clone_execute() would do, a line each */
char *
ramet_clone_explain (RametClonePlan *plan, GError **error)
{
  g_autoptr (GPtrArray) steps = ramet_clone_explain_steps (plan, error);
  g_autoptr (GString) text = g_string_new (NULL);
  const char *name = plan->options->name;

  if (steps == NULL)
    return NULL;
  g_string_append_printf (text, "define '%s' from '%s', uuid %s\n", name, plan->metadata->base_name, plan->identity->uuid);
  for (guint i = 0; i < plan->identity->macs->len; i++)
    g_string_append_printf (text, "  MAC %s\n", (const char *) g_ptr_array_index (plan->identity->macs, i));
  append_files (text, plan);
  append_grants (text, plan);
  append_way (text, plan);
  for (guint i = 0; i < steps->len; i++)
    g_string_append_printf (text, "  %2u. %s\n", i + 1, (const char *) g_ptr_array_index (steps, i));
  if (!plan->options->no_bootstrap && !plan->options->no_wait)
    g_string_append_printf (text, "wait until %s.local answers ssh\n", name);
  return g_string_free (g_steal_pointer (&text), FALSE);
}

/* (transfer full): the definition that the clone's is made of; a template's own is of no interest */
static char *
base_definition (RametClonePlan *plan, GError **error)
{
  g_autoptr (RametDomain) base = NULL;

  if (plan->template == NULL)
    return g_strdup (plan->base_xml);
  base = ramet_domain_lookup (plan->connection, plan->metadata->base_name, error);
  return base ? ramet_domain_get_definition (base, error) : NULL;
}

/* (transfer full): as ramet writes XML: quotes and blanks make no difference */
static char *
respell (const char *xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (xml, "domain", error);

  return doc ? ramet_xml_dump (doc) : NULL;
}

/** ramet_clone_explain_diff: (transfer full): a unified diff of the base's definition to the clone's */
char *
ramet_clone_explain_diff (RametClonePlan *plan, GError **error)
{
  g_autofree char *base = base_definition (plan, error);
  g_autofree char *xml = base ? ramet_clone_plan_xml (plan, error) : NULL;
  g_autofree char *from = xml ? respell (base, error) : NULL;
  g_autofree char *to = from ? respell (xml, error) : NULL;

  return to ? ramet_text_diff (plan->metadata->base_name, from, plan->options->name, to, error) : NULL;
}
