/*
 * heatmap: an activation map as a picture to lay over the photo.
 *
 *     uint8_t *png = heatmap_png(cells, 8, 8, region, 4032, 3024, &size, &err);
 *
 * The map is interpolated smoothly over the region of the photo that the
 * network saw; outside of it the picture is transparent. Colour goes with the
 * activation (a perceptually even map), and so does opacity, so that what the
 * network ignored stays visible.
 */
#ifndef CONVOY_HEATMAP_H
#define CONVOY_HEATMAP_H

#include "common/err.h"

#include <stddef.h>
#include <stdint.h>

#define HEATMAP_SIDE 256 /* longest side of the picture, pixels */

/* cells (height, width), 0..255; region x, y, width, height as fractions of
 * the photo; photo_* its size in pixels, for the aspect ratio. RGBA PNG, to be
 * freed by the caller. */
uint8_t *heatmap_png(const uint8_t *cells, int width, int height,
                     const float region[4], int photo_width, int photo_height,
                     size_t *size, struct err *err);

#endif
