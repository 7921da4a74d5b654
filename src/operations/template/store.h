/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "core/task.h"
#include "host/libvirt/connection.h"
#include "model/save-image.h"
#include "model/template.h"

/*
 * Where the saved memory of templates lies, on libvirtd's host. QEMU's user may pass this folder and not write to it: what is
 * not there must not come to be there by QEMU's own hand, with nothing in it.
 */
#define RAMET_TEMPLATE_FOLDER "/var/lib/libvirt/ramet-templates"

#define RAMET_TEMPLATE_SLOT_FOLDER RAMET_TEMPLATE_FOLDER "/empty" /* what a share's device shows that is no share's yet */

/* What a clone is restored with, with or without the memory. Clear with ramet_template_state_clear(). */
typedef struct
{
  RametSaveImage *image; /* or NULL: there is nothing here */
  int fd;
  goffset stream_at;     /* where QEMU's stream begins, which goes on to the end */
} RametTemplateState;

gboolean ramet_template_store_ensure (RametConnection *connection, GError **error);
char *ramet_template_store_path (const char *name, const char *what);
gboolean ramet_template_store_put (RametConnection *connection, RametTask *task, const char *path, int fd, gboolean for_qemu,
                                   GError **error);
RametFingerprint *ramet_template_store_look (const char *what, const char *path);
gboolean ramet_template_store_read (RametConnection *connection, RametTask *task, const RametTemplateFile *file,
                                    RametTemplateState *ret_state, GError **error);
gboolean ramet_template_store_read_saved (RametConnection *connection, RametTask *task, const char *path,
                                          RametTemplateState *ret_state, GError **error);
gboolean ramet_template_store_put_state (RametConnection *connection, RametTask *task, const char *path,
                                         const RametTemplateState *state, const char *xml, const RametTemplate *memory_of,
                                         GError **error);
void ramet_template_state_clear (RametTemplateState *state);

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (RametTemplateState, ramet_template_state_clear)
