#include "models/train/trainer_private.h"

#include "common/clock.h"
#include "models/train/architecture.h"
#include "models/train/checkpoint.h"
#include "models/train/progress.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define LOOKAHEAD_IMAGES (5 * 1024) /* as there: five steps of 1024 */
#define LOOKAHEAD_TIMES 20          /* in a run, at least */
#define SHUFFLE_STREAM (1ull << 60)
#define WEIGHT_MOST 10 /* of a class in the loss */

/* ---- opening ------------------------------------------------------------- */

static int open_network(struct trainer *t, struct err *err) {
    struct architecture a;
    if (architecture_make(&a, t->settings.architecture, t->settings.width,
                          t->train.classes, err) < 0)
        return -1;
    t->net = network_open(a.table, a.rows, t->train.shape, t->settings.batch,
                          t->team, err);
    if (!t->net)
        return -1;
    network_init(t->net, t->settings.seed);
    t->net->frozen_epochs = t->settings.frozen;
    t->net->class_weights = t->weights;
    for (int i = 0; *t->settings.from && i < t->net->layers_count - 1; i++)
        for (int p = 0; p < t->net->layers[i].params_count; p++)
            t->net->layers[i].params[p].lr_scale *=
                (float)t->settings.feature_rate;
    return trainer_whiten(t, err);
}

/* A class that is rare in the training images weighs as much as a common one:
 * images / (classes * images of the class). Up to WEIGHT_MOST: two photos
 * beside 240 would weigh 60 each, and a batch of 16 with one of them would be a
 * step as long as eight without. Measured so, the loss rose to 16 in the third
 * epoch, and in the end everything was taken for the rare class. */
static int weigh_classes(struct trainer *t, struct err *err) {
    int classes = t->train.classes;
    if (!t->settings.balance)
        return 0;
    t->weights = calloc((size_t)classes, sizeof *t->weights);
    if (!t->weights)
        return err_set(err, "no memory for %d classes", classes);
    for (int i = 0; i < t->train.count; i++)
        t->weights[t->train.labels[i]]++;
    for (int i = 0; i < classes; i++)
        if (t->weights[i] > 0)
            t->weights[i] =
                fminf((float)t->train.count / ((float)classes * t->weights[i]),
                      WEIGHT_MOST);
    return 0;
}

static int allocate(struct trainer *t, struct err *err) {
    size_t count = t->net->count;
    t->slow = malloc(count * sizeof *t->slow);
    t->order = malloc((size_t)t->train.count * sizeof *t->order);
    t->labels = malloc((size_t)t->settings.batch * sizeof *t->labels);
    t->history = calloc((size_t)t->settings.epochs, sizeof *t->history);
    t->logits = malloc(((size_t)t->validation.count + 1) *
                       (size_t)t->train.classes * sizeof *t->logits);
    t->tally = malloc(2 * (size_t)t->train.classes * sizeof *t->tally);
    bool aside = t->settings.patience > 0 || t->settings.average > 0;
    if (aside)
        t->aside = malloc(count * sizeof *t->aside);
    if (!t->slow || !t->order || !t->labels || !t->history || !t->logits ||
        !t->tally || (aside && !t->aside))
        return err_set(err, "no memory for a run of %d epochs",
                       t->settings.epochs);
    memcpy(t->slow, t->net->values, count * sizeof *t->slow);
    if (t->aside)
        memcpy(t->aside, t->net->values, count * sizeof *t->aside);
    return 0;
}

struct trainer *trainer_open(const struct settings *settings,
                             const struct dataset *images, int threads,
                             struct err *err) {
    struct trainer *t = calloc(1, sizeof *t);
    if (!t) {
        err_set(err, "no memory for a trainer");
        return NULL;
    }
    t->settings = *settings;
    t->policy = augment_cifar10;
    t->policy.cutout = settings->cutout;
    t->policy.translate = settings->translate;
    t->policy.zoom = (float)settings->zoom;
    t->policy.outliers = (float)settings->outliers;
    t->policy.photometric = (float)settings->photometric;
    t->policy.flip = !settings->no_flip;
    t->optimiser = (struct optimiser_options){
        settings->rate, settings->momentum, settings->weight_decay};
    if (trainer_check(settings, images->shape, err) < 0 ||
        dataset_split(images, settings->validation, &t->train, &t->validation,
                      err) < 0)
        goto fail;
    t->fingerprint = dataset_fingerprint(images);
    t->team = team_open(threads, err);
    if (!t->team || weigh_classes(t, err) < 0 || open_network(t, err) < 0 ||
        allocate(t, err) < 0)
        goto fail;
    return t;
fail:
    trainer_close(t);
    return NULL;
}

