/*
 * Operators that pick numbers by index. An index outside of the axis is an
 * error while planning where the indices are known by then; one that appears
 * while running gives zeros.
 */
#include "models/nn/number.h"
#include "models/nn/op.h"
#include "models/nn/strided.h"

#include <string.h>

#define TYPES_INDEX (TYPE_BIT(NN_INT64) | TYPE_BIT(NN_INT32))

/* Index i, counted from the front; -1 where it is outside. */
static int64_t index_at(const struct tensor *indices, size_t i, int64_t dim) {
    int64_t index;
    number_ints(&index,
                (const char *)indices->data + i * type_size(indices->type),
                indices->type, 1, 1);
    index += index < 0 ? dim : 0;
    return index < 0 || index >= dim ? -1 : index;
}

static int check_indices(const struct op_call *call, int axis,
                         struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    if (op_types(call, 1, TYPES_INDEX, err) < 0)
        return -1;
    for (size_t i = 0; indices->data && i < tensor_count(indices); i++)
        if (index_at(indices, i, x->dims[axis]) < 0)
            return err_set(err,
                           "%s has an index outside of axis %d, which is "
                           "%lld long",
                           call->node->op_type, axis, (long long)x->dims[axis]);
    return 0;
}

static int infer_gather(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    int64_t dims[2 * NN_MAX_RANK];
    int axis, rank = 0;

    if (op_axis(node_int(call->node, "axis", 0), x->rank, &axis, err) < 0 ||
        check_indices(call, axis, err) < 0)
        return -1;
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    return op_output(call, 0, x->type, rank, dims, err);
}

static void run_gather(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    char *out = call->outputs[0].data;
    int axis;

    op_axis(node_int(call->node, "axis", 0), x->rank, &axis, NULL);
    const int64_t dim = x->dims[axis];
    const size_t outer = dims_count(x->dims, axis),
                 count = tensor_count(indices),
                 bytes = dims_count(x->dims + axis + 1, x->rank - axis - 1) *
                         type_size(x->type);
    for (size_t o = 0; o < outer; o++)
        for (size_t i = 0; i < count; i++, out += bytes) {
            const int64_t index = index_at(indices, i, dim);
            if (index < 0)
                memset(out, 0, bytes);
            else
                memcpy(out,
                       (const char *)x->data +
                           (o * (size_t)dim + (size_t)index) * bytes,
                       bytes);
        }
}

static int infer_gather_elements(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    int axis;

    if (op_axis(node_int(call->node, "axis", 0), x->rank, &axis, err) < 0 ||
        check_indices(call, axis, err) < 0)
        return -1;
    bool fits = indices->rank == x->rank;
    for (int i = 0; fits && i < x->rank; i++)
        fits = i == axis || indices->dims[i] <= x->dims[i];
    if (!fits)
        return err_set(err, "GatherElements' indices have a larger shape than "
                            "its input");
    return op_output(call, 0, x->type, x->rank, indices->dims, err);
}

/* Walks the indices; tensor 1 is the input's row that they pick from. */
static void run_gather_elements(struct op_call *call) {
    const struct tensor *x = call->inputs[0], *indices = call->inputs[1];
    const size_t size = type_size(x->type);
    char *out = call->outputs[0].data;
    ptrdiff_t strides[NN_MAX_RANK];
    int64_t at[NN_MAX_RANK] = {0};
    int axis;

    op_axis(node_int(call->node, "axis", 0), x->rank, &axis, NULL);
    strided_of_tensor(strides, x);
    for (size_t i = 0; i < tensor_count(indices); i++) {
        const int64_t index = index_at(indices, i, x->dims[axis]);
        ptrdiff_t offset = index * strides[axis];
        for (int k = 0; k < x->rank; k++)
            offset += k == axis ? 0 : at[k] * strides[k];
        if (index < 0)
            memset(out + i * size, 0, size);
        else
            memcpy(out + i * size,
                   (const char *)x->data + offset * (ptrdiff_t)size, size);
        dims_step(at, indices->dims, x->rank);
    }
}

static const struct op_attribute axis_only[] = {{"axis", ATTRIBUTE_INT}, {0}};

const struct op ops_gather[] = {
    {"Gather", 1, 2, 2, 1, 0, infer_gather, run_gather, NULL, axis_only, NULL},
    {"GatherElements", 11, 2, 2, 1, 0, infer_gather_elements,
     run_gather_elements, NULL, axis_only, NULL},
    {0}};
