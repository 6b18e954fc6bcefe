/*
 * trainer: a run of training, from images to trained parameters.
 *
 *     struct settings settings = trainer_defaults;
 *     struct trainer *t = trainer_open(&settings, &images, threads, &err);
 *     trainer_resume(t, "DIR/checkpoint", &err);           optional
 *     trainer_run(t, "DIR/checkpoint", progress, &stop, &err);
 *     trainer_network(t)                                   what was learned
 *     trainer_close(t);
 *
 * Everything random is drawn from streams of (seed, epoch, image), and sums
 * are taken in an order that the number of threads does not change, so a run
 * is the same bit for bit on machines with the same instruction set, whether
 * or not it was interrupted.
 */
#ifndef CONVOY_TRAIN_TRAINER_H
#define CONVOY_TRAIN_TRAINER_H

#include "common/err.h"
#include "models/train/augment.h"
#include "models/train/dataset.h"
#include "models/train/network.h"
#include "models/train/optimiser.h"

#include <signal.h>
#include <stdint.h>

/* All that decides the outcome of a run, apart from the images. Kept in
 * checkpoints as it is, so unused bytes must be 0. */
struct settings {
    char architecture[32];
    double width;
    double rate, momentum, weight_decay; /* optimiser.h */
    double smoothing;                    /* loss.h */
    double zoom;                         /* augment.h */
    uint64_t seed;
    int32_t epochs;
    int32_t batch;
    int32_t validation; /* images at the end that are held out */
    int32_t cutout;     /* augment.h */
    int32_t translate;  /* likewise */
};

extern const struct settings trainer_defaults;

/* What one epoch came to. */
struct epoch_record {
    double loss;                /* mean over the training images, smoothed */
    double accuracy;            /* on the training images as augmented, 0..1 */
    double validation_loss;     /* cross entropy without smoothing */
    double validation_accuracy; /* 0..1, single view */
    double seconds;
};

struct progress; /* progress.h */

/* `images` must outlive the trainer. */
struct trainer *trainer_open(const struct settings *settings,
                             const struct dataset *images, int threads,
                             struct err *err);
void trainer_close(struct trainer *t);

/* Continues from a checkpoint of the same settings and images. */
int trainer_resume(struct trainer *t, const char *checkpoint, struct err *err);

/* Runs what epochs are left, a checkpoint after each. 1 where *stop, which a
 * signal handler may set, ended it before: what the broken epoch learned is
 * lost, and the network in memory is not that of the checkpoint. `stop` may be
 * NULL. */
int trainer_run(struct trainer *t, const char *checkpoint,
                struct progress *progress, const volatile sig_atomic_t *stop,
                struct err *err);

struct network *trainer_network(struct trainer *t);
const struct settings *trainer_settings(const struct trainer *t);
int trainer_epochs_done(const struct trainer *t);
const struct epoch_record *trainer_epoch(const struct trainer *t, int epoch);
const struct dataset *trainer_training_set(const struct trainer *t);
int trainer_validation_images(const struct trainer *t);
const struct augment *trainer_augment(const struct trainer *t);
double trainer_seconds(const struct trainer *t); /* of all epochs done */

/* Loss and accuracy on the held-out images as the network is now; 0 where
 * there are none. */
void trainer_validate(struct trainer *t, struct epoch_record *record);

#endif
