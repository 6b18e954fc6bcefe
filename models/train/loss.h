/*
 * loss: cross entropy of softmax with label smoothing (Szegedy et al. 2016,
 * arXiv 1512.00567, section 7): the target is 1 - smoothing + smoothing / K
 * for the true class and smoothing / K for the others.
 *
 *     loss_softmax(logits, labels, n, 10, 0.2f, NULL, gradient, &result);
 *
 * Loss and gradient are sums over the images, not means: the optimiser's
 * learning rate is one of an image.
 */
#ifndef CONVOY_TRAIN_LOSS_H
#define CONVOY_TRAIN_LOSS_H

#include <stdint.h>

struct loss {
    double sum;  /* added to */
    int correct; /* added to */
    int classed; /* added to: images that have a class */
};

/* The label of an image that is none of the classes: its target is even. */
#define LOSS_NO_CLASS UINT16_MAX

/* logits and gradient (n, classes); weights (classes), by which loss and
 * gradient of an image of that class are multiplied. Both may be NULL. */
void loss_softmax(const float *logits, const uint16_t *labels, int n,
                  int classes, float smoothing, const float *weights,
                  float *gradient, struct loss *loss);

/* The class of the greatest logit; of equal ones the first. */
int loss_best(const float *logits, int classes);

#endif
