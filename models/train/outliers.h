/*
 * outliers: pictures that show nothing, for a network to learn to be unsure of.
 *
 *     outlier_write(shape, pixels, &rng, out_pixels);
 *     ... its label is LOSS_NO_CLASS (loss.h)
 *
 * Outlier exposure (Hendrycks, Mazeika and Dietterich 2019, arXiv 1812.04606)
 * trains towards even scores on pictures that are none of the classes. Theirs
 * are collected; these are made, so that nothing needs to be downloaded: flat
 * colours, noise as fine as pixels or as coarse as half of the picture,
 * stripes, and training images whose blocks are shuffled, which have the
 * classes' colours and textures without their shapes.
 */
#ifndef CONVOY_TRAIN_OUTLIERS_H
#define CONVOY_TRAIN_OUTLIERS_H

#include "models/train/layer.h"
#include "models/train/rng.h"

/* `image` and `out` are (height, width, 3) bytes, apart from each other; the
 * image lends its blocks to the kind that shuffles them. */
void outlier_write(struct shape shape, const uint8_t *image, struct rng *rng,
                   uint8_t *out);

#endif
