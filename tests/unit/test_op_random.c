/* Every row of every table with inputs and attributes at random: what infer()
 * lets through must run, inside the memory that it asked for. The sanitizers
 * are the judges, so this says most where they are on. */
#include "tests/unit/op_runner.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ROUNDS 6000
#define NUMBERS_MAX 20000 /* a larger output is inferred, not run */
#define LIST_MAX 8

struct random {
    uint64_t state;
};

/* Marsaglia 2003, "Xorshift RNGs". */
static uint64_t next(struct random *r) {
    r->state ^= r->state << 13;
    r->state ^= r->state >> 7;
    r->state ^= r->state << 17;
    return r->state;
}

static int64_t below(struct random *r, int64_t bound) {
    return (int64_t)(next(r) % (uint64_t)bound);
}

static int64_t any_int(struct random *r) {
    static const int64_t extremes[] = {INT64_MIN, INT64_MAX, INT32_MAX, -9,
                                       1 << 20};
    return below(r, 40) == 0 ? extremes[below(r, 5)] : below(r, 7) - 2;
}

static const char *any_word(struct random *r) {
    static const char *const words[] = {
        "constant",
        "reflect",
        "edge",
        "nearest",
        "linear",
        "cubic",
        "asymmetric",
        "align_corners",
        "half_pixel",
        "floor",
        "round_prefer_ceil",
        "tf_crop_and_resize",
        "half_pixel_symmetric",
        "not_smaller",
        "wrap",
        "SAME_UPPER",
        "SAME_LOWER",
        "VALID",
        "NOTSET",
        "DCR",
        "CRD",
        "no such thing",
    };
    return words[below(r, sizeof words / sizeof *words)];
}

/* ---- one call -------------------------------------------------------------
 */

struct trial {
    struct node node;
    struct attribute attributes[16];
    int64_t ints[16][LIST_MAX];
    float floats[16][LIST_MAX];
    struct tensor inputs[8];
    struct op_call call;
};

static void fill(struct random *r, struct tensor *t) {
    for (size_t i = 0; i < tensor_count(t); i++) {
        const int64_t n = any_int(r);
        char *at = (char *)t->data + i * type_size(t->type);
        if (t->type == NN_FLOAT32)
            *(float *)at = (float)n / 2;
        else if (t->type == NN_BOOL)
            *(bool *)at = n & 1;
        else
            memcpy(at, &n, type_size(t->type));
    }
}

static void make_filled(struct random *r, struct tensor *t, enum nn_type type,
                        int rank, const int64_t *dims) {
    if (tensor_make(t, type, rank, dims, NULL) < 0)
        abort();
    fill(r, t);
}

static void any_tensor(struct random *r, struct tensor *t) {
    static const enum nn_type types[] = {
        NN_FLOAT32, NN_FLOAT32, NN_FLOAT32, NN_INT64,   NN_INT64,
        NN_INT32,   NN_UINT8,   NN_BOOL,    NN_FLOAT64, NN_FLOAT16};
    const enum nn_type type = types[below(r, 10)];
    const int rank = type == NN_INT64 ? (int)below(r, 3) : (int)below(r, 6);
    int64_t dims[8];
    for (int i = 0; i < rank; i++)
        dims[i] = below(r, 12) ? 1 + below(r, 4) : 0;
    make_filled(r, t, type, rank, dims);
}

/* What goes with the first input more often than chance has it: the same
 * shape, one number a channel, weights of a convolution. */
static void fitting_tensor(struct random *r, struct tensor *t,
                           const struct tensor *first) {
    int64_t dims[NN_MAX_RANK];
    const int64_t channels = first->rank > 1 ? first->dims[1] : 1;

    for (int i = 0; i < first->rank; i++)
        dims[i] = first->dims[i];
    switch (below(r, 3)) {
    case 0:
        make_filled(r, t, first->type, first->rank, dims);
        break;
    case 1:
        make_filled(r, t, first->type, 1, &channels);
        break;
    default:
        for (int i = 0; i < first->rank; i++)
            dims[i] =
                i == 0 || (i == 1 && below(r, 2)) ? channels : 1 + below(r, 3);
        make_filled(r, t, first->type, first->rank, dims);
    }
}

