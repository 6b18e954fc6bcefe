/*
 * output: the folder that a run writes to: made, found fit for it before
 * anything takes long, and kept from other runs.
 *
 *     const struct output o = {.folder = "DIR", .photos = "flowers"};
 *     int lock = output_open(&o, &err);
 *     ...
 *     close(lock);                        or let the process end
 *
 * A new run begins in a folder that is new or empty but for the report of a run
 * that finished no epoch: nothing is ever overwritten that is not its own. To
 * train anew in the place of an earlier run or model, remove the folder.
 *
 * The lock is the kernel's (flock on the folder itself), so it leaves no file
 * behind and ends with the process, however that ends. A file system without
 * such locks is used without.
 */
#ifndef CONVOY_TRAIN_OUTPUT_H
#define CONVOY_TRAIN_OUTPUT_H

#include "common/err.h"

#include <stdbool.h>

struct output {
    const char *folder;
    const char *photos; /* the folder of classes that is read, or NULL */
    bool resume;        /* a run that is there is gone on with */
};

/* The lock's descriptor, or -1. */
int output_open(const struct output *o, struct err *err);

#endif
