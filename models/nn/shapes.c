#include "models/nn/shapes.h"

#include <stdlib.h>
#include <string.h>

/* Numbers that follow from shapes are few; what is larger is computed when the
 * network runs. */
#define KNOWN_BYTES_MAX ((size_t)1 << 16)

static bool is_known(const struct op_call *call) {
    size_t bytes = 0;
    for (int i = 0; i < call->output_count; i++)
        bytes += tensor_bytes(&call->outputs[i]);
    if (bytes > KNOWN_BYTES_MAX)
        return false;
    if (call->op->traits & OP_SHAPE_ONLY)
        return true;
    for (int i = 0; i < call->input_count; i++)
        if (call->inputs[i] &&
            (!call->inputs[i]->data || call->inputs[i]->in_file))
            return false;
    return true;
}

static int compute(struct op_call *call, struct err *err) {
    int made = 0;
    for (; made < call->output_count; made++) {
        const struct tensor t = call->outputs[made];
        if (tensor_make(&call->outputs[made], t.type, t.rank, t.dims, err) < 0)
            break;
    }
    if (made == call->output_count && op_run_alone(call, err) == 0)
        return 0;
    while (made-- > 0)
        tensor_free(&call->outputs[made]);
    return -1;
}

static bool inputs_are_found(const struct op_call *call) {
    for (int i = 0; i < call->input_count; i++)
        if (call->inputs[i] && call->inputs[i]->rank < 0)
            return false;
    return true;
}

static int infer_node(struct shapes *shapes, const struct graph_node *node,
                      struct err *err) {
    struct op_call call;
    graph_call(shapes->graph, node, shapes->values, &call);
    if (!inputs_are_found(&call))
        return err_set(err, "reads a value whose shape is not known");
    if (node->op->infer(&call, err) < 0 ||
        (is_known(&call) && compute(&call, err) < 0))
        return -1;
    for (int i = 0; i < node->output_count; i++)
        shapes->values[node->outputs[i]->index] = call.outputs[i];
    return 0;
}

static int start(struct shapes *shapes, const struct graph *graph,
                 const struct nn_port *ports, struct err *err) {
    shapes->graph = graph;
    shapes->values =
        calloc((size_t)graph->value_count + 1, sizeof *shapes->values);
    if (!shapes->values)
        return err_set(err, "no memory for %d shapes", graph->value_count);
    for (int i = 0; i < graph->value_count; i++) {
        shapes->values[i] = graph->values[i]->t;
        if (!graph->values[i]->t.data)
            shapes->values[i].rank = -1;
    }
    for (int i = 0; i < graph->input_count; i++) {
        struct op_call call = {.node = &(struct node){.op_type = "the input"}};
        if (op_output(&call, 0, ports[i].type, ports[i].rank, ports[i].dims,
                      err) < 0)
            return err_prefix(err, "%s", ports[i].name);
        shapes->values[graph->input_values[i]->index] = call.outputs[0];
    }
    return 0;
}

int shapes_infer(struct shapes *shapes, const struct graph *graph,
                 const struct nn_port *ports, struct err *err) {
    if (start(shapes, graph, ports, err) < 0)
        goto fail;
    for (int i = 0; i < graph->node_count; i++)
        if (infer_node(shapes, graph->nodes[i], err) < 0) {
            graph_error(graph, graph->nodes[i], err);
            goto fail;
        }
    return 0;
fail:
    shapes_free(shapes);
    return -1;
}

void shapes_forget(struct shapes *shapes, const struct value *value) {
    struct tensor *t = &shapes->values[value->index];
    if (t->data != value->t.data)
        free(t->data);
    t->data = value->t.data;
}

void shapes_free(struct shapes *shapes) {
    for (int i = 0; shapes->values && i < shapes->graph->value_count; i++)
        shapes_forget(shapes, shapes->graph->values[i]);
    free(shapes->values);
    *shapes = (struct shapes){0};
}

void graph_nominal_port(const struct nn_port *declared, struct nn_port *out) {
    static const int64_t image[] = {1, 3, 224, 224};
    *out = *declared;
    for (int i = 0; i < out->rank; i++)
        if (out->dims[i] < 0)
            out->dims[i] = out->rank == 4 ? image[i] : 1;
}

int graph_guess_shapes(struct graph *graph, struct err *err) {
    struct nn_port ports[GRAPH_PORTS_MAX];
    struct shapes shapes;

    for (int i = 0; i < graph->input_count; i++)
        graph_nominal_port(&graph->inputs[i], &ports[i]);
    if (start(&shapes, graph, ports, err) < 0) {
        shapes_free(&shapes);
        return -1;
    }
    for (int i = 0; i < graph->node_count; i++) {
        struct graph_node *node = graph->nodes[i];
        if (infer_node(&shapes, node, NULL) < 0)
            continue; /* planning for a real size says what is wrong */
        for (int k = 0; k < node->output_count; k++) {
            struct tensor *t = &node->outputs[k]->t;
            *t = shapes.values[node->outputs[k]->index];
            t->data = NULL; /* known for this size only */
        }
    }
    shapes_free(&shapes);
    return 0;
}
