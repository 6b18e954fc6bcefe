/*
 * progress: how a run of training is doing, for a person to watch.
 *
 *     struct progress p;
 *     progress_open(&p, stderr, epochs);
 *     progress_start(&p, epoch, steps);
 *     progress_step(&p, step, images, loss, accuracy);
 *     progress_epoch(&p, epoch, &record);
 *
 * On a terminal a bar that moves while an epoch runs, no longer than its lines;
 * always one line for an epoch that is done.
 */
#ifndef CONVOY_TRAIN_PROGRESS_H
#define CONVOY_TRAIN_PROGRESS_H

#include "models/train/trainer.h"

#include <stdbool.h>
#include <stdio.h>

struct progress {
    FILE *out;
    bool terminal;
    int epochs;
    double begun; /* clock_seconds() */
    double last_drawn;
    double epoch_begun;
    int epoch, first_epoch;
    long steps;
};

void progress_open(struct progress *p, FILE *out, int epochs, int epochs_done);
void progress_start(struct progress *p, int epoch, long steps);
void progress_step(struct progress *p, long step, long images, double loss,
                   double accuracy);
void progress_epoch(struct progress *p, long images,
                    const struct epoch_record *record);

/* "1:02:05", "3:07". */
void progress_time(double seconds, char text[32]);

#endif
