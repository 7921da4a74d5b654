/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/fingerprint.h"

/* A point: the layers of a VM's disks that were frozen at one moment, and perhaps its memory at that moment. */
typedef struct
{
  char *name;        /* "before" */
  char *created;     /* ISO 8601, UTC; or NULL */
  char *parent;      /* the point that its layers stand on, or NULL: on the base */
  char *nvram;       /* path of a copy of the UEFI variables, or NULL */
  char *run;         /* what the VM was doing, see ramet_run_name(); or NULL */
  gboolean making;   /* it is not whole, and perhaps never will be */
  gboolean dropped;  /* deleted: only its layers are left, as long as others stand on them */
  GPtrArray *layers; /* (element-type RametFingerprint): the frozen file of each disk */
  RametFingerprint *memory; /* the save image, or NULL */
} RametPoint;

RametPoint *ramet_point_new (const char *name);
void ramet_point_free (RametPoint *point);
RametPoint *ramet_point_read (xmlNode *node);
void ramet_point_add (const RametPoint *point, xmlNode *parent);
RametFingerprint *ramet_point_find_layer (const RametPoint *point, const char *target);

/* What is to be done next, so that no layer is left which nobody needs. */
typedef enum
{
  RAMET_POINT_STEP_NONE,
  RAMET_POINT_STEP_DELETE, /* nothing stands on its layers: they go */
  RAMET_POINT_STEP_MERGE,  /* one thing stands on them: it takes in what is theirs */
} RametPointStepKind;

typedef struct
{
  RametPointStepKind kind;
  RametPoint *point; /* a dropped one */
  RametPoint *child; /* what it is merged with, or NULL: the layers that the VM writes to */
} RametPointStep;

RametPoint *ramet_points_find (GPtrArray *points, const char *name);
GPtrArray *ramet_points_below (GPtrArray *points, const char *current, const char *target);
RametPointStep ramet_points_next_step (GPtrArray *points, const char *current, GHashTable *held);
void ramet_points_done (GPtrArray *points, char **current, const RametPointStep *step);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametPoint, ramet_point_free)
