/*
 * Convolution by Winograd's minimal filtering (winograd.inc has the reference):
 * F(4x4, 3x3) takes 36 multiplications for 16 outputs where the definition
 * takes 144, F(2x2, 3x3) 16 for 4 outputs instead of 36.
 *
 * Tiles go in blocks. A block's transformed inputs V and products M are
 *
 *     V (patch, tiles, channels_in)      M (patch, tiles, channels_out)
 *
 * and should stay in the second cache together, while the weights U (patch,
 * channels_in, channels_out) pass by once a block.
 */
#include "models/nn/conv_algorithm.h"

#include <string.h>

/* Of V and M together: half a second cache of 1 MB. */
#define BLOCK_BYTES (512 << 10)

static int tile_of(const struct conv *conv) {
    return conv->algorithm == &conv_winograd_2 ? 2 : 4;
}

static int planes_of(int tile) {
    return (tile + 2) * (tile + 2);
}

static int round_up(int n, int unit) {
    return (n + unit - 1) / unit * unit;
}

static int tiles_of(const struct conv *conv, int tile, int batch) {
    return batch * ((conv->shape.out_height + tile - 1) / tile) *
           ((conv->shape.out_width + tile - 1) / tile);
}

static int pitch_out(const struct conv *conv) {
    return round_up(conv->shape.channels_out, conv->kernels->lanes);
}

static int block_tiles(const struct conv *conv, int tile) {
    int a_tile = planes_of(tile) * (conv->shape.channels_in + pitch_out(conv)) *
                 (int)sizeof(float);
    int unit = conv->kernels->tile, all = tiles_of(conv, tile, conv->batch_max);
    int tiles = BLOCK_BYTES / a_tile / unit * unit;
    if (tiles < 2 * unit)
        tiles = 2 * unit;
    return 4 * all > 5 * tiles ? tiles : all; /* rather than two small ones */
}

/* Floats from plane to plane: an odd number of cache lines, so that the same
 * number of all planes does not compete for one set of the cache. */
static size_t plane_size(int tiles, int channels) {
    size_t lines = ((size_t)tiles * (size_t)channels + 15) / 16;
    return (lines | 1) * 16;
}

static size_t weights_plane(const struct conv *conv) {
    return panels_size(conv->kernels, conv->shape.channels_in,
                       conv->shape.channels_out);
}

static bool fits(const struct conv *conv) {
    const struct conv_shape *s = &conv->shape;
    return s->kernel[0] == 3 && s->kernel[1] == 3 && s->stride[0] == 1 &&
           s->stride[1] == 1 && s->dilation[0] == 1 && s->dilation[1] == 1 &&
           s->groups == 1;
}

static double estimate(const struct conv *conv, int tile) {
    const struct conv_shape *s = &conv->shape;
    int planes = planes_of(tile), block = block_tiles(conv, tile);
    int tiles = tiles_of(conv, tile, conv->batch_max);
    int blocks = (tiles + block - 1) / block;
    double moved = (double)planes * tiles * (s->channels_in + pitch_out(conv));
    return planes * blocks *
               conv_estimate_gemm(conv, (double)tiles / blocks, s->channels_in,
                                  s->channels_out) +
           moved * CONV_SECONDS_TRANSFORMED;
}

static double estimate_2(const struct conv *conv) {
    return estimate(conv, 2);
}

static double estimate_4(const struct conv *conv) {
    return estimate(conv, 4);
}

static size_t count_weights(const struct conv *conv) {
    return (size_t)planes_of(tile_of(conv)) * weights_plane(conv);
}

/* G of F(2x2, 3x3) and F(4x4, 3x3): a point x gives 1, x, x^2, divided by the
 * product of its distances to the others. */
#define P WINOGRAD_P
#define Q WINOGRAD_Q
#define POINT(x, distances)                                                    \
    { 1 / (distances), (x) / (distances), (x) * (x) / (distances) }
static const double g_2[4][3] = {
    {1, 0, 0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0, 0, 1}};
static const double g_4[6][3] = {
    {1 / (P * P * Q * Q), 0, 0},
    POINT(P, 2 * P * P * (P * P - Q * Q)),
    POINT(-P, 2 * P * P * (P * P - Q * Q)),
    POINT(Q, 2 * Q * Q * (Q * Q - P * P)),
    POINT(-Q, 2 * Q * Q * (Q * Q - P * P)),
    {0, 0, 1},
};
#undef POINT
#undef P
#undef Q

/* Kernels of one channel that are transformed side by side: they are neighbours
 * in a panel, so that whole lines of cache are written. */
#define SIDE_BY_SIDE 16

