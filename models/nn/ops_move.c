/*
 * Operators that move numbers without looking at them. Most are one
 * strided_copy() of a view; where two tensors differ in layout, so do the
 * strides.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <string.h>

static ptrdiff_t bytes(const struct tensor *t, ptrdiff_t numbers) {
    return numbers * (ptrdiff_t)type_size(t->type);
}

/* ---- Transpose ------------------------------------------------------------
 */

/* perm, or the axes in reverse. */
static int permutation(const struct op_call *call, int rank,
                       int perm[NN_MAX_RANK], struct err *err) {
    const int64_t *given;
    const int count = node_ints(call->node, "perm", &given);
    unsigned seen = 0;
    for (int i = 0; i < rank; i++)
        perm[i] = rank - 1 - i;
    if (count == 0)
        return 0;
    for (int i = 0; i < count && count == rank; i++)
        if (given[i] >= 0 && given[i] < rank) {
            perm[i] = (int)given[i];
            seen |= 1u << perm[i];
        }
    if (count != rank || seen != (1u << rank) - 1)
        return err_set(err, "Transpose's perm is not a permutation of %d axes",
                       rank);
    return 0;
}

static int infer_transpose(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int perm[NN_MAX_RANK];
    int64_t dims[NN_MAX_RANK];
    if (permutation(call, x->rank, perm, err) < 0)
        return -1;
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[perm[i]];
    return op_output(call, 0, x->type, x->rank, dims, err);
}

static void run_transpose(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    int perm[NN_MAX_RANK];
    ptrdiff_t from[NN_MAX_RANK], permuted[NN_MAX_RANK], to[NN_MAX_RANK];

    permutation(call, x->rank, perm, NULL);
    strided_of_tensor(from, x);
    strided_of_tensor(to, out);
    for (int i = 0; i < x->rank; i++)
        permuted[i] = from[perm[i]];
    strided_copy(type_size(x->type), x->rank, out->dims, out->data, to, x->data,
                 permuted);
}

/* ---- Concat and Split -----------------------------------------------------
 */

static int infer_concat(struct op_call *call, struct err *err) {
    const struct tensor *first = call->inputs[0];
    struct tensor sum = *first;
    int axis;

    if (!node_attribute(call->node, "axis"))
        return err_set(err, "Concat without an axis");
    if (op_axis(node_int(call->node, "axis", 0), first->rank, &axis, err) < 0)
        return -1;
    for (int k = 1; k < call->input_count; k++) {
        struct tensor x = *call->inputs[k];
        const int64_t length = x.rank > axis ? x.dims[axis] : 0;
        x.dims[axis] = first->dims[axis];
        if (x.type != first->type || !tensor_same_shape(&x, first)) {
            char a[128], b[128];
            return err_set(err, "Concat along axis %d of %s and %s", axis,
                           tensor_text(first, a, sizeof a),
                           tensor_text(call->inputs[k], b, sizeof b));
        }
        if (length > INT64_MAX - sum.dims[axis])
            return err_set(err, "Concat gives a tensor that is too large");
        sum.dims[axis] += length;
    }
    return op_output(call, 0, first->type, sum.rank, sum.dims, err);
}

static void run_concat(struct op_call *call) {
    const struct tensor *out = &call->outputs[0];
    ptrdiff_t to[NN_MAX_RANK], from[NN_MAX_RANK], at = 0;
    int axis;

    op_axis(node_int(call->node, "axis", 0), out->rank, &axis, NULL);
    strided_of_tensor(to, out);
    for (int k = 0; k < call->input_count; k++) {
        const struct tensor *x = call->inputs[k];
        strided_of_tensor(from, x);
        strided_copy(type_size(x->type), x->rank, x->dims,
                     (char *)out->data + bytes(out, at * to[axis]), to, x->data,
                     from);
        at += x->dims[axis];
    }
}

/* The parts' lengths: from the attribute, input 1 (opset 13), or equal, the
 * last one with what is left (num_outputs, opset 18). */
