/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "operations/vm/grants.h"

#include "core/stop.h"
#include "host/files/access.h"
#include "host/files/lock.h"

#define MAX_HEIRS 8 /* that are taken away past ramet just when they are found */

static gboolean
serves (const char *record, const RametMetadata *metadata)
{
  for (guint i = 0; i < metadata->shares->len; i++)
    if (ramet_access_record_serves (record, ((RametShare *) g_ptr_array_index (metadata->shares, i))->source))
      return TRUE;
  for (guint i = 0; i < metadata->fingerprints->len; i++)
    if (ramet_access_record_serves (record, ((RametFingerprint *) g_ptr_array_index (metadata->fingerprints, i))->path))
      return TRUE;
  return FALSE;
}

/* (nullable): who else lives by what was granted, and stays */
static RametVm *
find_heir (const char *record, GPtrArray *others)
{
  for (guint i = 0; i < others->len; i++)
    {
      RametVm *other = g_ptr_array_index (others, i);

      if (other->metadata && other->metadata->state != RAMET_STATE_REMOVING && serves (record, other->metadata))
        return other;
    }
  return NULL;
}

static void
add_record (RametMetadata *metadata, const char *record)
{
  if (!g_ptr_array_find_with_equal_func (metadata->grants, record, g_str_equal, NULL))
    g_ptr_array_insert (metadata->grants, 0, g_strdup (record));
}

/* Hands on what another VM needs still. */
static gboolean
hand_on (const RametVm *vm, const char *record, gboolean *ret_handed, GError **error)
{
  RametConnection *connection = ramet_domain_get_connection (vm->domain);

  for (guint tries = 1;; tries++)
    {
      g_autoptr (GPtrArray) others = ramet_vm_list_others (vm, error);
      RametVm *heir = others ? find_heir (record, others) : NULL;
      g_autoptr (GError) why = NULL;

      *ret_handed = heir != NULL;
      if (heir == NULL)
        return others != NULL;
      /* a removal that was cut off may have handed it on already */
      add_record (heir->metadata, record);
      if (ramet_domain_set_metadata (heir->domain, heir->metadata, &why))
        return TRUE;
      if (tries == MAX_HEIRS || ramet_domain_exists (connection, ramet_vm_get_name (heir)))
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
}

/**
 * ramet_grants_keep:
 * @metadata: of @domain, about to be written
 *
 * What was handed on to @domain since @metadata was read, or made, is added there.
 */
gboolean
ramet_grants_keep (RametDomain *domain, RametMetadata *metadata, GError **error)
{
  g_autoptr (RametMetadata) now = NULL;

  if (!ramet_domain_get_metadata (domain, &now, error))
    return FALSE;
  for (guint i = now ? now->grants->len : 0; i-- > 0;)
    add_record (metadata, g_ptr_array_index (now->grants, i));
  return TRUE;
}

/** ramet_grants_write: @metadata become those of @domain, with what was handed on to it since they were read */
gboolean
ramet_grants_write (RametDomain *domain, RametMetadata *metadata, GError **error)
{
  G_GNUC_UNUSED g_autoptr (RametLock) lock = ramet_lock_grants ();

  return ramet_grants_keep (domain, metadata, error) && ramet_domain_set_metadata (domain, metadata, error);
}

/**
 * ramet_grants_take_back:
 * @vm: about to be undefined
 *
 * All that was granted for it, the last first; what others need is handed on.
 */
gboolean
ramet_grants_take_back (RametVm *vm, RametTask *task, GError **error)
{
  g_autoptr (RametMetadata) now = NULL;

  if (!ramet_domain_get_metadata (vm->domain, &now, error))
    return FALSE;
  for (guint i = now ? now->grants->len : 0; i-- > 0;)
    {
      const char *record = g_ptr_array_index (now->grants, i);
      g_autoptr (GError) why = NULL;
      gboolean handed;

      if (!hand_on (vm, record, &handed, error))
        return FALSE;
      if (handed)
        RAMET_STEP ("remove-inherited");
      else if (!ramet_access_revoke (record, &why))
        ramet_task_warn (task, "an access that was granted stays: %s", why->message);
      else
        RAMET_STEP ("remove-grant");
    }
  return TRUE;
}
