/*
 * Convolutions and products of matrices of bytes. ConvInteger and MatMulInteger
 * give the exact sums of (x - zero of x) * (w - zero of w) in int32;
 * QLinearConv and QLinearMatMul go on to
 *
 *     y = round((sum + bias) * (scale of x * scale of w / scale of y)) + zero
 *
 * Both matrices are widened to int16 with their zero points taken off, the
 * right one column by column, so that a sum runs over two rows of memory. This
 * is the definition; qconv.h is what runs where weights are constant.
 */
#include "models/nn/matmul.h"
#include "models/nn/number.h"
#include "models/nn/quantised.h"
#include "models/nn/strided.h"
#include "models/nn/window.h"

#include <limits.h>
#include <string.h>

static const struct byte_operands integer = {0, 1, 2, 3, -1, -1, -1, -1, -1};
static const struct byte_operands conv_linear = {0, 3, 2, 5, 1, 4, 6, 7, 8};
static const struct byte_operands matmul_linear = {0, 3, 2, 5, 1, 4, 6, 7, -1};

static const struct tensor *operand(const struct op_call *call, int input) {
    return input >= 0 && op_has(call, input) ? call->inputs[input] : NULL;
}

/* ---- what all of them check ---------------------------------------------- */

/* An input that may be left out: one number, or `many` in one axis. */
static int check_few(const struct op_call *call, int input, unsigned types,
                     int64_t many, struct err *err) {
    const struct tensor *t = operand(call, input);
    if (!t)
        return 0;
    if (op_types(call, input, types, err) < 0)
        return -1;
    const size_t count = tensor_count(t);
    if (t->rank > 1 || (count != 1 && count != (size_t)many))
        return err_set(err, "%s's input %d has %zu numbers, not %lld",
                       call->node->op_type, input, count, (long long)many);
    return 0;
}

/* channels: of the result, by which weights may have scales and zero points. */
static int check_operands(const struct op_call *call,
                          const struct byte_operands *o, int64_t channels,
                          struct err *err) {
    const unsigned float32 = TYPE_BIT(NN_FLOAT32);
    if (op_types(call, o->x, TYPES_BYTE, err) < 0 ||
        op_types(call, o->w, TYPES_BYTE, err) < 0)
        return -1;
    const unsigned as_x = TYPE_BIT(call->inputs[o->x]->type);
    const unsigned as_w = TYPE_BIT(call->inputs[o->w]->type);
    const struct tensor *bias = operand(call, o->bias);
    if (bias && (bias->rank != 1 || bias->dims[0] != channels))
        return err_set(err, "%s's bias is not %lld numbers",
                       call->node->op_type, (long long)channels);
    return check_few(call, o->x_zero, as_x, 1, err) < 0 ||
                   check_few(call, o->w_zero, as_w, channels, err) < 0 ||
                   check_few(call, o->x_scale, float32, 1, err) < 0 ||
                   check_few(call, o->w_scale, float32, channels, err) < 0 ||
                   check_few(call, o->y_scale, float32, 1, err) < 0 ||
                   check_few(call, o->y_zero, TYPES_BYTE, 1, err) < 0 ||
                   (bias &&
                    op_types(call, o->bias, TYPE_BIT(NN_INT32), err) < 0)
               ? -1
               : 0;
}

static enum nn_type result_type(const struct op_call *call,
                                const struct byte_operands *o) {
    return o->y_zero < 0 ? NN_INT32 : call->inputs[o->y_zero]->type;
}

/* ---- sums ---------------------------------------------------------------- */

static int zero_at(const struct op_call *call, int input, size_t i) {
    const struct tensor *zero = operand(call, input);
    if (!zero)
        return 0;
    return (int)number_at(zero, tensor_count(zero) > 1 ? i : 0);
}

static int16_t byte_at(const struct tensor *t, ptrdiff_t i, int zero) {
    return (int16_t)((t->type == NN_INT8 ? ((const int8_t *)t->data)[i]
                                         : ((const uint8_t *)t->data)[i]) -
                     zero);
}

/* c (m, n) = a (m, k) * b (n, k) transposed. Sums wrap around, as they do in
 * the reference. */
static void sum_products(size_t m, size_t n, size_t k, const int16_t *a,
                         const int16_t *b, int32_t *c) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            const int16_t *x = a + i * k, *w = b + j * k;
            uint32_t sum = 0;
            for (size_t l = 0; l < k; l++)
                sum += (uint32_t)(x[l] * w[l]);
            *c++ = (int32_t)sum;
        }
}

static float scale_at(const struct op_call *call, int input, size_t i) {
    const struct tensor *scale = call->inputs[input];
    return ((const float *)scale->data)[tensor_count(scale) > 1 ? i : 0];
}

