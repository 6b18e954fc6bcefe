/*
 * sandbox: what a hand gives up before it touches a stranger's file. It can
 * take and return memory, read the time, and receive and send on the one
 * socket that it has; it opens nothing, starts nothing, connects to nothing.
 *
 *     if (sandbox_enter(fd, 2 << 30, &err) < 0) ... do not go on
 *
 * From the outside in, so that each layer still stands where the next one has
 * a hole: it is nobody (where it was root) and can never gain rights again; the
 * kernel's Landlock (where there is one) lets it reach no file and no port;
 * limits on memory, files, processes and processor time; and a filter of system
 * calls under which one that is not on the list ends the process (SIGSYS),
 * while those by which libraries look for a file are refused. All files but
 * `fd` and stderr are closed. `memory` is what it may take beyond what it has,
 * bytes.
 *
 * `convoy-worker --probe-sandbox` (probe.h) tries to get out of it.
 */
#ifndef CONVOY_WORKER_SANDBOX_H
#define CONVOY_WORKER_SANDBOX_H

#include "common/err.h"

#include <stdint.h>

/* A hand's processor time. One that runs wild ends by SIGXCPU at the latter;
 * an honest one leaves at the former, when it has nothing in work. */
#define SANDBOX_CPU_HONEST_S 7200
#define SANDBOX_CPU_MOST_S 10800

int sandbox_enter(int fd, int64_t memory, struct err *err);

#endif