static int split_lengths(const struct op_call *call, int64_t whole,
                         int64_t lengths[OP_OUTPUTS_MAX], struct err *err) {
    const int64_t *given;
    int count = node_ints(call->node, "split", &given);
    int64_t sum = 0;

    if (op_has(call, 1)) {
        if (op_known_ints(call, 1, lengths, &count, OP_OUTPUTS_MAX, err) < 0)
            return -1;
    } else if (count > OP_OUTPUTS_MAX) {
        return err_set(err, "Split into %d parts (at most %d)", count,
                       OP_OUTPUTS_MAX);
    } else if (count > 0) {
        memcpy(lengths, given, (size_t)count * sizeof *given);
    } else {
        const int64_t parts = node_int(call->node, "num_outputs", 0);
        count = call->output_count;
        if (parts != 0 && parts != count)
            return err_set(err, "Split into %lld parts has %d outputs",
                           (long long)parts, count);
        const int64_t part = (whole + (parts ? count - 1 : 0)) / count;
        for (int i = 0; i < count; i++)
            lengths[i] = parts && i == count - 1 ? whole - part * i : part;
    }
    for (int i = 0; i < count; i++) {
        if (lengths[i] < 0 || lengths[i] > whole - sum)
            return err_set(err, "Split's parts do not add up to %lld",
                           (long long)whole);
        sum += lengths[i];
    }
    if (count != call->output_count || sum != whole)
        return err_set(err, "Split of %lld into %d parts that make %lld",
                       (long long)whole, count, (long long)sum);
    return 0;
}

static int infer_split(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t lengths[OP_OUTPUTS_MAX], dims[NN_MAX_RANK];
    int axis;
    if (op_axis(node_int(call->node, "axis", 0), x->rank, &axis, err) < 0 ||
        split_lengths(call, x->dims[axis], lengths, err) < 0)
        return -1;
    memcpy(dims, x->dims, sizeof dims);
    for (int i = 0; i < call->output_count; i++) {
        dims[axis] = lengths[i];
        if (op_output(call, i, x->type, x->rank, dims, err) < 0)
            return -1;
    }
    return 0;
}

static void run_split(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    ptrdiff_t to[NN_MAX_RANK], from[NN_MAX_RANK], at = 0;
    int axis;

    op_axis(node_int(call->node, "axis", 0), x->rank, &axis, NULL);
    strided_of_tensor(from, x);
    for (int i = 0; i < call->output_count; i++) {
        const struct tensor *out = &call->outputs[i];
        strided_of_tensor(to, out);
        strided_copy(type_size(x->type), x->rank, out->dims, out->data, to,
                     (const char *)x->data + bytes(x, at * from[axis]), from);
        at += out->dims[axis];
    }
}

/* ---- Slice ----------------------------------------------------------------
 */

struct slice {
    int64_t start[NN_MAX_RANK], step[NN_MAX_RANK], length[NN_MAX_RANK];
};

/* Starts, ends, axes and steps: attributes until opset 9, inputs 1 to 4 from
 * 10 on; the last two may be left out. */
struct slice_numbers {
    int64_t of[4][NN_MAX_RANK];
    int count[4];
};

static int slice_numbers(const struct op_call *call, struct slice_numbers *n,
                         struct err *err) {
    static const char *const names[] = {"starts", "ends", "axes", "steps"};
    for (int i = 0; i < 4; i++) {
        const int64_t *given;
        n->count[i] = node_ints(call->node, names[i], &given);
        if (n->count[i] > NN_MAX_RANK)
            return err_set(err, "Slice has too many %s", names[i]);
        for (int k = 0; k < n->count[i]; k++)
            n->of[i][k] = given[k];
        if (op_has(call, i + 1) &&
            op_known_ints(call, i + 1, n->of[i], &n->count[i], NN_MAX_RANK,
                          err) < 0)
            return -1;
    }
    const int count = n->count[0];
    if (n->count[1] != count || (n->count[2] && n->count[2] != count) ||
        (n->count[3] && n->count[3] != count))
        return err_set(err, "Slice has %d starts, %d ends, %d axes, %d steps",
                       count, n->count[1], n->count[2], n->count[3]);
    return 0;
}

