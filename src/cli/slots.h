/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/*
 * What may stand behind a command or an option, read out of how its help puts it: "BASE|NAME@SNAPSHOT NEW" or "FILE". Each
 * form of a word is one kind of thing: "NAME[@NEW]" has the forms "NAME" and "NAME@NEW". What is in lower case stands for itself.
 */
typedef struct
{
  GPtrArray *forms; /* (element-type utf8): "NAME", "NAME@SNAPSHOT" */
  gboolean repeats;
} RametSlot;

GPtrArray *ramet_slots_new (const char *args);
const RametSlot *ramet_slots_get (GPtrArray *slots, guint index);
gboolean ramet_slot_form_is_literal (const char *form);
