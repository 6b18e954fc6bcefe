/*
 * shapes: type and shape of every value of a graph for inputs of one size, and
 * the numbers of those that follow from shapes alone (Shape -> Gather ->
 * Concat, which exporters put in front of Reshape).
 *
 *     struct shapes shapes;
 *     if (shapes_infer(&shapes, graph, ports, &err) < 0) ...
 *     const struct tensor *t = &shapes.values[value->index];
 *     shapes_free(&shapes);
 *
 * t->data: the numbers are known, here or as the graph's constant.
 */
#ifndef CONVOY_NN_SHAPES_H
#define CONVOY_NN_SHAPES_H

#include "models/nn/graph.h"

struct shapes {
    const struct graph *graph;
    struct tensor *values; /* (graph->value_count); rank -1: not found */
};

/* ports[i] has the concrete dims of input i. */
int shapes_infer(struct shapes *shapes, const struct graph *graph,
                 const struct nn_port *ports, struct err *err);
void shapes_free(struct shapes *shapes);

/* Makes the numbers of a value unknown. */
void shapes_forget(struct shapes *shapes, const struct value *value);

#endif
