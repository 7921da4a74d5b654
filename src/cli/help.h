/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/command.h"

void ramet_print_help (void);
void ramet_print_command_help (const RametCommand *command);
gboolean ramet_print_help_about (char **words, GError **error);