void trainer_close(struct trainer *t) {
    if (!t)
        return;
    network_free(t->net);
    team_close(t->team);
    free(t->slow);
    free(t->order);
    free(t->labels);
    free(t->weights);
    free(t->aside);
    free(t->logits);
    free(t->tally);
    free(t->history);
    free(t);
}

static struct checkpoint as_checkpoint(struct trainer *t) {
    return (struct checkpoint){.settings = t->settings,
                               .fingerprint = t->fingerprint,
                               .epochs_done = t->epochs_done,
                               .count = t->net->count,
                               .history = t->history,
                               .values = t->net->values,
                               .momentum = t->net->momentum,
                               .slow = t->slow,
                               .aside = t->aside};
}

/* ---- running ------------------------------------------------------------- */

struct fill_job {
    struct trainer *t;
    int first, n;
    int epoch; /* -1: held-out images, unchanged */
};

static void fill_slice(void *arg, int item, int thread) {
    struct fill_job *job = arg;
    struct trainer *t = job->t;
    struct slice s;
    (void)thread;
    network_slice(job->n, item, &s);
    float *out =
        network_input(t->net) + (size_t)s.first * shape_size(t->net->input);
    if (job->epoch < 0)
        augment_plain(&t->policy, &t->validation, job->first + s.first, s.count,
                      out);
    else
        augment_fill(&t->policy, &t->train, t->order + job->first + s.first,
                     s.count, job->epoch, t->settings.seed, out);
}

/* Mean over the classes that are held out of what is right of each. */
static double balanced_accuracy(struct trainer *t) {
    int classes = t->train.classes, present = 0;
    int *images = t->tally, *right = t->tally + classes;
    double sum = 0;
    memset(t->tally, 0, 2 * (size_t)classes * sizeof *t->tally);
    for (int i = 0; i < t->validation.count; i++) {
        int label = t->validation.labels[i];
        const float *logits = t->logits + (size_t)i * (size_t)classes;
        images[label]++;
        right[label] += loss_best(logits, classes) == label;
    }
    for (int i = 0; i < classes; i++)
        if (images[i] > 0) {
            present++;
            sum += (double)right[i] / images[i];
        }
    return sum / present;
}

void trainer_validate(struct trainer *t, struct epoch_record *record) {
    struct loss loss = {0};
    int classes = t->net->output.channels;

    record->validation_loss = record->validation_accuracy = 0;
    record->validation_balanced = 0;
    if (t->validation.count == 0)
        return;
    for (int i = 0; i < t->validation.count; i += t->settings.batch) {
        int n = trainer_batch(t->validation.count, i, t->settings.batch);
        struct fill_job job = {t, i, n, -1};
        team_run(t->team, LAYER_SLICES, fill_slice, &job);
        network_infer(t->net, n);
        float *logits = t->logits + (size_t)i * (size_t)classes;
        memcpy(logits, network_logits(t->net),
               (size_t)n * (size_t)classes * sizeof *logits);
        loss_softmax(logits, t->validation.labels + i, n, classes, 0, NULL,
                     NULL, &loss);
    }
    record->validation_loss = loss.sum / t->validation.count;
    record->validation_accuracy = (double)loss.correct / t->validation.count;
    record->validation_balanced = balanced_accuracy(t);
}

int trainer_resume(struct trainer *t, const char *checkpoint, struct err *err) {
    struct checkpoint c = as_checkpoint(t);
    struct epoch_record now; /* its logits are what matters */
    if (checkpoint_read(checkpoint, &c, err) < 0)
        return -1;
    t->epochs_done = c.epochs_done;
    trainer_validate(t, &now);
    return 0;
}

static long steps_per_epoch(const struct trainer *t) {
    return (t->train.count + t->settings.batch - 1) / t->settings.batch;
}

static void shuffle(struct trainer *t, int epoch) {
    struct rng rng;
    uint32_t count = (uint32_t)t->train.count;
    for (uint32_t i = 0; i < count; i++)
        t->order[i] = i;
    rng_seed(&rng, t->settings.seed, SHUFFLE_STREAM | (uint32_t)epoch);
    rng_shuffle(&rng, t->order, count);
}

/* Lookahead runs after so many images, in whole steps; in a short run more
 * often, so that the slow weights, which the run ends with, have moved. */
static bool lookahead_due(const struct trainer *t, long step, long steps) {
    long every = LOOKAHEAD_IMAGES / t->settings.batch;
    if (every > steps / LOOKAHEAD_TIMES)
        every = steps / LOOKAHEAD_TIMES;
    return every < 1 || step % every == 0;
}

