/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/table.h"
#include "operations/vm/inventory.h"

/* What the commands that show VMs have in common. */
char *ramet_entry_state_words (const RametEntry *entry);
RametColour ramet_entry_state_colour (const RametEntry *entry);
const char *ramet_entry_base (const RametEntry *entry);
char *ramet_created_age (const char *created);
GPtrArray *ramet_entry_snapshots (const RametEntry *entry);
gboolean ramet_entry_is_newest (const RametEntry *entry, GPtrArray *entries);
gboolean ramet_entry_is_parent (const RametEntry *entry, GPtrArray *entries);
void ramet_entries_print_json (GPtrArray *entries, gboolean bases);
