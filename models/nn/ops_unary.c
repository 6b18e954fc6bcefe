/*
 * One number in, one number out. A row's kernel is a function of float64 for
 * all types, and one of vmath.h for float32 where networks spend time in it.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/vmath.h"

#include <math.h>
#include <string.h>

struct unary {
    double (*plain)(double x);
    double (*number)(double x, const float *p); /* instead, with attributes */
    enum activation_kind activation; /* for float32, with p as its numbers */
    void (*floats)(const float *x, float *out, size_t n); /* or this one */
    int64_t (*integer)(int64_t x); /* where float64 would lose digits */
    unsigned types;
    float defaults[2]; /* p: the values of the row's attributes, in order */
};

static int infer_same(struct op_call *call, struct err *err) {
    const struct unary *u = call->op->kernel;
    const struct tensor *x = call->inputs[0];
    if (op_types(call, 0, u->types, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void run_chunk(const struct unary *u, const float *p, enum nn_type type,
                      void *out, const void *in, size_t n) {
    double x[NUMBER_CHUNK];
    int64_t i64[NUMBER_CHUNK];

    if (u->integer && type_in(type, TYPES_INTEGER | TYPES_BOOL)) {
        number_ints(i64, in, type, 1, n);
        for (size_t i = 0; i < n; i++)
            i64[i] = u->integer(i64[i]);
        number_put_ints(out, type, i64, n);
        return;
    }
    number_doubles(x, in, type, 1, n);
    for (size_t i = 0; i < n; i++)
        x[i] = u->plain ? u->plain(x[i]) : u->number(x[i], p);
    number_put_doubles(out, type, x, n);
}

static void run_unary(struct op_call *call) {
    const struct unary *u = call->op->kernel;
    const struct tensor *x = call->inputs[0];
    const size_t count = tensor_count(x), size = type_size(x->type);
    const struct op_attribute *attributes = call->op->attributes;
    float p[2] = {u->defaults[0], u->defaults[1]};

    for (int i = 0; i < 2 && attributes && attributes[i].name; i++)
        p[i] = node_float(call->node, attributes[i].name, p[i]);
    if (x->type == NN_FLOAT32 && (u->floats || u->activation)) {
        const struct activation a = {u->activation, p[0], p[1]};
        if (u->floats)
            u->floats(x->data, call->outputs[0].data, count);
        else
            vmath_activate(&a, x->data, call->outputs[0].data, count);
        return;
    }
    for (size_t at = 0; at < count; at += NUMBER_CHUNK)
        run_chunk(u, p, x->type, (char *)call->outputs[0].data + at * size,
                  (const char *)x->data + at * size,
                  count - at < NUMBER_CHUNK ? count - at : NUMBER_CHUNK);
}

/* ---- activations ----------------------------------------------------------
 */

static double relu(double x) {
    return x < 0 ? 0 : x;
}

static double leaky_relu(double x, const float *p) {
    return x < 0 ? x * (double)p[0] : x;
}

static double elu(double x, const float *p) {
    return x < 0 ? (double)p[0] * expm1(x) : x;
}

static double selu(double x, const float *p) {
    return (double)p[1] * (x > 0 ? x : (double)p[0] * expm1(x));
}

static double celu(double x, const float *p) {
    const double alpha = (double)p[0];
    return x < 0 ? alpha * expm1(x / alpha) : x;
}

static double thresholded_relu(double x, const float *p) {
    return x > (double)p[0] ? x : 0;
}

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

static double hard_sigmoid(double x, const float *p) {
    return fmax(0, fmin(1, (double)p[0] * x + (double)p[1]));
}

static double hard_swish(double x) {
    return x * fmax(0, fmin(1, x / 6 + 0.5));
}

static void sqrt_floats(const float *x, float *out, size_t n) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; i++)
        out[i] = sqrtf(x[i]);
}

static double softplus(double x) {
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

static double shrink(double x, const float *p) {
    const double bias = (double)p[0], lambda = (double)p[1];
    return x < -lambda ? x + bias : x > lambda ? x - bias : 0;
}

static double softsign(double x) {
    return x / (1 + fabs(x));
}

/* ---- arithmetic -----------------------------------------------------------
 */

static double reciprocal(double x) {
    return 1 / x;
}

static double negate(double x) {
    return -x;
}

static int64_t negate_integer(int64_t x) {
    return (int64_t)(0 - (uint64_t)x);
}

static int64_t abs_integer(int64_t x) {
    return x < 0 ? negate_integer(x) : x;
}

static double sign(double x) {
    return x > 0 ? 1 : x < 0 ? -1 : x;
}

static int64_t not_integer(int64_t x) {
    return !x;
}

/* ---- Clip -----------------------------------------------------------------
 */

static int infer_clip(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (op_types(call, 0, TYPES_NUMBER, err) < 0)
        return -1;
    for (int i = 1; i < 3; i++)
        if (op_has(call, i) && (call->inputs[i]->type != x->type ||
                                tensor_count(call->inputs[i]) != 1))
            return err_set(err, "Clip's input %d is not one number of %s", i,
                           type_name(x->type));
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

/* From the attribute (until opset 10) or the input, which is absent or one
 * number. */
static double clip_bound(const struct op_call *call, int input,
                         const char *name, float otherwise) {
    return op_has(call, input)
               ? number_at(call->inputs[input], 0)
               : (double)node_float(call->node, name, otherwise);
}

/* As NumPy's clip: where the bounds cross, the upper one wins. */
static double clip(double x, const float *p) {
    const double y = x < (double)p[0] ? (double)p[0] : x;
    return y > (double)p[1] ? (double)p[1] : y;
}

static void run_clip_integers(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const size_t count = tensor_count(x), size = type_size(x->type);
    int64_t bounds[2] = {INT64_MIN, INT64_MAX};

    for (int i = 0; i < 2; i++)
        if (op_has(call, 1 + i))
            number_ints(&bounds[i], call->inputs[1 + i]->data, x->type, 1, 1);
    for (size_t at = 0; at < count; at++) {
        int64_t v;
        number_ints(&v, (const char *)x->data + at * size, x->type, 1, 1);
        v = v < bounds[0] ? bounds[0] : v;
        v = v > bounds[1] ? bounds[1] : v;
        number_put_ints((char *)call->outputs[0].data + at * size, x->type, &v,
                        1);
    }
}

static void run_clip(struct op_call *call) {
    static const struct unary u = {.number = clip};
    const struct tensor *x = call->inputs[0];
    const size_t count = tensor_count(x), size = type_size(x->type);
    const float p[2] = {(float)clip_bound(call, 1, "min", -INFINITY),
                        (float)clip_bound(call, 2, "max", INFINITY)};

    if (type_in(x->type, TYPES_INTEGER)) {
        run_clip_integers(call);
        return;
    }
    if (x->type == NN_FLOAT32) {
        const struct activation a = {ACTIVATION_CLIP, p[0], p[1]};
        vmath_activate(&a, x->data, call->outputs[0].data, count);
        return;
    }
    for (size_t at = 0; at < count; at += NUMBER_CHUNK)
        run_chunk(&u, p, x->type, (char *)call->outputs[0].data + at * size,
                  (const char *)x->data + at * size,
                  count - at < NUMBER_CHUNK ? count - at : NUMBER_CHUNK);
}

/* ---- Cast -----------------------------------------------------------------
 */

static int infer_cast(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const int64_t to = node_int(call->node, "to", 0);
    if (op_types(call, 0, TYPES_ALL, err) < 0)
        return -1;
    if (to < 0 || to > NN_FLOAT64)
        return err_set(err, "Cast to the type %lld is not supported",
                       (long long)to);
    return op_output(call, 0, (enum nn_type)to, x->rank, x->dims, err);
}

/* To the type of input 1. */
static int infer_cast_like(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (op_types(call, 0, TYPES_ALL, err) < 0 ||
        op_types(call, 1, TYPES_ALL, err) < 0)
        return -1;
    return op_output(call, 0, call->inputs[1]->type, x->rank, x->dims, err);
}

static void run_cast(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    number_convert(call->outputs[0].data, call->outputs[0].type, x->data,
                   x->type, tensor_count(x));
}

/* ---- IsNaN and IsInf ------------------------------------------------------
 */

typedef bool predicate(double x, const struct node *node);

static bool is_nan(double x, const struct node *node) {
    (void)node;
    return isnan(x);
}

static bool is_infinite(double x, const struct node *node) {
    return isinf(x) &&
           node_int(node, x > 0 ? "detect_positive" : "detect_negative", 1);
}

static int infer_predicate(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (op_types(call, 0, TYPES_FLOAT, err) < 0)
        return -1;
    return op_output(call, 0, NN_BOOL, x->rank, x->dims, err);
}

static void run_predicate(struct op_call *call) {
    predicate *const *holds = call->op->kernel;
    const struct tensor *x = call->inputs[0];
    uint8_t *out = call->outputs[0].data;
    for (size_t i = 0; i < tensor_count(x); i++)
        out[i] = (*holds)(number_at(x, i), call->node);
}

static predicate *const nan_number = is_nan;
static predicate *const infinite_number = is_infinite;

/* ---- the rows -------------------------------------------------------------
 */

static const struct op_attribute alpha[] = {{"alpha", ATTRIBUTE_FLOAT}, {0}};
static const struct op_attribute alpha_beta[] = {
    {"alpha", ATTRIBUTE_FLOAT}, {"beta", ATTRIBUTE_FLOAT}, {0}};
static const struct op_attribute alpha_gamma[] = {
    {"alpha", ATTRIBUTE_FLOAT}, {"gamma", ATTRIBUTE_FLOAT}, {0}};
static const struct op_attribute min_max[] = {
    {"min", ATTRIBUTE_FLOAT}, {"max", ATTRIBUTE_FLOAT}, {0}};
static const struct op_attribute bias_lambd[] = {
    {"bias", ATTRIBUTE_FLOAT}, {"lambd", ATTRIBUTE_FLOAT}, {0}};
static const struct op_attribute detect[] = {{"detect_negative", ATTRIBUTE_INT},
                                             {"detect_positive", ATTRIBUTE_INT},
                                             {0}};
static const struct op_attribute to[] = {{"to", ATTRIBUTE_INT}, {0}};
/* What casting to float8 would need; that type is not held. */
static const struct op_attribute to_19[] = {
    {"to", ATTRIBUTE_INT}, {"saturate", ATTRIBUTE_INT}, {0}};
static const struct op_attribute to_24[] = {{"to", ATTRIBUTE_INT},
                                            {"saturate", ATTRIBUTE_INT},
                                            {"round_mode", ATTRIBUTE_STRING},
                                            {0}};

/* Every operator of this file with one input. */
#define UNARY(op_name, first, names, ...)                                      \
    {                                                                          \
        .name = op_name, .since = first, .inputs_min = 1, .inputs_max = 1,     \
        .outputs_max = 1, .traits = OP_ELEMENTWISE, .infer = infer_same,       \
        .run = run_unary, .attributes = names,                                 \
        .kernel = &(const struct unary) {                                      \
            __VA_ARGS__                                                        \
        }                                                                      \
    }
#define FLOATS .types = TYPES_FLOAT
#define NUMBERS .types = TYPES_NUMBER

const struct op ops_unary[] = {
    UNARY("Relu", 6, NULL, NUMBERS, .plain = relu,
          .activation = ACTIVATION_RELU),
    UNARY("LeakyRelu", 6, alpha, FLOATS, .number = leaky_relu,
          .activation = ACTIVATION_LEAKY_RELU, .defaults = {0.01f}),
    UNARY("Elu", 6, alpha, FLOATS, .number = elu, .activation = ACTIVATION_ELU,
          .defaults = {1}),
    UNARY("Selu", 6, alpha_gamma, FLOATS, .number = selu,
          .defaults = {1.67326319217681884765625f, 1.05070102214813232421875f}),
    UNARY("Celu", 12, alpha, FLOATS, .number = celu, .defaults = {1}),
    UNARY("ThresholdedRelu", 10, alpha, FLOATS, .number = thresholded_relu,
          .defaults = {1}),
    UNARY("Sigmoid", 6, NULL, FLOATS, .plain = sigmoid,
          .activation = ACTIVATION_SIGMOID),
    UNARY("HardSigmoid", 6, alpha_beta, FLOATS, .number = hard_sigmoid,
          .activation = ACTIVATION_HARD_SIGMOID, .defaults = {0.2f, 0.5f}),
    UNARY("HardSwish", 14, NULL, FLOATS, .plain = hard_swish,
          .activation = ACTIVATION_HARD_SWISH),
    UNARY("Tanh", 6, NULL, FLOATS, .plain = tanh,
          .activation = ACTIVATION_TANH),
    UNARY("Softplus", 1, NULL, FLOATS, .plain = softplus),
    UNARY("Softsign", 1, NULL, FLOATS, .plain = softsign),
    UNARY("Shrink", 9, bias_lambd, NUMBERS, .number = shrink,
          .defaults = {0, 0.5f}),
    UNARY("Erf", 9, NULL, FLOATS, .plain = erf, .floats = vmath_erf),
    UNARY("Exp", 6, NULL, FLOATS, .plain = exp, .floats = vmath_exp),
    UNARY("Log", 6, NULL, FLOATS, .plain = log),
    UNARY("Sqrt", 6, NULL, FLOATS, .plain = sqrt, .floats = sqrt_floats),
    UNARY("Reciprocal", 6, NULL, FLOATS, .plain = reciprocal),
    UNARY("Neg", 6, NULL, NUMBERS, .plain = negate, .integer = negate_integer),
    UNARY("Abs", 6, NULL, NUMBERS, .plain = fabs, .integer = abs_integer),
    UNARY("Sign", 9, NULL, NUMBERS, .plain = sign),
    UNARY("Floor", 6, NULL, FLOATS, .plain = floor),
    UNARY("Ceil", 6, NULL, FLOATS, .plain = ceil),
    UNARY("Round", 11, NULL, FLOATS, .plain = rint),
    UNARY("Sin", 7, NULL, FLOATS, .plain = sin),
    UNARY("Cos", 7, NULL, FLOATS, .plain = cos),
    UNARY("Tan", 7, NULL, FLOATS, .plain = tan),
    UNARY("Asin", 7, NULL, FLOATS, .plain = asin),
    UNARY("Acos", 7, NULL, FLOATS, .plain = acos),
    UNARY("Atan", 7, NULL, FLOATS, .plain = atan),
    UNARY("Sinh", 9, NULL, FLOATS, .plain = sinh),
    UNARY("Cosh", 9, NULL, FLOATS, .plain = cosh),
    UNARY("Asinh", 9, NULL, FLOATS, .plain = asinh),
    UNARY("Acosh", 9, NULL, FLOATS, .plain = acosh),
    UNARY("Atanh", 9, NULL, FLOATS, .plain = atanh),
    UNARY("Not", 1, NULL, .types = TYPES_BOOL, .integer = not_integer),
    {"Clip", 6, 1, 1, 1, OP_ELEMENTWISE, infer_clip, run_clip, NULL, min_max,
     NULL},
    {"Clip", 11, 1, 3, 1, OP_ELEMENTWISE, infer_clip, run_clip, NULL, NULL,
     NULL},
    {"Cast", 6, 1, 1, 1, OP_ELEMENTWISE, infer_cast, run_cast, NULL, to, NULL},
    {"Cast", 19, 1, 1, 1, OP_ELEMENTWISE, infer_cast, run_cast, NULL, to_19,
     NULL},
    {"Cast", 24, 1, 1, 1, OP_ELEMENTWISE, infer_cast, run_cast, NULL, to_24,
     NULL},
    {"CastLike", 15, 2, 2, 1, 0, infer_cast_like, run_cast, NULL, NULL, NULL},
    {"CastLike", 19, 2, 2, 1, 0, infer_cast_like, run_cast, NULL, to_19 + 1,
     NULL},
    {"CastLike", 24, 2, 2, 1, 0, infer_cast_like, run_cast, NULL, to_24 + 1,
     NULL},
    {"IsNaN", 9, 1, 1, 1, OP_ELEMENTWISE, infer_predicate, run_predicate, NULL,
     NULL, &nan_number},
    {"IsInf", 10, 1, 1, 1, OP_ELEMENTWISE, infer_predicate, run_predicate, NULL,
     detect, &infinite_number},
    {0}};
