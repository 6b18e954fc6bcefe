#include "models/train/winograd.h"

#include "models/train/simd.h"

#define TILE 4  /* outputs along one side */
#define PATCH 6 /* inputs along one side */

void winograd_shape(struct winograd *g, int height, int width) {
    g->height = height;
    g->width = width;
    g->tiles_y = (height + TILE - 1) / TILE;
    g->tiles_x = (width + TILE - 1) / TILE;
}

size_t winograd_plane(size_t tiles, size_t channels) {
    return tiles * channels + 5 * SIMD_LANES;
}

/* The one-dimensional transforms, on sixteen channels at once. ------------ */

SIMD_INLINE void times_bt(const vec d[PATCH], vec out[PATCH]) {
    vec a = d[4] - 4.0f * d[2], b = d[3] - 4.0f * d[1];
    vec c = d[4] - d[2], e = 2.0f * (d[3] - d[1]);
    out[0] = 4.0f * d[0] - 5.0f * d[2] + d[4];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + e;
    out[4] = c - e;
    out[5] = 4.0f * d[1] - 5.0f * d[3] + d[5];
}

SIMD_INLINE void times_at(const vec m[PATCH], vec out[TILE]) {
    vec a = m[1] + m[2], b = m[1] - m[2];
    vec c = m[3] + m[4], e = m[3] - m[4];
    out[0] = m[0] + a + c;
    out[1] = b + 2.0f * e;
    out[2] = a + 4.0f * c;
    out[3] = b + 8.0f * e + m[5];
}

SIMD_INLINE void times_a(const vec y[TILE], vec out[PATCH]) {
    vec a = y[0] + y[2], b = y[1] + y[3];
    vec c = y[0] + 4.0f * y[2], e = 2.0f * y[1] + 8.0f * y[3];
    out[0] = y[0];
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + e;
    out[4] = c - e;
    out[5] = y[3];
}

SIMD_INLINE void times_g(const vec w[3], vec out[PATCH]) {
    vec a = (w[0] + w[2]) * (-1.0f / 6), b = w[1] * (-1.0f / 6);
    vec c = w[0] * (1.0f / 24) + w[2] * (1.0f / 6), e = w[1] * (1.0f / 12);
    out[0] = w[0] * 0.25f;
    out[1] = a + b;
    out[2] = a - b;
    out[3] = c + e;
    out[4] = c - e;
    out[5] = w[2];
}

SIMD_INLINE void times_gt(const vec u[PATCH], vec out[3]) {
    vec a = (u[1] + u[2]) * (-1.0f / 6), b = (u[2] - u[1]) * (1.0f / 6);
    vec c = u[3] + u[4], e = u[3] - u[4];
    out[0] = u[0] * 0.25f + a + c * (1.0f / 24);
    out[1] = b + e * (1.0f / 12);
    out[2] = a + c * (1.0f / 6) + u[5];
}

/* Where the next sixteen channels start; the last ones overlap the ones before
 * them, which writes the same numbers twice and needs no second code. */
SIMD_INLINE int lane_start(int i, int channels) {
    return i + SIMD_LANES <= channels ? i : channels - SIMD_LANES;
}

#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))

/* Weights. ---------------------------------------------------------------- */

SIMD_CLONES
void winograd_weights(const float *w, int c, int k, bool rotate, int from,
                      int to, float *u) {
    size_t row = (size_t)k, tap = (size_t)c * row;

    for (int ci = from; ci < to; ci++) {
        for (int i = 0; i < k; i += SIMD_LANES) {
            size_t at = (size_t)ci * row + (size_t)lane_start(i, k);
            vec half[PATCH][3];
            for (int x = 0; x < 3; x++) {
                vec in[3], out[PATCH];
                for (int y = 0; y < 3; y++) {
                    size_t t = (size_t)(rotate ? 8 - (y * 3 + x) : y * 3 + x);
                    in[y] = LOAD(w + t * tap + at);
                }
                times_g(in, out);
                for (int y = 0; y < PATCH; y++)
                    half[y][x] = out[y];
            }
            for (int y = 0; y < PATCH; y++) {
                vec out[PATCH];
                times_g(half[y], out);
                for (int x = 0; x < PATCH; x++)
                    STORE(u + (size_t)(y * PATCH + x) * tap + at, out[x]);
            }
        }
    }
}

SIMD_CLONES
void winograd_weights_adjoint(const float *du, int c, int k, int from, int to,
                              float *dw) {
    size_t row = (size_t)k, tap = (size_t)c * row;

    for (int ci = from; ci < to; ci++) {
        for (int i = 0; i < k; i += SIMD_LANES) {
            size_t at = (size_t)ci * row + (size_t)lane_start(i, k);
            vec half[3][PATCH];
            for (int x = 0; x < PATCH; x++) {
                vec in[PATCH], out[3];
                for (int y = 0; y < PATCH; y++)
                    in[y] = LOAD(du + (size_t)(y * PATCH + x) * tap + at);
                times_gt(in, out);
                for (int y = 0; y < 3; y++)
                    half[y][x] = out[y];
            }
            for (int y = 0; y < 3; y++) {
                vec out[3];
                times_gt(half[y], out);
                for (int x = 0; x < 3; x++)
                    STORE(dw + (size_t)(y * 3 + x) * tap + at, out[x]);
            }
        }
    }
}

/* Tensors. ---------------------------------------------------------------- */

