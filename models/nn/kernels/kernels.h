/*
 * kernels: the inner loops, once for every instruction set.
 *
 *     const struct kernels *k = kernels_for(isa_pick());
 *     k->activate(&relu, x, y, count);
 *
 * The loops are written once, in the .inc files, with the vectors of simd.h.
 * kernels_generic.c, kernels_avx2.c and kernels_avx512.c include all of them,
 * each compiled for its instruction set. The tables are constant; what a caller
 * packs for one table (panels) is read by that table alone.
 *
 * Everything here is float32, channels last. A pointer to `residual` or `bias`
 * may be NULL. `low` and `high` bound every result (infinities: not at all).
 */
#ifndef CONVOY_NN_KERNELS_H
#define CONVOY_NN_KERNELS_H

#include "models/nn/conv.h"
#include "models/nn/isa.h"
#include "models/nn/pool.h"
#include "models/nn/quantised.h"

/*
 * C (rows, n) = A (rows, k) * B (k, n), plus bias and residual, bounded.
 *
 * B is packed in panels of `panel` columns, a panel being its rows one after
 * the other, so that a register tile reads it from front to back; the last
 * panel is as many whole vectors wide as it has columns for, the surplus zero.
 * Weights are packed once, where a BLAS packs at every call; A is read as it
 * lies. That is what wins for the small matrices of CNNs.
 *
 * A row of A may come in pieces of equal length, in as many rows and columns as
 * `pieces` says, `step` floats apart: a window of an image is that.
 */
struct gemm_call {
    int rows, k, n;
    const float *a; /* lda floats from row to row */
    ptrdiff_t lda;
    int piece, pieces[2]; /* piece * pieces[0] * pieces[1] is k */
    ptrdiff_t step[2];
    const float *b;
    float *c; /* ldc floats from row to row; residual likewise */
    ptrdiff_t ldc;
    const float *bias; /* (n) */
    const float *residual;
    float low, high;
};

/* Rows first..first + count - 1 of the matrix whose rows are the windows of the
 * output pixels (n, y, x), in columns (kernel row, kernel column, channel) of
 * the channels channel..channel + depth - 1; zeros where a window is outside.
 */
struct im2col_call {
    const struct conv_shape *shape;
    const float *x; /* (batch, height, width, channels_in) */
    int channel, depth;
    size_t first;
    int count;
    float *rows;
    ptrdiff_t ld; /* floats from row to row */
};

/* The points that F(4x4, 3x3) is built on (winograd.inc), beside 0. */
#define WINOGRAD_P 0.75
#define WINOGRAD_Q 1.5

/* Winograd's transforms of tiles first..first + count - 1, counted through
 * (n, tiles_y, tiles_x). A tile's patch of (tile + 2)^2 numbers a channel goes
 * to as many planes of (count, channels). */
struct winograd_call {
    const struct conv_shape *shape;
    int tiles_y, tiles_x;
    int first, count;
    const float *x;     /* input(): the batch */
    const float *zeros; /* input(): (channels_in) */
    float *planes;      /* input() writes, output() reads */
    size_t plane;       /* floats from plane to plane */
    ptrdiff_t pitch;    /* floats from tile to tile */
    float *y;           /* output(): the batch */
    const float *bias, *residual;
    float low, high;
    const struct activation *then; /* after that, or NULL */
};

/* One row of outputs of one image; every channel for itself. */
struct depthwise_call {
    const struct conv_shape *shape;
    const float *x;       /* the image */
    const float *weights; /* (kernel rows, columns, channels) */
    const float *bias, *residual;
    const float *zeros; /* (channels) */
    float *y;           /* the image of outputs; residual likewise */
    int row;
    float low, high;
};

/*
 * C (rows, n) = A (rows, k) * B (k, n) of bytes, summed in int32, plus bias; C
 * is int32, or bytes after scaling by column (quantised.h). k goes in *units*
 * of 4 bytes: four uint8 of A and int8 of B where the processor multiplies
 * those (AVX-512 VNNI), otherwise two int16 of each, which hold what a byte
 * less its zero point can be. Both are padded with zeros to whole units. B is
 * packed in panels as above, a unit for a float; bias and scales are readable
 * to the end of the last vector. A row of A may come in pieces of as many whole
 * units, `step` bytes apart.
 */
