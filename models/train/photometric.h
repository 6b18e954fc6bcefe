/*
 * photometric: other light, lenses and cameras.
 *
 *     photometric_change(shape, &rng, pixels);        0..255, in place
 *
 * What happens to a picture between its subject and an upload, each step by a
 * random amount: the sharpness of lens and resizing (a blur, or its opposite,
 * an unsharp mask), white balance, saturation, contrast and brightness (Howard
 * 2013, arXiv 1312.5402; Szegedy et al. 2015, arXiv 1409.4842), and the blocks
 * and ringing of JPEG, in half of the pictures. A network that has seen them
 * holds better on pictures of other origin (Hendrycks and Dietterich 2019,
 * arXiv 1903.12261).
 */
#ifndef CONVOY_TRAIN_PHOTOMETRIC_H
#define CONVOY_TRAIN_PHOTOMETRIC_H

#include "models/train/layer.h"
#include "models/train/rng.h"

#include <stdbool.h>

#define PHOTOMETRIC_SIDE_MAX 512 /* of pictures that change */

/* `pixels` (height, width, 3) are whole numbers afterwards, within 0..255.
 * Where memory ends the picture keeps what was done to it so far. */
void photometric_change(struct shape shape, struct rng *rng, float *pixels);

/* The steps by themselves. `amount` of sharpen: -1 is the blur (1 2 1) / 4 both
 * ways, 0 nothing, 1 as much the other way. */
void photometric_sharpen(struct shape shape, float amount, float *pixels);
bool photometric_jpeg(struct shape shape, int quality, float *pixels);

#endif
