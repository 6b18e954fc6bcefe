/*
 * probe: a last layer for features that were learned elsewhere.
 *
 *     probe_fit(net, pooled, labels, n, 0.1f, &err);
 *
 * Fine-tuning from a random last layer first spoils the features: its errors
 * are large and mean nothing yet. So it is fitted before, as a *linear probe*
 * on what the fixed features make of the images, which costs one forward pass
 * of the network (Kumar et al. 2022, arXiv 2202.10054: "linear probing then
 * fine-tuning").
 */
#ifndef CONVOY_TRAIN_PROBE_H
#define CONVOY_TRAIN_PROBE_H

#include "models/train/network.h"

/* `pooled` (n, C) is what the last layer, a linear one of C inputs, reads of
 * the n images. Fills its weights. */
int probe_fit(struct network *net, const float *pooled, const uint16_t *labels,
              int n, float smoothing, struct err *err);

#endif
