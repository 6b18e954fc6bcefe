/*
 * Conv and ConvTranspose in any number of spatial axes: windows unrolled into
 * a matrix ("im2col"), then one product of matrices an image and group. This
 * serves what conv.h does not, in the plain layout.
 */
#include "models/nn/gemm.h"
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"
#include "models/nn/window.h"

#include <limits.h>
#include <string.h>

/* Both ways: `wide` is the tensor that the windows lie over, `narrow` has one
 * number for each window. Conv goes from wide to narrow, ConvTranspose back. */
struct conv_sizes {
    struct window w;
    int groups;
    int wide, narrow;   /* channels a group */
    int window, places; /* numbers in a window, number of windows */
};

static bool transposed(const struct op_call *call) {
    return strcmp(call->node->op_type, "ConvTranspose") == 0;
}

static int check_channels(const struct op_call *call, int64_t groups,
                          struct err *err) {
    const struct tensor *x = call->inputs[0], *weights = call->inputs[1];
    const char *name = call->node->op_type;

    for (int i = 0; i < call->input_count; i++)
        if (op_has(call, i) && op_types(call, i, TYPE_BIT(NN_FLOAT32), err) < 0)
            return -1;
    if (weights->rank != x->rank || x->rank < 3)
        return err_set(err, "%s of rank %d with weights of rank %d", name,
                       x->rank, weights->rank);
    const int64_t in = x->dims[1], out = weights->dims[0];
    const bool some = in > 0 && out > 0 && weights->dims[1] > 0;
    const bool agree = transposed(call)
                           ? out == in && groups > 0 && in % groups == 0
                           : groups > 0 && in % groups == 0 &&
                                 weights->dims[1] == in / groups &&
                                 out % groups == 0;
    if (!some || !agree) {
        char text[128];
        return err_set(err,
                       "%s of %lld channels in %lld groups with weights "
                       "%s",
                       name, (long long)in, (long long)groups,
                       tensor_text(weights, text, sizeof text));
    }
    const int64_t channels = transposed(call) ? weights->dims[1] * groups : out;
    if (op_has(call, 2) &&
        (call->inputs[2]->rank != 1 || call->inputs[2]->dims[0] != channels))
        return err_set(err, "%s's bias is not %lld numbers", name,
                       (long long)channels);
    return 0;
}

/* The product of up to INT_MAX, which BLAS can count. */
static int small_product(const int64_t *dims, int count, int *out,
                         struct err *err) {
    int64_t product = 1;
    for (int i = 0; i < count; i++)
        if (__builtin_mul_overflow(product, dims[i], &product) ||
            product > INT_MAX)
            return err_set(err, "a convolution is too large");
    *out = (int)product;
    return 0;
}

static int sizes_of(const struct op_call *call, struct conv_sizes *s,
                    struct err *err) {
    const struct tensor *weights = call->inputs[1];
    const int64_t groups = node_int(call->node, "group", 1);
    const bool back = transposed(call);

    if (check_channels(call, groups, err) < 0 ||
        (back ? window_transposed(call, weights->dims + 2, &s->w, err)
              : window_of(call, weights->dims + 2, &s->w, err)) < 0)
        return -1;
    const int64_t narrow = weights->dims[0] / groups, wide = weights->dims[1];
    const int64_t window[] = {wide,
                              (int64_t)dims_count(s->w.kernel, s->w.axes)};
    int bound;
    if (small_product(s->w.kernel, s->w.axes, &bound, err) < 0 ||
        small_product(window, 2, &s->window, err) < 0 ||
        small_product(s->w.out, s->w.axes, &s->places, err) < 0 ||
        small_product(s->w.in, s->w.axes, &bound, err) < 0 ||
        small_product(&narrow, 1, &s->narrow, err) < 0)
        return -1;
    if ((size_t)s->window * (size_t)s->places >
        TENSOR_BYTES_MAX / sizeof(float))
        return err_set(err, "a convolution is too large");
    s->groups = (int)groups;
    s->wide = (int)wide;
    return 0;
}

static int infer_conv(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    struct conv_sizes s;

    if (sizes_of(call, &s, err) < 0)
        return -1;
    const bool back = transposed(call);
    dims[0] = x->dims[0];
    dims[1] = (int64_t)s.groups * (back ? s.wide : s.narrow);
    memcpy(dims + 2, back ? s.w.in : s.w.out,
           (size_t)s.w.axes * sizeof *s.w.in);
    return op_output(call, 0, NN_FLOAT32, x->rank, dims, err);
}

