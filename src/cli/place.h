/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

/* Where in a command line somebody is who wants a word completed. */
typedef enum
{
  RAMET_PLACE_NOWHERE,  /* in what ramet does not understand, or what is for another program */
  RAMET_PLACE_COMMAND,  /* a command is to come, or the second of its words */
  RAMET_PLACE_OPTION,
  RAMET_PLACE_VALUE,    /* of an option */
  RAMET_PLACE_ARGUMENT, /* of the command */
} RametPlaceKind;

typedef struct
{
  RametPlaceKind kind;
  char *uri;                   /* by -c, or NULL */
  const RametCommand *command; /* or NULL: none is named yet */
  char *first_word;            /* of a command of two, where the second is to come; or NULL */
  const GOptionEntry *option;  /* of RAMET_PLACE_VALUE */
  char *before_value;          /* what stands before it in the same word: "--project=", or "" */
  GPtrArray *given;            /* (element-type utf8): what stands behind the command, options aside */
  GPtrArray *options_given;    /* (element-type GOptionEntry) */
} RametPlace;

RametPlace *ramet_place_new (char **words);
void ramet_place_free (RametPlace *place);

gboolean ramet_option_takes_value (const GOptionEntry *option);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametPlace, ramet_place_free)
