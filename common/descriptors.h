/*
 * descriptors: as many open files as a program needs.
 *
 *     if (descriptors_allow(2 * threads + 64, &err) < 0) ...     at its start
 *
 * The soft limit is raised to the hard one: libraries end the program, or hang,
 * where they are refused a descriptor. Where even that is too low it is an
 * error that says so.
 */
#ifndef CONVOY_DESCRIPTORS_H
#define CONVOY_DESCRIPTORS_H

#include "common/err.h"

int descriptors_allow(int least, struct err *err);

#endif
