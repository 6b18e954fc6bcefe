#include "models/nn/op.h"

#include <stdlib.h>
#include <string.h>

static const struct op *const tables[] = {
    ops_unary,  ops_binary,     ops_shape,  ops_move,     ops_gather,
    ops_pad,    ops_resize,     ops_reduce, ops_line,     ops_normalise,
    ops_matmul, ops_conv,       ops_pool,   ops_quantise, ops_qlinear,
    ops_einsum, ops_activation, ops_topk};

/* What to do about an operator that no row has. */
static int refuse(const char *op_type, int later, struct err *err) {
    static const char *const flow[] = {"If", "Loop", "Scan"};
    if (later > 0)
        return err_set(err,
                       "the operator %s of so early an opset is not supported: "
                       "export the network with opset %d or later",
                       op_type, later);
    for (size_t i = 0; i < sizeof flow / sizeof *flow; i++)
        if (strcmp(op_type, flow[i]) == 0)
            return err_set(err,
                           "the operator %s is not supported: simplify the "
                           "network with onnxsim, or export it with inputs of "
                           "fixed sizes",
                           op_type);
    return err_set(err,
                   "the operator %s is not supported: onnxsim, or exporting "
                   "with another opset, may write the network without it",
                   op_type);
}

const struct op *op_find(const char *op_type, int64_t opset, struct err *err) {
    const struct op *found = NULL;
    int later = 0;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct op *op = tables[i]; op->name; op++) {
            if (strcmp(op->name, op_type) != 0)
                continue;
            if (op->since <= opset && (!found || found->since < op->since))
                found = op;
            if (op->since > opset && (!later || op->since < later))
                later = op->since;
        }
    if (!found)
        refuse(op_type, later, err);
    return found;
}

const struct op *op_row(int i) {
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++)
        for (const struct op *op = tables[k]; op->name; op++)
            if (i-- == 0)
                return op;
    return NULL;
}

