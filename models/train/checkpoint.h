/*
 * checkpoint: a run of training on disk, whole or not at all.
 *
 *     struct checkpoint c = {.settings = s, .epochs_done = 3, .count = n,
 *                            .history = h, .values = v, ...};
 *     checkpoint_write("DIR/checkpoint", &c, &err);
 *     checkpoint_read_settings("DIR/checkpoint", &settings, &err);
 *     checkpoint_read("DIR/checkpoint", &c, &err);      into c's arrays
 *
 * Files of earlier layouts are read too: "convoyT1", without the settings that
 * came later and without `aside`, and "convoyT2", without balanced accuracy.
 *
 * The file is written beside its place, forced to disk and renamed over the old
 * one. It is for the machine that wrote it (native byte order) and ends in a
 * checksum, so a damaged one is refused.
 */
#ifndef CONVOY_TRAIN_CHECKPOINT_H
#define CONVOY_TRAIN_CHECKPOINT_H

#include "models/train/trainer.h"

struct checkpoint {
    struct settings settings;
    uint64_t fingerprint; /* of the images: dataset_fingerprint() */
    int epochs_done;
    size_t count;                 /* floats in each array */
    struct epoch_record *history; /* (settings.epochs) */
    float *values, *momentum, *slow;
    float *aside; /* NULL: the run puts none aside */
};

int checkpoint_write(const char *path, const struct checkpoint *c,
                     struct err *err);

int checkpoint_read_settings(const char *path, struct settings *settings,
                             struct err *err);

/* Expects settings, fingerprint and count as they must be, and fills the
 * rest; anything that differs is an error that names it. */
int checkpoint_read(const char *path, struct checkpoint *c, struct err *err);

#endif
