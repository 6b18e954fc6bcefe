/*
 * transfer: a model trained by this project as the beginning of another run.
 *
 *     struct transfer model;
 *     if (transfer_open(&model, "models/zoo/cifar10-airbench", &err) < 0) ...
 *     model.architecture, model.width       to open the same network with
 *     transfer_load(&model, net, &err);     all but the last layer
 *     transfer_adapt(net, n);               to the n images of its batch
 *     if (transfer_has_classes(&model, names, 10))
 *         transfer_load_head(&model, net, &err);        and the last layer
 *     transfer_close(&model);
 *
 * What the layers before the last have learned on other images (edges, fur,
 * fingers) is of use for new classes too, and a few hundred photos are enough
 * to learn the rest from (Yosinski et al. 2014, arXiv 1411.1792). For the same
 * classes in the same order the last layer comes along as well, and training
 * goes on where it ended.
 *
 * An exported file has batch normalisation folded into the convolution before
 * it, W' = W / sigma and b' = shift - mean / sigma. Read back, the convolution
 * is W', with mean 0, variance 1 and shift b': the same function. But training
 * normalises by the statistics of its own batches, so transfer_adapt() measures
 * the mean of W' x on the new images, layer after layer, and adds it to the
 * shift: what comes out has the mean that the next layer was trained for, and
 * unit variance on the new images (Li et al. 2017, arXiv 1603.04779).
 */
#ifndef CONVOY_TRAIN_TRANSFER_H
#define CONVOY_TRAIN_TRANSFER_H

#include "models/classifier/labels.h"
#include "models/train/network.h"

struct transfer {
    char name[64]; /* of the model: its folder's */
    char architecture[32];
    double width;
    double temperature; /* that its logits were divided by */
    struct labels labels;
    struct graph *graph;
};

/* A folder without what is needed, of an unknown architecture, or trained on
 * pixels normalised otherwise, is an error that says so. */
int transfer_open(struct transfer *model, const char *folder, struct err *err);
void transfer_close(struct transfer *model);

int transfer_load(const struct transfer *model, struct network *net,
                  struct err *err);
void transfer_adapt(struct network *net, int n);

/* `names` (classes), in the order of the network's scores; NULL: unknown. */
bool transfer_has_classes(const struct transfer *model,
                          const char *const *names, int classes);
int transfer_load_head(const struct transfer *model, struct network *net,
                       struct err *err);

#endif
