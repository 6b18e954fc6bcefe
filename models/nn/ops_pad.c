/*
 * Pad: constant, reflect, edge and wrap. Negative pads cut off.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <string.h>

#define PAD_MAX INT32_MAX

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE, PAD_WRAP };

struct pads {
    enum pad_mode mode;
    int64_t before[NN_MAX_RANK], after[NN_MAX_RANK];
};

/* The axes that the pads are for: all, or input 3 (opset 18). */
static int pad_axes(const struct op_call *call, int axes[NN_MAX_RANK],
                    int *count, struct err *err) {
    const int rank = call->inputs[0]->rank;
    int64_t given[NN_MAX_RANK];
    bool seen[NN_MAX_RANK] = {false};

    *count = rank;
    for (int i = 0; i < rank; i++)
        axes[i] = i;
    if (!op_has(call, 3))
        return 0;
    if (op_known_ints(call, 3, given, count, NN_MAX_RANK, err) < 0)
        return -1;
    for (int i = 0; i < *count; i++) {
        if (op_axis(given[i], rank, &axes[i], err) < 0)
            return -1;
        if (seen[axes[i]])
            return err_set(err, "Pad has the axis %d twice", axes[i]);
        seen[axes[i]] = true;
    }
    return 0;
}

/* Attributes until opset 10, then inputs: pads, value, axes. */
static int pads_of(const struct op_call *call, struct pads *p,
                   struct err *err) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    const char *mode = node_string(call->node, "mode", "constant");
    int64_t input[2 * NN_MAX_RANK];
    const int64_t *pads = input;
    int axes[NN_MAX_RANK], count, axis_count;

    *p = (struct pads){0};
    for (p->mode = PAD_CONSTANT; p->mode <= PAD_WRAP; p->mode++)
        if (strcmp(mode, modes[p->mode]) == 0)
            break;
    if (p->mode > PAD_WRAP)
        return err_set(err, "Pad's mode %s is not supported", mode);
    if (!op_has(call, 1))
        count = node_ints(call->node, "pads", &pads);
    else if (op_known_ints(call, 1, input, &count, 2 * NN_MAX_RANK, err) < 0)
        return -1;
    if (pad_axes(call, axes, &axis_count, err) < 0)
        return -1;
    if (count != 2 * axis_count)
        return err_set(err, "Pad has %d pads for %d axes", count, axis_count);
    for (int i = 0; i < axis_count; i++) {
        const int64_t before = pads[i], after = pads[axis_count + i];
        if (before < -PAD_MAX || before > PAD_MAX || after < -PAD_MAX ||
            after > PAD_MAX)
            return err_set(err, "Pad by %lld and %lld is out of range",
                           (long long)before, (long long)after);
        p->before[axes[i]] = before;
        p->after[axes[i]] = after;
    }
    return 0;
}

/* What is left of axis i of `dim` numbers, and where that begins. */
static int64_t kept(const struct pads *p, int i, int64_t dim, int64_t *start) {
    *start = p->before[i] < 0 ? -p->before[i] : 0;
    return dim - *start + (p->after[i] < 0 ? p->after[i] : 0);
}

/* Reflection needs numbers to mirror, the others at least one. */
static int check_mirror(const struct pads *p, int64_t dim, int axis,
                        struct err *err) {
    int64_t start;
    const int64_t left = kept(p, axis, dim, &start);
    const int64_t most = p->mode == PAD_REFLECT ? left - 1
                         : left > 0             ? PAD_MAX
                                                : 0;
    if (p->mode != PAD_CONSTANT &&
        (p->before[axis] > most || p->after[axis] > most))
        return err_set(err,
                       "Pad has too little to mirror along axis %d, which "
                       "is %lld long",
                       axis, (long long)dim);
    return 0;
}

static int infer_pad(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    struct pads p;

    if (op_types(call, 0, TYPES_ALL, err) < 0 || pads_of(call, &p, err) < 0)
        return -1;
    if (op_has(call, 2) && (call->inputs[2]->type != x->type ||
                            tensor_count(call->inputs[2]) != 1))
        return err_set(err, "Pad's value is not one number of %s",
                       type_name(x->type));
    for (int i = 0; i < x->rank; i++) {
        if (check_mirror(&p, x->dims[i], i, err) < 0)
            return -1;
        dims[i] = x->dims[i] + p.before[i] + p.after[i];
    }
    return op_output(call, 0, x->type, x->rank, dims, err);
}

