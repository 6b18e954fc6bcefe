/*
 * trainer_private: what the parts of a trainer share. See trainer.h.
 *
 *   trainer.c            opening, epochs, checkpoints
 *   trainer_settings.c   the defaults, and what makes sense
 *   trainer_beginning.c  what the weights begin with
 *   trainer_best.c       which epoch is kept, and what becomes of it at the end
 */
#ifndef CONVOY_TRAIN_TRAINER_PRIVATE_H
#define CONVOY_TRAIN_TRAINER_PRIVATE_H

#include "models/train/trainer.h"

struct trainer {
    struct settings settings;
    struct dataset train, validation; /* borrowed */
    uint64_t fingerprint;
    struct augment policy;
    struct optimiser_options optimiser;
    struct team *team;
    struct network *net;
    float *slow;      /* lookahead's, laid out as the network's values */
    uint32_t *order;  /* (train.count) */
    uint16_t *labels; /* (batch) */
    float *weights;   /* (classes) in the loss, or NULL */
    float *aside;     /* values that the end may go back to: with patience the
                         best epoch's, with an average the mean; else NULL */
    float *logits;    /* (validation.count, classes) */
    int epochs_done;
    struct epoch_record *history; /* (settings.epochs) */
    int *tally;                   /* (2, classes) scratch */
    bool used_best;               /* trainer_use_best() has filled */
    struct epoch_record kept, settled;
    bool took_settled;
};

/* Images of the batch that begins at `first`, of `total`. */
static inline int trainer_batch(int total, int first, int batch) {
    return total - first < batch ? total - first : batch;
}

/* The first convolution of a network from nothing. */
int trainer_whiten(struct trainer *t, struct err *err);

#endif
