/*
 * Pooling over windows in any number of axes, plain layout. This serves what
 * pool.h does not (one and three axes, indices, LpPool), so it is plain rather
 * than fast.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/quantised.h"
#include "models/nn/strided.h"
#include "models/nn/window.h"

#include <math.h>
#include <string.h>

/* One window over one plane. */
struct pool_window {
    const struct window *w;
    const struct op_call *call;
    const char *plane; /* numbers of `type` */
    enum nn_type type;
    const int64_t *out; /* where the window is */
    ptrdiff_t best;     /* MaxPool: offset in the plane of the maximum */
};

struct pool {
    float (*over)(struct pool_window *p);
    bool global;
};

static float number_at_offset(const struct pool_window *p, ptrdiff_t offset) {
    const void *x = p->plane + offset * (ptrdiff_t)type_size(p->type);
    return p->type == NN_UINT8  ? *(const uint8_t *)x
           : p->type == NN_INT8 ? *(const int8_t *)x
                                : *(const float *)x;
}

static float maximum(struct pool_window *p) {
    int64_t k[WINDOW_AXES_MAX] = {0};
    float best = p->type == NN_UINT8  ? 0
                 : p->type == NN_INT8 ? INT8_MIN
                                      : -INFINITY;

    p->best = -1;
    do {
        const ptrdiff_t offset = window_offset(p->w, p->out, k);
        const float x = offset >= 0 ? number_at_offset(p, offset) : 0;
        if (offset >= 0 && (p->best < 0 || x > best || x != x)) {
            best = x;
            p->best = offset;
        }
    } while (best == best && dims_step(k, p->w->kernel, p->w->axes));
    return best;
}

/* What the divisor counts of the window: with count_include_pad padding as
 * well, but never what ceil_mode adds beyond it. */
static int64_t padded_count(const struct window *w, const int64_t *out) {
    int64_t count = 1;
    for (int i = 0; i < w->axes; i++) {
        const int64_t start = out[i] * w->stride[i] - w->before[i];
        const int64_t room = w->in[i] + w->after[i] - start;
        const int64_t fit = (room - 1) / w->dilation[i] + 1;
        count *= fit < w->kernel[i] ? fit : w->kernel[i];
    }
    return count;
}

static float average(struct pool_window *p) {
    int64_t k[WINDOW_AXES_MAX] = {0}, count = 0;
    double sum = 0;
    do {
        const ptrdiff_t at = window_offset(p->w, p->out, k);
        if (at < 0)
            continue;
        sum += (double)number_at_offset(p, at);
        count++;
    } while (dims_step(k, p->w->kernel, p->w->axes));
    if (node_int(p->call->node, "count_include_pad", 0))
        count = padded_count(p->w, p->out);
    return (float)(sum / (double)count);
}

static float lp_norm(struct pool_window *p) {
    const double power = (double)node_int(p->call->node, "p", 2);
    int64_t k[WINDOW_AXES_MAX] = {0};
    double sum = 0;
    do {
        const ptrdiff_t at = window_offset(p->w, p->out, k);
        if (at >= 0)
            sum += pow(fabs((double)number_at_offset(p, at)), power);
    } while (dims_step(k, p->w->kernel, p->w->axes));
    return (float)pow(sum, 1 / power);
}

static int pool_window_of(const struct op_call *call, struct window *w,
                          struct err *err) {
    const struct pool *pool = call->op->kernel;
    if (pool->global)
        return window_global(call, w, err);
    if (window_of(call, NULL, w, err) < 0)
        return -1;
    for (int i = 0; i < w->axes; i++) {
        const int64_t extent = (w->kernel[i] - 1) * w->dilation[i] + 1;
        if (w->before[i] >= extent || w->after[i] >= extent)
            return err_set(err, "%s with padding as wide as its window",
                           call->node->op_type);
    }
    return 0;
}

