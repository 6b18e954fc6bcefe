/*
 * winograd: the transforms of a 3x3 convolution (stride 1, padding 1) by
 * F(4x4, 3x3), Lavin and Gray 2015 (arXiv 1509.09308, section 4.3).
 *
 *     Y = A^T [ sum over c of (G w G^T) * (B^T x B) ] A
 *
 * An image is cut into tiles of 4x4 outputs, each from 6x6 inputs; in the
 * transformed domain the convolution is 36 independent matrix products, a
 * quarter of the multiplications of the direct sum. The gradient of the
 * weights is the adjoint of the same formula,
 *
 *     dw = G^T [ sum over tiles of (B^T x B) * (A dY A^T) ] G
 *
 * and that of the input is the convolution of dY with the weights rotated by
 * half a turn, so it goes through the same functions as the forward pass.
 *
 * Transformed tensors are (36, tiles, channels); each of the 36 planes is
 * `plane` floats from the next, where winograd_plane() keeps the planes from
 * falling onto the same cache sets. Channels must be at least SIMD_LANES.
 * In float32 the result is within about 1e-5 of the direct sum, relative to
 * the largest output.
 */
#ifndef CONVOY_TRAIN_WINOGRAD_H
#define CONVOY_TRAIN_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#define WINOGRAD_POINTS 36

struct winograd {
    int height, width; /* of input and output */
    int tiles_y, tiles_x;
};

void winograd_shape(struct winograd *g, int height, int width);
size_t winograd_plane(size_t tiles, size_t channels);

/* w (3, 3, C, K) -> u (36, C, K), rows from..to of C; `rotate` turns the
 * kernel by half a turn. */
void winograd_weights(const float *w, int c, int k, bool rotate, int from,
                      int to, float *u);
/* du (36, C, K) -> dw (3, 3, C, K), rows from..to of C. */
void winograd_weights_adjoint(const float *du, int c, int k, int from, int to,
                              float *dw);

/* x (images, H, W, C) -> v (36, images * tiles, C) */
void winograd_input(const struct winograd *g, const float *x, int images,
                    int channels, float *v, size_t plane);
/* m (36, images * tiles, C) -> y (images, H, W, C) */
void winograd_output(const struct winograd *g, const float *m, size_t plane,
                     int images, int channels, float *y);
/* dy (images, H, W, C) -> d (36, images * tiles, C) */
void winograd_output_adjoint(const struct winograd *g, const float *dy,
                             int images, int channels, float *d, size_t plane);

#endif