static size_t conv_scratch_bytes(const struct op_call *call) {
    struct conv_sizes s;
    return sizes_of(call, &s, NULL) < 0
               ? 0
               : (size_t)s.window * (size_t)s.places * sizeof(float);
}

/* columns (wide * kernel..., places) from planes (wide, in...). */
static void unroll(const struct conv_sizes *s, const float *planes,
                   float *columns) {
    const struct window *w = &s->w;
    const size_t plane = dims_count(w->in, w->axes);

    for (int c = 0; c < s->wide; c++, planes += plane) {
        int64_t k[WINDOW_AXES_MAX] = {0};
        do {
            int64_t out[WINDOW_AXES_MAX] = {0};
            do {
                const ptrdiff_t at = window_offset(w, out, k);
                *columns++ = at < 0 ? 0 : planes[at];
            } while (dims_step(out, w->out, w->axes));
        } while (dims_step(k, w->kernel, w->axes));
    }
}

/* The way back: every number is added to where it would have come from. */
static void roll_up(const struct conv_sizes *s, const float *columns,
                    float *planes) {
    const struct window *w = &s->w;
    const size_t plane = dims_count(w->in, w->axes);

    for (int c = 0; c < s->wide; c++, planes += plane) {
        int64_t k[WINDOW_AXES_MAX] = {0};
        do {
            int64_t out[WINDOW_AXES_MAX] = {0};
            do {
                const ptrdiff_t at = window_offset(w, out, k);
                if (at >= 0)
                    planes[at] += *columns;
                columns++;
            } while (dims_step(out, w->out, w->axes));
        } while (dims_step(k, w->kernel, w->axes));
    }
}

/* Fills planes (channels, size) with the bias, or zeros. */
static void start_with_bias(const struct op_call *call, int channels,
                            size_t size, float *planes) {
    const float *bias = op_has(call, 2) ? call->inputs[2]->data : NULL;
    for (int c = 0; c < channels; c++)
        for (size_t i = 0; i < size; i++)
            *planes++ = bias ? bias[c] : 0;
}

static void run_conv(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *in = x->data, *weights = call->inputs[1]->data;
    float *out = call->outputs[0].data, *columns = call->scratch;
    struct conv_sizes s;

    sizes_of(call, &s, NULL);
    const bool back = transposed(call);
    const size_t wide = (size_t)s.wide * dims_count(s.w.in, s.w.axes);
    const size_t narrow = (size_t)s.narrow * (size_t)s.places;
    const int m = s.narrow, n = s.places, k = s.window;
    for (int64_t image = 0; image < x->dims[0]; image++) {
        start_with_bias(call, s.groups * (back ? s.wide : s.narrow),
                        back ? wide / (size_t)s.wide : (size_t)s.places, out);
        for (int g = 0; g < s.groups; g++) {
            const float *w = weights + (size_t)g * (size_t)m * (size_t)k;
            if (back) {
                gemm(true, false, k, n, m, 1, w, k, in, n, 0, columns, n);
                roll_up(&s, columns, out);
            } else {
                unroll(&s, in, columns);
                gemm(false, false, m, n, k, 1, w, k, columns, n, 1, out, n);
            }
            in += back ? narrow : wide;
            out += back ? wide : narrow;
        }
    }
}

static const struct op_attribute conv[] = {{"kernel_shape", ATTRIBUTE_INTS},
                                           {"strides", ATTRIBUTE_INTS},
                                           {"pads", ATTRIBUTE_INTS},
                                           {"auto_pad", ATTRIBUTE_STRING},
                                           {"dilations", ATTRIBUTE_INTS},
                                           {"group", ATTRIBUTE_INT},
                                           {0}};
static const struct op_attribute conv_transpose[] = {
    {"kernel_shape", ATTRIBUTE_INTS},
    {"strides", ATTRIBUTE_INTS},
    {"pads", ATTRIBUTE_INTS},
    {"auto_pad", ATTRIBUTE_STRING},
    {"dilations", ATTRIBUTE_INTS},
    {"group", ATTRIBUTE_INT},
    {"output_padding", ATTRIBUTE_INTS},
    {"output_shape", ATTRIBUTE_INTS},
    {0}};

const struct op ops_conv[] = {{"Conv", 1, 2, 3, 1, 0, infer_conv, run_conv,
                               conv_scratch_bytes, conv, NULL},
                              {"ConvTranspose", 1, 2, 3, 1, 0, infer_conv,
                               run_conv, conv_scratch_bytes, conv_transpose,
                               NULL},
                              {0}};
