/*
 * confine: what the front and the foreman give up, for the day that somebody
 * takes them over through a socket.
 *
 *     if (confine(CONFINE_FRONT, &err) < 0) ...      before any thread is made
 *
 * Neither traces or reads other processes, loads code into the kernel, mounts,
 * makes namespaces, sets clocks or keeps keys: such a call is refused with
 * EPERM. The front starts no program and no process, signals nobody, and (by
 * Landlock, where there is one) writes no file. The foreman has the nursery to
 * start, which inherits what is refused here, and so do the hands, whose own
 * sandbox (worker/sandbox.h) goes much further.
 *
 * A list of what is refused, not of what is allowed: libraries that are not
 * ours (ZeroMQ, resolvers) run in both.
 */
#ifndef CONVOY_CONFINE_H
#define CONVOY_CONFINE_H

#include "common/err.h"

enum confine_role { CONFINE_FRONT = 1, CONFINE_FOREMAN = 2 };

int confine(enum confine_role role, struct err *err);

#endif