static void train_batch(struct trainer *t, int epoch, int first, int n,
                        long step, long steps, struct loss *loss) {
    struct fill_job job = {t, first, n, epoch};
    for (int i = 0; i < n; i++) {
        uint32_t image = t->order[first + i];
        bool none =
            augment_is_outlier(&t->policy, image, epoch, t->settings.seed);
        t->labels[i] = none ? LOSS_NO_CLASS : t->train.labels[image];
    }
    team_run(t->team, LAYER_SLICES, fill_slice, &job);
    network_step(t->net, n, t->labels, (float)t->settings.smoothing, loss);
    optimiser_step(t->net, &t->optimiser, t->settings.batch, step, steps);
    if (step + 1 == steps)
        optimiser_lookahead(t->net, t->slow, 1);
    else if (lookahead_due(t, step + 1, steps))
        optimiser_lookahead(t->net, t->slow,
                            optimiser_lookahead_decay(step + 1, steps));
}

static double accuracy(const struct loss *loss) {
    return loss->classed > 0 ? (double)loss->correct / loss->classed : 0;
}

/* 1 where it was stopped. */
static int train_epoch(struct trainer *t, int epoch,
                       const struct trainer_watch *watch, struct err *err) {
    struct epoch_record *record = &t->history[epoch];
    struct loss loss = {0};
    double begun = clock_seconds();
    long each = steps_per_epoch(t), steps = each * t->settings.epochs;

    network_set_epoch(t->net, epoch);
    shuffle(t, epoch);
    if (watch->progress)
        progress_start(watch->progress, epoch, each);
    for (int i = 0, done = 0; i < t->train.count; i += t->settings.batch) {
        int n = trainer_batch(t->train.count, i, t->settings.batch);
        if (watch->stop && *watch->stop)
            return 1;
        train_batch(t, epoch, i, n, each * epoch + done++, steps, &loss);
        if (!isfinite(loss.sum))
            return err_set(err,
                           "training diverged in epoch %d: try a smaller "
                           "learning rate than %g",
                           epoch + 1, t->settings.rate);
        if (watch->progress)
            progress_step(watch->progress, done, i + n, loss.sum / (i + n),
                          accuracy(&loss));
    }
    record->loss = loss.sum / t->train.count;
    record->accuracy = accuracy(&loss);
    record->seconds = clock_seconds() - begun;
    trainer_validate(t, record);
    return 0;
}

/* Of the epoch that has ended. The mean is that of its weights and of those
 * that are in it already (Izmailov et al. 2018, arXiv 1803.05407, algorithm
 * 1). */
static void put_aside(struct trainer *t) {
    const struct network *net = t->net;
    int count = trainer_averaged(t);
    if (count > 1)
        for (size_t i = 0; i < net->count; i++)
            t->aside[i] += (net->values[i] - t->aside[i]) / (float)count;
    else if (t->aside && trainer_best_epoch(t) == t->epochs_done - 1)
        memcpy(t->aside, net->values, net->count * sizeof *t->aside);
}

int trainer_run(struct trainer *t, const char *checkpoint,
                const struct trainer_watch *watch, struct err *err) {
    while (!trainer_finished(t)) {
        int epoch = t->epochs_done;
        int rc = train_epoch(t, epoch, watch, err);
        if (rc != 0)
            return rc;
        t->epochs_done++;
        put_aside(t);
        if (watch->progress)
            progress_epoch(watch->progress, t->train.count, &t->history[epoch]);
        struct checkpoint c = as_checkpoint(t);
        if (checkpoint_write(checkpoint, &c, err) < 0)
            return -1;
        if (watch->epoch)
            watch->epoch(watch->arg, t);
    }
    return 0;
}

/* ---- asking -------------------------------------------------------------- */

struct network *trainer_network(struct trainer *t) {
    return t->net;
}

const struct settings *trainer_settings(const struct trainer *t) {
    return &t->settings;
}

int trainer_epochs_done(const struct trainer *t) {
    return t->epochs_done;
}

const struct epoch_record *trainer_epoch(const struct trainer *t, int epoch) {
    return &t->history[epoch];
}

const struct dataset *trainer_training_set(const struct trainer *t) {
    return &t->train;
}

int trainer_validation_images(const struct trainer *t) {
    return t->validation.count;
}

const struct dataset *trainer_validation_set(const struct trainer *t) {
    return &t->validation;
}

const float *trainer_validation_logits(const struct trainer *t) {
    return t->logits;
}

double trainer_rate(const struct trainer *t, int epoch) {
    long each = steps_per_epoch(t);
    return t->settings.rate *
           optimiser_schedule(each * epoch, each * t->settings.epochs);
}

const struct augment *trainer_augment(const struct trainer *t) {
    return &t->policy;
}

double trainer_seconds(const struct trainer *t) {
    double seconds = 0;
    for (int i = 0; i < t->epochs_done; i++)
        seconds += t->history[i].seconds;
    return seconds;
}
