/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

/* What may become of a place in a domain's XML, which is an element's text or an attribute. */
typedef enum
{
  PLACE_UNKNOWN, /* no rule speaks of it: it must not be in a clone */
  PLACE_INSIDE,  /* names nothing outside the guest: kept, and looks like no path, UUID or MAC */
  PLACE_KEPT,    /* kept whatever it looks like: serial numbers, aliases, what the guest is told */
  PLACE_SHARED,  /* names something outside that all may use: kept, and never added */
  PLACE_MADE,    /* names what belongs to one VM alone: new in each clone */
  PLACE_MAY,     /* may change or go; other checks look at it */
  PLACE_GONE,    /* left out of the clone */
} Place;

/* An element or attribute with what stands in it. */
typedef struct
{
  char *path;  /* "/domain/devices/interface:network/mac/@address": see domain_leaves() */
  char *value; /* the text of an element without children, without blanks around it */
  Place place;
} Leaf;

GPtrArray *domain_leaves (xmlNode *root);
char *domain_label (xmlNode *node);
