/*
 * conv: two-dimensional convolution, channels last, with what follows it.
 *
 *     struct conv_shape shape = {.channels_in = 64, .height = 56, .width = 56,
 *                                .channels_out = 64, .kernel = {3, 3},
 *                                .stride = {1, 1}, .dilation = {1, 1},
 *                                .pad_top = 1, .pad_left = 1,
 *                                .pad_bottom = 1, .pad_right = 1,
 *                                .groups = 1,
 *                                .out_height = 56, .out_width = 56};
 *     struct conv_post post = {.bias = bias, .residual = true,
 *                              .activation = {ACTIVATION_RELU}};
 *     struct conv *conv = conv_open(&shape, &post, weights, 8, &err);
 *     void *scratch = aligned_alloc(64, conv_scratch(conv));
 *     conv_run(conv, 8, x, residual, y, scratch);
 *     conv_close(conv);
 *
 * Activations are float32 in the order (N, H, W, C); weights are as ONNX has
 * them. What is computed:
 *
 *     y = activation(convolution(x) + bias + residual)
 *
 * Opening picks an algorithm by shape and packs the weights for it (the
 * caller's weights and bias are not needed afterwards). The result is
 * read-only: any number of threads and forked processes run one conv, each
 * with a scratch of its own. Running allocates nothing and starts no thread.
 *
 * A fully connected layer is a 1x1 convolution of a 1x1 map.
 *
 * Results differ from the exact sum by rounding: relative to the largest
 * number of the output by some 1e-6, with Winograd's F(4x4, 3x3) some 1e-5.
 */
#ifndef CONVOY_NN_CONV_H
#define CONVOY_NN_CONV_H

#include "common/err.h"
#include "models/nn/activation.h"

#include <stdbool.h>
#include <stddef.h>

struct conv_shape {
    int channels_in, height, width;
    int channels_out;
    int kernel[2], stride[2], dilation[2]; /* rows, columns */
    int pad_top, pad_left, pad_bottom, pad_right;
    int groups;
    int out_height, out_width; /* conv_out_size() of each side */
    /* Floats from pixel to pixel of y and of the residual; 0: channels_out.
     * More leaves room for the channels of others: so several convolutions
     * write their parts of a concatenation in place. */
    int out_pitch;
};

struct conv_post {
    const float *bias; /* (channels_out), or NULL */
    bool residual;     /* conv_run() adds a tensor of y's shape */
    struct activation activation;
    /* The weights are pages of a file that is mapped: each is given back as
     * soon as it has been packed, and comes again when it is read again. */
    bool weights_in_file;
};

struct conv;

/* Outputs along one side; 0 or less where the kernel does not fit. */
int conv_out_size(int size, int kernel, int stride, int dilation,
                  int pad_before, int pad_after);

/* weights (channels_out, channels_in / groups, kernel rows, columns), float32
 * at any address.
 * NULL with an error for a shape that contradicts itself or a lack of memory.
 * The instruction set is the best that the processor has, or CONVOY_ISA (see
 * isa.h). */
struct conv *conv_open(const struct conv_shape *shape,
                       const struct conv_post *post, const void *weights,
                       int batch_max, struct err *err);
void conv_close(struct conv *conv);

/* "winograd-4x4", "pointwise", "im2col", "depthwise" ... */
const char *conv_algorithm(const struct conv *conv);

/* Bytes that conv_run() needs, 64 bytes aligned, for batches up to batch_max;
 * a multiple of 64, may be 0. */
size_t conv_scratch(const struct conv *conv);

/* Bytes of packed weights. */
size_t conv_memory(const struct conv *conv);

/* Multiplications and additions of the definition for one image, whatever the
 * algorithm saves. */
double conv_flops(const struct conv_shape *shape);

/* Seconds that the algorithm of choice takes for a batch, by a rough model of
 * one processor: to compare sizes of batches, not machines. 0 for a shape that
 * conv_open() would refuse. */
double conv_seconds(const struct conv_shape *shape, int batch);

/* x (batch, height, width, channels_in), 1 <= batch <= batch_max;
 * residual like y, or NULL where the post has none;
 * y (batch, out_height, out_width, channels_out), out_pitch floats from pixel
 * to pixel. y may be the residual, never x. */
void conv_run(const struct conv *conv, int batch, const float *x,
              const float *residual, float *y, void *scratch);

#endif
