#include "tests/conformance/rows.h"

#include "models/nn/graph.h"
#include "models/nn/onnx.h"

#include <stdlib.h>
#include <string.h>

static int run_node(const struct graph *graph, const struct graph_node *node,
                    struct tensor *tensors, struct err *err) {
    struct op_call call;

    graph_call(graph, node, tensors, &call);
    if (node->op->infer(&call, err) < 0)
        return graph_error(graph, node, err);
    for (int i = 0; i < node->output_count; i++) {
        struct tensor *t = &tensors[node->outputs[i]->index];
        const struct tensor *out = &call.outputs[i];
        if (tensor_make(t, out->type, out->rank, out->dims, err) < 0)
            return -1;
        call.outputs[i] = *t;
    }
    /* Exactly what was asked for, so that a sanitizer sees one byte more. */
    const size_t scratch = node->op->scratch ? node->op->scratch(&call) : 0;
    call.scratch = scratch ? malloc(scratch) : NULL;
    if (scratch && !call.scratch)
        return err_set(err, "no memory");
    node->op->run(&call);
    free(call.scratch);
    return 0;
}

static int run_graph(const struct graph *graph, const struct example *e,
                     struct tensor *tensors, struct err *err) {
    for (int i = 0; i < graph->value_count; i++)
        tensors[i] = graph->values[i]->t;
    for (int i = 0; i < graph->input_count; i++)
        for (int k = 0; k < e->input_count; k++)
            if (strcmp(graph->inputs[i].name, e->names[k]) == 0)
                tensors[graph->input_values[i]->index] = e->inputs[k];
    for (int i = 0; i < graph->node_count; i++)
        if (run_node(graph, graph->nodes[i], tensors, err) < 0)
            return -1;
    for (int i = 0; i < e->output_count; i++)
        if (example_compare(e, i, &tensors[graph->output_values[i]->index],
                            err) < 0)
            return -1;
    return 0;
}

int rows_run(const struct example *e, struct err *err) {
    struct graph *graph = onnx_parse(e->model, e->size, err);
    if (!graph)
        return -1;
    struct tensor *tensors =
        calloc((size_t)graph->value_count, sizeof *tensors);
    const int rc =
        tensors ? run_graph(graph, e, tensors, err) : err_set(err, "no memory");
    for (int i = 0; tensors && i < graph->value_count; i++)
        if (graph->values[i]->producer)
            free(tensors[i].data);
    free(tensors);
    graph_free(graph);
    return rc;
}
