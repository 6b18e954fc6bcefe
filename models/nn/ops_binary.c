/*
 * Two numbers in, one out, with broadcasting; and those that fold any number
 * of inputs by such a function. A row's kernel is a function of each carrier,
 * and one for rows of float32 where networks spend time in it.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <math.h>
#include <string.h>

/* A row of n numbers; the inputs' numbers lie `step`s apart, 0 for one number
 * that is the same all along. */
typedef void float_rows(float *out, const float *a, ptrdiff_t a_step,
                        const float *b, ptrdiff_t b_step, size_t n);

struct binary {
    float_rows *floats;
    double (*number)(double x, double y);
    int64_t (*integer)(int64_t x, int64_t y);
    unsigned types;
    bool predicate; /* gives bools */
    bool mean;      /* divides the result by the number of inputs */
};

static int infer_broadcast(struct op_call *call, struct err *err) {
    const struct binary *b = call->op->kernel;
    const enum nn_type type = call->inputs[0]->type;
    struct tensor shape = *call->inputs[0];

    if (op_types(call, 0, b->types, err) < 0)
        return -1;
    for (int i = 1; i < call->input_count; i++) {
        if (call->inputs[i]->type != type)
            return err_set(err, "%s of %s and %s is not supported",
                           call->node->op_type, type_name(type),
                           type_name(call->inputs[i]->type));
        if (op_broadcast(&shape, call->inputs[i], &shape.rank, shape.dims,
                         err) < 0)
            return -1;
    }
    return op_output(call, 0, b->predicate ? NN_BOOL : type, shape.rank,
                     shape.dims, err);
}

/* Everything is read before the row is written: the output may lie over an
 * input. */
static void fold_floats(const struct binary *b, const struct op_call *call,
                        const struct strided *s, size_t at, size_t n) {
    float sum[NUMBER_CHUNK];
    const float *first = call->inputs[0]->data;

    for (size_t i = 0; i < n; i++)
        sum[i] = first[s->offset[1] + (ptrdiff_t)(at + i) * s->step[1]];
    for (int k = 1; k < call->input_count; k++) {
        const float *x = call->inputs[k]->data;
        const ptrdiff_t step = s->step[k + 1];
        b->floats(sum, sum, 1, x + s->offset[k + 1] + (ptrdiff_t)at * step,
                  step, n);
    }
    if (b->mean)
        for (size_t i = 0; i < n; i++)
            sum[i] /= (float)call->input_count;
    memcpy((float *)call->outputs[0].data + s->offset[0] + at, sum,
           n * sizeof *sum);
}

static void run_float_row(const struct binary *b, const struct op_call *call,
                          const struct strided *s) {
    if (call->input_count == 2 && !b->mean) {
        b->floats((float *)call->outputs[0].data + s->offset[0],
                  (const float *)call->inputs[0]->data + s->offset[1],
                  s->step[1],
                  (const float *)call->inputs[1]->data + s->offset[2],
                  s->step[2], s->row);
        return;
    }
    for (size_t at = 0; at < s->row; at += NUMBER_CHUNK)
        fold_floats(b, call, s, at,
                    s->row - at < NUMBER_CHUNK ? s->row - at : NUMBER_CHUNK);
}

static const void *numbers_at(const struct op_call *call,
                              const struct strided *s, int input, size_t at) {
    const struct tensor *t = call->inputs[input];
    const ptrdiff_t offset =
        s->offset[input + 1] + (ptrdiff_t)at * s->step[input + 1];
    return (const char *)t->data + offset * (ptrdiff_t)type_size(t->type);
}

static void fold_doubles(const struct binary *b, const struct op_call *call,
                         const struct strided *s, size_t at, size_t n,
                         void *out) {
    double x[NUMBER_CHUNK], y[NUMBER_CHUNK];

    number_doubles(x, numbers_at(call, s, 0, at), call->inputs[0]->type,
                   s->step[1], n);
    for (int k = 1; k < call->input_count; k++) {
        number_doubles(y, numbers_at(call, s, k, at), call->inputs[k]->type,
                       s->step[k + 1], n);
        for (size_t i = 0; i < n; i++)
            x[i] = b->number(x[i], y[i]);
    }
    if (b->mean)
        for (size_t i = 0; i < n; i++)
            x[i] /= call->input_count;
    number_put_doubles(out, call->outputs[0].type, x, n);
}

static void fold_ints(const struct binary *b, const struct op_call *call,
                      const struct strided *s, size_t at, size_t n, void *out) {
    int64_t x[NUMBER_CHUNK], y[NUMBER_CHUNK];

    number_ints(x, numbers_at(call, s, 0, at), call->inputs[0]->type,
                s->step[1], n);
    for (int k = 1; k < call->input_count; k++) {
        number_ints(y, numbers_at(call, s, k, at), call->inputs[k]->type,
                    s->step[k + 1], n);
        for (size_t i = 0; i < n; i++)
            x[i] = b->integer(x[i], y[i]);
    }
    number_put_ints(out, call->outputs[0].type, x, n);
}

