/*
 * Reductions over any set of axes. Everything is summed in float64, in the
 * scratch, so that neither the order of the axes nor their length matters.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <math.h>
#include <string.h>

struct reduce {
    double start;
    /* Folds n numbers into accumulators that lie `step` apart, or into one. */
    void (*fold)(double *sum, ptrdiff_t step, const double *x, size_t n);
    double (*finish)(double sum, double count); /* NULL: as it is */
    unsigned types;
};

/* Marks the axes to reduce: those given, or all, or with noop_with_empty_axes
 * none. */
static int reduced_axes(const struct op_call *call, bool marked[NN_MAX_RANK],
                        struct err *err) {
    const int rank = call->inputs[0]->rank;
    bool given, any = false;

    if (op_axes(call, rank, &given, marked, err) < 0)
        return -1;
    for (int i = 0; i < rank; i++)
        any = any || marked[i];
    for (int i = 0; i < rank && !any; i++)
        marked[i] = !node_int(call->node, "noop_with_empty_axes", 0);
    return 0;
}

static int infer_reduce(struct op_call *call, struct err *err) {
    const struct reduce *r = call->op->kernel;
    const struct tensor *x = call->inputs[0];
    const bool keep = node_int(call->node, "keepdims", 1) != 0;
    int64_t dims[NN_MAX_RANK];
    bool marked[NN_MAX_RANK];
    int rank = 0;

    if (op_types(call, 0, r->types, err) < 0 ||
        reduced_axes(call, marked, err) < 0)
        return -1;
    for (int i = 0; i < x->rank; i++)
        if (!marked[i])
            dims[rank++] = x->dims[i];
        else if (keep)
            dims[rank++] = 1;
    return op_output(call, 0, x->type, rank, dims, err);
}

static size_t reduce_scratch(const struct op_call *call) {
    return tensor_count(&call->outputs[0]) * sizeof(double);
}

static void run_reduce(struct op_call *call) {
    const struct reduce *r = call->op->kernel;
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    const size_t size = type_size(x->type), count = tensor_count(out);
    double *sums = call->scratch;
    struct tensor kept = *x; /* the output with reduced axes as 1 */
    bool marked[NN_MAX_RANK];
    struct strided s;

    reduced_axes(call, marked, NULL);
    for (int i = 0; i < x->rank; i++)
        if (marked[i])
            kept.dims[i] = 1;
    kept.layout = out->rank == x->rank ? out->layout : LAYOUT_PLAIN;
    for (size_t i = 0; i < count; i++)
        sums[i] = r->start;
    strided_shape(&s, x);
    strided_broadcast(&s, &kept);
    for (strided_begin(&s); s.more; strided_next(&s))
        for (size_t at = 0; at < s.row; at += NUMBER_CHUNK) {
            const size_t n =
                s.row - at < NUMBER_CHUNK ? s.row - at : NUMBER_CHUNK;
            double chunk[NUMBER_CHUNK];
            number_doubles(chunk,
                           (const char *)x->data +
                               ((size_t)s.offset[0] + at) * size,
                           x->type, 1, n);
            r->fold(sums + s.offset[1] + (ptrdiff_t)at * s.step[1], s.step[1],
                    chunk, n);
        }
    const double of = count ? (double)tensor_count(x) / (double)count : 0;
    for (size_t i = 0; i < count; i++) {
        const double y = r->finish ? r->finish(sums[i], of) : sums[i];
        number_put_doubles((char *)out->data + i * size, out->type, &y, 1);
    }
}

/* ---- what is folded -------------------------------------------------------
 */

static inline __attribute__((always_inline)) void
fold(double (*f)(double sum, double x), double *sum, ptrdiff_t step,
     const double *x, size_t n) {
    if (step == 0) {
        double one = *sum;
        for (size_t i = 0; i < n; i++)
            one = f(one, x[i]);
        *sum = one;
        return;
    }
    for (size_t i = 0; i < n; i++)
        sum[(ptrdiff_t)i * step] = f(sum[(ptrdiff_t)i * step], x[i]);
}

#define FOLD(name, expression)                                                 \
    static inline double name##_one(double sum, double x) {                    \
        return expression;                                                     \
    }                                                                          \
    static void name(double *sum, ptrdiff_t step, const double *x, size_t n) { \
        fold(name##_one, sum, step, x, n);                                     \
    }

FOLD(add, sum + x)
FOLD(multiply, sum *x)
FOLD(add_absolute, sum + fabs(x))
FOLD(add_square, sum + x * x)
FOLD(larger, x > sum || x != x ? x : sum)
FOLD(smaller, x < sum || x != x ? x : sum)
/* log(exp(sum) + exp(x)) without leaving the range of either. */
FOLD(log_add, x == sum  ? sum + log(2)
              : x > sum ? x + log1p(exp(sum - x))
                        : sum + log1p(exp(x - sum)))

static double mean(double sum, double count) {
    return sum / count;
}

static double square_root(double sum, double count) {
    (void)count;
    return sqrt(sum);
}

static double logarithm(double sum, double count) {
    (void)count;
    return log(sum);
}

/* ---- the rows -------------------------------------------------------------
 */

static const struct op_attribute axes_keepdims[] = {
    {"axes", ATTRIBUTE_INTS}, {"keepdims", ATTRIBUTE_INT}, {0}};
static const struct op_attribute keepdims_noop[] = {
    {"keepdims", ATTRIBUTE_INT}, {"noop_with_empty_axes", ATTRIBUTE_INT}, {0}};

/* The axes are an attribute, and an input since opset 18; ReduceSum's since 13.
 */
#define REDUCE(name, since, ...)                                               \
    {name,                                                                     \
     1,                                                                        \
     1,                                                                        \
     1,                                                                        \
     1,                                                                        \
     OP_ANY_LAYOUT | OP_IMAGES_APART,                                          \
     infer_reduce,                                                             \
     run_reduce,                                                               \
     reduce_scratch,                                                           \
     axes_keepdims,                                                            \
     &(const struct reduce){__VA_ARGS__}},                                     \
    {                                                                          \
        name, since, 1, 2, 1, OP_ANY_LAYOUT | OP_IMAGES_APART, infer_reduce,   \
            run_reduce, reduce_scratch, keepdims_noop,                         \
            &(const struct reduce) {                                           \
            __VA_ARGS__                                                        \
        }                                                                      \
    }

const struct op ops_reduce[] = {
    REDUCE("ReduceSum", 13, 0, add, NULL, TYPES_NUMBER),
    REDUCE("ReduceMean", 18, 0, add, mean, TYPES_NUMBER),
    REDUCE("ReduceMax", 18, -INFINITY, larger, NULL, TYPES_NUMBER),
    REDUCE("ReduceMin", 18, INFINITY, smaller, NULL, TYPES_NUMBER),
    REDUCE("ReduceProd", 18, 1, multiply, NULL, TYPES_NUMBER),
    REDUCE("ReduceL1", 18, 0, add_absolute, NULL, TYPES_NUMBER),
    REDUCE("ReduceL2", 18, 0, add_square, square_root, TYPES_NUMBER),
    REDUCE("ReduceSumSquare", 18, 0, add_square, NULL, TYPES_NUMBER),
    REDUCE("ReduceLogSum", 18, 0, add, logarithm, TYPES_FLOAT),
    REDUCE("ReduceLogSumExp", 18, -INFINITY, log_add, NULL, TYPES_FLOAT),
    {0}};
