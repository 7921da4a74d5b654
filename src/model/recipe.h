/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/xml.h"

/* What a base was built from, so that a newer version of it can be built in the same way. */
typedef struct
{
  char *version_of;   /* the name that all its versions are cloned by: "debian-12" */
  char *suite;        /* Debian's release, or NULL: the builder's own default */
  char *init;         /* or NULL: systemd */
  char *mirror;       /* or NULL: the host's */
  guint64 disk_bytes; /* virtual size as asked for; 0: the builder's own default */
  gboolean emulate;   /* no KVM was wanted */
  gboolean from_image; /* of a ready image: there is nothing to build it anew from */
} RametRecipe;

RametRecipe *ramet_recipe_new (const char *version_of);
RametRecipe *ramet_recipe_copy (const RametRecipe *recipe);
void ramet_recipe_free (RametRecipe *recipe);
RametRecipe *ramet_recipe_read (xmlNode *node);
void ramet_recipe_add (const RametRecipe *recipe, xmlNode *parent);

char *ramet_recipe_version_name (const char *version_of, const char *date, guint nth);
gboolean ramet_recipe_is_version_name (const char *name, const char *version_of);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametRecipe, ramet_recipe_free)