static void any_inputs(struct random *r, struct trial *t, const struct op *op,
                       bool image) {
    const int most = op->inputs_max < 6 ? op->inputs_max : 6;
    const int rank = 3 + (int)below(r, 2);
    const int64_t dims[] = {1 + below(r, 2), 1 + below(r, 3), 4, 5};

    t->call.input_count =
        op->inputs_min + (int)below(r, most - op->inputs_min + 1);
    for (int i = 0; i < t->call.input_count; i++) {
        struct tensor *in = &t->inputs[i];
        if (i == 0 && image)
            make_filled(r, in, NN_FLOAT32, rank, dims);
        else if (i > 0 && below(r, 3))
            fitting_tensor(r, in, &t->inputs[0]);
        else
            any_tensor(r, in);
        t->call.inputs[i] = i >= op->inputs_min && below(r, 4) == 0 ? NULL : in;
    }
}

/* A list of as many small numbers as windows over the first input have. */
static void fitting_list(struct random *r, struct trial *t, int k) {
    struct attribute *a = &t->attributes[k];
    const bool pads = strcmp(a->name, "pads") == 0;
    const int axes = t->inputs[0].rank > 2 ? t->inputs[0].rank - 2 : 0;
    a->count = pads ? 2 * axes : axes;
    for (int i = 0; i < LIST_MAX; i++)
        t->ints[k][i] = below(r, 2) + !pads;
}

static void any_attributes(struct random *r, struct trial *t,
                           const struct op *op, bool image) {
    t->node.attributes = t->attributes;
    for (const struct op_attribute *known = op->attributes;
         known && known->name; known++) {
        /* Most words mean nothing to most rows. */
        if (below(r, 3) == 0 ||
            (known->kind == ATTRIBUTE_STRING && below(r, 2) == 0))
            continue;
        const int k = t->node.attribute_count++;
        struct attribute *a = &t->attributes[k];
        *a = (struct attribute){.name = known->name,
                                .kind = known->kind,
                                .i = any_int(r),
                                .f = (float)any_int(r) / 2,
                                .s = any_word(r),
                                .count = (int)below(r, LIST_MAX + 1)};
        for (int i = 0; i < LIST_MAX; i++) {
            t->ints[k][i] = any_int(r);
            t->floats[k][i] = (float)any_int(r);
        }
        if (image)
            fitting_list(r, t, k);
        a->ints = t->ints[k];
        a->floats = t->floats[k];
        if (known->kind == ATTRIBUTE_TENSOR)
            any_tensor(r, &a->t);
    }
}

static bool small(const struct op_call *call) {
    for (int i = 0; i < call->output_count; i++)
        if (tensor_count(&call->outputs[i]) > NUMBERS_MAX)
            return false;
    return !call->op->scratch || call->op->scratch(call) < 8 * NUMBERS_MAX;
}

/* True where it was let through and run. */
static bool try_row(struct random *r, const struct op *op) {
    struct trial t = {.node = {.name = "", .op_type = op->name}};
    const bool image = below(r, 2);
    bool ran = false;

    any_inputs(r, &t, op, image);
    any_attributes(r, &t, op, image);
    t.call.op = op;
    t.call.node = &t.node;
    t.call.opset = op->since;
    t.call.output_count =
        1 + (int)below(r, op->outputs_max < 4 ? op->outputs_max : 4);
    if (op_check(op, &t.call, NULL) == 0 && op->infer(&t.call, NULL) == 0 &&
        small(&t.call)) {
        ran = op_perform(&t.call) == 0;
        op_release(&t.call);
    }
    for (int i = 0; i < t.call.input_count; i++)
        tensor_free(&t.inputs[i]);
    for (int i = 0; i < t.node.attribute_count; i++)
        tensor_free(&t.attributes[i].t);
    return ran;
}

static void op_runs_what_it_lets_through(void **state) {
    static const struct op *const tables[] = {
        ops_unary,  ops_binary, ops_shape,  ops_move,    ops_gather,
        ops_pad,    ops_resize, ops_reduce, ops_line,    ops_normalise,
        ops_matmul, ops_conv,   ops_pool,   ops_quantise};
    struct random r = {88172645463325252u};
    (void)state;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct op *op = tables[i]; op->name; op++) {
            int ran = 0;
            for (int round = 0; round < ROUNDS; round++)
                ran += try_row(&r, op);
            if (ran == 0) /* the trials say nothing about it */
                fail_msg("%s of opset %d was never let through", op->name,
                         op->since);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(op_runs_what_it_lets_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
