/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/base/update.h"

#include "model/domain.h"
#include "model/names.h"
#include "operations/base/versions.h"

#define MOST_A_DAY 99

/* What is built: the options are those of the newest version, as far as nobody has changed it since. */
typedef struct
{
  RametVm *newest;
  RametDomainFacts *facts;
  char *network;
  char *name;
} Update;

static void
update_clear (Update *update)
{
  g_clear_pointer (&update->newest, ramet_vm_free);
  g_clear_pointer (&update->facts, ramet_domain_facts_free);
  g_free (update->network);
  g_free (update->name);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Update, update_clear)

static gboolean
check_ours (const RametVm *vm, GError **error)
{
  const char *name = ramet_vm_get_name (vm);

  if (ramet_vm_get_state (vm) == RAMET_STATE_BASE)
    return TRUE;
  if (ramet_vm_is_clone (vm))
    {
      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot update '%s': it is a VM and no base", name);
      ramet_error_hint (error, "'ramet base list' shows the bases");
      return FALSE;
    }
  ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot update '%s': ramet did not build it", name);
  ramet_error_hint (error, "update a copy of it, as 'virt-clone --original %s --auto-clone' makes one, and clone from that: "
                           "writing to '%s' itself would break the clones made from it", name, name);
  return FALSE;
}

/* (transfer full): the newest of all versions that @name, a version's or that of all, belongs to */
static RametVm *
open_newest (RametConnection *connection, const char *name, GError **error)
{
  g_autoptr (RametVm) named = ramet_versions_open_newest (connection, name, error);
  const char *version_of = named ? ramet_version_of (named) : NULL;

  if (named == NULL)
    return NULL;
  if (!check_ours (named, error))
    return NULL;
  return ramet_versions_open_newest (connection, version_of, error);
}

static char *
read_network (const char *domain_xml, GError **error)
{
  g_autoptr (xmlDoc) doc = ramet_xml_parse (domain_xml, "domain", error);

  return doc ? ramet_xml_get (ramet_xml_at (xmlDocGetRootElement (doc), "devices/interface/source"), "network") : NULL;
}

/* (transfer full): one that is free */
static char *
choose_name (RametConnection *connection, const char *version_of, GError **error)
{
  g_autoptr (GDateTime) now = g_date_time_new_now_utc ();
  g_autofree char *date = g_date_time_format (now, "%Y%m%d");

  for (guint nth = 1; nth <= MOST_A_DAY; nth++)
    {
      g_autofree char *name = ramet_recipe_version_name (version_of, date, nth);

      if (!ramet_name_check_vm (name, error))
        {
          g_prefix_error (error, "cannot name a version of '%s': ", version_of);
          return NULL;
        }
      if (!ramet_domain_exists (connection, name))
        return g_steal_pointer (&name);
    }
  ramet_error_set (error, RAMET_ERROR_STATE, "there are too many versions of '%s' of today", version_of);
  ramet_error_hint (error, "'ramet base list' shows them, 'ramet base remove' removes one");
  return NULL;
}

static gboolean
plan (Update *update, RametConnection *connection, const char *name, const char *image, GError **error)
{
  g_autofree char *xml = NULL;
  const RametRecipe *recipe;

  update->newest = open_newest (connection, name, error);
  if (update->newest == NULL)
    return FALSE;
  recipe = update->newest->metadata->recipe;
  if (image == NULL && (recipe == NULL || recipe->from_image))
    {
      const char *is = ramet_vm_get_name (update->newest);

      ramet_error_set (error, RAMET_ERROR_REFUSED, "cannot build '%s' anew: %s", is,
                       recipe ? "it was made of a ready image" : "what it was built from is not known");
      ramet_error_hint (error, "give the image of the newer version: 'ramet base update --image FILE %s'", name);
      return FALSE;
    }
  xml = ramet_domain_get_xml (update->newest->domain, TRUE, error);
  update->facts = xml ? ramet_domain_facts_new (xml, error) : NULL;
  if (update->facts == NULL)
    return FALSE;
  update->network = read_network (xml, NULL);
  update->name = choose_name (connection, ramet_version_of (update->newest), error);
  return update->name != NULL;
}

/**
 * ramet_base_update:
 * @name: of a base that ramet built, or of a version of it
 * @image: (nullable): a ready image of the new version
 * @timeout_s: seconds for the trial boot
 * @error: RAMET_ERROR_REFUSED if it is none of ramet's bases, or if there is nothing to build it from
 *
 * Builds a newer version beside the others, in the way the newest one was built. No other is touched.
 *
 * Returns: (transfer full): the name of the new version
 */
char *
ramet_base_update (RametConnection *connection, RametTask *task, const char *name, const char *image, guint timeout_s,
                   GError **error)
{
  g_auto (Update) update = { 0 };
  const RametMetadata *metadata;
  const RametRecipe *recipe;
  RametBaseOptions options = { .image = image, .timeout_s = timeout_s };

  if (!plan (&update, connection, name, image, error))
    return NULL;
  metadata = update.newest->metadata;
  recipe = metadata->recipe;
  options.name = update.name;
  options.version_of = ramet_version_of (update.newest);
  options.pool = metadata->volumes->len ? ((RametVolumeRef *) g_ptr_array_index (metadata->volumes, 0))->pool : NULL;
  options.network = update.network;
  options.memory_bytes = update.facts->memory_kib * 1024;
  options.uefi = update.facts->firmware_efi;
  if (recipe)
    {
      options.suite = recipe->suite;
      options.init = recipe->init;
      options.mirror = recipe->mirror;
      options.disk_bytes = recipe->disk_bytes;
      options.emulate = recipe->emulate;
    }
  ramet_task_step (task, "making '%s', a newer version of '%s'", update.name, ramet_vm_get_name (update.newest));
  return ramet_base_build (connection, task, &options, error) ? g_steal_pointer (&update.name) : NULL;
}
