/*
 * sandbox: what a hand gives up before it touches a stranger's file. It can
 * take and return memory, read the time, and receive and send on the one
 * socket that it has; it opens nothing, starts nothing, connects to nothing.
 *
 *     if (sandbox_enter(fd, 2 << 30, &err) < 0) ... do not go on
 *
 * A system call beyond that ends the process (SIGSYS); those by which
 * libraries look for a file are refused instead. All files but `fd` and
 * stderr are closed. `memory` is what it may take beyond what it has, bytes.
 */
#ifndef CONVOY_WORKER_SANDBOX_H
#define CONVOY_WORKER_SANDBOX_H

#include "common/err.h"

#include <stdint.h>

int sandbox_enter(int fd, int64_t memory, struct err *err);

#endif