struct byte_gemm_call {
    int rows, units, n;
    const uint8_t *a;
    ptrdiff_t lda; /* bytes from row to row */
    int pieces;    /* divides units */
    ptrdiff_t step;
    const void *b;
    const int32_t *bias;
    const float *scales; /* NULL: C is int32 */
    struct byte_range range;
    void *c;
    ptrdiff_t ldc; /* numbers from row to row */
};

/* Windows as rows of A, as im2col_call has them. The numbers less `zero` are
 * int16 where the units are, otherwise the bytes stay, but for int8, to which
 * 128 is added. Padding is the zero point. */
struct byte_rows_call {
    const struct conv_shape *shape;
    const uint8_t *x;
    bool is_signed;
    int zero; /* of x, as it is in the file */
    int channel, depth;
    size_t first;
    int count;
    uint8_t *rows;
    ptrdiff_t ld;
};

struct byte_gemm {
    const char *name;
    int lanes, panel, tile; /* as in struct kernels; of units */
    bool words;             /* units are two int16 */
    void (*run)(const struct byte_gemm_call *call);
    void (*rows)(const struct byte_rows_call *call);
};

struct kernels {
    enum isa isa;
    int lanes; /* floats in a vector */
    int panel; /* columns of a whole panel */
    int tile;  /* rows of a register tile */

    void (*gemm)(const struct gemm_call *call);
    void (*im2col)(const struct im2col_call *call);
    struct winograd_kernels {
        void (*input)(const struct winograd_call *call);
        void (*output)(const struct winograd_call *call);
    } winograd_2, winograd_4;
    void (*depthwise)(const struct depthwise_call *call);

    void (*pool_max)(const struct pool_shape *shape, int batch, const float *x,
                     float *y);
    void (*pool_max_bytes)(const struct pool_shape *shape, int batch,
                           bool is_signed, const uint8_t *x, uint8_t *y);
    void (*pool_average)(const struct pool_shape *shape, int batch,
                         const float *x, float *y);

    void (*exp)(const float *x, float *y, size_t count);
    void (*erf)(const float *x, float *y, size_t count);
    void (*activate)(const struct activation *a, const float *x, float *y,
                     size_t count);
    void (*add)(const float *a, const float *b, float *y, size_t count,
                float low, float high);
    void (*mul)(const float *a, const float *b, float *y, size_t count,
                float low, float high);
    void (*scale_shift)(const float *x, const float *scale, const float *shift,
                        float *y, size_t count, float low, float high);
    void (*quantise)(const float *x, float scale,
                     const struct byte_range *range, uint8_t *y, size_t count);
    void (*dequantise)(const uint8_t *x, const struct byte_range *range,
                       float scale, float *y, size_t count);
    void (*add_bytes)(const struct byte_sum *sum, const uint8_t *a,
                      const uint8_t *b, uint8_t *y, size_t count);
    /* What dequantise() and quantise() make of it one after the other. */
    void (*rescale)(const struct byte_rescale *by, const uint8_t *x, uint8_t *y,
                    size_t count);
    /* y = round((sums + bias) * scales), of whole numbers in floats. */
    void (*requantise)(const float *sums, const int32_t *bias,
                       const float *scales, const struct byte_range *range,
                       uint8_t *y, size_t count);
    const struct byte_gemm *byte_gemm; /* that any weights fit */
    /* y = (x - mean) / sqrt(variance + epsilon) * scale + shift, of one row;
     * moments: the mean, and that divisor's inverse. shift may be NULL. */
    void (*normalise)(const float *x, const float *scale, const float *shift,
                      float *y, size_t count, float epsilon, float moments[2]);
    float (*largest)(const float *x, size_t count);
    /* y = exp(x - shift), returns the sum; y may be NULL. */
    float (*exp_sum)(const float *x, float shift, float *y, size_t count);
};

const struct kernels *kernels_for(enum isa isa);

/* The fastest one; `bytes`: weights less their zero points fit int8. */
const struct byte_gemm *byte_gemm_for(enum isa isa, bool bytes);

/* Floats of B packed, a multiple of 16. */
size_t panels_size(const struct kernels *kernels, int k, int n);

/* Where B's element (row, column) is in it. */
size_t panels_at(const struct kernels *kernels, int k, int n, int row,
                 int column);

/* True where low and high alone do it: none, relu and clip. Otherwise they are
 * infinite, and activate() remains to be done. */
bool activation_bounds(const struct activation *a, float *low, float *high);

#endif
