/*
 * The one-dimensional transforms. The points are 0, a and -a for each pair, and
 * infinity where m is even. With
 *
 *     Q(z) = product of (z - a^2) over all pairs, R(z) the same without one,
 *
 * B^T takes the coefficients d of a polynomial times, for 0, Q(x^2); for a and
 * -a, (x +- a) x R(x^2), which is an even part plus or minus an odd one; for
 * infinity x Q(x^2). G evaluates w0 + w1 x + w2 x^2 at the points, divided by
 * the product of a point's distances to the others: Q(0) for 0, 2 a^2 R(a^2)
 * for a and -a. A evaluates y, and A^T is its adjoint.
 */
#include "models/train/winograd.h"

#include "models/train/simd.h"

#define TILE_MIN 4
#define TILE_MAX 8
#define POINTS_MAX (TILE_MAX + 2)

/* The pairs for m = 4, for 5 and 6, for 7 and 8: tried by the error of random
 * convolutions, and these have the least or nearly so. */
static const double pairs_of[][WINOGRAD_PAIRS_MAX] = {
    {0.75, 1.5}, {0.5, 1, 2}, {0.375, 0.875, 1.25, 2.5}};

static int pairs_count(int tile) {
    return (tile + 1) / 2;
}

static int tiles_along(int size, int tile) {
    return (size + tile - 1) / tile;
}

/* The coefficients of the product of (z - a^2) over all pairs but `without`. */
static void multiply(const double *a, int count, int without, double *out) {
    out[0] = 1;
    for (int i = 0, degree = 0; i < count; i++) {
        if (i == without)
            continue;
        out[++degree] = 0;
        for (int k = degree; k >= 0; k--)
            out[k] = (k > 0 ? out[k - 1] : 0) - a[i] * a[i] * out[k];
    }
}

static void find_pair(const double *a, int count, int i,
                      struct winograd_pair *pair) {
    double r[WINOGRAD_PAIRS_MAX + 1], distances = 2 * a[i] * a[i], power = 1;
    multiply(a, count, i, r);
    for (int k = 0; k < count; k++) {
        pair->even[k] = (float)r[k];
        pair->odd[k] = (float)(a[i] * r[k]);
    }
    for (int j = 0; j < count; j++)
        distances *= j == i ? 1 : a[i] * a[i] - a[j] * a[j];
    for (int k = 0; k < TILE_MAX; k++, power *= a[i]) {
        pair->powers[k] = (float)power;
        if (k < 3)
            pair->g[k] = (float)(power / distances);
    }
}

void winograd_shape(struct winograd *g, int height, int width) {
    int least = 0;
    *g = (struct winograd){.height = height, .width = width};
    for (int tile = TILE_MIN; tile <= TILE_MAX; tile++) {
        int tiles_y = tiles_along(height, tile);
        int tiles_x = tiles_along(width, tile);
        int planes = (tile + 2) * (tile + 2);
        if (least && tiles_y * tiles_x * planes >= least)
            continue;
        least = tiles_y * tiles_x * planes;
        g->tile = tile;
        g->tiles_y = tiles_y;
        g->tiles_x = tiles_x;
        g->planes = planes;
    }
    int count = pairs_count(g->tile);
    const double *a = pairs_of[count - 2];
    double q[WINOGRAD_PAIRS_MAX + 1];
    multiply(a, count, -1, q);
    for (int k = 0; k <= count; k++)
        g->numbers.q[k] = (float)q[k];
    for (int i = 0; i < count; i++)
        find_pair(a, count, i, &g->numbers.pairs[i]);
}

size_t winograd_plane(size_t tiles, size_t channels) {
    return tiles * channels + 5 * SIMD_LANES;
}

/* On sixteen channels at once; `tile` is a constant at every call. ----------
 */

