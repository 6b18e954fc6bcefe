/*
 * calibration: are the probabilities sound? Of the images that a network is
 * 80 % sure of, 80 % should be right.
 *
 *     double t = calibration_temperature(logits, labels, n, classes);
 *     struct calibration c = {0};
 *     calibration_measure(&c, logits, labels, n, classes, t);
 *     calibration_error(&c)                                  0.012
 *
 * Guo et al. 2017 (arXiv 1706.04599): the expected calibration error puts the
 * images into 15 bins by the score of the class named, and averages over them
 * |accuracy - mean score|, weighted by how many are in each (section 2);
 * *temperature scaling* divides all logits by one number, fitted on held-out
 * images by cross entropy (section 4.2). It changes no answer, only how sure
 * the network is of it, and folds into the last layer.
 */
#ifndef CONVOY_TRAIN_CALIBRATION_H
#define CONVOY_TRAIN_CALIBRATION_H

#include <stdbool.h>
#include <stdint.h>

#define CALIBRATION_BINS 15

/* By bin: images, the sum of their scores, and how many were right. Zero
 * first. */
struct calibration {
    long count[CALIBRATION_BINS];
    double score[CALIBRATION_BINS];
    long right[CALIBRATION_BINS];
};

void calibration_add(struct calibration *c, double score, bool right);
double calibration_error(const struct calibration *c); /* 0..1; 0 of none */

/* Adds n images by their logits (n, classes). */
void calibration_measure(struct calibration *c, const float *logits,
                         const uint16_t *labels, int n, int classes,
                         double temperature);

/* The temperature, 0.05..20, that fits best; 1 where there are no images. */
double calibration_temperature(const float *logits, const uint16_t *labels,
                               int n, int classes);

/* How high a score has to be for the answer to be asserted: what 95 of 100
 * right answers reach, the usual point of work where something that is none of
 * the classes is to be told by a low score (Hendrycks and Gimpel 2017, arXiv
 * 1610.02136). 0 where there is no right answer or no memory. */
double calibration_threshold(const float *logits, const uint16_t *labels, int n,
                             int classes, double temperature);

/* Probabilities of one image, into p (classes). Returns the class named. */
int calibration_softmax(const float *logits, int classes, double temperature,
                        double *p);

#endif
