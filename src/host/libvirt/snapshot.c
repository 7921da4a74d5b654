/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/snapshot.h"

#include <stdlib.h>

#include "host/libvirt/connection-private.h"

G_DEFINE_AUTOPTR_CLEANUP_FUNC (virDomainSnapshot, virDomainSnapshotFree)

/** ramet_snapshot_names: (transfer full) (element-type utf8): all that libvirt knows of @domain */
GPtrArray *
ramet_snapshot_names (RametDomain *domain, GError **error)
{
  virDomainSnapshotPtr *found = NULL;
  int n = virDomainListAllSnapshots (ramet_domain_get (domain), &found, 0);
  GPtrArray *names;

  if (n < 0)
    {
      ramet_libvirt_error (error, "cannot list the snapshots of '%s'", ramet_domain_get_name (domain));
      return NULL;
    }
  names = g_ptr_array_new_with_free_func (g_free);
  for (int i = 0; i < n; i++)
    {
      g_ptr_array_add (names, g_strdup (virDomainSnapshotGetName (found[i])));
      virDomainSnapshotFree (found[i]);
    }
  free (found);
  return names;
}

/** ramet_snapshot_current: (transfer full) (nullable): the name of what libvirt thinks the domain stands on */
char *
ramet_snapshot_current (RametDomain *domain)
{
  g_autoptr (virDomainSnapshot) current = virDomainSnapshotCurrent (ramet_domain_get (domain), 0);

  return current ? g_strdup (virDomainSnapshotGetName (current)) : NULL;
}

/**
 * ramet_snapshot_take:
 * @xml: from ramet_snapshot_xml()
 * @memory: whether it is with memory
 * @layers_made: whether the new layers are there already, on the right files
 *
 * Blocks until all is written. A domain that is paused stays so.
 */
gboolean
ramet_snapshot_take (RametDomain *domain, const char *xml, gboolean memory, gboolean layers_made, GError **error)
{
  unsigned flags = VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC | (memory ? 0 : VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY) |
                   (layers_made ? VIR_DOMAIN_SNAPSHOT_CREATE_REUSE_EXT : 0);
  g_autoptr (virDomainSnapshot) taken = virDomainSnapshotCreateXML (ramet_domain_get (domain), xml, flags);

  if (taken == NULL)
    ramet_libvirt_error (error, "cannot take a snapshot of '%s'", ramet_domain_get_name (domain));
  return taken != NULL;
}

/** ramet_snapshot_abort: ends a ramet_snapshot_take() that another thread waits in, if it has come to saving memory */
void
ramet_snapshot_abort (RametDomain *domain)
{
  virDomainAbortJob (ramet_domain_get (domain));
}

static gboolean
is_missing (void)
{
  const virError *why = virGetLastError ();

  return why && why->code == VIR_ERR_NO_DOMAIN_SNAPSHOT;
}

/** ramet_snapshot_get_xml: (transfer full): with passwords; @error is RAMET_ERROR_NOT_FOUND if libvirt has none of that name */
char *
ramet_snapshot_get_xml (RametDomain *domain, const char *name, GError **error)
{
  g_autoptr (virDomainSnapshot) found = virDomainSnapshotLookupByName (ramet_domain_get (domain), name, 0);
  char *xml = found ? virDomainSnapshotGetXMLDesc (found, VIR_DOMAIN_SNAPSHOT_XML_SECURE) : NULL;
  char *copy;

  if (xml == NULL)
    {
      gboolean missing = found == NULL && is_missing ();

      ramet_libvirt_error (error, "cannot read the snapshot '%s' of '%s'", name, ramet_domain_get_name (domain));
      if (missing && error && *error)
        (*error)->code = RAMET_ERROR_NOT_FOUND;
      return NULL;
    }
  copy = g_strdup (xml);
  free (xml);
  return copy;
}

/** ramet_snapshot_forget: libvirt's record of it only, no file; a snapshot that is gone already is fine */
gboolean
ramet_snapshot_forget (RametDomain *domain, const char *name, GError **error)
{
  g_autoptr (virDomainSnapshot) found = virDomainSnapshotLookupByName (ramet_domain_get (domain), name, 0);

  if (found == NULL && is_missing ())
    return TRUE;
  if (found && virDomainSnapshotDelete (found, VIR_DOMAIN_SNAPSHOT_DELETE_METADATA_ONLY) == 0)
    return TRUE;
  ramet_libvirt_error (error, "cannot have libvirt forget the snapshot '%s' of '%s'", name, ramet_domain_get_name (domain));
  return FALSE;
}

/** ramet_snapshot_set_current: tells libvirt that the domain stands on it */
gboolean
ramet_snapshot_set_current (RametDomain *domain, const char *name, GError **error)
{
  g_autofree char *xml = ramet_snapshot_get_xml (domain, name, error);
  g_autoptr (virDomainSnapshot) again = NULL;

  if (xml == NULL)
    return FALSE;
  again = virDomainSnapshotCreateXML (ramet_domain_get (domain), xml,
                                      VIR_DOMAIN_SNAPSHOT_CREATE_REDEFINE | VIR_DOMAIN_SNAPSHOT_CREATE_CURRENT);
  if (again == NULL)
    ramet_libvirt_error (error, "cannot make '%s' the current snapshot of '%s'", name, ramet_domain_get_name (domain));
  return again != NULL;
}

/**
 * ramet_snapshot_restore:
 * @memory: path of a save image
 * @xml: the domain as it ran then, perhaps with other files as its disks
 *
 * Blocks. The domain is there again, paused.
 */
gboolean
ramet_snapshot_restore (RametConnection *connection, const char *memory, const char *xml, GError **error)
{
  if (virDomainRestoreFlags (ramet_connection_get (connection), memory, xml, VIR_DOMAIN_SAVE_PAUSED) == 0)
    return TRUE;
  ramet_libvirt_error (error, "cannot bring the memory back from '%s'", memory);
  return FALSE;
}

/** ramet_snapshot_memory_bytes: how much a running domain's memory may take in a file; @most is all that it has */
guint64
ramet_snapshot_memory_bytes (RametDomain *domain, guint64 most)
{
  virDomainMemoryStatStruct stats[VIR_DOMAIN_MEMORY_STAT_NR];
  int n = virDomainMemoryStats (ramet_domain_get (domain), stats, VIR_DOMAIN_MEMORY_STAT_NR, 0);

  for (int i = 0; i < n; i++)
    if (stats[i].tag == VIR_DOMAIN_MEMORY_STAT_RSS)
      return MIN ((guint64) stats[i].val * 1024, most);
  return most;
}

/** ramet_snapshot_drop_saved: memory that belongs to disks which are given up; without any it is fine */
gboolean
ramet_snapshot_drop_saved (RametDomain *domain, GError **error)
{
  virDomainPtr ptr = ramet_domain_get (domain);

  if (virDomainHasManagedSaveImage (ptr, 0) != 1 || virDomainManagedSaveRemove (ptr, 0) == 0)
    return TRUE;
  ramet_libvirt_error (error, "cannot delete the saved memory of '%s'", ramet_domain_get_name (domain));
  return FALSE;
}