/* n sums to y[at...], of channel, channel + step ... */
static void put_sums(struct op_call *call, const struct byte_operands *o,
                     const int32_t *sums, size_t n, size_t channel, size_t step,
                     size_t at) {
    const struct tensor *y = &call->outputs[0], *bias = operand(call, o->bias);
    if (y->type == NN_INT32) {
        memcpy((int32_t *)y->data + at, sums, n * sizeof *sums);
        return;
    }
    const struct byte_range range =
        byte_range(y->type, zero_at(call, o->y_zero, 0));
    for (size_t i = 0; i < n; i++, channel += step) {
        uint32_t sum = (uint32_t)sums[i];
        if (bias)
            sum += (uint32_t)((const int32_t *)bias->data)[channel];
        const float scale = scale_at(call, o->x_scale, 0) *
                            scale_at(call, o->w_scale, channel) /
                            scale_at(call, o->y_scale, 0);
        ((uint8_t *)y->data)[at + i] =
            byte_put(&range, (float)(int32_t)sum * scale);
    }
}

/* Scratch: sums (m, n), then both matrices. */
struct workspace {
    int32_t *sums;
    int16_t *a, *b;
};

static size_t workspace_bytes(size_t m, size_t n, size_t k) {
    return m * n * sizeof(int32_t) + (m + n) * k * sizeof(int16_t);
}

static struct workspace workspace(void *scratch, size_t m, size_t n, size_t k) {
    int32_t *sums = scratch;
    int16_t *a = (int16_t *)(sums + m * n);
    return (struct workspace){sums, a, a + m * k};
}

/* Both matrices together are bounded like a tensor. */
static int check_workspace(const struct op_call *call, size_t m, size_t n,
                           size_t k, struct err *err) {
    const size_t most = TENSOR_BYTES_MAX / sizeof(int32_t);
    if (m * n > most || (k > 0 && m + n > most / k))
        return err_set(err, "%s is too large", call->node->op_type);
    return 0;
}

/* ---- convolution --------------------------------------------------------- */

struct conv_sizes {
    struct window w;
    size_t groups, wide, narrow; /* channels a group, in and out */
    size_t window, places, plane;
};

static int conv_sizes(const struct op_call *call, struct conv_sizes *s,
                      struct err *err) {
    const struct byte_operands *o = call->op->kernel;
    const struct tensor *x = call->inputs[o->x], *w = call->inputs[o->w];
    const int64_t groups = node_int(call->node, "group", 1);
    char text[128];

    if (x->rank < 3 || w->rank != x->rank)
        return err_set(err, "%s of rank %d with weights of rank %d",
                       call->node->op_type, x->rank, w->rank);
    if (groups < 1 || w->dims[0] < 1 || w->dims[1] < 1 ||
        w->dims[0] % groups != 0 || x->dims[1] % groups != 0 ||
        x->dims[1] / groups != w->dims[1])
        return err_set(err,
                       "%s of %lld channels in %lld groups with weights "
                       "%s",
                       call->node->op_type, (long long)x->dims[1],
                       (long long)groups, tensor_text(w, text, sizeof text));
    if (window_of(call, w->dims + 2, &s->w, err) < 0)
        return -1;
    s->groups = (size_t)groups;
    s->wide = (size_t)w->dims[1];
    s->narrow = (size_t)(w->dims[0] / groups);
    s->window = dims_count(w->dims + 1, w->rank - 1);
    s->plane = dims_count(x->dims + 2, x->rank - 2);
    s->places = 1;
    for (int i = 0; i < s->w.axes; i++)
        if (__builtin_mul_overflow(s->places, (size_t)s->w.out[i],
                                   &s->places) ||
            s->places > INT_MAX)
            return err_set(err, "a convolution is too large");
    return check_workspace(call, s->narrow, s->places, s->window, err);
}

static int infer_conv(struct op_call *call, struct err *err) {
    const struct byte_operands *o = call->op->kernel;
    const struct tensor *x = call->inputs[o->x], *w = call->inputs[o->w];
    int64_t dims[NN_MAX_RANK] = {0};
    struct conv_sizes s;

    if (conv_sizes(call, &s, err) < 0 ||
        check_operands(call, o, w->dims[0], err) < 0)
        return -1;
    dims[0] = x->dims[0];
    dims[1] = w->dims[0];
    memcpy(dims + 2, s.w.out, (size_t)s.w.axes * sizeof *s.w.out);
    return op_output(call, 0, result_type(call, o), x->rank, dims, err);
}

static size_t conv_scratch_bytes(const struct op_call *call) {
    struct conv_sizes s;
    return conv_sizes(call, &s, NULL) < 0
               ? 0
               : workspace_bytes(s.narrow, s.places, s.window);
}

/* Windows of a group, whose planes begin at x[first], as rows; padding is the
 * zero point, which is 0 here. */
static void unroll(const struct conv_sizes *s, const struct tensor *x,
                   size_t first, int zero, int16_t *rows) {
    int64_t out[WINDOW_AXES_MAX] = {0};
    do {
        for (size_t c = 0; c < s->wide; c++) {
            int64_t k[WINDOW_AXES_MAX] = {0};
            do {
                const ptrdiff_t at = window_offset(&s->w, out, k);
                *rows++ =
                    at < 0 ? 0
                           : byte_at(x, (ptrdiff_t)(first + c * s->plane) + at,
                                     zero);
            } while (dims_step(k, s->w.kernel, s->w.axes));
        }
    } while (dims_step(out, s->w.out, s->w.axes));
}