static int64_t clamp(int64_t x, int64_t low, int64_t high) {
    return x < low ? low : x > high ? high : x;
}

static void slice_axis(struct slice *s, int axis, int64_t dim, int64_t start,
                       int64_t end, int64_t step) {
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    s->step[axis] = step;
    s->start[axis] = 0;
    s->length[axis] = 0;
    if (dim == 0)
        return;
    if (step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        s->length[axis] = end > start ? (end - start - 1) / step + 1 : 0;
    } else {
        start = clamp(start, 0, dim - 1);
        end = clamp(end, -1, dim - 1);
        s->length[axis] = start > end ? (start - end - 1) / -step + 1 : 0;
    }
    s->start[axis] = start;
}

static int slice_of(const struct op_call *call, struct slice *s,
                    struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct slice_numbers n;

    if (slice_numbers(call, &n, err) < 0)
        return -1;
    for (int i = 0; i < x->rank; i++) {
        s->start[i] = 0;
        s->step[i] = 1;
        s->length[i] = x->dims[i];
    }
    for (int i = 0; i < n.count[0]; i++) {
        const int64_t step = n.count[3] ? n.of[3][i] : 1;
        int axis;
        if (op_axis(n.count[2] ? n.of[2][i] : i, x->rank, &axis, err) < 0)
            return -1;
        if (step == 0)
            return err_set(err, "Slice with a step of 0");
        /* A step beyond the axis takes one number, whatever its size. */
        slice_axis(s, axis, x->dims[axis], n.of[0][i], n.of[1][i],
                   clamp(step, -INT32_MAX, INT32_MAX));
    }
    return 0;
}

static int infer_slice(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    struct slice s;
    if (slice_of(call, &s, err) < 0)
        return -1;
    return op_output(call, 0, x->type, x->rank, s.length, err);
}

static void run_slice(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    ptrdiff_t to[NN_MAX_RANK], from[NN_MAX_RANK], start = 0;
    struct slice s;

    slice_of(call, &s, NULL);
    strided_of_tensor(to, out);
    strided_of_tensor(from, x);
    for (int i = 0; i < x->rank; i++) {
        start += s.start[i] * from[i];
        from[i] *= s.step[i];
    }
    strided_copy(type_size(x->type), x->rank, out->dims, out->data, to,
                 (const char *)x->data + bytes(x, start), from);
}

/* ---- Expand and Tile ------------------------------------------------------
 */

static int infer_expand(struct op_call *call, struct err *err) {
    struct tensor shape = {.type = call->inputs[0]->type};
    if (op_known_ints(call, 1, shape.dims, &shape.rank, NN_MAX_RANK, err) < 0 ||
        op_broadcast(call->inputs[0], &shape, &shape.rank, shape.dims, err) < 0)
        return -1;
    return op_output(call, 0, shape.type, shape.rank, shape.dims, err);
}

static void run_expand(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    struct strided s;
    strided_shape(&s, out);
    strided_broadcast(&s, x);
    strided_copy(type_size(x->type), s.rank, s.dims, out->data, s.strides[0],
                 x->data, s.strides[1]);
}

static int infer_tile(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    int64_t dims[NN_MAX_RANK];
    int count;
    if (op_known_ints(call, 1, dims, &count, NN_MAX_RANK, err) < 0)
        return -1;
    if (count != x->rank)
        return err_set(err, "Tile of rank %d has %d repeats", x->rank, count);
    for (int i = 0; i < count; i++)
        if (__builtin_mul_overflow(dims[i], x->dims[i], &dims[i]))
            return err_set(err, "Tile gives a tensor that is too large");
    return op_output(call, 0, x->type, x->rank, dims, err);
}

/* Every axis is two: the repeats, along which the input stands still, and the
 * input's own. */