static const struct op_attribute *understood(const struct op *op,
                                             const char *name) {
    for (const struct op_attribute *a = op->attributes; a && a->name; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

int op_check(const struct op *op, const struct op_call *call, struct err *err) {
    if (call->input_count < op->inputs_min ||
        call->input_count > op->inputs_max)
        return err_set(err, "%s takes %d to %d inputs, not %d", op->name,
                       op->inputs_min, op->inputs_max, call->input_count);
    if (strcmp(op->name, "BatchNormalization") == 0 && call->output_count > 1)
        return err_set(err, "the network was exported in training mode: call "
                            "model.eval() before exporting");
    if (call->output_count < 1 || call->output_count > op->outputs_max)
        return err_set(err, "%s gives 1 to %d outputs here, not %d", op->name,
                       op->outputs_max, call->output_count);
    /* A row for any number of inputs needs each of them. */
    const int needed =
        op->inputs_max == OP_INPUTS_MAX ? call->input_count : op->inputs_min;
    for (int i = 0; i < needed; i++)
        if (!call->inputs[i])
            return err_set(err, "%s needs its input %d", op->name, i);
    for (int i = 0; i < call->node->attribute_count; i++) {
        const struct attribute *given = &call->node->attributes[i];
        const struct op_attribute *known = understood(op, given->name);
        if (!known)
            return err_set(err, "%s's attribute %s is not supported", op->name,
                           given->name);
        if (known->kind != given->kind)
            return err_set(err,
                           "%s's attribute %s is of another kind than "
                           "ONNX has it",
                           op->name, given->name);
    }
    return 0;
}

/* Of an operator that is run while a network is loaded, on constants. */
#define SCRATCH_BYTES_MAX ((size_t)2 << 30)

int op_run_alone(struct op_call *call, struct err *err) {
    size_t bytes = call->op->scratch ? call->op->scratch(call) : 0;
    bytes = (bytes + TENSOR_ALIGN) / TENSOR_ALIGN * TENSOR_ALIGN;
    call->scratch =
        bytes <= SCRATCH_BYTES_MAX ? aligned_alloc(TENSOR_ALIGN, bytes) : NULL;
    if (!call->scratch)
        return err_set(err, "no memory for %zu bytes of scratch", bytes);
    call->op->run(call);
    free(call->scratch);
    call->scratch = NULL;
    return 0;
}

const struct attribute *node_attribute(const struct node *node,
                                       const char *name) {
    for (int i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

int64_t node_int(const struct node *node, const char *name, int64_t otherwise) {
    const struct attribute *a = node_attribute(node, name);
    return a ? a->i : otherwise;
}

float node_float(const struct node *node, const char *name, float otherwise) {
    const struct attribute *a = node_attribute(node, name);
    return a ? a->f : otherwise;
}

const char *node_string(const struct node *node, const char *name,
                        const char *otherwise) {
    const struct attribute *a = node_attribute(node, name);
    return a ? a->s : otherwise;
}

int node_ints(const struct node *node, const char *name, const int64_t **ints) {
    const struct attribute *a = node_attribute(node, name);
    *ints = a ? a->ints : NULL;
    return a ? a->count : 0;
}

int op_types(const struct op_call *call, int input, unsigned types,
             struct err *err) {
    const enum nn_type type = call->inputs[input]->type;
    if (!(types >> type & 1))
        return err_set(err, "%s of %s (input %d) is not supported%s",
                       call->node->op_type, type_name(type), input,
                       type == NN_FLOAT64 ? ": export the network in float32 "
                                            "(model.float())"
                                          : "");
    return 0;
}

int op_output(struct op_call *call, int i, enum nn_type type, int rank,
              const int64_t *dims, struct err *err) {
    struct tensor *t = &call->outputs[i];
    size_t bytes = type_size(type);

    if (bytes == 0)
        return err_set(err, "%s of %s is not supported", call->node->op_type,
                       type_name(type));
    if (rank < 0 || rank > NN_MAX_RANK)
        return err_set(err, "%s gives a tensor of rank %d (at most %d)",
                       call->node->op_type, rank, NN_MAX_RANK);
    *t = (struct tensor){.type = type, .rank = rank};
    for (int k = 0; k < rank; k++) {
        if (dims[k] < 0)
            return err_set(err, "%s gives the dimension %lld",
                           call->node->op_type, (long long)dims[k]);
        if (dims[k] > 0 && (size_t)dims[k] > TENSOR_BYTES_MAX / bytes)
            return err_set(err, "%s gives a tensor that is too large",
                           call->node->op_type);
        if (dims[k] > 0)
            bytes *= (size_t)dims[k];
        t->dims[k] = dims[k];
    }
    return 0;
}

int op_known_ints(const struct op_call *call, int input, int64_t *ints,
                  int *count, int max, struct err *err) {
    const struct tensor *t = call->inputs[input];
    const char *name = call->node->op_type;

    if (!t->data)
        return err_set(err,
                       "%s needs its input %d to be a constant or to follow "
                       "from shapes alone",
                       name, input);
    if (t->type != NN_INT64 && t->type != NN_INT32)
        return err_set(err, "%s's input %d is %s, not integers", name, input,
                       type_name(t->type));
    if (t->rank > 1 || tensor_count(t) > (size_t)max)
        return err_set(err, "%s's input %d holds more than %d numbers", name,
                       input, max);
    *count = (int)tensor_count(t);
    for (int i = 0; i < *count; i++)
        ints[i] = t->type == NN_INT64 ? ((const int64_t *)t->data)[i]
                                      : ((const int32_t *)t->data)[i];
    return 0;
}

int op_axis(int64_t axis, int rank, int *out, struct err *err) {
    if (axis < -rank || axis >= rank)
        return err_set(err, "the axis %lld is outside of rank %d",
                       (long long)axis, rank);
    *out = (int)(axis < 0 ? axis + rank : axis);
    return 0;
}

int op_axes(const struct op_call *call, int rank, bool *given,
            bool marked[NN_MAX_RANK], struct err *err) {
    int64_t input[NN_MAX_RANK];
    const int64_t *axes = input;
    int count = 0;

    *given = op_has(call, 1) || node_attribute(call->node, "axes");
    memset(marked, 0, NN_MAX_RANK * sizeof *marked);
    if (!op_has(call, 1))
        count = node_ints(call->node, "axes", &axes);
    else if (op_known_ints(call, 1, input, &count, NN_MAX_RANK, err) < 0)
        return -1;
    for (int i = 0; i < count; i++) {
        int axis = 0;
        if (op_axis(axes[i], rank, &axis, err) < 0)
            return -1;
        if (marked[axis])
            return err_set(err, "%s has the axis %lld twice",
                           call->node->op_type, (long long)axes[i]);
        marked[axis] = true;
    }
    return 0;
}

int op_broadcast(const struct tensor *a, const struct tensor *b, int *rank,
                 int64_t dims[NN_MAX_RANK], struct err *err) {
    int out_rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t out[NN_MAX_RANK];

    for (int i = 0; i < out_rank; i++) {
        int in_a = i - (out_rank - a->rank), in_b = i - (out_rank - b->rank);
        int64_t da = in_a < 0 ? 1 : a->dims[in_a];
        int64_t db = in_b < 0 ? 1 : b->dims[in_b];
        if (da != db && da != 1 && db != 1) {
            char text_a[128], text_b[128];
            return err_set(err, "%s and %s cannot be broadcast together",
                           tensor_text(a, text_a, sizeof text_a),
                           tensor_text(b, text_b, sizeof text_b));
        }
        out[i] = da == 1 ? db : da;
    }
    *rank = out_rank;
    memcpy(dims, out, (size_t)out_rank * sizeof *out);
    return 0;
}