static void run_conv(struct op_call *call) {
    const struct byte_operands *o = call->op->kernel;
    const struct tensor *x = call->inputs[o->x], *w = call->inputs[o->w];
    const int x_zero = zero_at(call, o->x_zero, 0);
    struct conv_sizes s;

    conv_sizes(call, &s, NULL);
    const struct workspace work =
        workspace(call->scratch, s.narrow, s.places, s.window);
    const size_t pairs = (size_t)x->dims[0] * s.groups;
    for (size_t pair = 0; pair < pairs; pair++) {
        const size_t channel = pair % s.groups * s.narrow;
        for (size_t i = 0; i < s.narrow * s.window; i++)
            work.a[i] =
                byte_at(w, (ptrdiff_t)(channel * s.window + i),
                        zero_at(call, o->w_zero, channel + i / s.window));
        unroll(&s, x, pair * s.wide * s.plane, x_zero, work.b);
        sum_products(s.narrow, s.places, s.window, work.a, work.b, work.sums);
        for (size_t i = 0; i < s.narrow; i++)
            put_sums(call, o, work.sums + i * s.places, s.places, channel + i,
                     0, (pair * s.narrow + i) * s.places);
    }
}

/* ---- product of matrices ------------------------------------------------- */

static int matmul_sizes(const struct op_call *call, struct matmul *mm,
                        struct err *err) {
    const struct byte_operands *o = call->op->kernel;
    if (matmul_of(call, o->x, o->w, mm, err) < 0)
        return -1;
    return check_workspace(call, (size_t)mm->m, (size_t)mm->n, (size_t)mm->k,
                           err);
}

static int infer_matmul(struct op_call *call, struct err *err) {
    const struct byte_operands *o = call->op->kernel;
    struct matmul mm;
    if (matmul_sizes(call, &mm, err) < 0 ||
        check_operands(call, o, mm.n, err) < 0)
        return -1;
    return matmul_output(call, o->x, o->w, &mm, result_type(call, o), err);
}

static size_t matmul_scratch_bytes(const struct op_call *call) {
    struct matmul mm;
    return matmul_sizes(call, &mm, NULL) < 0
               ? 0
               : workspace_bytes((size_t)mm.m, (size_t)mm.n, (size_t)mm.k);
}

static void run_matmul(struct op_call *call) {
    const struct byte_operands *o = call->op->kernel;
    const struct tensor *x = call->inputs[o->x], *w = call->inputs[o->w];
    const int x_zero = zero_at(call, o->x_zero, 0);
    struct matmul mm;
    size_t at = 0;

    matmul_sizes(call, &mm, NULL);
    if (tensor_count(&call->outputs[0]) == 0)
        return;
    const size_t m = (size_t)mm.m, n = (size_t)mm.n, k = (size_t)mm.k;
    const struct workspace work = workspace(call->scratch, m, n, k);
    do {
        for (size_t i = 0; i < m * k; i++)
            work.a[i] = byte_at(x, mm.a_at + (ptrdiff_t)i, x_zero);
        for (size_t j = 0; j < n; j++) {
            const int zero = zero_at(call, o->w_zero, j);
            for (size_t l = 0; l < k; l++)
                work.b[j * k + l] =
                    byte_at(w, mm.b_at + (ptrdiff_t)(l * n + j), zero);
        }
        sum_products(m, n, k, work.a, work.b, work.sums);
        for (size_t i = 0; i < m; i++, at += n)
            put_sums(call, o, work.sums + i * n, n, 0, 1, at);
    } while (matmul_next(&mm));
}

static const struct op_attribute conv[] = {{"kernel_shape", ATTRIBUTE_INTS},
                                           {"strides", ATTRIBUTE_INTS},
                                           {"pads", ATTRIBUTE_INTS},
                                           {"auto_pad", ATTRIBUTE_STRING},
                                           {"dilations", ATTRIBUTE_INTS},
                                           {"group", ATTRIBUTE_INT},
                                           {0}};

const struct op ops_qlinear[] = {
    {"ConvInteger", 10, 2, 4, 1, 0, infer_conv, run_conv, conv_scratch_bytes,
     conv, &integer},
    {"QLinearConv", 10, 8, 9, 1, 0, infer_conv, run_conv, conv_scratch_bytes,
     conv, &conv_linear},
    {"MatMulInteger", 10, 2, 4, 1, 0, infer_matmul, run_matmul,
     matmul_scratch_bytes, NULL, &integer},
    {"QLinearMatMul", 10, 8, 8, 1, 0, infer_matmul, run_matmul,
     matmul_scratch_bytes, NULL, &matmul_linear},
    {0}};
