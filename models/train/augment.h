/*
 * augment: from bytes to the numbers that a network sees, with or without
 * random changes.
 *
 *     struct augment policy = augment_cifar10;
 *     augment_fill(&policy, set, order + first, count, epoch, seed, out);
 *
 * Three changes, those of the network's original (arXiv 2404.00498, section
 * 3.6): *pad* by reflection and *crop* at a random place, which moves the image
 * by up to `translate` pixels, and *flip* left to right. The flip alternates:
 * which images are flipped is random in the first epoch, and turns over in
 * every following one, so that each pair of epochs shows each image both ways.
 *
 * A fourth, *cutout* (DeVries and Taylor 2017, arXiv 1708.04552), blanks a
 * square at a random place of the image, against overfitting in long runs.
 *
 * A fifth, *zoom*, is for photographs, whose object is seldom as large in the
 * picture as in the training images: every other image is drawn larger or
 * smaller by up to 1 + zoom, its aspect changed by up to two thirds of that.
 * What keeps its size keeps its pixels too, as sharp as they are. A sixth,
 * *photometric*, is for them as well: a share of the images gets other light,
 * sharpness and compression (photometric.h).
 *
 * And some images, others in each epoch, give way to *outliers* (outliers.h),
 * which have no class.
 *
 * Each image draws from a random stream of its own (seed, epoch, place in the
 * data set), so a batch is the same whichever thread fills it.
 */
#ifndef CONVOY_TRAIN_AUGMENT_H
#define CONVOY_TRAIN_AUGMENT_H

#include "models/train/dataset.h"

struct augment {
    int translate;     /* pixels, less than a quarter of the side; 0: none */
    int cutout;        /* side of the square, less than the image's; 0: none */
    float zoom;        /* 0: none; at most 1 */
    float photometric; /* share of the images that change so */
    float outliers;    /* share of the images that give way to an outlier */
    bool flip;
    float mean[3], deviation[3]; /* of pixels scaled to 0..1 */
};

extern const struct augment augment_cifar10;

/* Writes images order[0..count-1] of `set`, changed, to `out`
 * (count, height, width, 3). */
void augment_fill(const struct augment *policy, const struct dataset *set,
                  const uint32_t *order, int count, int epoch, uint64_t seed,
                  float *out);

/* Whether image `image` of the set is an outlier in that epoch. */
bool augment_is_outlier(const struct augment *policy, uint32_t image, int epoch,
                        uint64_t seed);

/* The same without changes, of images first..first+count-1. */
void augment_plain(const struct augment *policy, const struct dataset *set,
                   int first, int count, float *out);

#endif
