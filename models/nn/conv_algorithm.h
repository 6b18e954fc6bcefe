/*
 * conv_algorithm: what conv.c and the algorithms behind it share.
 *
 * An algorithm is one row of the table in conv.c. conv_open() takes, of those
 * that fit a shape, the one with the lowest estimate of time.
 */
#ifndef CONVOY_NN_CONV_ALGORITHM_H
#define CONVOY_NN_CONV_ALGORITHM_H

#include "models/nn/conv.h"
#include "models/nn/kernels/kernels.h"
#include "models/nn/tensor.h"

struct conv {
    struct conv_shape shape;
    int batch_max;
    const struct kernels *kernels;
    const struct conv_algorithm *algorithm;
    bool residual;
    struct activation activation;
    bool bounded; /* low and high are all there is of the activation */
    float low, high;
    float *bias;    /* (channels_out), or NULL */
    float *weights; /* as the algorithm packs them */
    size_t weights_count;
};

#define CONV_PACK_UNIT 16 /* vectors of every instruction set divide it */

struct conv_algorithm {
    const char *name;
    bool (*fits)(const struct conv *conv);
    /* Seconds for one batch of batch_max, on a processor that is the same for
     * all estimates. */
    double (*estimate)(const struct conv *conv);
    /* Floats of packed weights, and the packing into zeros, of some of the
     * output channels: `first` is a multiple of CONV_PACK_UNIT. The weights
     * (all of them) are read by tensor_float(). */
    size_t (*weights_count)(const struct conv *conv);
    void (*pack)(struct conv *conv, const void *weights, int first, int end);
    size_t (*scratch)(const struct conv *conv); /* floats */
    void (*run)(const struct conv *conv, int batch, const float *x,
                const float *residual, float *y, float *scratch);
};

extern const struct conv_algorithm conv_pointwise, conv_im2col, conv_direct,
    conv_winograd_2, conv_winograd_4, conv_depthwise;

/* The table, ended by NULL. */
extern const struct conv_algorithm *const conv_algorithms[];

/* Refuses a shape that contradicts itself, or is beyond what int counts. */
int conv_check(const struct conv_shape *shape, int batch_max, struct err *err);

/* conv_open() with an algorithm that the caller knows to fit; NULL: the fastest
 * one. */
struct conv *conv_open_with(const struct conv_algorithm *algorithm,
                            const struct conv_shape *shape,
                            const struct conv_post *post, const void *weights,
                            int batch_max, struct err *err);

/* What remains of the activation once results are bounded. */
void conv_finish(const struct conv *conv, float *y, size_t pixels);

/* Seconds on the processor that all estimates are for; a float each but for the
 * first. Measured on a Xeon of 2023; what matters is the proportion. */
#define CONV_SECONDS_A_VECTOR 0.15e-9    /* fused multiply and add, all lanes */
#define CONV_SECONDS_COPIED 0.05e-9      /* gathered by im2col */
#define CONV_SECONDS_TRANSFORMED 0.10e-9 /* in or out of Winograd's planes */

/* The estimate of a matrix multiplication (rows, k) x (k, n) with packed
 * weights: computing, or waiting for the weights. */
double conv_estimate_gemm(const struct conv *conv, double rows, double k,
                          double n);

/* ---- what pointwise, im2col and direct share ----------------------------- */

/* The groups after joining small ones; depth and columns are channels of one of
 * them. */
struct conv_grouping {
    int groups, depth, columns;
    int window; /* numbers of a group under the kernel */
};

struct conv_grouping conv_grouping(const struct conv *conv);

/* Windows are the rows of the input as they lie. */
bool conv_is_pointwise(const struct conv *conv);

/* Weights of a group as a packed matrix of rows (kernel row, column, channel),
 * groups one after the other. */
size_t conv_gemm_weights(const struct conv *conv);
void conv_gemm_pack(struct conv *conv, const void *weights, int first, int end);

/* A product with a group's weights; rows, a, lda, c and residual are left to
 * the caller, and the pieces where a row is not one. */
struct gemm_call conv_gemm_call(const struct conv *conv,
                                const struct conv_grouping *g, int group);

#endif