SIMD_INLINE void times_bt(const struct winograd_numbers *n, int tile,
                          const vec *d, vec *out) {
    int count = pairs_count(tile);
    vec zero = n->q[0] * d[0];
    UNROLL for (int k = 1; k <= count; k++) zero += n->q[k] * d[2 * k];
    out[0] = zero;
    UNROLL for (int i = 0; i < count; i++) {
        const struct winograd_pair *pair = &n->pairs[i];
        vec even = pair->even[0] * d[2], odd = pair->odd[0] * d[1];
        UNROLL for (int k = 1; k < count; k++) {
            even += pair->even[k] * d[2 * k + 2];
            odd += pair->odd[k] * d[2 * k + 1];
        }
        out[2 * i + 1] = even + odd;
        out[2 * i + 2] = even - odd;
    }
    if (tile % 2 == 0) {
        vec infinity = n->q[0] * d[1];
        UNROLL for (int k = 1; k <= count; k++) infinity +=
            n->q[k] * d[2 * k + 1];
        out[2 * count + 1] = infinity;
    }
}

SIMD_INLINE void times_at(const struct winograd_numbers *n, int tile,
                          const vec *m, vec *out) {
    int count = pairs_count(tile);
    vec sum[WINOGRAD_PAIRS_MAX], difference[WINOGRAD_PAIRS_MAX];
    UNROLL for (int i = 0; i < count; i++) {
        sum[i] = m[2 * i + 1] + m[2 * i + 2];
        difference[i] = m[2 * i + 1] - m[2 * i + 2];
    }
    UNROLL for (int k = 0; k < tile; k++) {
        const vec *part = k % 2 ? difference : sum;
        vec y = k == 0 ? m[0] + part[0] : n->pairs[0].powers[k] * part[0];
        UNROLL for (int i = 1; i < count; i++) y +=
            n->pairs[i].powers[k] * part[i];
        out[k] = y;
    }
    if (tile % 2 == 0)
        out[tile - 1] += m[tile + 1];
}

SIMD_INLINE void times_a(const struct winograd_numbers *n, int tile,
                         const vec *y, vec *out) {
    int count = pairs_count(tile);
    out[0] = y[0];
    UNROLL for (int i = 0; i < count; i++) {
        const float *powers = n->pairs[i].powers;
        vec even = y[0], odd = powers[1] * y[1];
        UNROLL for (int k = 2; k < tile; k++) {
            if (k % 2)
                odd += powers[k] * y[k];
            else
                even += powers[k] * y[k];
        }
        out[2 * i + 1] = even + odd;
        out[2 * i + 2] = even - odd;
    }
    if (tile % 2 == 0)
        out[tile + 1] = y[tile - 1];
}

SIMD_INLINE void times_g(const struct winograd_numbers *n, int tile,
                         const vec *w, vec *out) {
    int count = pairs_count(tile);
    out[0] = w[0] * (1 / n->q[0]);
    UNROLL for (int i = 0; i < count; i++) {
        const float *g = n->pairs[i].g;
        vec even = w[0] * g[0] + w[2] * g[2], odd = w[1] * g[1];
        out[2 * i + 1] = even + odd;
        out[2 * i + 2] = even - odd;
    }
    if (tile % 2 == 0)
        out[tile + 1] = w[2];
}

SIMD_INLINE void times_gt(const struct winograd_numbers *n, int tile,
                          const vec *u, vec *out) {
    int count = pairs_count(tile);
    out[0] = u[0] * (1 / n->q[0]);
    out[1] = out[2] = (vec){0};
    UNROLL for (int i = 0; i < count; i++) {
        const float *g = n->pairs[i].g;
        vec sum = u[2 * i + 1] + u[2 * i + 2];
        out[0] += sum * g[0];
        out[1] += (u[2 * i + 1] - u[2 * i + 2]) * g[1];
        out[2] += sum * g[2];
    }
    if (tile % 2 == 0)
        out[2] += u[tile + 1];
}

/* Where the next sixteen channels start; the last ones overlap the ones before
 * them, which writes the same numbers twice and needs no second code. */
SIMD_INLINE int lane_start(int i, int channels) {
    return i + SIMD_LANES <= channels ? i : channels - SIMD_LANES;
}

#define LOAD(p) (*(const vec *)(p))
#define STORE(p, v) (*(vec *)(p) = (v))

/* Calls FUNCTION(TILE, ...) with the tile as a constant. */
#define WITH_TILE(tile, function, ...)                                         \
    switch (tile) {                                                            \
    case 4:                                                                    \
        function(4, __VA_ARGS__);                                              \
        break;                                                                 \
    case 5:                                                                    \
        function(5, __VA_ARGS__);                                              \
        break;                                                                 \
    case 6:                                                                    \
        function(6, __VA_ARGS__);                                              \
        break;                                                                 \
    case 7:                                                                    \
        function(7, __VA_ARGS__);                                              \
        break;                                                                 \
    default:                                                                   \
        function(8, __VA_ARGS__);                                              \
    }

