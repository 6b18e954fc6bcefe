/*
 * winograd: the transforms of a 3x3 convolution (stride 1, padding 1) by
 * F(m x m, 3 x 3), Lavin and Gray 2015 (arXiv 1509.09308, section 4).
 *
 *     Y = A^T [ sum over c of (G w G^T) * (B^T x B) ] A
 *
 * An image is cut into tiles of m x m outputs, each from p x p inputs, p = m +
 * 2; in the transformed domain the convolution is p * p independent matrix
 * products. The gradient of the weights is the adjoint of the same formula,
 *
 *     dw = G^T [ sum over tiles of (B^T x B) * (A dY A^T) ] G
 *
 * and that of the input is the convolution of dY with the weights rotated by
 * half a turn, so it goes through the same functions as the forward pass.
 *
 * The products are those of values at p points: 0, some numbers and their
 * negatives, and for an even m infinity. m is 4 to 8, whichever has the fewest
 * points over the whole image: for 7 x 7 outputs 81 in one tile of 7, where
 * four tiles of 4 have 144 and the sum by the definition 441 products. More
 * points lose more digits. In float32 the error's root mean square, relative to
 * that of the result, is 1e-6 for m = 4, 5e-6 for 6 and 3e-5 for 8 (128
 * channels, normal numbers); a gradient's own noise is thousands of times that.
 *
 * Transformed tensors are (p * p, tiles, channels); each of their planes is
 * `plane` floats from the next, where winograd_plane() keeps the planes from
 * falling onto the same cache sets. Channels must be at least SIMD_LANES.
 */
#ifndef CONVOY_TRAIN_WINOGRAD_H
#define CONVOY_TRAIN_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#define WINOGRAD_PAIRS_MAX 4

struct winograd {
    int height, width; /* of input and output */
    int tile;          /* m */
    int tiles_y, tiles_x;
    int planes; /* p * p */

    /* The numbers of the one-dimensional transforms, see winograd.c. */
    struct winograd_numbers {
        float q[WINOGRAD_PAIRS_MAX + 1];
        struct winograd_pair {
            float even[WINOGRAD_PAIRS_MAX],
                odd[WINOGRAD_PAIRS_MAX]; /* of B^T */
            float g[3];
            float powers[8]; /* of A */
        } pairs[WINOGRAD_PAIRS_MAX];
    } numbers;
};

void winograd_shape(struct winograd *g, int height, int width);
size_t winograd_plane(size_t tiles, size_t channels);

/* w (3, 3, C, K) -> u (p * p, C, K), rows from..to of C; `rotate` turns the
 * kernel by half a turn. */
void winograd_weights(const struct winograd *g, const float *w, int c, int k,
                      bool rotate, int from, int to, float *u);
/* du (p * p, C, K) -> dw (3, 3, C, K), rows from..to of C. */
void winograd_weights_adjoint(const struct winograd *g, const float *du, int c,
                              int k, int from, int to, float *dw);

/* x (images, H, W, C) -> v (p * p, images * tiles, C) */
void winograd_input(const struct winograd *g, const float *x, int images,
                    int channels, float *v, size_t plane);
/* m (p * p, images * tiles, C) -> y (images, H, W, C) */
void winograd_output(const struct winograd *g, const float *m, size_t plane,
                     int images, int channels, float *y);
/* dy (images, H, W, C) -> d (p * p, images * tiles, C) */
void winograd_output_adjoint(const struct winograd *g, const float *dy,
                             int images, int channels, float *d, size_t plane);

#endif