static int infer_pool(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    struct window w;

    const struct pool *pool = call->op->kernel;
    const unsigned types =
        TYPE_BIT(NN_FLOAT32) |
        (pool->over == maximum && !pool->global ? TYPES_BYTE : 0);
    if (op_types(call, 0, types, err) < 0 || pool_window_of(call, &w, err) < 0)
        return -1;
    if (node_int(call->node, "p", 2) < 1)
        return err_set(err, "%s's p has to be 1 or more", call->node->op_type);
    dims[0] = x->dims[0];
    dims[1] = x->dims[1];
    memcpy(dims + 2, w.out, (size_t)w.axes * sizeof *w.out);
    if (call->output_count > 1 &&
        op_output(call, 1, NN_INT64, x->rank, dims, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, dims, err);
}

/* Number `offset` of the plane as its place in the whole tensor; with
 * storage_order 1 the plane counts by columns. */
static int64_t index_of(const struct pool_window *p, size_t plane,
                        ptrdiff_t offset) {
    const struct window *w = p->w;
    int64_t at[WINDOW_AXES_MAX], index = 0;

    if (!node_int(p->call->node, "storage_order", 0))
        index = offset;
    else {
        for (int i = w->axes - 1; i >= 0; i--) {
            at[i] = offset % w->in[i];
            offset /= w->in[i];
        }
        for (int i = w->axes - 1; i >= 0; i--)
            index = index * w->in[i] + at[i];
    }
    return (int64_t)(plane * dims_count(w->in, w->axes)) + index;
}

static void run_pool(struct op_call *call) {
    const struct pool *pool = call->op->kernel;
    const struct tensor *x = call->inputs[0];
    const size_t planes = dims_count(x->dims, 2);
    const size_t each = type_size(x->type);
    char *y = call->outputs[0].data;
    int64_t *indices = call->output_count > 1 ? call->outputs[1].data : NULL;
    struct window w;

    pool_window_of(call, &w, NULL);
    const size_t size = dims_count(w.in, w.axes);
    for (size_t plane = 0; plane < planes; plane++) {
        int64_t out[WINDOW_AXES_MAX] = {0};
        struct pool_window p = {.w = &w,
                                .call = call,
                                .plane =
                                    (const char *)x->data + plane * size * each,
                                .type = x->type,
                                .out = out,
                                .best = -1};
        do {
            const double result = (double)pool->over(&p);
            number_put_doubles(y, x->type, &result, 1);
            y += each;
            if (indices)
                *indices++ = index_of(&p, plane, p.best);
        } while (dims_step(out, w.out, w.axes));
    }
}

static const struct op_attribute maxpool_8[] = {
    {"kernel_shape", ATTRIBUTE_INTS}, {"strides", ATTRIBUTE_INTS},
    {"pads", ATTRIBUTE_INTS},         {"auto_pad", ATTRIBUTE_STRING},
    {"storage_order", ATTRIBUTE_INT}, {0}};
static const struct op_attribute maxpool_10[] = {
    {"kernel_shape", ATTRIBUTE_INTS}, {"strides", ATTRIBUTE_INTS},
    {"pads", ATTRIBUTE_INTS},         {"auto_pad", ATTRIBUTE_STRING},
    {"dilations", ATTRIBUTE_INTS},    {"ceil_mode", ATTRIBUTE_INT},
    {"storage_order", ATTRIBUTE_INT}, {0}};
static const struct op_attribute averagepool[] = {
    {"kernel_shape", ATTRIBUTE_INTS},
    {"strides", ATTRIBUTE_INTS},
    {"pads", ATTRIBUTE_INTS},
    {"auto_pad", ATTRIBUTE_STRING},
    {"ceil_mode", ATTRIBUTE_INT},
    {"count_include_pad", ATTRIBUTE_INT},
    {0}};
static const struct op_attribute averagepool_19[] = {
    {"kernel_shape", ATTRIBUTE_INTS}, {"strides", ATTRIBUTE_INTS},
    {"pads", ATTRIBUTE_INTS},         {"auto_pad", ATTRIBUTE_STRING},
    {"ceil_mode", ATTRIBUTE_INT},     {"count_include_pad", ATTRIBUTE_INT},
    {"dilations", ATTRIBUTE_INTS},    {0}};
static const struct op_attribute lppool[] = {{"kernel_shape", ATTRIBUTE_INTS},
                                             {"strides", ATTRIBUTE_INTS},
                                             {"pads", ATTRIBUTE_INTS},
                                             {"auto_pad", ATTRIBUTE_STRING},
                                             {"p", ATTRIBUTE_INT},
                                             {0}};
static const struct op_attribute lppool_18[] = {
    {"kernel_shape", ATTRIBUTE_INTS},
    {"strides", ATTRIBUTE_INTS},
    {"pads", ATTRIBUTE_INTS},
    {"auto_pad", ATTRIBUTE_STRING},
    {"ceil_mode", ATTRIBUTE_INT},
    {"dilations", ATTRIBUTE_INTS},
    {"p", ATTRIBUTE_INT},
    {0}};
static const struct op_attribute p_only[] = {{"p", ATTRIBUTE_INT}, {0}};

static const struct pool max = {maximum, false}, global_max = {maximum, true};
static const struct pool mean = {average, false}, global_mean = {average, true};
static const struct pool lp = {lp_norm, false}, global_lp = {lp_norm, true};

const struct op ops_pool[] = {
    {"MaxPool", 1, 1, 1, 2, 0, infer_pool, run_pool, NULL, maxpool_8, &max},
    {"MaxPool", 10, 1, 1, 2, 0, infer_pool, run_pool, NULL, maxpool_10, &max},
    {"AveragePool", 1, 1, 1, 1, 0, infer_pool, run_pool, NULL, averagepool,
     &mean},
    {"AveragePool", 19, 1, 1, 1, 0, infer_pool, run_pool, NULL, averagepool_19,
     &mean},
    {"LpPool", 2, 1, 1, 1, 0, infer_pool, run_pool, NULL, lppool, &lp},
    {"LpPool", 18, 1, 1, 1, 0, infer_pool, run_pool, NULL, lppool_18, &lp},
    {"GlobalMaxPool", 1, 1, 1, 1, 0, infer_pool, run_pool, NULL, NULL,
     &global_max},
    {"GlobalAveragePool", 1, 1, 1, 1, 0, infer_pool, run_pool, NULL, NULL,
     &global_mean},
    {"GlobalLpPool", 2, 1, 1, 1, 0, infer_pool, run_pool, NULL, p_only,
     &global_lp},
    {0}};