/* Weights. ---------------------------------------------------------------- */

/* Sixteen of a row: `in` and `out` have the nine taps and the points `tap`
 * floats apart. */
SIMD_INLINE void weights(int tile, const struct winograd_numbers *n,
                         const float *in, size_t tap, bool rotate, float *out) {
    int points = tile + 2;
    vec half[POINTS_MAX][3];
    for (int x = 0; x < 3; x++) {
        vec taps[3], column[POINTS_MAX];
        UNROLL for (int y = 0; y < 3; y++) {
            int t = rotate ? 8 - (y * 3 + x) : y * 3 + x;
            taps[y] = LOAD(in + (size_t)t * tap);
        }
        times_g(n, tile, taps, column);
        UNROLL for (int y = 0; y < points; y++) half[y][x] = column[y];
    }
    for (int y = 0; y < points; y++) {
        vec row[POINTS_MAX];
        times_g(n, tile, half[y], row);
        UNROLL for (int x = 0; x < points; x++)
            STORE(out + (size_t)(y * points + x) * tap, row[x]);
    }
}

SIMD_CLONES
void winograd_weights(const struct winograd *g, const float *w, int c, int k,
                      bool rotate, int from, int to, float *u) {
    size_t row = (size_t)k, tap = (size_t)c * row;
    for (int ci = from; ci < to; ci++)
        for (int i = 0; i < k; i += SIMD_LANES) {
            size_t at = (size_t)ci * row + (size_t)lane_start(i, k);
            WITH_TILE(g->tile, weights, &g->numbers, w + at, tap, rotate,
                      u + at)
        }
}

SIMD_INLINE void weights_adjoint(int tile, const struct winograd_numbers *n,
                                 const float *in, size_t tap, float *out) {
    int points = tile + 2;
    vec half[3][POINTS_MAX];
    for (int x = 0; x < points; x++) {
        vec column[POINTS_MAX], taps[3];
        UNROLL for (int y = 0; y < points; y++) column[y] =
            LOAD(in + (size_t)(y * points + x) * tap);
        times_gt(n, tile, column, taps);
        UNROLL for (int y = 0; y < 3; y++) half[y][x] = taps[y];
    }
    for (int y = 0; y < 3; y++) {
        vec taps[3];
        times_gt(n, tile, half[y], taps);
        UNROLL for (int x = 0; x < 3; x++)
            STORE(out + (size_t)(y * 3 + x) * tap, taps[x]);
    }
}

SIMD_CLONES
void winograd_weights_adjoint(const struct winograd *g, const float *du, int c,
                              int k, int from, int to, float *dw) {
    size_t row = (size_t)k, tap = (size_t)c * row;
    for (int ci = from; ci < to; ci++)
        for (int i = 0; i < k; i += SIMD_LANES) {
            size_t at = (size_t)ci * row + (size_t)lane_start(i, k);
            WITH_TILE(g->tile, weights_adjoint, &g->numbers, du + at, tap,
                      dw + at)
        }
}

/* Tensors. ---------------------------------------------------------------- */

/* A tile of an image: pixels (y, x) of the patch that starts at (top, left),
 * one of which may lie outside. */
struct place {
    const struct winograd *g;
    int top, left, channels;
};

SIMD_INLINE struct place place_of(const struct winograd *g, int t, int margin,
                                  int channels) {
    return (struct place){g, t / g->tiles_x * g->tile - margin,
                          t % g->tiles_x * g->tile - margin, channels};
}

/* Floats from the image's start to a pixel; -1: it lies outside. */
SIMD_INLINE ptrdiff_t pixel_at(const struct place *p, int y, int x) {
    y += p->top;
    x += p->left;
    if (y < 0 || y >= p->g->height || x < 0 || x >= p->g->width)
        return -1;
    return ((ptrdiff_t)y * p->g->width + x) * p->channels;
}

