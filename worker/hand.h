/*
 * hand: the process that touches strangers' files. It decodes, infers and
 * explains a batch at a time, on one thread, in its sandbox.
 *
 *     if (fork() == 0)
 *         hand_run(shelf, fd, settings);     never returns
 *
 * `fd` is its only link with the world (frame.h, batch.h). It ends with status
 * 0 when the other end is closed, else with one that says why not.
 *
 * An image whose decoding takes more processor time than --decode-timeout, or
 * eight times that by the clock, fails: decoders cannot be told to stop, so the
 * hand says so and ends. The others of its batch have no answer then and are
 * tried again by the foreman.
 */
#ifndef CONVOY_WORKER_HAND_H
#define CONVOY_WORKER_HAND_H

#include "worker/settings.h"
#include "worker/shelf.h"

enum {
    HAND_NO_SANDBOX = 10,
    HAND_BAD_BATCH = 11,
    HAND_NO_MEMORY = 12,
    HAND_STUCK = 13, /* decoding; the image has been answered as failed */
};

_Noreturn void hand_run(const struct shelf *shelf, int fd,
                        const struct settings *settings);

#endif