static void run_tile(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    ptrdiff_t x_strides[NN_MAX_RANK], out_strides[NN_MAX_RANK];
    ptrdiff_t to[STRIDED_RANK], from[STRIDED_RANK];
    int64_t dims[STRIDED_RANK];

    if (tensor_count(out) == 0)
        return;
    strided_of_tensor(x_strides, x);
    strided_of_tensor(out_strides, out);
    for (int i = 0; i < x->rank; i++) {
        dims[2 * i] = out->dims[i] / x->dims[i];
        from[2 * i] = 0;
        to[2 * i] = out_strides[i] * x->dims[i];
        dims[2 * i + 1] = x->dims[i];
        from[2 * i + 1] = x_strides[i];
        to[2 * i + 1] = out_strides[i];
    }
    strided_copy(type_size(x->type), 2 * x->rank, dims, out->data, to, x->data,
                 from);
}

/* ---- DepthToSpace and SpaceToDepth ----------------------------------------
 */

static int infer_depth_space(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    const char *name = call->node->op_type;
    const bool to_space = name[0] == 'D';
    const int64_t block = node_int(call->node, "blocksize", 0);
    const char *mode = node_string(call->node, "mode", "DCR");

    if (x->rank != 4)
        return err_set(err, "%s of rank %d", name, x->rank);
    if (block < 1 || block > INT16_MAX)
        return err_set(err, "%s's blocksize %lld is out of range", name,
                       (long long)block);
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0)
        return err_set(err, "%s's mode %s is not supported", name, mode);
    if (to_space ? x->dims[1] % (block * block) != 0
                 : x->dims[2] % block != 0 || x->dims[3] % block != 0)
        return err_set(err, "%s: the blocksize %lld does not divide the input",
                       name, (long long)block);
    const int64_t b = block, *d = x->dims;
    return to_space ? op_output(call, 0, x->type, 4,
                                (const int64_t[]){d[0], d[1] / (b * b),
                                                  d[2] * b, d[3] * b},
                                err)
                    : op_output(call, 0, x->type, 4,
                                (const int64_t[]){d[0], d[1] * b * b, d[2] / b,
                                                  d[3] / b},
                                err);
}

/* Both ways the same copy: the deep tensor (N, C * b * b, H, W) beside the wide
 * one (N, C, H * b, W * b), along axes n, c, h, row in block, w, column. */
static void run_depth_space(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *out = &call->outputs[0];
    const bool to_space = call->node->op_type[0] == 'D';
    const struct tensor *deep = to_space ? x : out, *wide = to_space ? out : x;
    const ptrdiff_t b = (ptrdiff_t)node_int(call->node, "blocksize", 1);
    const bool channel_first =
        strcmp(node_string(call->node, "mode", "DCR"), "CRD") == 0;
    ptrdiff_t d[NN_MAX_RANK], w[NN_MAX_RANK];

    strided_of_tensor(d, deep);
    strided_of_tensor(w, wide);
    const ptrdiff_t c = wide->dims[1];
    const int64_t dims[] = {deep->dims[0], c, deep->dims[2], b,
                            deep->dims[3], b};
    const ptrdiff_t of_wide[] = {w[0], w[1], b * w[2], w[2], b * w[3], w[3]};
    const ptrdiff_t of_deep[] = {
        d[0], channel_first ? b * b * d[1] : d[1],
        d[2], channel_first ? b * d[1] : b * c * d[1],
        d[3], channel_first ? d[1] : c * d[1],
    };
    strided_copy(type_size(x->type), 6, dims, out->data,
                 to_space ? of_wide : of_deep, x->data,
                 to_space ? of_deep : of_wide);
}

/* ---- Trilu ----------------------------------------------------------------
 */

static int infer_trilu(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0];
    if (x->rank < 2)
        return err_set(err, "Trilu of rank %d", x->rank);
    if (op_has(call, 1) && (op_types(call, 1, TYPE_BIT(NN_INT64), err) < 0 ||
                            tensor_count(call->inputs[1]) != 1))
        return err_set(err, "Trilu's diagonal is not one number of int64");
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