static void fill(const struct op_call *call) {
    const struct tensor *out = &call->outputs[0];
    const size_t size = type_size(out->type);
    char number[8];

    if (op_has(call, 2))
        memcpy(number, call->inputs[2]->data, size);
    else
        number_put_doubles(
            number, out->type,
            &(double){(double)node_float(call->node, "value", 0)}, 1);
    /* What is filled is copied behind itself, twice as much every time. */
    const size_t bytes = tensor_bytes(out);
    char *data = out->data;
    memcpy(data, number, size < bytes ? size : bytes);
    for (size_t done = size, n; done < bytes; done += n) {
        n = done < bytes - done ? done : bytes - done;
        memcpy(data + done, data, n);
    }
}

static void run_constant(struct op_call *call, const struct pads *p) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    const ptrdiff_t size = (ptrdiff_t)type_size(x->type);
    ptrdiff_t from[NN_MAX_RANK], to[NN_MAX_RANK], start = 0, at = 0;
    int64_t dims[NN_MAX_RANK];

    fill(call);
    strided_of_tensor(from, x);
    strided_of_tensor(to, out);
    for (int i = 0; i < x->rank; i++) {
        int64_t cut;
        dims[i] = kept(p, i, x->dims[i], &cut);
        if (dims[i] <= 0)
            return;
        start += cut * from[i];
        at += (p->before[i] > 0 ? p->before[i] : 0) * to[i];
    }
    strided_copy((size_t)size, x->rank, dims, (char *)out->data + at * size, to,
                 (const char *)x->data + start * size, from);
}

/* The coordinate that padding at `at` repeats. */
static int64_t mirrored(enum pad_mode mode, int64_t at, int64_t dim) {
    if (mode == PAD_WRAP)
        return (at % dim + dim) % dim;
    if (at < 0)
        return mode == PAD_EDGE ? 0 : -at;
    if (at >= dim)
        return mode == PAD_EDGE ? dim - 1 : 2 * (dim - 1) - at;
    return at;
}

static void run_mirror(struct op_call *call, const struct pads *p) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    const ptrdiff_t size = (ptrdiff_t)type_size(x->type);
    ptrdiff_t from[NN_MAX_RANK], to[NN_MAX_RANK];
    int64_t at[NN_MAX_RANK] = {0};

    strided_of_tensor(from, x);
    strided_of_tensor(to, out);
    for (size_t n = tensor_count(out); n > 0; n--) {
        ptrdiff_t source = 0, target = 0;
        for (int k = 0; k < x->rank; k++) {
            int64_t start;
            const int64_t dim = kept(p, k, x->dims[k], &start);
            const int64_t place = at[k] - p->before[k] - start;
            source += from[k] * (start + mirrored(p->mode, place, dim));
            target += to[k] * at[k];
        }
        memcpy((char *)out->data + target * size,
               (const char *)x->data + source * size, (size_t)size);
        dims_step(at, out->dims, x->rank);
    }
}

static void run_pad(struct op_call *call) {
    struct pads p;
    pads_of(call, &p, NULL);
    if (p.mode == PAD_CONSTANT)
        run_constant(call, &p);
    else
        run_mirror(call, &p);
}

static const struct op_attribute pads_mode_value[] = {
    {"pads", ATTRIBUTE_INTS},
    {"mode", ATTRIBUTE_STRING},
    {"value", ATTRIBUTE_FLOAT},
    {0}};
static const struct op_attribute mode_only[] = {{"mode", ATTRIBUTE_STRING},
                                                {0}};

const struct op ops_pad[] = {{"Pad", 2, 1, 1, 1, OP_ANY_LAYOUT, infer_pad,
                              run_pad, NULL, pads_mode_value, NULL},
                             {"Pad", 11, 2, 3, 1, OP_ANY_LAYOUT, infer_pad,
                              run_pad, NULL, mode_only, NULL},
                             {"Pad", 18, 2, 4, 1, OP_ANY_LAYOUT, infer_pad,
                              run_pad, NULL, mode_only, NULL},
                             {0}};
