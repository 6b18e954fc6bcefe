/*
 * occlusion: where a network looks, found by covering the picture piece by
 * piece and watching how far the score falls (Zeiler and Fergus 2014, arXiv
 * 1311.2901, section 4.2). For networks without activation maps; at the cost
 * of OCCLUSION_PLACES runs.
 *
 *     float cells[OCCLUSION_CELLS] = {0};
 *     for each place: occlusion_cover(place, shape, tensor, covered);
 *                     run the network on `covered`;
 *                     occlusion_add(place, fall of the score, cells);
 *
 * The picture is cut into OCCLUSION_SIDE x OCCLUSION_SIDE cells and a square of
 * 2 x 2 of them covered, at every place where it fits.
 */
#ifndef CONVOY_CLASSIFIER_OCCLUSION_H
#define CONVOY_CLASSIFIER_OCCLUSION_H

#include "models/classifier/views.h"

#define OCCLUSION_SIDE 8
#define OCCLUSION_CELLS (OCCLUSION_SIDE * OCCLUSION_SIDE)
#define OCCLUSION_PLACES ((OCCLUSION_SIDE - 1) * (OCCLUSION_SIDE - 1))

/* `from`, of one picture, to `to`, the square at `place` filled with the
 * picture's mean colour. */
void occlusion_cover(int place, struct view_shape shape, const float *from,
                     float *to);

/* Adds a fall to the cells that were covered, weighed so that a cell ends as
 * the mean over the places that cover it. */
void occlusion_add(int place, float fall, float cells[OCCLUSION_CELLS]);

#endif
