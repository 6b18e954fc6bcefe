#include "models/nn/conv_layer.h"

#include "models/nn/window.h"

bool conv_layer_shape(const struct graph_node *node, const struct tensor *x,
                      const struct tensor *w, struct conv_shape *shape) {
    struct op_call call = {.op = node->op, .node = &node->node, .inputs = {x}};
    struct window window;
    if (w->rank != 4 || x->rank != 4 || x->dims[0] < 1 ||
        x->dims[0] > INT32_MAX || x->dims[1] > INT32_MAX ||
        w->dims[0] > INT32_MAX ||
        window_of(&call, w->dims + 2, &window, NULL) < 0)
        return false;
    *shape = (struct conv_shape){
        .channels_in = (int)x->dims[1],
        .height = (int)x->dims[2],
        .width = (int)x->dims[3],
        .channels_out = (int)w->dims[0],
        .kernel = {(int)window.kernel[0], (int)window.kernel[1]},
        .stride = {(int)window.stride[0], (int)window.stride[1]},
        .dilation = {(int)window.dilation[0], (int)window.dilation[1]},
        .pad_top = (int)window.before[0],
        .pad_left = (int)window.before[1],
        .pad_bottom = (int)window.after[0],
        .pad_right = (int)window.after[1],
        .groups = (int)node_int(&node->node, "group", 1),
        .out_height = (int)window.out[0],
        .out_width = (int)window.out[1],
    };
    return true;
}

bool linear_layer_takes(const struct tensor *x, int64_t inputs) {
    size_t count = tensor_count(x);
    return x->rank >= 2 && count > 0 && x->dims[x->rank - 1] == inputs &&
           count / (size_t)inputs <= INT32_MAX;
}

struct conv_shape linear_layer_shape(int64_t inputs, int64_t outputs) {
    return (struct conv_shape){.channels_in = (int)inputs,
                               .height = 1,
                               .width = 1,
                               .channels_out = (int)outputs,
                               .kernel = {1, 1},
                               .stride = {1, 1},
                               .dilation = {1, 1},
                               .groups = 1,
                               .out_height = 1,
                               .out_width = 1};
}

int64_t linear_layer_rows(const struct tensor *x) {
    return (int64_t)dims_count(x->dims, x->rank - 1);
}
