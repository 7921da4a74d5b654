/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "host/libvirt/pool.h"

#include <stdlib.h>

#include "host/libvirt/connection-private.h"
#include "model/xml.h"

/** ramet_pool_clear: frees what is in @pool and empties it */
void
ramet_pool_clear (RametPool *pool)
{
  g_clear_pointer (&pool->type, g_free);
  g_clear_pointer (&pool->folder, g_free);
}

/** ramet_pool_look: @error is RAMET_ERROR_NOT_FOUND if there is no such pool */
gboolean
ramet_pool_look (RametConnection *connection, const char *name, RametPool *ret_pool, GError **error)
{
  g_autoptr (virStoragePool) found = virStoragePoolLookupByName (ramet_connection_get (connection), name);
  g_autofree char *xml = found ? virStoragePoolGetXMLDesc (found, 0) : NULL;
  g_autoptr (xmlDoc) doc = NULL;
  virStoragePoolInfo info;
  int autostart = 0;

  if (xml == NULL)
    {
      ramet_libvirt_error (error, "cannot look at the storage pool '%s'", name);
      return FALSE;
    }
  doc = ramet_xml_parse (xml, "pool", error);
  if (doc == NULL)
    return FALSE;
  ret_pool->active = virStoragePoolIsActive (found) == 1;
  ret_pool->autostart = virStoragePoolGetAutostart (found, &autostart) == 0 && autostart;
  ret_pool->type = ramet_xml_get (xmlDocGetRootElement (doc), "type");
  ret_pool->folder = ramet_xml_text (ramet_xml_at (xmlDocGetRootElement (doc), "target/path"));
  if (ret_pool->active && virStoragePoolGetInfo (found, &info) == 0)
    {
      ret_pool->capacity = info.capacity;
      ret_pool->available = info.available;
    }
  return TRUE;
}

static void
file_free (gpointer data)
{
  RametPoolFile *file = data;

  g_free (file->name);
  g_free (file->path);
  g_free (file->backing);
  g_free (file);
}

static RametPoolFile *
file_new (virStorageVolPtr volume)
{
  g_autofree char *xml = virStorageVolGetXMLDesc (volume, 0);
  g_autoptr (xmlDoc) doc = xml ? ramet_xml_parse (xml, "volume", NULL) : NULL;
  RametPoolFile *file;

  if (doc == NULL) /* it has just gone */
    return NULL;
  file = g_new0 (RametPoolFile, 1);
  file->name = g_strdup (virStorageVolGetName (volume));
  file->path = virStorageVolGetPath (volume);
  file->backing = ramet_xml_text (ramet_xml_at (xmlDocGetRootElement (doc), "backingStore/path"));
  return file;
}

/** ramet_pool_list_files: (transfer full) (element-type RametPoolFile): as of libvirt's last look */
GPtrArray *
ramet_pool_list_files (RametConnection *connection, const char *name, GError **error)
{
  g_autoptr (virStoragePool) pool = virStoragePoolLookupByName (ramet_connection_get (connection), name);
  virStorageVolPtr *volumes = NULL;
  int n = pool ? virStoragePoolListAllVolumes (pool, &volumes, 0) : -1;
  GPtrArray *files;

  if (n < 0)
    {
      ramet_libvirt_error (error, "cannot list the files of the storage pool '%s'", name);
      return NULL;
    }
  files = g_ptr_array_new_with_free_func (file_free);
  for (int i = 0; i < n; i++)
    {
      RametPoolFile *file = file_new (volumes[i]);

      if (file)
        g_ptr_array_add (files, file);
      virStorageVolFree (volumes[i]);
    }
  free (volumes);
  return files;
}
