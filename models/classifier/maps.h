/*
 * maps: activation maps as they are kept with a result, a byte a cell.
 *
 *     maps_activation(&cam, n, out);      of the labels in out->top
 */
#ifndef CONVOY_CLASSIFIER_MAPS_H
#define CONVOY_CLASSIFIER_MAPS_H

#include "models/classifier/classifier.h"

/* Class activation maps of entry `n` of the run that `cam` tells of. */
void maps_activation(const struct nn_cam *cam, int n,
                     struct classification *out);

/* The least of the cells becomes 0, the greatest 255; if all are equal, 0. */
void maps_scale(const float *cells, int count, uint8_t *bytes);

#endif
