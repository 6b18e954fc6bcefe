/* Concatenation of channels: what concat.c could not place is copied. */
#include "models/nn/plan.h"

#include <string.h>

static bool takes(const struct graph_node *node, const struct tensor *values) {
    int64_t axis = node_int(&node->node, "axis", 1);
    if (strcmp(node->node.op_type, "Concat") != 0 || (axis != 1 && axis != -3))
        return false;
    for (int i = 0; i < node->input_count; i++) {
        const struct tensor *x = &values[node->inputs[i]->index];
        if (x->type != values[node->inputs[0]->index].type || x->rank != 4 ||
            tensor_count(x) == 0)
            return false;
    }
    return true;
}

/* An input's rows, one a pixel or, plain, one an image; sizes in bytes. */
static void copy(size_t rows, size_t columns, const char *x, size_t x_pitch,
                 char *y, size_t y_pitch) {
    for (; rows > 0; rows--, x += x_pitch, y += y_pitch)
        memcpy(y, x, columns);
}

static void run(const struct step *step, struct tensor *tensors,
                void *scratch) {
    const struct tensor *y = &tensors[step->outputs[0]];
    size_t rows = (size_t)y->dims[0],
           pixels = (size_t)(y->dims[2] * y->dims[3]);
    bool last = y->layout == LAYOUT_CHANNELS_LAST;
    size_t each = type_size(y->type);
    size_t unit = last ? each : pixels * each, at = 0;
    size_t pitch =
        y->pitch ? (size_t)y->pitch * each : (size_t)y->dims[1] * unit;
    (void)scratch;

    for (int i = 0; i < step->input_count; i++) {
        const struct tensor *x = &tensors[step->inputs[i]];
        size_t columns = (size_t)x->dims[1] * unit;
        if (step->copied >> i & 1)
            copy(last ? rows * pixels : rows, columns, x->data,
                 x->pitch ? (size_t)x->pitch * each : columns,
                 (char *)y->data + at, pitch);
        at += columns;
    }
}

static const char *algorithm(const struct step *step) {
    return step->copied ? "copied" : "in place";
}

const struct step_kind step_concat = {.name = "concat",
                                      .layout = WANTS_ANY,
                                      .inputs = -1,
                                      .images_apart = true,
                                      .pitched_input = true,
                                      .pitched_output = true,
                                      .takes = takes,
                                      .run = run,
                                      .algorithm = algorithm,
                                      .flops = step_no_flops};

const struct step_kind *const step_kinds_concat[] = {&step_concat, NULL};
