/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <libxml/tree.h>

/* What the user lets go or share: one field for each option. */
typedef struct
{
  gboolean devices; /* --drop-host-devices */
  gboolean args;    /* --keep-qemu-args */
  gboolean disks;   /* --share-disk for each that may be */
} DomainAllowed;

typedef enum
{
  DOMAIN_SCHEMA_VALID,   /* the file passes, so the clone must */
  DOMAIN_SCHEMA_INVALID, /* the file does not, on purpose */
  DOMAIN_SCHEMA_ANY,     /* it depends on libvirt's version */
} DomainSchema;

/* What stands in the way of a clone. */
typedef struct
{
  char *xpath;
  char *option; /* that allows it: "drop-host-devices", …; or NULL */
} DomainRefusal;

/* What must come of a file. */
typedef struct
{
  gboolean is_error;
  DomainSchema schema;
  GPtrArray *refusals; /* (element-type DomainRefusal): none if it is cloned as it is */
} DomainExpectation;

DomainExpectation *domain_expectation_read (const char *text, GPtrArray *failures);
DomainExpectation *domain_expectation_error (void);
DomainExpectation *domain_expectation_of (xmlDoc *doc, const GError *error, DomainSchema schema, GPtrArray *failures);
void domain_expectation_free (DomainExpectation *self);

gboolean domain_expectation_has (const DomainExpectation *self, const DomainAllowed *allowed);
void domain_expectation_check (const DomainExpectation *self, xmlDoc *doc, const DomainAllowed *allowed,
                               const GError *error, GPtrArray *failures);
void domain_expectation_drop (const DomainExpectation *self, xmlDoc *doc, GPtrArray *notes, GPtrArray *failures);