/* Columns before the diagonal, or from it on, become zero. */
static void run_trilu(struct op_call *call) {
    const struct tensor *x = call->inputs[0];
    const int64_t *k = op_has(call, 1) ? call->inputs[1]->data : &(int64_t){0};
    const bool upper = node_int(call->node, "upper", 1) != 0;
    const int64_t rows = x->dims[x->rank - 2], columns = x->dims[x->rank - 1];
    const size_t matrices = dims_count(x->dims, x->rank - 2);
    char *out = call->outputs[0].data;

    memcpy(out, x->data, tensor_bytes(x));
    for (size_t m = 0; m < matrices; m++)
        for (int64_t i = 0; i < rows; i++, out += bytes(x, columns)) {
            int64_t at; /* what is kept begins, or ends, here */
            if (__builtin_add_overflow(i + !upper, *k, &at))
                at = *k < 0 ? 0 : columns;
            at = at < 0 ? 0 : at > columns ? columns : at;
            if (upper)
                memset(out, 0, (size_t)bytes(x, at));
            else
                memset(out + bytes(x, at), 0, (size_t)bytes(x, columns - at));
        }
}

/* ---- the rows -------------------------------------------------------------
 */

static const struct op_attribute perm[] = {{"perm", ATTRIBUTE_INTS}, {0}};
static const struct op_attribute axis_only[] = {{"axis", ATTRIBUTE_INT}, {0}};
static const struct op_attribute split[] = {
    {"axis", ATTRIBUTE_INT}, {"split", ATTRIBUTE_INTS}, {0}};
static const struct op_attribute slice[] = {{"axes", ATTRIBUTE_INTS},
                                            {"starts", ATTRIBUTE_INTS},
                                            {"ends", ATTRIBUTE_INTS},
                                            {0}};
static const struct op_attribute blocksize[] = {{"blocksize", ATTRIBUTE_INT},
                                                {0}};
static const struct op_attribute blocksize_mode[] = {
    {"blocksize", ATTRIBUTE_INT}, {"mode", ATTRIBUTE_STRING}, {0}};

static const struct op_attribute axis_outputs[] = {
    {"axis", ATTRIBUTE_INT}, {"num_outputs", ATTRIBUTE_INT}, {0}};

static const struct op_attribute upper[] = {{"upper", ATTRIBUTE_INT}, {0}};

const struct op ops_move[] = {
    {"Transpose", 1, 1, 1, 1, OP_ANY_LAYOUT | OP_IMAGES_APART, infer_transpose,
     run_transpose, NULL, perm, NULL},
    {"Concat", 4, 1, OP_INPUTS_MAX, 1, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_concat, run_concat, NULL, axis_only, NULL},
    {"Split", 2, 1, 1, OP_OUTPUTS_MAX, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_split, run_split, NULL, split, NULL},
    {"Split", 13, 1, 2, OP_OUTPUTS_MAX, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_split, run_split, NULL, axis_only, NULL},
    {"Split", 18, 1, 2, OP_OUTPUTS_MAX, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_split, run_split, NULL, axis_outputs, NULL},
    {"Slice", 1, 1, 1, 1, OP_ANY_LAYOUT, infer_slice, run_slice, NULL, slice,
     NULL},
    {"Slice", 10, 3, 5, 1, OP_ANY_LAYOUT, infer_slice, run_slice, NULL, NULL,
     NULL},
    {"Expand", 8, 2, 2, 1, OP_ANY_LAYOUT | OP_IMAGES_APART, infer_expand,
     run_expand, NULL, NULL, NULL},
    {"Tile", 6, 2, 2, 1, OP_ANY_LAYOUT, infer_tile, run_tile, NULL, NULL, NULL},
    {"Trilu", 14, 1, 2, 1, 0, infer_trilu, run_trilu, NULL, upper, NULL},
    {"DepthToSpace", 1, 1, 1, 1, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_depth_space, run_depth_space, NULL, blocksize, NULL},
    {"DepthToSpace", 11, 1, 1, 1, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_depth_space, run_depth_space, NULL, blocksize_mode, NULL},
    {"SpaceToDepth", 1, 1, 1, 1, OP_ANY_LAYOUT | OP_IMAGES_APART,
     infer_depth_space, run_depth_space, NULL, blocksize, NULL},
    {0}};