static void run_row(const struct binary *b, const struct op_call *call,
                    const struct strided *s, bool integers) {
    const struct tensor *out = &call->outputs[0];
    const size_t size = type_size(out->type);

    for (size_t at = 0; at < s->row; at += NUMBER_CHUNK) {
        const size_t n =
            s->row - at < NUMBER_CHUNK ? s->row - at : NUMBER_CHUNK;
        void *to = (char *)out->data + ((size_t)s->offset[0] + at) * size;
        if (integers)
            fold_ints(b, call, s, at, n, to);
        else
            fold_doubles(b, call, s, at, n, to);
    }
}

static void run_with(const struct binary *b, struct op_call *call) {
    bool floats = b->floats != NULL, integers = b->integer != NULL;
    struct strided s;

    strided_shape(&s, &call->outputs[0]);
    for (int i = 0; i < call->input_count; i++) {
        strided_broadcast(&s, call->inputs[i]);
        floats = floats && call->inputs[i]->type == NN_FLOAT32;
        integers = integers &&
                   type_in(call->inputs[i]->type, TYPES_INTEGER | TYPES_BOOL);
    }
    for (strided_begin(&s); s.more; strided_next(&s))
        if (floats)
            run_float_row(b, call, &s);
        else
            run_row(b, call, &s, integers);
}

static void run_broadcast(struct op_call *call) {
    run_with(call->op->kernel, call);
}

/* ---- arithmetic -----------------------------------------------------------
 */

/* From one expression: a function of float64 and one of rows of float32, whose
 * loops are apart by step so that each becomes vector code. */
#define ARITHMETIC(name, expression)                                           \
    static double name(double x, double y) {                                   \
        return expression;                                                     \
    }                                                                          \
    static inline float name##_float(float x, float y) {                       \
        return expression;                                                     \
    }                                                                          \
    static void name##_floats(float *out, const float *a, ptrdiff_t a_step,    \
                              const float *b, ptrdiff_t b_step, size_t n) {    \
        rows(name##_float, out, a, a_step, b, b_step, n);                      \
    }

static inline __attribute__((always_inline)) void
rows(float (*f)(float x, float y), float *out, const float *a, ptrdiff_t a_step,
     const float *b, ptrdiff_t b_step, size_t n) {
    if (a_step == 1 && b_step == 1) {
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            out[i] = f(a[i], b[i]);
    } else if (a_step == 1 && b_step == 0) {
        const float y = *b;
#pragma GCC ivdep
        for (size_t i = 0; i < n; i++)
            out[i] = f(a[i], y);
    } else {
        for (size_t i = 0; i < n; i++)
            out[i] = f(a[(ptrdiff_t)i * a_step], b[(ptrdiff_t)i * b_step]);
    }
}

ARITHMETIC(add, x + y)
ARITHMETIC(sub, x - y)
ARITHMETIC(mul, x *y)
ARITHMETIC(divide, x / y)
ARITHMETIC(larger, x > y || x != x ? x : y) /* NaN stays NaN, as NumPy has it */
ARITHMETIC(smaller, x < y || x != x ? x : y)
ARITHMETIC(prelu, x < 0 ? x * y : x)

/* Integers wrap around; signed overflow would be undefined in C. */
static int64_t add_integer(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x + (uint64_t)y);
}

static int64_t sub_integer(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x - (uint64_t)y);
}

static int64_t mul_integer(int64_t x, int64_t y) {
    return (int64_t)((uint64_t)x * (uint64_t)y);
}

/* Division by zero has no meaning in ONNX and must not end the process: 0, as
 * NumPy gives. */
static int64_t divide_integer(int64_t x, int64_t y) {
    if (y == 0)
        return 0;
    return y == -1 ? sub_integer(0, x) : x / y;
}

static int64_t larger_integer(int64_t x, int64_t y) {
    return x > y ? x : y;
}

static int64_t smaller_integer(int64_t x, int64_t y) {
    return x < y ? x : y;
}

static void pow_floats(float *out, const float *a, ptrdiff_t a_step,
                       const float *b, ptrdiff_t b_step, size_t n) {
    if (b_step == 0 && *b == 2.0f)
        rows(mul_float, out, a, a_step, a, a_step, n);
    else
        rows(powf, out, a, a_step, b, b_step, n);
}

/* Base and exponent may differ in type; the result has the base's. */
static int infer_pow(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    int rank;
    if (op_types(call, 0, TYPES_NUMBER, err) < 0 ||
        op_types(call, 1, TYPES_NUMBER, err) < 0 ||
        op_broadcast(x, call->inputs[1], &rank, dims, err) < 0)
        return -1;
    return op_output(call, 0, x->type, rank, dims, err);
}