/* Pointers to the pixels of a patch of size x size, or to zeros. */
SIMD_INLINE void find_patch(const struct place *place, const float *image,
                            int size, const float **patch) {
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            ptrdiff_t at = pixel_at(place, y, x);
            patch[y * size + x] = at < 0 ? NULL : image + at;
        }
}

static const float zeros[SIMD_LANES];

/* A tile's patch to the points: B^T x B of the pixels that the tile sees, or
 * A dY A^T of its own. */
SIMD_INLINE void spread(int tile, bool adjoint, const struct winograd *g,
                        const float *image, int t, int channels, float *out,
                        size_t plane) {
    int points = tile + 2, size = adjoint ? tile : points;
    const float *patch[POINTS_MAX * POINTS_MAX];
    struct place place = place_of(g, t, adjoint ? 0 : 1, channels);
    find_patch(&place, image, size, patch);
    for (int i = 0; i < channels; i += SIMD_LANES) {
        int at = lane_start(i, channels);
        vec half[POINTS_MAX][POINTS_MAX], row[POINTS_MAX];
        for (int x = 0; x < size; x++) {
            vec in[POINTS_MAX], column[POINTS_MAX];
            UNROLL for (int y = 0; y < size; y++) {
                const float *p = patch[y * size + x];
                in[y] = LOAD(p ? p + at : zeros);
            }
            if (adjoint)
                times_a(&g->numbers, tile, in, column);
            else
                times_bt(&g->numbers, tile, in, column);
            UNROLL for (int y = 0; y < points; y++) half[y][x] = column[y];
        }
        for (int y = 0; y < points; y++) {
            if (adjoint)
                times_a(&g->numbers, tile, half[y], row);
            else
                times_bt(&g->numbers, tile, half[y], row);
            UNROLL for (int x = 0; x < points; x++)
                STORE(out + (size_t)(y * points + x) * plane + at, row[x]);
        }
    }
}

SIMD_CLONES
void winograd_input(const struct winograd *g, const float *x, int images,
                    int channels, float *v, size_t plane) {
    size_t size = (size_t)g->height * (size_t)g->width * (size_t)channels;
    for (int n = 0; n < images; n++, x += size)
        for (int t = 0; t < g->tiles_y * g->tiles_x; t++, v += channels)
            WITH_TILE(g->tile, spread, false, g, x, t, channels, v, plane)
}

SIMD_CLONES
void winograd_output_adjoint(const struct winograd *g, const float *dy,
                             int images, int channels, float *d, size_t plane) {
    size_t size = (size_t)g->height * (size_t)g->width * (size_t)channels;
    for (int n = 0; n < images; n++, dy += size)
        for (int t = 0; t < g->tiles_y * g->tiles_x; t++, d += channels)
            WITH_TILE(g->tile, spread, true, g, dy, t, channels, d, plane)
}

SIMD_INLINE void output(int tile, const struct winograd *g, const float *m,
                        size_t plane, int t, int channels, float *image) {
    int points = tile + 2;
    struct place place = place_of(g, t, 0, channels);
    for (int i = 0; i < channels; i += SIMD_LANES) {
        int at = lane_start(i, channels);
        vec half[TILE_MAX][POINTS_MAX];
        for (int x = 0; x < points; x++) {
            vec in[POINTS_MAX], out[TILE_MAX];
            UNROLL for (int y = 0; y < points; y++) in[y] =
                LOAD(m + (size_t)(y * points + x) * plane + at);
            times_at(&g->numbers, tile, in, out);
            UNROLL for (int y = 0; y < tile; y++) half[y][x] = out[y];
        }
        for (int y = 0; y < tile; y++) {
            vec out[TILE_MAX];
            times_at(&g->numbers, tile, half[y], out);
            UNROLL for (int x = 0; x < tile; x++) {
                ptrdiff_t pixel = pixel_at(&place, y, x);
                if (pixel >= 0)
                    STORE(image + pixel + at, out[x]);
            }
        }
    }
}

SIMD_CLONES
void winograd_output(const struct winograd *g, const float *m, size_t plane,
                     int images, int channels, float *y) {
    size_t size = (size_t)g->height * (size_t)g->width * (size_t)channels;
    for (int n = 0; n < images; n++, y += size)
        for (int t = 0; t < g->tiles_y * g->tiles_x; t++, m += channels)
            WITH_TILE(g->tile, output, g, m, plane, t, channels, y)
}