/* Pointers to the pixels of one 6x6 patch; NULL where it is padding. */
SIMD_INLINE void find_patch(const struct winograd *g, const float *image,
                            int channels, int tile_y, int tile_x,
                            const float *patch[PATCH * PATCH]) {
    for (int i = 0; i < PATCH; i++) {
        int y = tile_y * TILE - 1 + i;
        for (int j = 0; j < PATCH; j++) {
            int x = tile_x * TILE - 1 + j;
            bool inside = y >= 0 && y < g->height && x >= 0 && x < g->width;
            patch[i * PATCH + j] =
                inside ? image + (size_t)(y * g->width + x) * (size_t)channels
                       : NULL;
        }
    }
}

SIMD_CLONES
void winograd_input(const struct winograd *g, const float *x, int images,
                    int channels, float *v, size_t plane) {
    static const float zeros[SIMD_LANES];
    size_t pixels = (size_t)g->height * (size_t)g->width;

    for (int n = 0; n < images; n++) {
        const float *image = x + (size_t)n * pixels * (size_t)channels;
        for (int t = 0; t < g->tiles_y * g->tiles_x; t++, v += channels) {
            const float *patch[PATCH * PATCH];
            find_patch(g, image, channels, t / g->tiles_x, t % g->tiles_x,
                       patch);
            for (int i = 0; i < channels; i += SIMD_LANES) {
                int at = lane_start(i, channels);
                vec half[PATCH][PATCH];
                for (int px = 0; px < PATCH; px++) {
                    vec in[PATCH], out[PATCH];
                    for (int py = 0; py < PATCH; py++) {
                        const float *p = patch[py * PATCH + px];
                        in[py] = LOAD(p ? p + at : zeros);
                    }
                    times_bt(in, out);
                    for (int py = 0; py < PATCH; py++)
                        half[py][px] = out[py];
                }
                for (int py = 0; py < PATCH; py++) {
                    vec out[PATCH];
                    times_bt(half[py], out);
                    for (int px = 0; px < PATCH; px++)
                        STORE(v + (size_t)(py * PATCH + px) * plane + at,
                              out[px]);
                }
            }
        }
    }
}

SIMD_CLONES
void winograd_output(const struct winograd *g, const float *m, size_t plane,
                     int images, int channels, float *y) {
    size_t pixels = (size_t)g->height * (size_t)g->width;

    for (int n = 0; n < images; n++) {
        float *image = y + (size_t)n * pixels * (size_t)channels;
        for (int t = 0; t < g->tiles_y * g->tiles_x; t++, m += channels) {
            int top = t / g->tiles_x * TILE, left = t % g->tiles_x * TILE;
            int rows = g->height - top < TILE ? g->height - top : TILE;
            int columns = g->width - left < TILE ? g->width - left : TILE;
            float *corner =
                image + (size_t)(top * g->width + left) * (size_t)channels;
            for (int i = 0; i < channels; i += SIMD_LANES) {
                int at = lane_start(i, channels);
                vec half[TILE][PATCH];
                for (int px = 0; px < PATCH; px++) {
                    vec in[PATCH], out[TILE];
                    for (int py = 0; py < PATCH; py++)
                        in[py] =
                            LOAD(m + (size_t)(py * PATCH + px) * plane + at);
                    times_at(in, out);
                    for (int py = 0; py < TILE; py++)
                        half[py][px] = out[py];
                }
                for (int py = 0; py < TILE; py++) {
                    vec out[TILE];
                    if (py >= rows)
                        break;
                    times_at(half[py], out);
                    for (int px = 0; px < TILE; px++)
                        if (px < columns)
                            STORE(corner +
                                      (size_t)(py * g->width + px) *
                                          (size_t)channels +
                                      at,
                                  out[px]);
                }
            }
        }
    }
}

SIMD_CLONES
void winograd_output_adjoint(const struct winograd *g, const float *dy,
                             int images, int channels, float *d, size_t plane) {
    static const float zeros[SIMD_LANES];
    size_t pixels = (size_t)g->height * (size_t)g->width;

    for (int n = 0; n < images; n++) {
        const float *image = dy + (size_t)n * pixels * (size_t)channels;
        for (int t = 0; t < g->tiles_y * g->tiles_x; t++, d += channels) {
            int top = t / g->tiles_x * TILE, left = t % g->tiles_x * TILE;
            const float *corner =
                image + (size_t)(top * g->width + left) * (size_t)channels;
            for (int i = 0; i < channels; i += SIMD_LANES) {
                int at = lane_start(i, channels);
                vec half[PATCH][TILE];
                for (int px = 0; px < TILE; px++) {
                    vec in[TILE], out[PATCH];
                    for (int py = 0; py < TILE; py++) {
                        bool inside =
                            top + py < g->height && left + px < g->width;
                        in[py] =
                            LOAD(inside ? corner +
                                              (size_t)(py * g->width + px) *
                                                  (size_t)channels +
                                              at
                                        : zeros);
                    }
                    times_a(in, out);
                    for (int py = 0; py < PATCH; py++)
                        half[py][px] = out[py];
                }
                for (int py = 0; py < PATCH; py++) {
                    vec out[PATCH];
                    times_a(half[py], out);
                    for (int px = 0; px < PATCH; px++)
                        STORE(d + (size_t)(py * PATCH + px) * plane + at,
                              out[px]);
                }
            }
        }
    }
}
