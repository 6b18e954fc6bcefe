/*
 * conv_layer: layers of a graph in the words of conv.h, whatever their numbers
 * are.
 *
 *     struct conv_shape shape;
 *     if (!conv_layer_shape(node, x, w, &shape)) ... not of two dimensions
 *     conv_open(&shape, ...) or qconv_open(&shape, ...)
 *
 * A product by constant weights is a 1x1 convolution of 1x1 maps, one for each
 * row of x:
 *
 *     if (!linear_layer_takes(x, inputs)) ...
 *     shape = linear_layer_shape(inputs, outputs);
 *     batch = linear_layer_rows(x);
 */
#ifndef CONVOY_NN_CONV_LAYER_H
#define CONVOY_NN_CONV_LAYER_H

#include "models/nn/conv.h"
#include "models/nn/graph.h"

/* Of a node with the attributes of Conv, over x (N, C, H, W) with weights w.
 * False where that is no convolution of two dimensions. */
bool conv_layer_shape(const struct graph_node *node, const struct tensor *x,
                      const struct tensor *w, struct conv_shape *shape);

/* inputs, outputs: each within int32. */
bool linear_layer_takes(const struct tensor *x, int64_t inputs);
struct conv_shape linear_layer_shape(int64_t inputs, int64_t outputs);
int64_t linear_layer_rows(const struct tensor *x);

#endif
