/*
 * If: the nodes of the branch that is taken go where the If was. Which one that
 * is follows from the file, or from shapes: PyTorch's exporter asks what rank a
 * tensor has, and how large it is. Where sizes are left open, that is decided
 * for the nominal size; every plan then sees to it that it is so for its sizes,
 * too (Branch, which gives its input 0 where input 1 is as it was).
 */
#include "models/nn/number.h"
#include "models/nn/onnx_reader.h"
#include "models/nn/shapes.h"

#include <stdlib.h>
#include <string.h>

#define CHOICES_MAX 64 /* that are looked for in shapes */

/* ---- Branch ------------------------------------------------------------- */

static int infer_branch(struct op_call *call, struct err *err) {
    const struct tensor *x = call->inputs[0], *condition = call->inputs[1];
    const bool *taken = call->op->kernel;
    if (!condition->data)
        return err_set(err, "which branch is taken (If) is not known before "
                            "the network runs: export it with inputs of fixed "
                            "sizes, or simplify it with onnxsim");
    if ((number_at(condition, 0) != 0) != *taken)
        return err_set(err, "another branch is taken (If) at this size of the "
                            "inputs than at the nominal one: export the "
                            "network with inputs of fixed sizes");
    return op_output(call, 0, x->type, x->rank, x->dims, err);
}

static void run_branch(struct op_call *call) {
    if (call->inputs[0]->data != call->outputs[0].data)
        memcpy(call->outputs[0].data, call->inputs[0]->data,
               tensor_bytes(call->inputs[0]));
}

#define BRANCH(which)                                                          \
    {                                                                          \
        .name = "Branch", .since = 1, .inputs_min = 2, .inputs_max = 2,        \
        .outputs_max = 1, .traits = OP_VIEW, .infer = infer_branch,            \
        .run = run_branch, .kernel = &(const bool) {                           \
            which                                                              \
        }                                                                      \
    }

static const struct op branches[] = {BRANCH(false), BRANCH(true)};

/* ---- the condition ------------------------------------------------------ */

/* The nodes so far that `value` depends on, in their order; free() them. */
static struct graph_node **cone(const struct graph *graph,
                                const struct value *value, int *count) {
    const size_t most = (size_t)graph->node_count + 1;
    struct graph_node **nodes = calloc(most, sizeof *nodes);
    bool *wanted = calloc((size_t)graph->value_count, sizeof *wanted);
    size_t at = most;
    if (nodes && wanted)
        wanted[value->index] = true;
    for (int i = graph->node_count - 1; nodes && wanted && i >= 0; i--) {
        struct graph_node *node = graph->nodes[i];
        bool needed = false;
        for (int k = 0; k < node->output_count; k++)
            needed = needed || wanted[node->outputs[k]->index];
        for (int k = 0; needed && k < node->input_count; k++)
            if (node->inputs[k])
                wanted[node->inputs[k]->index] = true;
        if (needed)
            nodes[--at] = node;
    }
    *count = (int)(most - at);
    if (nodes)
        memmove(nodes, nodes + at, (most - at) * sizeof *nodes);
    free(wanted);
    return nodes;
}

/* 1: known, for the nominal size; 0: not, and `why` says so. */
static int from_shapes(const struct graph *graph, const struct value *condition,
                       bool *taken, struct err *why, struct err *err) {
    struct nn_port ports[GRAPH_PORTS_MAX];
    struct graph view = *graph;
    struct shapes shapes = {0};
    int rc = 0;

    view.nodes = cone(graph, condition, &view.node_count);
    if (!view.nodes)
        return err_set(err, "no memory for %d nodes", graph->node_count);
    for (int i = 0; i < graph->input_count; i++)
        graph_nominal_port(&graph->inputs[i], &ports[i]);
    if (shapes_infer(&shapes, &view, ports, why) == 0) {
        const struct tensor *t = &shapes.values[condition->index];
        rc = t->data && t->type == NN_BOOL && tensor_count(t) == 1;
        if (rc == 1)
            *taken = number_at(t, 0) != 0;
        else
            err_set(why, "which branch is taken depends on the numbers of an "
                         "input, which is not supported: simplify the network "
                         "with onnxsim, or export it with inputs of fixed "
                         "sizes");
        shapes_free(&shapes);
    }
    free(view.nodes);
    return rc;
}

/* 1: *taken, and *sure where that does not depend on sizes. */
static int decide(struct onnx_reader *r, const struct value *condition,
                  bool *taken, bool *sure, struct err *why, struct err *err) {
    const struct tensor *t = &condition->t;
    *sure = t->data != NULL;
    if (!t->data) {
        if (++r->choices > CHOICES_MAX)
            return err_set(why,
                           "chooses between branches (If) more than %d "
                           "times: simplify it with onnxsim",
                           CHOICES_MAX),
                   0;
        return from_shapes(r->graph, condition, taken, why, err);
    }
    if (t->type != NN_BOOL || tensor_count(t) != 1)
        return err_set(why, "the condition is not one bool"), 0;
    *taken = number_at(t, 0) != 0;
    return 1;
}

/* ---- the branch --------------------------------------------------------- */

static const Onnx__GraphProto *branch_of(const Onnx__NodeProto *proto,
                                         const char *name) {
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (strcmp(onnx_text(proto->attribute[i]->name), name) == 0)
            return proto->attribute[i]->g;
    return NULL;
}

static int read_branch(struct onnx_reader *r, const struct onnx_scope *scope,
                       const Onnx__NodeProto *proto,
                       const Onnx__GraphProto *branch, struct value *condition,
                       const struct op *op, struct err *err) {
    if (onnx_initialisers(r, scope, branch, err) < 0 ||
        onnx_nodes(r, scope, branch->node, branch->n_node, err) < 0)
        return -1;
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = onnx_text(proto->output[i]);
        if (!*name)
            continue;
        struct value *inputs[] = {
            onnx_value(r, scope, onnx_text(branch->output[i]->name), err),
            condition};
        struct value *output = onnx_value(r, scope, name, err);
        if (!inputs[0] || !output)
            return err_set(err, "a branch of %s gives no %s",
                           onnx_text(proto->name), name);
        if (onnx_add_node(r, op, inputs, op->inputs_max, output, err) < 0)
            return -1;
    }
    return 0;
}

int onnx_branch(struct onnx_reader *r, const struct onnx_scope *scope,
                const Onnx__NodeProto *proto, struct err *why,
                struct err *err) {
    bool taken = false, sure = false;
    if (*why->text || strcmp(onnx_text(proto->op_type), "If") != 0 ||
        !onnx_is_default_domain(proto->domain) || proto->n_input != 1)
        return 0;
    struct value *condition =
        onnx_value(r, scope, onnx_text(proto->input[0]), err);
    if (!condition)
        return 0;
    int rc = decide(r, condition, &taken, &sure, why, err);
    if (rc != 1)
        return rc;
    const Onnx__GraphProto *branch =
        branch_of(proto, taken ? "then_branch" : "else_branch");
    if (!branch || branch->n_output != proto->n_output)
        return err_set(why, "has no such branch as its condition asks for"), 0;
    const struct op *op =
        sure ? op_find("Identity", scope->opset, err) : &branches[taken];
    return !op || read_branch(r, scope, proto, branch, condition, op, err) < 0
               ? -1
               : 1;
}
