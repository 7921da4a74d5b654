/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <libxml/tree.h>

void domain_schema_load (void);
void domain_schema_unload (void);
char *domain_schema_check (xmlDoc *doc);
