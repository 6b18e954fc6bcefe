#include "models/nn/graph.h"

#include <stdlib.h>

static bool inputs_are_constant(const struct graph_node *node) {
    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && !node->inputs[i]->t.data)
            return false;
    return true;
}

/* Gives every output memory, within the bound for constants. */
static int make_outputs(struct graph *graph, struct op_call *call,
                        struct err *err) {
    for (int i = 0; i < call->output_count; i++) {
        const struct tensor t = call->outputs[i];
        if (graph_reserve(graph, tensor_bytes(&t), err) < 0 ||
            tensor_make(&call->outputs[i], t.type, t.rank, t.dims, err) < 0)
            return -1;
    }
    return 0;
}

static int fold(struct graph *graph, struct graph_node *node, struct err *err) {
    struct op_call call;
    int rc = -1;

    for (int i = 0; i < node->input_count; i++)
        if (node->inputs[i] && graph_copy_in(node->inputs[i], err) < 0)
            return graph_error(graph, node, err);
    graph_call(graph, node, NULL, &call);
    if (node->op->infer(&call, err) < 0 ||
        make_outputs(graph, &call, err) < 0 || op_run_alone(&call, err) < 0)
        goto fail;
    for (int i = 0; i < node->output_count; i++) {
        node->outputs[i]->t = call.outputs[i];
        node->outputs[i]->producer = NULL;
        call.outputs[i].data = NULL; /* the value's now */
    }
    node->op = NULL;
    rc = 0;
fail:
    for (int i = 0; i < call.output_count; i++)
        free(call.outputs[i].data);
    return rc < 0 ? graph_error(graph, node, err) : 0;
}

int graph_fold(struct graph *graph, struct err *err) {
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        if (node->op && inputs_are_constant(node) && fold(graph, node, err) < 0)
            return -1;
    }
    graph_tidy(graph);
    return 0;
}
