/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/identity.h"

#include "model/share.h"

static void
layer_free (gpointer data)
{
  RametLayer *layer = data;

  g_free (layer->path);
  g_free (layer->format);
  g_free (layer);
}

void
ramet_overlay_free (RametOverlay *overlay)
{
  g_free (overlay->target);
  g_free (overlay->overlay);
  g_ptr_array_unref (overlay->layers);
  g_free (overlay);
}

RametOverlay *
ramet_overlay_new (const char *target, const char *path)
{
  RametOverlay *overlay = g_new0 (RametOverlay, 1);

  overlay->target = g_strdup (target);
  overlay->overlay = g_strdup (path);
  overlay->layers = g_ptr_array_new_with_free_func (layer_free);
  return overlay;
}

/** ramet_overlay_add_layer: (transfer none) */
RametLayer *
ramet_overlay_add_layer (RametOverlay *overlay, const char *path, const char *format)
{
  RametLayer *layer = g_new0 (RametLayer, 1);

  layer->path = g_strdup (path);
  layer->format = g_strdup (format);
  g_ptr_array_add (overlay->layers, layer);
  return layer;
}

RametIdentity *
ramet_identity_new (const char *name)
{
  RametIdentity *identity = g_new0 (RametIdentity, 1);

  identity->name = g_strdup (name);
  identity->uuid = g_uuid_string_random ();
  identity->macs = g_ptr_array_new_with_free_func (g_free);
  identity->overlays = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_overlay_free);
  identity->shares = g_ptr_array_new_with_free_func ((GDestroyNotify) ramet_share_free);
  return identity;
}

void
ramet_identity_free (RametIdentity *identity)
{
  g_free (identity->name);
  g_free (identity->uuid);
  g_ptr_array_unref (identity->macs);
  g_ptr_array_unref (identity->overlays);
  g_ptr_array_unref (identity->shares);
  g_free (identity->metadata);
  g_free (identity->nvram);
  g_free (identity->network);
  g_free (identity->serial_log);
  g_free (identity->slot_folder);
  g_strfreev (identity->share_disks);
  g_free (identity);
}

/** ramet_identity_find_overlay: (transfer none) (nullable) */
const RametOverlay *
ramet_identity_find_overlay (const RametIdentity *identity, const char *target)
{
  for (guint i = 0; i < identity->overlays->len; i++)
    {
      const RametOverlay *overlay = g_ptr_array_index (identity->overlays, i);

      if (g_strcmp0 (overlay->target, target) == 0)
        return overlay;
    }
  return NULL;
}

/** ramet_identity_own_path: (transfer full): the clone's counterpart of a file that the base writes to, beside it */
char *
ramet_identity_own_path (const RametIdentity *identity, const char *path)
{
  g_autofree char *folder = g_path_get_dirname (path);
  g_autofree char *file = g_path_get_basename (path);
  g_autofree char *own = g_strdup_printf ("%s-%s", identity->name, file);

  return g_build_filename (folder, own, NULL);
}
