/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "core/task.h"
#include "host/libvirt/connection.h"
#include "operations/vm/vm.h"

#define RAMET_DEFAULT_POOL "default"
#define RAMET_DEFAULT_TIMEOUT_S 600

/* A clone that was checked and not made yet. */
typedef struct _RametClonePlan RametClonePlan;

/* What makes a template of a clone: @finish, once it is set up and sealed, takes it from running to off. */
typedef struct
{
  guint n_slots; /* for shares */
  gboolean (*finish) (RametClonePlan *plan, RametDomain *domain, RametTask *task, gint64 deadline_us, gpointer data,
                      GError **error);
  gpointer data;
} RametCloneMakes;

/* Whether a clone may go on from a template's memory. */
typedef enum
{
  RAMET_CLONE_ANY,      /* if one fits */
  RAMET_CLONE_COLD,     /* boot it */
  RAMET_CLONE_TEMPLATE, /* or fail */
  RAMET_CLONE_MEMORY,   /* of a snapshot: go on from its memory, or fail */
} RametCloneFrom;

/* What a user asks for. Strings are as typed, unless said otherwise. */
typedef struct
{
  const char *base;
  const char *name;
  const char *const *shares;   /* DIR[:GUESTDIR]; or NULL */
  const char *const *macs;     /* for the interfaces in order; or NULL */
  const char *const *ssh_keys; /* paths or literal keys; or NULL: the user's own */
  const char *ssh_keys_from;   /* for messages: where these stand; or NULL: they were typed */
  GPtrArray *extras;           /* (element-type RametExtra) */
  const char *user;            /* or NULL: the name outside */
  const char *network;         /* or NULL: as in the base */
  const char *project;         /* or NULL */
  const char *pool;            /* or NULL: RAMET_DEFAULT_POOL */
  guint vcpus;                 /* 0: as in the base */
  guint64 memory_bytes;        /* 0: as in the base */
  guint64 disk_bytes;          /* virtual size of the first disk; 0: as in the base */
  guint timeout_s;             /* seconds, for all the waiting on the guest */
  const char *const *share_disks; /* targets of writable shareable disks to use together with the base; or NULL */
  gboolean drop_host_devices;  /* leave out what belongs to the host or to one guest */
  gboolean keep_qemu_args;     /* take over what the base hands to QEMU past libvirt */
  gboolean grant;              /* set the ACLs that QEMU's user needs */
  gboolean no_bootstrap;
  gboolean no_wait;
  RametCloneFrom from;
  const char *only_template;   /* the one to go on from, if any; or NULL */
  const RametCloneMakes *makes; /* a template; or NULL: a VM to work with */
  gboolean dry_run;            /* it is only planned: nothing is made, not even an ssh key */
  gboolean keep;               /* leave a VM that failed for looking into */
} RametCloneOptions;

RametClonePlan *ramet_clone_plan (RametConnection *connection, RametTask *task, const RametCloneOptions *options,
                                  GError **error);
void ramet_clone_plan_free (RametClonePlan *plan);
char *ramet_clone_print_xml (RametConnection *connection, RametTask *task, const RametCloneOptions *options,
                             GError **error);
gboolean ramet_clone_execute (RametClonePlan *plan, RametTask *task, char **ret_address, GError **error);
RametClonePlan *ramet_clone_make (RametConnection *connection, RametTask *task, RametCloneOptions *options,
                                  char **ret_address, GError **error);
RametVm *ramet_clone_plan_get_vm (RametClonePlan *plan);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (RametClonePlan, ramet_clone_plan_free)
