/*
 * Operators that look at all numbers along one axis at once: a tensor as
 * (outer, length, inner), and a line for each pair of outer and inner.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/vmath.h"

#include <math.h>
#include <string.h>

struct lines {
    size_t outer, length, inner;
};

struct line {
    void (*apply)(const struct op_call *call, double *x, size_t n);
    /* For float32 with inner == 1, where it matters. */
    void (*floats)(const float *x, float *y, size_t rows, size_t columns);
    int64_t axis; /* the default */
    bool flat;    /* the axes from `axis` on are one, as until opset 12 */
};

static int lines_of(const struct op_call *call, int64_t axis, bool flat,
                    struct lines *l, int *at, struct err *err) {
    const struct tensor *x = call->inputs[0];
    *l = (struct lines){0};
    /* The flattened matrix may have all axes on its left. */
    if (flat && axis == x->rank)
        *at = x->rank;
    else if (op_axis(axis, x->rank, at, err) < 0)
        return -1;
    const int after = flat ? x->rank : *at + 1;
    l->outer = dims_count(x->dims, *at);
    l->length = dims_count(x->dims + *at, after - *at);
    l->inner = dims_count(x->dims + after, x->rank - after);
    return 0;
}

static int own_lines(const struct op_call *call, struct lines *l,
                     struct err *err) {
    const struct line *kernel = call->op->kernel;
    int at;
    return lines_of(call, node_int(call->node, "axis", kernel->axis),
                    kernel->flat, l, &at, err);
}

