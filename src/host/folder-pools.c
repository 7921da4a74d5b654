/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/folder-pools.h"

#include <stdlib.h>
#include <string.h>

#include "host/storage-private.h"

static void
info_free (gpointer data)
{
  RametFolderPoolInfo *info = data;

  g_free (info->name);
  g_free (info);
}

/* "ramet-WORKER-NUMBER" */
static RametFolderPoolInfo *
info_new (const char *name)
{
  RametFolderPoolInfo *info = g_new0 (RametFolderPoolInfo, 1);
  g_autofree char *worker = g_strdup (name + strlen (RAMET_POOL_PREFIX));
  char *number = strrchr (worker, '-');

  if (number)
    *number = '\0';
  info->name = g_strdup (name);
  info->worker = ramet_worker_look (worker);
  return info;
}

static gboolean
is_of_ours (virStoragePoolPtr pool)
{
  return g_str_has_prefix (virStoragePoolGetName (pool), RAMET_POOL_PREFIX) && virStoragePoolIsPersistent (pool) == 0;
}

/** ramet_folder_pools_list: (transfer full) (element-type RametFolderPoolInfo): those that there are just now */
GPtrArray *
ramet_folder_pools_list (RametConnection *connection, GError **error)
{
  virStoragePoolPtr *pools = NULL;
  int n = virConnectListAllStoragePools (ramet_connection_get (connection), &pools,
                                         VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE | VIR_CONNECT_LIST_STORAGE_POOLS_TRANSIENT);
  GPtrArray *infos;

  if (n < 0)
    {
      ramet_libvirt_error (error, "cannot list the storage pools");
      return NULL;
    }
  infos = g_ptr_array_new_with_free_func (info_free);
  for (int i = 0; i < n; i++)
    {
      if (is_of_ours (pools[i]))
        g_ptr_array_add (infos, info_new (virStoragePoolGetName (pools[i])));
      virStoragePoolFree (pools[i]);
    }
  free (pools);
  return infos;
}

/** ramet_folder_pools_end: no file is touched; one that has gone is fine */
gboolean
ramet_folder_pools_end (RametConnection *connection, const char *name, GError **error)
{
  g_autoptr (virStoragePool) pool = virStoragePoolLookupByName (ramet_connection_get (connection), name);

  if (pool == NULL || !is_of_ours (pool) || virStoragePoolDestroy (pool) == 0)
    return TRUE;
  ramet_libvirt_error (error, "cannot end the storage pool '%s'", name);
  return FALSE;
}
