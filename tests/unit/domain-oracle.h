/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

#include "model/rewrite.h"
#include "model/xml.h"

/* A clone beside what it was made of; what is wrong with it is added to the failures. */
typedef struct
{
  xmlDoc *base; /* without what the user let go */
  xmlDoc *clone;
  const RametIdentity *identity;
  GPtrArray *notes;    /* (element-type utf8) */
  GPtrArray *failures; /* (element-type utf8) */
} DomainCheck;

void domain_check_clone (const DomainCheck *check);
void domain_check_differs (xmlDoc *one, xmlDoc *other, GPtrArray *failures);

GPtrArray *domain_find (xmlDoc *doc, const char *xpath);
void domain_fail (GPtrArray *failures, const char *format, ...) G_GNUC_PRINTF (2, 3);
