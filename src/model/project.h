/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#define RAMET_PROJECT_FILE "ramet.ini"
#define RAMET_PROJECT_MAX_BYTES (64 * 1024)
#define RAMET_PROJECT_MAX_VMS 64
#define RAMET_PROJECT_MAX_ITEMS 64 /* of one list: packages, say */

/* What a project's file wants of one VM; what it leaves open is NULL or 0. */
typedef struct
{
  char *name;      /* in the file: "web" */
  char *full_name; /* of the VM: "shop-web" */
  guint line;      /* where its section starts */
  char *base;
  char *network;
  char *user;
  char *pool;
  guint vcpus;
  guint64 memory_bytes;
  guint64 disk_bytes;
  char **shares;   /* as written: DIR[:GUESTDIR], DIR from the project's folder; or NULL */
  char **packages; /* or NULL */
  char **run;      /* absolute paths of scripts; or NULL */
  char **after;    /* names of VMs in the file that come before it; or NULL */
} RametProjectVm;

/* A ramet.ini that was read and found good. */
typedef struct
{
  char *name;
  char *folder;   /* absolute: where the file is */
  char *text;     /* of the whole file */
  GPtrArray *vms; /* (element-type RametProjectVm): in the order of the file */
} RametProject;

RametProject *ramet_project_parse (const char *text, gsize length, const char *folder, const char *shown_path,
                                   GError **error);
void ramet_project_free (RametProject *project);
const RametProjectVm *ramet_project_find_vm (const RametProject *project, const char *name);
GPtrArray *ramet_project_order (const RametProject *project);
const char *ramet_project_get_key (gsize index, gboolean *ret_of_project, gboolean *ret_of_vm);
char *ramet_project_template (const char *name, const char *base, const char *packages);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametProject, ramet_project_free)
