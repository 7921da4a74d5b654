/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/folder-pools.h"

#include <stdlib.h>
#include <string.h>

#include "core/stop.h"
#include "host/libvirt/storage-private.h"
#include "model/xml.h"

#define TRANSIENT_POOL_PATIENCE_US (5 * G_TIME_SPAN_SECOND)
#define TRANSIENT_POOL_TRIES 5
#define TRANSIENT_POOL_POLL_US (20 * G_TIME_SPAN_MILLISECOND)
#define CONFLICT_PATIENCE_US (60 * G_TIME_SPAN_SECOND) /* many may want it at once, and each has it for milliseconds */

static void
info_free (gpointer data)
{
  RametFolderPoolInfo *info = data;

  g_free (info->name);
  g_free (info);
}

/** ramet_pool_xml: (transfer full): of a pool over @folder */
char *
ramet_pool_xml (const char *name, const char *folder)
{
  g_autoptr (xmlDoc) doc = xmlNewDoc ((const xmlChar *) "1.0");
  xmlNode *pool = xmlNewNode (NULL, (const xmlChar *) "pool");

  xmlDocSetRootElement (doc, pool);
  ramet_xml_set (pool, "type", "dir");
  ramet_xml_add (pool, "name", name);
  ramet_xml_add (ramet_xml_add (pool, "target", NULL), "path", folder);
  return ramet_xml_dump (doc);
}

/** ramet_folder_pool_is_ours: whether some ramet has made it, this one or another, to use it for a moment */
gboolean
ramet_folder_pool_is_ours (virStoragePoolPtr pool)
{
  const char *name = virStoragePoolGetName (pool);

  return name && g_str_has_prefix (name, RAMET_POOL_PREFIX) && virStoragePoolIsPersistent (pool) == 0;
}

/** ramet_folder_pool_worker: whether who made @pool, one of ours, is still at it; its name is "ramet-WORKER-NUMBER" */
RametWorkerState
ramet_folder_pool_worker (virStoragePoolPtr pool)
{
  const char *name = virStoragePoolGetName (pool);
  g_autofree char *worker = name ? g_strdup (name + strlen (RAMET_POOL_PREFIX)) : NULL;
  char *number = worker ? strrchr (worker, '-') : NULL;

  if (number)
    *number = '\0';
  return ramet_worker_look (worker);
}

static RametFolderPoolInfo *
info_new (virStoragePoolPtr pool)
{
  RametFolderPoolInfo *info = g_new0 (RametFolderPoolInfo, 1);

  info->name = g_strdup (virStoragePoolGetName (pool));
  info->worker = ramet_folder_pool_worker (pool);
  return info;
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
      if (ramet_folder_pool_is_ours (pools[i]))
        g_ptr_array_add (infos, info_new (pools[i]));
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

  if (pool == NULL || !ramet_folder_pool_is_ours (pool) || virStoragePoolDestroy (pool) == 0)
    return TRUE;
  ramet_libvirt_error (error, "cannot end the storage pool '%s'", name);
  return FALSE;
}

void
ramet_folder_pool_close (RametFolderPool *folder)
{
  if (folder->pool && folder->transient)
    {
      virStoragePoolDestroy (folder->pool);
      RAMET_STEP ("pool-destroyed");
    }
  g_clear_pointer (&folder->pool, virStoragePoolFree);
}

static virStoragePoolPtr
make_transient_pool (RametConnection *connection, const char *folder, GError **error)
{
  g_autofree char *worker = ramet_worker_self ();
  g_autofree char *name = g_strdup_printf (RAMET_POOL_PREFIX "%s-%08x", worker ? worker : "0", g_random_int ());
  g_autofree char *xml = ramet_pool_xml (name, folder);
  virStoragePoolPtr pool = virStoragePoolCreateXML (ramet_connection_get (connection), xml, 0);

  if (pool == NULL)
    ramet_libvirt_error (error, "cannot look into '%s' through libvirt", folder);
  else
    RAMET_STEP ("pool-made");
  return pool;
}

/* libvirt names the pool that was there first; what it says around that depends on the language. */
static gboolean
was_too_late (const GError *why)
{
  return strstr (why->message, "'" RAMET_POOL_PREFIX) != NULL;
}

/**
 * ramet_folder_pool_open: a pool over @folder; clear with ramet_folder_pool_close()
 *
 * libvirt has at most one pool over a folder, and another ramet ends its own as soon as it is done: waits for that. One
 * that does not go was left by a ramet that was killed, and is taken over.
 */
gboolean
ramet_folder_pool_open (RametConnection *connection, const char *folder, RametFolderPool *ret_pool, GError **error)
{
  gint64 since_us = g_get_monotonic_time ();
  gint64 until_us = since_us + TRANSIENT_POOL_PATIENCE_US;

  for (guint tries = 0;; g_usleep (TRANSIENT_POOL_POLL_US + (gulong) g_random_int_range (0, TRANSIENT_POOL_POLL_US)))
    {
      g_autoptr (virStoragePool) found = virStoragePoolLookupByTargetPath (ramet_connection_get (connection), folder);
      gboolean others = found && ramet_folder_pool_is_ours (found);
      gboolean left = others && (ramet_folder_pool_worker (found) == RAMET_WORKER_GONE ||
                                 g_get_monotonic_time () >= until_us);
      g_autoptr (GError) why = NULL;

      ret_pool->transient = others || found == NULL || virStoragePoolIsActive (found) != 1;
      if (!ret_pool->transient || left)
        {
          ret_pool->stale = virStoragePoolRefresh (found, 0) < 0;
          ret_pool->pool = g_steal_pointer (&found);
          return TRUE;
        }
      if (others)
        continue;
      ret_pool->pool = make_transient_pool (connection, folder, &why);
      if (ret_pool->pool)
        return TRUE;
      if (was_too_late (why) ? g_get_monotonic_time () >= since_us + CONFLICT_PATIENCE_US : ++tries == TRANSIENT_POOL_TRIES)
        {
          g_propagate_error (error, g_steal_pointer (&why));
          return FALSE;
        }
    }
}
