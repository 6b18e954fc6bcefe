/*
 * probe: tries to get out of a hand's sandbox.
 *
 *     convoy-worker --probe-sandbox
 *
 * One process an attempt, in the very sandbox of a hand: what became of it, a
 * line each. The first few are what a hand must be able to do. 0 where all is
 * as it should be, else 1.
 */
#ifndef CONVOY_WORKER_PROBE_H
#define CONVOY_WORKER_PROBE_H

#include <stdio.h>

int probe_sandbox(FILE *out);

#endif
