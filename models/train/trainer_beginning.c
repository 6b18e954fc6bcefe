/*
 * What a run begins with: nothing but a whitening convolution, or the features
 * of other models.
 */
#include "models/train/trainer_private.h"

#include "models/train/probe.h"
#include "models/train/transfer.h"
#include "models/train/whiten.h"

#include <stdlib.h>
#include <string.h>

#define WHITEN_IMAGES 5000 /* as in arXiv 2404.00498 */
#define PROBE_IMAGES 4096  /* enough to fit a last layer to */

int trainer_whiten(struct trainer *t, struct err *err) {
    struct layer *first = &t->net->layers[0];
    int images =
        t->train.count < WHITEN_IMAGES ? t->train.count : WHITEN_IMAGES;
    if (!first->spec.whiten || *t->settings.from)
        return 0;
    float *x = malloc((size_t)images * shape_size(t->net->input) * sizeof *x);
    if (!x)
        return err_set(err, "no memory to whiten %d images", images);
    augment_plain(&t->policy, &t->train, 0, images, x);
    int rc = whiten_conv(first, x, images, err);
    free(x);
    return rc;
}

/* What the last layer reads of the first `images` training images. */
static void pool_features(struct trainer *t, int images, float *pooled) {
    size_t each = shape_size(t->net->layers[t->net->layers_count - 1].in);
    for (int i = 0; i < images; i += t->settings.batch) {
        int n = trainer_batch(images, i, t->settings.batch);
        augment_plain(&t->policy, &t->train, i, n, network_input(t->net));
        network_infer(t->net, n);
        memcpy(pooled + (size_t)i * each, network_pooled(t->net),
               (size_t)n * each * sizeof *pooled);
    }
}

/* The last layer: fitted to the features as they are. */
static int fit_head(struct trainer *t, struct err *err) {
    int images = trainer_batch(t->train.count, 0, PROBE_IMAGES);
    size_t each = shape_size(t->net->layers[t->net->layers_count - 1].in);
    float *pooled = malloc((size_t)images * each * sizeof *pooled);
    if (!pooled)
        return err_set(err, "no memory for the features of %d images", images);
    pool_features(t, images, pooled);
    int rc = probe_fit(t->net, pooled, t->train.labels, images,
                       (float)t->settings.smoothing, err);
    free(pooled);
    return rc;
}

/* Weights of networks that went on from one another lie in one valley, and
 * their mean nearer to its bottom (Izmailov et al. 2018, arXiv 1803.05407;
 * Wortsman et al. 2022, arXiv 2203.05482). */
static int load_mean(struct trainer *t, const struct transfer *models,
                     int count, struct err *err) {
    struct network *net = t->net;
    memset(t->slow, 0, net->count * sizeof *t->slow);
    for (int i = 0; i < count; i++) {
        if (transfer_load(&models[i], net, err) < 0 ||
            (t->settings.head && transfer_load_head(&models[i], net, err) < 0))
            return -1;
        for (size_t k = 0; k < net->count; k++)
            t->slow[k] += net->values[k] / (float)count;
    }
    memcpy(net->values, t->slow, net->count * sizeof *t->slow);
    return 0;
}

int trainer_start_from(struct trainer *t, const struct transfer *models,
                       int count, struct err *err) {
    int batch = trainer_batch(t->train.count, 0, t->settings.batch);
    if (load_mean(t, models, count, err) < 0)
        return -1;
    augment_plain(&t->policy, &t->train, 0, batch, network_input(t->net));
    transfer_adapt(t->net, batch);
    if (!t->settings.head && fit_head(t, err) < 0)
        return -1;
    memcpy(t->slow, t->net->values, t->net->count * sizeof *t->slow);
    return 0;
}
