/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

/* What libFuzzer calls. A target takes any bytes, and ends the program where a property does not hold. */
int LLVMFuzzerTestOneInput (const guint8 *data, size_t size);

/* A target's own mutator, which may call libFuzzer's; they give the new size. */
size_t LLVMFuzzerMutate (guint8 *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator (guint8 *data, size_t size, size_t max_size, unsigned int seed);
size_t LLVMFuzzerCustomCrossOver (const guint8 *data1, size_t size1, const guint8 *data2, size_t size2, guint8 *out,
                                  size_t max_size, unsigned int seed);

char *fuzz_text (const guint8 *data, size_t size);
gboolean fuzz_matches (const char *text, const char *pattern);
void fuzz_check_message (const char *text, gsize max_columns);
void fuzz_check_refusal (const GError *error, gsize max_columns);
void fuzz_check_xml (const char *xml);
