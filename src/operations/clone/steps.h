/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* Something of the user's own that runs after the steps, in the order given. */
typedef struct
{
  char *package;     /* a package's name, or NULL */
  char *script_name; /* where the script came from, for messages */
  char *script;      /* its text, @script_length bytes */
  gsize script_length;
} RametExtra;

RametExtra *ramet_extra_new_package (const char *package);
RametExtra *ramet_extra_new_script (const char *path, GError **error);
void ramet_extra_free (RametExtra *extra);
char *ramet_extras_digest (GPtrArray *extras);

GPtrArray *ramet_steps_read (GError **error);
char *ramet_steps_digest (GPtrArray *steps);
char *ramet_steps_read_data (const char *name, GError **error);
char *ramet_step_title (const char *name, const char *script);
GPtrArray *ramet_steps_list_titles (GPtrArray *steps, GPtrArray *extras, gboolean seals, GError **error);
GPtrArray *ramet_steps_list_titles_of_memory (GPtrArray *steps, gboolean has_shares, GError **error);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametExtra, ramet_extra_free)