/* The result has the sign of the divisor (Python's %), or with fmod=1 of the
 * dividend (C's). */
static int64_t mod_integer(int64_t x, int64_t y) {
    if (y == 0 || y == -1)
        return 0;
    const int64_t r = x % y;
    return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static int64_t fmod_integer(int64_t x, int64_t y) {
    return y == 0 || y == -1 ? 0 : x % y;
}

static int infer_mod(struct op_call *call, struct err *err) {
    if (type_in(call->inputs[0]->type, TYPES_FLOAT) &&
        !node_int(call->node, "fmod", 0))
        return err_set(err, "Mod of floats needs fmod=1");
    return infer_broadcast(call, err);
}

static void run_mod(struct op_call *call) {
    static const struct binary c = {.number = fmod, .integer = fmod_integer};
    static const struct binary python = {.integer = mod_integer};
    run_with(node_int(call->node, "fmod", 0) ? &c : &python, call);
}

/* ---- PRelu ----------------------------------------------------------------
 */

/* Until opset 6 the slope is one number or one a channel; then it broadcasts
 * from the right, as everything does. */
static struct tensor slope_of(const struct op_call *call) {
    struct tensor slope = *call->inputs[1];
    if (call->op->since < 7 && slope.rank == 1 && call->inputs[0]->rank > 1) {
        slope.rank = call->inputs[0]->rank - 1;
        for (int i = 1; i < slope.rank; i++)
            slope.dims[i] = 1;
    }
    return slope;
}

static int infer_prelu(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const struct tensor slope = slope_of(call);
    struct tensor shape = *x;
    if (op_types(call, 0, TYPES_FLOAT, err) < 0 ||
        op_types(call, 1, TYPE_BIT(x->type), err) < 0 ||
        op_broadcast(x, &slope, &shape.rank, shape.dims, err) < 0)
        return -1;
    if (!tensor_same_shape(x, &shape))
        return err_set(err, "PRelu's slope has a larger shape than its input");
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void run_prelu(struct op_call *call) {
    static const struct binary kernel = {.floats = prelu_floats,
                                         .number = prelu};
    const struct tensor slope = slope_of(call), *given = call->inputs[1];
    call->inputs[1] = &slope;
    run_with(&kernel, call);
    call->inputs[1] = given;
}

/* ---- comparison and logic -------------------------------------------------
 */

static double equal(double x, double y) {
    return x == y;
}

static double less(double x, double y) {
    return x < y;
}

static double less_equal(double x, double y) {
    return x <= y;
}

static double greater(double x, double y) {
    return x > y;
}

static double greater_equal(double x, double y) {
    return x >= y;
}

static int64_t equal_integer(int64_t x, int64_t y) {
    return x == y;
}

static int64_t less_integer(int64_t x, int64_t y) {
    return x < y;
}

static int64_t less_equal_integer(int64_t x, int64_t y) {
    return x <= y;
}

static int64_t greater_integer(int64_t x, int64_t y) {
    return x > y;
}

static int64_t greater_equal_integer(int64_t x, int64_t y) {
    return x >= y;
}

static int64_t and_bool(int64_t x, int64_t y) {
    return x && y;
}

static int64_t or_bool(int64_t x, int64_t y) {
    return x || y;
}

static int64_t xor_bool(int64_t x, int64_t y) {
    return !x != !y;
}

/* ---- Where ----------------------------------------------------------------
 */

static int infer_where(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[1], *y = call->inputs[2];
    struct tensor shape = *call->inputs[0];
    if (op_types(call, 0, TYPES_BOOL, err) < 0 ||
        op_types(call, 1, TYPES_ALL, err) < 0 ||
        op_types(call, 2, TYPE_BIT(x->type), err) < 0 ||
        op_broadcast(&shape, x, &shape.rank, shape.dims, err) < 0 ||
        op_broadcast(&shape, y, &shape.rank, shape.dims, err) < 0)
        return -1;
    return op_output(call, 0, x->type, shape.rank, shape.dims, err);
}

static void run_where(struct op_call *call) {
    const bool *condition = call->inputs[0]->data;
    const char *x = call->inputs[1]->data, *y = call->inputs[2]->data;
    char *out = call->outputs[0].data;
    const ptrdiff_t size = (ptrdiff_t)type_size(call->outputs[0].type);
    struct strided s;

    strided_shape(&s, &call->outputs[0]);
    for (int i = 0; i < 3; i++)
        strided_broadcast(&s, call->inputs[i]);
    for (strided_begin(&s); s.more; strided_next(&s))
        for (ptrdiff_t i = 0; i < (ptrdiff_t)s.row; i++) {
            const char *from = condition[s.offset[1] + i * s.step[1]]
                                   ? x + (s.offset[2] + i * s.step[2]) * size
                                   : y + (s.offset[3] + i * s.step[3]) * size;
            memcpy(out + (s.offset[0] + i) * size, from, (size_t)size);
        }
}

/* ---- the rows -------------------------------------------------------------
 */

static const struct op_attribute fmod_attribute[] = {{"fmod", ATTRIBUTE_INT},
                                                     {0}};

#define FOLD(op_name, first, least, most, ...)                                 \
    {                                                                          \
        .name = op_name, .since = first, .inputs_min = least,                  \
        .inputs_max = most, .outputs_max = 1,                                  \
        .traits = OP_ELEMENTWISE | OP_ANY_LAYOUT, .infer = infer_broadcast,    \
        .run = run_broadcast, .kernel = &(const struct binary) {               \
            __VA_ARGS__                                                        \
        }                                                                      \
    }
#define BINARY(name, since, ...) FOLD(name, since, 2, 2, __VA_ARGS__)
#define VARIADIC(name, since, ...)                                             \
    FOLD(name, since, 1, OP_INPUTS_MAX, __VA_ARGS__)
#define NUMBERS .types = TYPES_NUMBER
#define PREDICATE .predicate = true

const struct op ops_binary[] = {
    BINARY("Add", 7, NUMBERS, .floats = add_floats, .number = add,
           .integer = add_integer),
    BINARY("Sub", 7, NUMBERS, .floats = sub_floats, .number = sub,
           .integer = sub_integer),
    BINARY("Mul", 7, NUMBERS, .floats = mul_floats, .number = mul,
           .integer = mul_integer),
    BINARY("Div", 7, NUMBERS, .floats = divide_floats, .number = divide,
           .integer = divide_integer),
    VARIADIC("Sum", 6, .types = TYPES_FLOAT, .floats = add_floats,
             .number = add),
    VARIADIC("Mean", 6, .types = TYPES_FLOAT, .floats = add_floats,
             .number = add, .mean = true),
    VARIADIC("Max", 6, NUMBERS, .floats = larger_floats, .number = larger,
             .integer = larger_integer),
    VARIADIC("Min", 6, NUMBERS, .floats = smaller_floats, .number = smaller,
             .integer = smaller_integer),
    BINARY("Equal", 7, .types = TYPES_ALL, PREDICATE, .number = equal,
           .integer = equal_integer),
    BINARY("Less", 7, NUMBERS, PREDICATE, .number = less,
           .integer = less_integer),
    BINARY("LessOrEqual", 12, NUMBERS, PREDICATE, .number = less_equal,
           .integer = less_equal_integer),
    BINARY("Greater", 7, NUMBERS, PREDICATE, .number = greater,
           .integer = greater_integer),
    BINARY("GreaterOrEqual", 12, NUMBERS, PREDICATE, .number = greater_equal,
           .integer = greater_equal_integer),
    BINARY("And", 7, .types = TYPES_BOOL, PREDICATE, .integer = and_bool),
    BINARY("Or", 7, .types = TYPES_BOOL, PREDICATE, .integer = or_bool),
    BINARY("Xor", 7, .types = TYPES_BOOL, PREDICATE, .integer = xor_bool),
    {.name = "Pow",
     .since = 7,
     .inputs_min = 2,
     .inputs_max = 2,
     .outputs_max = 1,
     .traits = OP_ELEMENTWISE | OP_ANY_LAYOUT,
     .infer = infer_pow,
     .run = run_broadcast,
     .kernel = &(const struct binary){.floats = pow_floats, .number = pow}},
    {.name = "Mod",
     .since = 10,
     .inputs_min = 2,
     .inputs_max = 2,
     .outputs_max = 1,
     .traits = OP_ELEMENTWISE | OP_ANY_LAYOUT,
     .infer = infer_mod,
     .run = run_mod,
     .attributes = fmod_attribute,
     .kernel = &(const struct binary){NUMBERS}},
    {.name = "PRelu",
     .since = 6,
     .inputs_min = 2,
     .inputs_max = 2,
     .outputs_max = 1,
     .traits = OP_ANY_LAYOUT,
     .infer = infer_prelu,
     .run = run_prelu},
    {.name = "PRelu",
     .since = 7,
     .inputs_min = 2,
     .inputs_max = 2,
     .outputs_max = 1,
     .traits = OP_ANY_LAYOUT,
     .infer = infer_prelu,
     .run = run_prelu},
    {.name = "Where",
     .since = 9,
     .inputs_min = 3,
     .inputs_max = 3,
     .outputs_max = 1,
     .traits = OP_ANY_LAYOUT,
     .infer = infer_where,
     .run = run_where},
    {0}};