/* All of G w G', w being `count` kernels `step` floats apart. */
static void transform(const double (*g)[3], int size, const char *w,
                      size_t step, int count,
                      float (*out)[SIDE_BY_SIDE] /* (size * size) */) {
    double in[3][3][SIDE_BY_SIDE] = {0}, half[6][3][SIDE_BY_SIDE];
    for (int k = 0; k < count; k++)
        for (int i = 0; i < 9; i++)
            in[i / 3][i % 3][k] =
                (double)tensor_float(w, (size_t)k * step + (size_t)i);
    for (int i = 0; i < size; i++)
        for (int x = 0; x < 3; x++)
            for (int k = 0; k < SIDE_BY_SIDE; k++)
                half[i][x][k] = g[i][0] * in[0][x][k] + g[i][1] * in[1][x][k] +
                                g[i][2] * in[2][x][k];
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            for (int k = 0; k < SIDE_BY_SIDE; k++)
                out[i * size + j][k] =
                    (float)(half[i][0][k] * g[j][0] + half[i][1][k] * g[j][1] +
                            half[i][2][k] * g[j][2]);
}

static void pack(struct conv *conv, const void *weights, int first, int end) {
    const struct conv_shape *s = &conv->shape;
    int size = tile_of(conv) + 2;
    int unit = conv->kernels->lanes; /* divides SIDE_BY_SIDE and a panel */
    size_t plane = weights_plane(conv), step = (size_t)s->channels_in * 9;
    float out[36][SIDE_BY_SIDE];

    for (int m = first; m < end; m += unit) {
        int count = end - m < unit ? end - m : unit;
        const char *w =
            (const char *)weights + (size_t)m * step * sizeof(float);
        for (int c = 0; c < s->channels_in; c++, w += 9 * sizeof(float)) {
            float *u = conv->weights + panels_at(conv->kernels, s->channels_in,
                                                 s->channels_out, c, m);
            transform(size == 4 ? g_2 : g_4, size, w, step, count, out);
            for (int p = 0; p < size * size; p++)
                memcpy(u + (size_t)p * plane, out[p],
                       (size_t)count * sizeof(float));
        }
    }
}

static size_t scratch(const struct conv *conv) {
    int tile = tile_of(conv), tiles = block_tiles(conv, tile);
    return (size_t)round_up(conv->shape.channels_in, 16) +
           (size_t)planes_of(tile) *
               (plane_size(tiles, conv->shape.channels_in) +
                plane_size(tiles, pitch_out(conv)));
}

static void multiply(const struct conv *conv, const struct winograd_call *in,
                     const struct winograd_call *out) {
    struct gemm_call call = {
        .rows = in->count,
        .k = conv->shape.channels_in,
        .piece = conv->shape.channels_in,
        .pieces = {1, 1},
        .n = pitch_out(conv),
        .lda = in->pitch,
        .ldc = out->pitch,
        .low = -__builtin_inff(),
        .high = __builtin_inff(),
    };
    for (int p = 0; p < planes_of(tile_of(conv)); p++) {
        call.a = in->planes + (size_t)p * in->plane;
        call.b = conv->weights + (size_t)p * weights_plane(conv);
        call.c = out->planes + (size_t)p * out->plane;
        conv->kernels->gemm(&call);
    }
}

static void run(const struct conv *conv, int batch, const float *x,
                const float *residual, float *y, float *memory) {
    const struct conv_shape *s = &conv->shape;
    int tile = tile_of(conv), block = block_tiles(conv, tile);
    const struct winograd_kernels *k =
        tile == 2 ? &conv->kernels->winograd_2 : &conv->kernels->winograd_4;
    struct winograd_call in = {
        .shape = s,
        .tiles_y = (s->out_height + tile - 1) / tile,
        .tiles_x = (s->out_width + tile - 1) / tile,
        .x = x,
        .zeros = memory,
        .planes = memory + round_up(s->channels_in, 16),
        .plane = plane_size(block, s->channels_in),
        .pitch = s->channels_in,
    };
    struct winograd_call out = in;
    out.planes = in.planes + (size_t)planes_of(tile) * in.plane;
    out.plane = plane_size(block, pitch_out(conv));
    out.pitch = pitch_out(conv);
    out.y = y;
    out.bias = conv->bias;
    out.residual = residual;
    out.low = conv->low;
    out.high = conv->high;
    out.then = conv->bounded ? NULL : &conv->activation;

    memset(memory, 0, (size_t)s->channels_in * sizeof *memory);
    /* Blocks as equal as they can be: all weights pass by for a small one, too.
     */
    int tiles = tiles_of(conv, tile, batch);
    int blocks = (tiles + block - 1) / block;
    for (int first = 0; blocks > 0; first += in.count, blocks--) {
        in.first = out.first = first;
        in.count = out.count = (tiles - first + blocks - 1) / blocks;
        k->input(&in);
        multiply(conv, &in, &out);
        k->output(&out);
    }
}

const struct conv_algorithm conv_winograd_2 = {
    .name = "winograd-2x2",
    .fits = fits,
    .estimate = estimate_2,
    .weights_count = count_weights,
    .pack = pack,
    .scratch = scratch,
    .run = run,
};

const struct conv_algorithm conv_winograd_4 = {
    .name = "winograd-4x4",
    .fits = fits,
    .estimate = estimate_4,
    .weights_count = count_weights,
    .pack = pack,
    .scratch = scratch,
    .run = run,
};
