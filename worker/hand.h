/*
 * hand: the process that touches strangers' files. It decodes, infers and
 * explains a batch at a time, on one thread, in its sandbox.
 *
 *     if (fork() == 0)
 *         hand_run(shelf, fd, memory);       never returns
 *
 * `fd` is its only link with the world (frame.h, batch.h). It ends with status
 * 0 when the other end is closed, else with one that says why not.
 */
#ifndef CONVOY_WORKER_HAND_H
#define CONVOY_WORKER_HAND_H

#include "worker/shelf.h"

#include <stdint.h>

enum { HAND_NO_SANDBOX = 10, HAND_BAD_BATCH = 11, HAND_NO_MEMORY = 12 };

_Noreturn void hand_run(const struct shelf *shelf, int fd, int64_t memory);

#endif
