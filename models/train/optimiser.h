/*
 * optimiser: stochastic gradient descent with Nesterov momentum, its learning
 * rate over the run, and lookahead.
 *
 *     struct optimiser_options o = optimiser_defaults;
 *     optimiser_step(net, &o, batch, step, steps);
 *     optimiser_lookahead(net, slow, optimiser_lookahead_decay(step, steps));
 *
 * Published recipe (arXiv 2404.00498, section 3 and its listing). Learning rate
 * and weight decay are stated per 1024 images and independent of each other,
 * of the momentum and of the batch: gradients are sums over images, and one
 * step of Nesterov momentum m moves 1 + 1 / (1 - m) times as far as its
 * gradient once the momentum has built up, so
 *
 *     lr    = rate / (1024 * (1 + 1 / (1 - m)))
 *     decay = weight_decay * batch / (1024 * (1 + 1 / (1 - m)))
 *
 * and then, as PyTorch's SGD does it:  g += decay / lr * w;  v = m * v + g;
 * w -= lr * schedule * (g + m * v).
 */
#ifndef CONVOY_TRAIN_OPTIMISER_H
#define CONVOY_TRAIN_OPTIMISER_H

#include "models/train/network.h"

struct optimiser_options {
    double rate; /* per 1024 images */
    double momentum;
    double weight_decay; /* per 1024 images, decoupled from the rate */
};

extern const struct optimiser_options optimiser_defaults;

/* The triangle: 0.2 of the rate at first, all of it after 23 % of the steps,
 * 0.07 at the end, linear in between. */
double optimiser_schedule(long step, long steps);

void optimiser_step(struct network *net, const struct optimiser_options *o,
                    int batch, long step, long steps);

/* Lookahead (Zhang et al. 2019, arXiv 1907.08610) with the decay that rises
 * over the run: slow = decay * slow + (1 - decay) * fast; fast = slow. Covers
 * parameters and statistics; `slow` has net->count floats. */
void optimiser_lookahead(struct network *net, float *slow, double decay);
double optimiser_lookahead_decay(long step, long steps);

#endif
