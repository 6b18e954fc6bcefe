/*
 * landlock: files and ports that this process, its threads to come and its
 * children can no longer reach, by the kernel's own access control (Landlock,
 * Linux 5.13).
 *
 *     switch (landlock_forbid(LANDLOCK_EVERYTHING, &err)) ...
 *
 * 1 where it is in force, 0 where the kernel has none, -1 where it should have
 * worked. no_new_privs must have been set. What is open stays so.
 */
#ifndef CONVOY_LANDLOCK_H
#define CONVOY_LANDLOCK_H

#include "common/err.h"

enum landlock_realm {
    LANDLOCK_EVERYTHING, /* files, TCP, abstract sockets, others' processes */
    LANDLOCK_CHANGES,    /* to execute; to write or make files, but sockets */
};

int landlock_forbid(enum landlock_realm realm, struct err *err);

#endif
