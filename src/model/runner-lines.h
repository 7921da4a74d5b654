/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Shell to be run in a guest by something that gives each line arguments, takes what it prints, and can keep no terminal
 * open: it starts bootstrap/console/runner.sh in the folder $1, and is its line in and out.
 */
extern const char ramet_runner_line_start[];  /* $2: the nonce; the runner is on its standard input */
extern const char ramet_runner_line_put[];    /* adds to what was put before; it is on its standard input, as base64 */
/* $2: how many bytes of the answers are known; $3: a request, or empty; prints what follows */
extern const char ramet_runner_line_turn[];
extern const char ramet_runner_line_end[];

#define RAMET_RUNNER_GONE 3 /* status of ramet_runner_line_turn if the runner is not there any more */
