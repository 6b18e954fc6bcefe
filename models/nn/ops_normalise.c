/*
 * Normalisations, in float32. Statistics are summed in float64.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"
#include "models/nn/vmath.h"

#include <math.h>
#include <string.h>

/* The first input and, one number a channel each, the others. */
static int check_channels(const struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (x->rank < 2)
        return err_set(err, "%s of rank %d", call->node->op_type, x->rank);
    for (int i = 0; i < call->input_count; i++) {
        const struct tensor *t = call->inputs[i];
        if (!t)
            return err_set(err, "%s without its input %d", call->node->op_type,
                           i);
        if (op_types(call, i, TYPE_BIT(NN_FLOAT32), err) < 0)
            return -1;
        if (i > 0 && (t->rank != 1 || t->dims[0] != x->dims[1]))
            return err_set(err, "%s's input %d is not %lld numbers",
                           call->node->op_type, i, (long long)x->dims[1]);
    }
    return 0;
}

static int infer_channels(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (check_channels(call, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void scale_shift(const float *x, float *y, size_t n, double scale,
                        double shift) {
    const float a = (float)scale, b = (float)shift;
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * a + b;
}

static void moments(const float *x, size_t n, double *mean, double *variance) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++) {
        const double d = (double)x[i] - *mean;
        squares += d * d;
    }
    *variance = squares / (double)n;
}

/* ---- BatchNormalization ----------------------------------------------------
 */

static int infer_batch(struct op_call *call, struct err *err) {
    if (node_int(call->node, "training_mode", 0))
        return err_set(err, "the network was exported in training mode: call "
                            "model.eval() before exporting");
    if (!node_int(call->node, "spatial", 1))
        return err_set(err, "BatchNormalization of single features (spatial=0) "
                            "is not supported");
    return infer_channels(call, err);
}

static void run_batch(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *scale = call->inputs[1]->data, *shift = call->inputs[2]->data,
                *mean = call->inputs[3]->data,
                *variance = call->inputs[4]->data;
    const double epsilon = (double)node_float(call->node, "epsilon", 1e-5f);
    const size_t planes = dims_count(x->dims, 2);
    const size_t size = dims_count(x->dims + 2, x->rank - 2);

    for (size_t p = 0; p < planes; p++) {
        const size_t c = p % (size_t)x->dims[1];
        const double s = (double)scale[c] / sqrt((double)variance[c] + epsilon);
        scale_shift((const float *)x->data + p * size,
                    (float *)call->outputs[0].data + p * size, size, s,
                    (double)shift[c] - s * (double)mean[c]);
    }
}

/* ---- InstanceNormalization -------------------------------------------------
 */

static void run_instance(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *scale = call->inputs[1]->data, *shift = call->inputs[2]->data;
    const double epsilon = (double)node_float(call->node, "epsilon", 1e-5f);
    const size_t planes = dims_count(x->dims, 2);
    const size_t size = dims_count(x->dims + 2, x->rank - 2);

    for (size_t p = 0; p < planes; p++) {
        const float *plane = (const float *)x->data + p * size;
        const size_t c = p % (size_t)x->dims[1];
        double mean, variance;
        moments(plane, size, &mean, &variance);
        const double s = (double)scale[c] / sqrt(variance + epsilon);
        scale_shift(plane, (float *)call->outputs[0].data + p * size, size, s,
                    (double)shift[c] - s * mean);
    }
}

/* ---- GroupNormalization ---------------------------------------------------
 */

/* Scale and bias are by group in opset 18, by channel from 21 on. */
static int infer_group(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const int64_t groups = node_int(call->node, "num_groups", 0);
    if (x->rank < 2 || groups < 1 || x->dims[1] % groups != 0)
        return err_set(err, "GroupNormalization of rank %d in %lld groups",
                       x->rank, (long long)groups);
    const int64_t numbers = call->op->since < 21 ? groups : x->dims[1];
    for (int i = 0; i < 3; i++) {
        const struct tensor *t = call->inputs[i];
        if (op_types(call, i, TYPE_BIT(NN_FLOAT32), err) < 0)
            return -1;
        if (i > 0 && (t->rank != 1 || t->dims[0] != numbers))
            return err_set(err,
                           "GroupNormalization's input %d is not %lld numbers",
                           i, (long long)numbers);
    }
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void run_group(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *scale = call->inputs[1]->data, *shift = call->inputs[2]->data;
    const float *in = x->data;
    float *out = call->outputs[0].data;
    const double epsilon = (double)node_float(call->node, "epsilon", 1e-5f);
    const size_t groups = (size_t)node_int(call->node, "num_groups", 1);
    const size_t channels = (size_t)x->dims[1] / groups;
    const size_t size = dims_count(x->dims + 2, x->rank - 2);
    const bool by_group = call->op->since < 21;

    for (size_t g = 0; g < (size_t)x->dims[0] * groups; g++) {
        double mean, variance;
        moments(in, channels * size, &mean, &variance);
        for (size_t c = 0; c < channels; c++, in += size, out += size) {
            const size_t i = by_group ? g % groups : g % groups * channels + c;
            const double s = (double)scale[i] / sqrt(variance + epsilon);
            scale_shift(in, out, size, s, (double)shift[i] - s * mean);
        }
    }
}

/* ---- LayerNormalization ----------------------------------------------------
 */

/* Over the axes from `axis` on, which scale and bias have as well. */
static int infer_layer(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int axis;

    if (op_axis(node_int(call->node, "axis", -1), x->rank, &axis, err) < 0)
        return -1;
    for (int i = 0; i < call->input_count; i++) {
        const struct tensor *t = call->inputs[i];
        if (!t)
            continue;
        if (op_types(call, i, TYPE_BIT(NN_FLOAT32), err) < 0)
            return -1;
        bool fits = i == 0 || t->rank == x->rank - axis;
        for (int k = 0; i > 0 && fits && k < t->rank; k++)
            fits = t->dims[k] == x->dims[axis + k];
        if (!fits)
            return err_set(err,
                           "LayerNormalization's input %d has another "
                           "shape than what it scales",
                           i);
    }
    /* The mean and the inverse of the deviation, where they are asked for. */
    struct tensor kept = *x;
    for (int i = axis; i < x->rank; i++)
        kept.dims[i] = 1;
    for (int i = 1; i < call->output_count; i++)
        if (op_output(call, i, x->type, x->rank, kept.dims, err) < 0)
            return -1;
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void run_layer(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *bias = op_has(call, 2) ? call->inputs[2]->data : NULL;
    int axis;

    op_axis(node_int(call->node, "axis", -1), x->rank, &axis, NULL);
    vmath_layer_norm(x->data, call->outputs[0].data, dims_count(x->dims, axis),
                     dims_count(x->dims + axis, x->rank - axis),
                     call->inputs[1]->data, bias,
                     node_float(call->node, "epsilon", 1e-5f),
                     call->output_count > 1 ? call->outputs[1].data : NULL,
                     call->output_count > 2 ? call->outputs[2].data : NULL);
}

/* ---- LRN -------------------------------------------------------------------
 */

/* Krizhevsky et al. 2012, section 3.3: each number over the squares of its
 * neighbours across channels. */
static int infer_lrn(struct op_call *call, struct err *err) {
    const int64_t size = node_int(call->node, "size", 0);
    if (size < 1 || size > INT32_MAX)
        return err_set(err, "LRN over %lld channels is not supported",
                       (long long)size);
    return infer_channels(call, err);
}

struct lrn {
    float bias, scale, beta; /* scale: alpha over the size of the window */
    int64_t before, after;   /* channels */
    int64_t channels;
};

/* y = x / (bias + scale * squares) ^ beta */
static void lrn_divide(const struct lrn *l, const float *x,
                       const float *squares, float *y, size_t n) {
    if (l->beta == 0.75f) { /* nearly always; roots become vector code */
        for (size_t i = 0; i < n; i++) {
            const float root = sqrtf(l->bias + l->scale * squares[i]);
            y[i] = x[i] / (root * sqrtf(root));
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] / powf(l->bias + l->scale * squares[i], l->beta);
}

static void add_squares(const float *x, float *squares, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        squares[i] += x[i] * x[i];
}

static int64_t at_most(int64_t n, int64_t most) {
    return n < most ? n : most;
}

/* x, y (channels, size): a chunk of a plane at a time. */
static void lrn_planes(const struct lrn *l, const float *x, float *y,
                       int64_t size) {
    float squares[NUMBER_CHUNK];
    for (int64_t c = 0; c < l->channels; c++)
        for (int64_t at = 0; at < size; at += NUMBER_CHUNK) {
            const int64_t n = at_most(size - at, NUMBER_CHUNK);
            const int64_t from = c - at_most(c, l->before),
                          to = at_most(c + l->after, l->channels - 1);
            memset(squares, 0, sizeof squares);
            for (int64_t k = from; k <= to; k++)
                add_squares(x + k * size + at, squares, n);
            lrn_divide(l, x + c * size + at, squares, y + c * size + at,
                       (size_t)n);
        }
}

/* x, y (channels): a chunk of one pixel's channels at a time. */
static void lrn_pixel(const struct lrn *l, const float *x, float *y) {
    float squares[NUMBER_CHUNK];
    for (int64_t at = 0; at < l->channels; at += NUMBER_CHUNK) {
        const int64_t n = at_most(l->channels - at, NUMBER_CHUNK);
        memset(squares, 0, sizeof squares);
        for (int64_t shift = -l->before; shift <= l->after; shift++) {
            /* Channel at + i sees at + i + shift, if that is one. */
            const int64_t from = at + shift < 0 ? -(at + shift) : 0;
            const int64_t to = at_most(n, l->channels - at - shift);
            if (from < to)
                add_squares(x + at + shift + from, squares + from, to - from);
        }
        lrn_divide(l, x + at, squares, y + at, (size_t)n);
    }
}

static void run_lrn(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const int64_t channels = x->dims[1];
    const int64_t window = node_int(call->node, "size", 1);
    const struct lrn l = {.bias = node_float(call->node, "bias", 1),
                          .scale = node_float(call->node, "alpha", 1e-4f) /
                                   (float)window,
                          .beta = node_float(call->node, "beta", 0.75f),
                          .before = at_most((window - 1) / 2, channels),
                          .after = at_most(window / 2, channels),
                          .channels = channels};
    const int64_t size = (int64_t)dims_count(x->dims + 2, x->rank - 2);
    const float *in = x->data;
    float *out = call->outputs[0].data;

    for (int64_t n = 0; n < x->dims[0]; n++)
        if (x->layout == LAYOUT_CHANNELS_LAST)
            for (int64_t i = 0; i < size; i++, in += channels, out += channels)
                lrn_pixel(&l, in, out);
        else {
            lrn_planes(&l, in, out, size);
            in += channels * size;
            out += channels * size;
        }
}

/* ---- MeanVarianceNormalization ---------------------------------------------
 */

/* What is normalised together, as a tensor with those axes kept as 1. */
static int mvn_shape(const struct op_call *call, struct tensor *kept,
                     struct err *err) {
    static const int64_t otherwise[] = {0, 2, 3};
    const struct tensor *x = call->inputs[0];
    const int64_t *axes;
    int count = node_ints(call->node, "axes", &axes);
    if (!node_attribute(call->node, "axes")) {
        axes = otherwise;
        count = 3;
    }
    *kept = *x;
    for (int i = 0; i < count; i++) {
        int axis;
        if (op_axis(axes[i], x->rank, &axis, err) < 0)
            return -1;
        kept->dims[axis] = 1;
    }
    return 0;
}

static int infer_mvn(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct tensor kept;
    if (op_types(call, 0, TYPE_BIT(NN_FLOAT32), err) < 0 ||
        mvn_shape(call, &kept, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

/* Sums, then sums of squared distances. */
static size_t mvn_scratch(const struct op_call *call) {
    struct tensor kept;
    mvn_shape(call, &kept, NULL);
    return 2 * tensor_count(&kept) * sizeof(double);
}

static void run_mvn(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const float *in = x->data;
    float *out = call->outputs[0].data;
    struct tensor kept;
    struct strided s;

    mvn_shape(call, &kept, NULL);
    const size_t groups = tensor_count(&kept);
    const double n = groups ? (double)tensor_count(x) / (double)groups : 1;
    double *sum = call->scratch, *squares = sum + groups;
    memset(sum, 0, 2 * groups * sizeof *sum);
    for (int pass = 0; pass < 3; pass++) {
        strided_shape(&s, x);
        strided_broadcast(&s, &kept);
        for (strided_begin(&s); s.more; strided_next(&s))
            for (ptrdiff_t i = 0; i < (ptrdiff_t)s.row; i++) {
                const ptrdiff_t at = s.offset[0] + i * s.step[0];
                const ptrdiff_t g = s.offset[1] + i * s.step[1];
                const double d = (double)in[at] - sum[g] / n;
                if (pass == 0)
                    sum[g] += (double)in[at];
                else if (pass == 1)
                    squares[g] += d * d;
                else /* 1e-9 as in the function's definition */
                    out[at] = (float)(d / (sqrt(squares[g] / n) + 1e-9));
            }
    }
}

/* ---- the rows --------------------------------------------------------------
 */

static const struct op_attribute batch_6[] = {{"epsilon", ATTRIBUTE_FLOAT},
                                              {"momentum", ATTRIBUTE_FLOAT},
                                              {"is_test", ATTRIBUTE_INT},
                                              {"spatial", ATTRIBUTE_INT},
                                              {0}};
static const struct op_attribute batch_9[] = {
    {"epsilon", ATTRIBUTE_FLOAT}, {"momentum", ATTRIBUTE_FLOAT}, {0}};
static const struct op_attribute batch_14[] = {{"epsilon", ATTRIBUTE_FLOAT},
                                               {"momentum", ATTRIBUTE_FLOAT},
                                               {"training_mode", ATTRIBUTE_INT},
                                               {0}};
static const struct op_attribute epsilon[] = {{"epsilon", ATTRIBUTE_FLOAT},
                                              {0}};
static const struct op_attribute layer[] = {{"axis", ATTRIBUTE_INT},
                                            {"epsilon", ATTRIBUTE_FLOAT},
                                            {"stash_type", ATTRIBUTE_INT},
                                            {0}};
static const struct op_attribute group[] = {{"num_groups", ATTRIBUTE_INT},
                                            {"epsilon", ATTRIBUTE_FLOAT},
                                            {"stash_type", ATTRIBUTE_INT},
                                            {0}};
static const struct op_attribute lrn[] = {{"size", ATTRIBUTE_INT},
                                          {"alpha", ATTRIBUTE_FLOAT},
                                          {"beta", ATTRIBUTE_FLOAT},
                                          {"bias", ATTRIBUTE_FLOAT},
                                          {0}};
static const struct op_attribute axes_only[] = {{"axes", ATTRIBUTE_INTS}, {0}};

const struct op ops_normalise[] = {
    {"BatchNormalization", 6, 5, 5, 1, 0, infer_batch, run_batch, NULL, batch_6,
     NULL},
    {"BatchNormalization", 9, 5, 5, 1, 0, infer_batch, run_batch, NULL, batch_9,
     NULL},
    {"BatchNormalization", 14, 5, 5, 1, 0, infer_batch, run_batch, NULL,
     batch_14, NULL},
    {"InstanceNormalization", 6, 3, 3, 1, 0, infer_channels, run_instance, NULL,
     epsilon, NULL},
    {"GroupNormalization", 18, 3, 3, 1, OP_IMAGES_APART, infer_group, run_group,
     NULL, group, NULL},
    {"GroupNormalization", 21, 3, 3, 1, OP_IMAGES_APART, infer_group, run_group,
     NULL, group, NULL},
    {"LayerNormalization", 17, 2, 3, 3, OP_IMAGES_APART, infer_layer, run_layer,
     NULL, layer, NULL},
    {"LRN", 1, 1, 1, 1, OP_ONE_LAYOUT | OP_IMAGES_APART, infer_lrn, run_lrn,
     NULL, lrn, NULL},
    {"MeanVarianceNormalization", 9, 1, 1, 1, 0, infer_mvn, run_mvn,
     mvn_scratch, axes_only, NULL},
    {0}};
