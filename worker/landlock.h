/*
 * landlock: no file and no port for this process any more, by the kernel's own
 * access control (Landlock, Linux 5.13).
 *
 *     switch (landlock_forbid_all(&err)) ...
 *
 * 1 where it is in force, 0 where the kernel has none, -1 where it should have
 * worked. no_new_privs must have been set. What is open stays so.
 */
#ifndef CONVOY_WORKER_LANDLOCK_H
#define CONVOY_WORKER_LANDLOCK_H

#include "common/err.h"

int landlock_forbid_all(struct err *err);

#endif
