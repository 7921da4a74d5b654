/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * RAMET_STEP ("name"): a step is done, and this is where a test can have ramet killed. A release build (NDEBUG) has none
 * of it. In the others these variables of the environment are looked at:
 *
 *   RAMET_STOP_AT=NAME[:N]     stop here, the N-th time that this step is done (default: the first)
 *   RAMET_STOP_AT=?            tell every step on stderr instead: "step NAME:N"
 *   RAMET_STOP_SIGNAL=KILL     die by SIGKILL rather than stop by SIGSTOP
 */
#ifdef NDEBUG
#define RAMET_STEP(name) ((void) 0)
#else
#define RAMET_STEP(name) ramet_stop_at (name)
void ramet_stop_at (const char *step);
#endif
