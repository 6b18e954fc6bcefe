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
 * checkpoints as it is, so unused bytes must be 0. A new setting goes to the
 * end, its 0 meaning what was before it: checkpoints with less of them are
 * read as if the rest were 0. */
struct settings {
    char architecture[32];
    double width;
    double rate, momentum, weight_decay; /* optimiser.h */
    double smoothing;                    /* loss.h */
    double zoom;                         /* augment.h */
    uint64_t seed;
    int32_t epochs;
    int32_t batch;
    int32_t validation;  /* images at the end that are held out */
    int32_t cutout;      /* augment.h */
    int32_t translate;   /* likewise */
    int32_t side;        /* of the photos of a folder; 0: as the images are */
    int32_t no_flip;     /* augment.h, the other way round */
    int32_t balance;     /* 1: every class weighs the same in the loss */
    int32_t patience;    /* epochs without a better one that end the run, whose
                            best is kept; 0: it runs to its end and keeps that */
    int32_t frozen;      /* first epochs in which only the head learns */
    double feature_rate; /* times the learning rate, of all but the head */
    char from[64];       /* the models whose features it began with; or "" */
    double outliers;     /* augment.h */
    double photometric;  /* likewise */
    int32_t head;        /* 1: it began with that model's last layer too */
    int32_t average;     /* epochs at the end, the mean of whose weights is
                            kept; 0: the last one is */
};

extern const struct settings trainer_defaults;

/* Whether a run with images of that shape can be; an error names the option. */
int trainer_check(const struct settings *s, struct shape input,
                  struct err *err);

/* What one epoch came to. */
struct epoch_record {
    double loss;                /* mean over the training images, smoothed */
    double accuracy;            /* on the training images as augmented, 0..1 */
    double validation_loss;     /* cross entropy without smoothing */
    double validation_accuracy; /* 0..1, single view */
    double seconds;
    double validation_balanced; /* mean over the classes of the share of each
                                   that is right; those that none is held out
                                   of do not count */
};

struct progress; /* progress.h */
struct transfer; /* transfer.h */

/* `images` must outlive the trainer. */
struct trainer *trainer_open(const struct settings *settings,
                             const struct dataset *images, int threads,
                             struct err *err);
void trainer_close(struct trainer *t);

/* Features from a trained model instead of random ones, before the first
 * epoch: transfer.h. */
int trainer_start_from(struct trainer *t, const struct transfer *models,
                       int count, struct err *err);

/* Continues from a checkpoint of the same settings and images, and measures it
 * on those held out. Also puts a run back that was stopped inside an epoch. */
int trainer_resume(struct trainer *t, const char *checkpoint, struct err *err);

/* Who watches a run: `epoch` is called after each, when its checkpoint is on
 * disk. Any of it may be NULL. */
struct trainer_watch {
    struct progress *progress;
    const volatile sig_atomic_t *stop; /* a signal handler may set it */
    void (*epoch)(void *arg, struct trainer *t);
    void *arg;
};

/* Runs what epochs are left, a checkpoint after each. 1 where *stop ended it
 * before: what the broken epoch learned is lost, and the network in memory is
 * not that of the checkpoint. */
int trainer_run(struct trainer *t, const char *checkpoint,
                const struct trainer_watch *watch, struct err *err);

/* The epoch whose network is to be kept: with patience the best on the
 * held-out images so far, else the last, which an average ends with. -1 before
 * the first. Where classes are balanced in the loss, accuracy is balanced as
 * well: of 500 photos of one and 3 of another, naming all of them the first is
 * right on 99 %. */
int trainer_best_epoch(const struct trainer *t);

/* True once all epochs are done or patience is at its end. */
bool trainer_finished(const struct trainer *t);

/* Epochs whose weights are in the mean so far; 0 where none is taken. */
int trainer_averaged(const struct trainer *t);

/* For the end of a run: puts the network of trainer_best_epoch() in place, or
 * the mean, with statistics of batch normalisation that are measured anew;
 * where that makes the former worse on the held-out images, as it was. And
 * measures it. Training cannot go on after it. */
void trainer_use_best(struct trainer *t);

/* That network with the statistics measured anew, on the held-out images, and
 * whether this is the one that was kept. NULL before trainer_use_best(), and
 * where no images are held out. */
const struct epoch_record *trainer_settled(const struct trainer *t, bool *kept);

/* Whether that was done: the network is the one to keep, not the latest. */
bool trainer_ended(const struct trainer *t);

/* The record of that epoch; after trainer_use_best() as it was measured there.
 * Only after the first epoch. */
const struct epoch_record *trainer_kept(const struct trainer *t);

struct network *trainer_network(struct trainer *t);
const struct settings *trainer_settings(const struct trainer *t);
int trainer_epochs_done(const struct trainer *t);
const struct epoch_record *trainer_epoch(const struct trainer *t, int epoch);
const struct dataset *trainer_training_set(const struct trainer *t);
int trainer_validation_images(const struct trainer *t);
const struct dataset *trainer_validation_set(const struct trainer *t);
/* (validation images, classes), of the last trainer_validate(). */
const float *trainer_validation_logits(const struct trainer *t);
/* Of the step that an epoch begins with. */
double trainer_rate(const struct trainer *t, int epoch);
const struct augment *trainer_augment(const struct trainer *t);
double trainer_seconds(const struct trainer *t); /* of all epochs done */

/* Loss and accuracy on the held-out images as the network is now; 0 where
 * there are none. */
void trainer_validate(struct trainer *t, struct epoch_record *record);

#endif
