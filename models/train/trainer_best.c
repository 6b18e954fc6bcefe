/*
 * Which epoch is kept, and what becomes of it at the end of a run.
 */
#include "models/train/trainer_private.h"

#include <math.h>
#include <string.h>

#define SETTLE_IMAGES 8192 /* of the last statistics, at most */

#define ROUNDING 1e-9 /* of a mean over classes */

/* The more accurate; of two that are equally so, the one that is surer. */
static bool better(const struct trainer *t, const struct epoch_record *a,
                   const struct epoch_record *b) {
    double more = t->settings.balance
                      ? a->validation_balanced - b->validation_balanced
                      : a->validation_accuracy - b->validation_accuracy;
    if (fabs(more) > ROUNDING)
        return more > 0;
    return a->validation_loss < b->validation_loss;
}

int trainer_best_epoch(const struct trainer *t) {
    int best = 0;
    if (t->settings.patience == 0)
        return t->epochs_done - 1;
    for (int i = 1; i < t->epochs_done; i++)
        if (better(t, &t->history[i], &t->history[best]))
            best = i;
    return t->epochs_done > 0 ? best : -1;
}

int trainer_averaged(const struct trainer *t) {
    int before = t->settings.epochs - t->settings.average;
    return t->epochs_done > before ? t->epochs_done - before : 0;
}

bool trainer_finished(const struct trainer *t) {
    int since = t->epochs_done - 1 - trainer_best_epoch(t);
    return t->epochs_done >= t->settings.epochs ||
           (t->settings.patience > 0 && since >= t->settings.patience);
}

/* The statistics of batch normalisation that training leaves are of its last
 * two or three batches, of changed images, and of weights that lookahead has
 * moved since. These are of many images as a user shows them, under the weights
 * that are kept (Wu and Johnson 2021, arXiv 2105.07576, section 3; Izmailov et
 * al. 2018, arXiv 1803.05407, section 3.2). */
static void settle_statistics(struct trainer *t) {
    int images = trainer_batch(t->train.count, 0, SETTLE_IMAGES);
    int batch = trainer_batch(images, 0, t->settings.batch);
    for (int i = 0; i < images / batch; i++) {
        augment_plain(&t->policy, &t->train, i * batch, batch,
                      network_input(t->net));
        network_average_statistics(t->net, batch, i);
    }
}

void trainer_use_best(struct trainer *t) {
    struct network *net = t->net;
    size_t size = net->count * sizeof *net->values;
    float *trained = t->slow; /* lookahead is over */
    if (t->aside)
        memcpy(net->values, t->aside, size);
    memcpy(trained, net->values, size);
    t->kept = t->settled = t->history[trainer_best_epoch(t)];
    settle_statistics(t);
    trainer_validate(t, &t->settled);
    t->took_settled = t->validation.count == 0 || trainer_averaged(t) > 1 ||
                      !better(t, &t->kept, &t->settled);
    if (t->took_settled)
        t->kept = t->settled;
    else {
        memcpy(net->values, trained, size);
        trainer_validate(t, &t->kept); /* for its logits */
    }
    t->used_best = true;
}

bool trainer_ended(const struct trainer *t) {
    return t->used_best;
}

const struct epoch_record *trainer_settled(const struct trainer *t,
                                           bool *kept) {
    *kept = t->took_settled;
    return t->used_best && t->validation.count > 0 ? &t->settled : NULL;
}

const struct epoch_record *trainer_kept(const struct trainer *t) {
    return t->used_best ? &t->kept : &t->history[trainer_best_epoch(t)];
}