static int infer_line(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct lines l;
    if (op_types(call, 0, TYPES_FLOAT, err) < 0 || own_lines(call, &l, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

/* Room for the longest line. */
static size_t line_scratch(const struct op_call *call) {
    const struct line *kernel = call->op->kernel;
    const struct tensor *x = call->inputs[0];
    size_t longest = 1;
    for (int i = 0; i < x->rank; i++)
        if ((size_t)x->dims[i] > longest)
            longest = (size_t)x->dims[i];
    if (kernel && kernel->flat)
        longest = tensor_count(x);
    return longest * sizeof(double);
}

static void run_lines(struct op_call *call, const struct lines *l,
                      void (*apply)(const struct op_call *, double *, size_t)) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    const size_t size = type_size(x->type);
    double *line = call->scratch;

    for (size_t o = 0; o < l->outer; o++)
        for (size_t i = 0; i < l->inner; i++) {
            const size_t start = o * l->length * l->inner + i;
            number_doubles(line, (const char *)x->data + start * size, x->type,
                           (ptrdiff_t)l->inner, l->length);
            apply(call, line, l->length);
            for (size_t k = 0; k < l->length; k++)
                number_put_doubles((char *)out->data +
                                       (start + k * l->inner) * size,
                                   out->type, &line[k], 1);
        }
}

static void run_line(struct op_call *call) {
    const struct line *kernel = call->op->kernel;
    struct lines l;

    own_lines(call, &l, NULL);
    if (kernel->floats && l.inner == 1 && call->inputs[0]->type == NN_FLOAT32)
        kernel->floats(call->inputs[0]->data, call->outputs[0].data, l.outer,
                       l.length);
    else
        run_lines(call, &l, kernel->apply);
}

/* ---- Softmax and its like -------------------------------------------------
 */

static double largest(const double *x, size_t n) {
    double max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        max = x[i] > max || x[i] != x[i] ? x[i] : max;
    return max;
}

static void softmax(const struct op_call *call, double *x, size_t n) {
    const double max = largest(x, n);
    double sum = 0;
    (void)call;
    for (size_t i = 0; i < n; i++) {
        x[i] = exp(x[i] - max);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++)
        x[i] /= sum;
}

static void log_softmax(const struct op_call *call, double *x, size_t n) {
    const double max = largest(x, n);
    double sum = 0;
    (void)call;
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - max);
    for (size_t i = 0; i < n; i++)
        x[i] -= max + log(sum);
}

static size_t argument(const double *x, size_t n, bool min, bool last) {
    size_t best = 0;
    for (size_t i = 1; i < n; i++) {
        const bool better = min ? x[i] < x[best] : x[i] > x[best];
        if (better || (last && x[i] == x[best]))
            best = i;
    }
    return best;
}

static void hardmax(const struct op_call *call, double *x, size_t n) {
    const size_t best = argument(x, n, false, false);
    (void)call;
    for (size_t i = 0; i < n; i++)
        x[i] = i == best;
}

/* A line of zeros stays one. */
static void lp_normalise(const struct op_call *call, double *x, size_t n) {
    const bool absolute = node_int(call->node, "p", 2) == 1;
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += absolute ? fabs(x[i]) : x[i] * x[i];
    const double norm = absolute ? sum : sqrt(sum);
    for (size_t i = 0; norm != 0 && i < n; i++)
        x[i] /= norm;
}

static int infer_lp(struct op_call *call, struct err *err) {
    const int64_t p = node_int(call->node, "p", 2);
    if (p != 1 && p != 2)
        return err_set(err, "LpNormalization with p %lld is not supported",
                       (long long)p);
    return infer_line(call, err);
}

/* ---- CumSum ---------------------------------------------------------------
 */

static int cumsum_lines(const struct op_call *call, struct lines *l,
                        struct err *err) {
    int64_t axis;
    int count, at;
    if (op_known_ints(call, 1, &axis, &count, 1, err) < 0)
        return -1;
    if (count != 1)
        return err_set(err, "CumSum without an axis");
    return lines_of(call, axis, false, l, &at, err);
}

static int infer_cumsum(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct lines l;
    if (op_types(call, 0, TYPES_NUMBER, err) < 0 ||
        cumsum_lines(call, &l, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void cumulate(const struct op_call *call, double *x, size_t n) {
    const bool exclusive = node_int(call->node, "exclusive", 0) != 0;
    const bool reverse = node_int(call->node, "reverse", 0) != 0;
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        double *at = &x[reverse ? n - 1 - i : i];
        const double own = *at;
        *at = exclusive ? sum : sum + own;
        sum += own;
    }
}

static void run_cumsum(struct op_call *call) {
    struct lines l;
    cumsum_lines(call, &l, NULL);
    run_lines(call, &l, cumulate);
}

/* ---- ArgMax and ArgMin ----------------------------------------------------
 */

static int infer_argument(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    struct lines l;
    int axis, rank = 0;

    if (op_types(call, 0, TYPES_NUMBER, err) < 0 ||
        lines_of(call, node_int(call->node, "axis", 0), false, &l, &axis, err) <
            0)
        return -1;
    if (l.length == 0)
        return err_set(err, "%s of nothing", call->node->op_type);
    for (int i = 0; i < x->rank; i++)
        if (i != axis)
            dims[rank++] = x->dims[i];
        else if (node_int(call->node, "keepdims", 1))
            dims[rank++] = 1;
    return op_output(call, 0, NN_INT64, rank, dims, err);
}

static void run_argument(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const bool min = strcmp(call->node->op_type, "ArgMin") == 0;
    const bool last = node_int(call->node, "select_last_index", 0) != 0;
    const size_t size = type_size(x->type);
    int64_t *out = call->outputs[0].data;
    double *line = call->scratch;
    struct lines l;
    int axis;

    lines_of(call, node_int(call->node, "axis", 0), false, &l, &axis, NULL);
    for (size_t o = 0; o < l.outer; o++)
        for (size_t i = 0; i < l.inner; i++) {
            number_doubles(line,
                           (const char *)x->data +
                               (o * l.length * l.inner + i) * size,
                           x->type, (ptrdiff_t)l.inner, l.length);
            *out++ = (int64_t)argument(line, l.length, min, last);
        }
}

/* ---- the rows -------------------------------------------------------------
 */

static const struct op_attribute axis_only[] = {{"axis", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axis_p[] = {
    {"axis", ATTRIBUTE_INT}, {"p", ATTRIBUTE_INT}, {0}};
static const struct op_attribute cumsum[] = {
    {"exclusive", ATTRIBUTE_INT}, {"reverse", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axis_keepdims[] = {
    {"axis", ATTRIBUTE_INT}, {"keepdims", ATTRIBUTE_INT}, {0}};
static const struct op_attribute axis_keepdims_last[] = {
    {"axis", ATTRIBUTE_INT},
    {"keepdims", ATTRIBUTE_INT},
    {"select_last_index", ATTRIBUTE_INT},
    {0}};

#define LINE(name, since, infer, attributes, ...)                              \
    {                                                                          \
        name, since, 1, 1, 1, 0, infer, run_line, line_scratch, attributes,    \
            &(const struct line) {                                             \
            __VA_ARGS__                                                        \
        }                                                                      \
    }
#define ARGUMENT(name, since, attributes)                                      \
    {                                                                          \
        name, since, 1, 1, 1, 0, infer_argument, run_argument, line_scratch,   \
            attributes, NULL                                                   \
    }

const struct op ops_line[] = {
    LINE("Softmax", 1, infer_line, axis_only, softmax, vmath_softmax, 1, true),
    LINE("Softmax", 13, infer_line, axis_only, softmax, vmath_softmax, -1,
         false),
    LINE("LogSoftmax", 1, infer_line, axis_only, log_softmax, vmath_log_softmax,
         1, true),
    LINE("LogSoftmax", 13, infer_line, axis_only, log_softmax,
         vmath_log_softmax, -1, false),
    LINE("Hardmax", 1, infer_line, axis_only, hardmax, NULL, 1, true),
    LINE("Hardmax", 13, infer_line, axis_only, hardmax, NULL, -1, false),
    LINE("LpNormalization", 1, infer_lp, axis_p, lp_normalise, NULL, -1, false),
    {"CumSum", 11, 2, 2, 1, 0, infer_cumsum, run_cumsum, line_scratch, cumsum,
     NULL},
    ARGUMENT("ArgMax", 1, axis_keepdims),
    ARGUMENT("ArgMax", 12, axis_keepdims_last),
    ARGUMENT("ArgMin", 1, axis_keepdims),
    ARGUMENT("ArgMin", 12, axis_keepdims_last),
    {0}};
