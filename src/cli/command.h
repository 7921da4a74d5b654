/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <gio/gio.h>

#include "host/libvirt/connection.h"
#include "model/config.h"

/* The global options, which may stand before the command or behind it. */
typedef struct
{
  char *uri;
  gboolean quiet;
  gboolean verbose;
  gboolean json;
  gboolean version; /* before it only, as the next one */
  gboolean help;
} RametGlobal;

/* One call of ramet from a shell. */
typedef struct
{
  RametConnection *connection; /* with RAMET_COMMAND_CONNECTS; else NULL */
  const char *uri;             /* as given by -c or set in the configuration, or NULL */
  RametConfig *config;         /* what the user set once for all commands */
  GCancellable *cancellable;   /* set by Ctrl-C */
  gboolean json;
  gboolean quiet;
  int status; /* what to exit with if the command succeeds; 0 unless it sets another */
} RametInvocation;

typedef enum
{
  RAMET_COMMAND_CONNECTS = 1 << 0, /* wants a connection to libvirt */
  RAMET_COMMAND_JSON = 1 << 1,     /* prints data, so it takes --json */
  RAMET_COMMAND_POSIX = 1 << 2,    /* options end at the first word that is none: what follows is for another program */
  RAMET_COMMAND_HIDDEN = 1 << 3,   /* for other programs to call */
  RAMET_COMMAND_PROJECT = 1 << 4,  /* without a name it means the VMs of this folder's project */
  RAMET_COMMAND_TOLERANT = 1 << 5, /* does without settings that cannot be read */
} RametCommandFlags;

/* All there is to know of a command: parsing, help and exit status go by it. */
typedef struct
{
  const char *name;  /* one word, or two: "base build" */
  const char *args;  /* "BASE NEW": each word tells what kind of thing is meant, see cli/slots.h */
  const char *group; /* heading in `ramet --help` */
  const char *summary;
  RametCommandFlags flags;
  int min_args;
  int max_args; /* -1: any number */
  const GOptionEntry *options; /* or NULL */
  gboolean (*run) (RametInvocation *invocation, char **args, GError **error);
} RametCommand;

extern const RametCommand ramet_commands[];
extern const gsize ramet_n_commands;
extern RametGlobal ramet_global;
extern const GOptionEntry ramet_options_global[];
extern const GOptionEntry ramet_options_first[]; /* only before the command; '--help' is every command's too */

#define RAMET_TIMEOUT_NOT_GIVEN G_MININT /* what an option's variable holds at first */

gboolean ramet_parse_timeout (int given, guint default_s, guint *ret_timeout_s, GError **error);
gboolean ramet_parse_cpus (const char *text, guint *ret_cpus, GError **error);
gboolean ramet_parse_memory (const char *text, guint64 *ret_bytes, GError **error);
gboolean ramet_parse_disk_size (const char *option, const char *text, guint64 *ret_bytes, GError **error);
const RametCommand *ramet_command_find (char **words, int *ret_n_words);
char *ramet_command_second_words (const char *first);
void ramet_command_set_unknown (char **words, GError **error);
