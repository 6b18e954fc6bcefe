/* Steps that go over numbers one by one, with what follows them. */
#include "models/nn/plan.h"
#include "models/nn/vmath.h"

#include <string.h>

static bool is(const struct graph_node *node, const char *op_type) {
    return strcmp(node->node.op_type, op_type) == 0;
}

static const struct tensor *input(const struct graph_node *node, int i,
                                  const struct tensor *values) {
    return i < node->input_count && node->inputs[i]
               ? &values[node->inputs[i]->index]
               : NULL;
}

/* ---- activation --------------------------------------------------------- */

static bool takes_activation(const struct graph_node *node,
                             const struct tensor *values) {
    const struct tensor *x = input(node, 0, values);
    struct activation a;
    return x && x->type == NN_FLOAT32 && graph_activation(node, &a);
}

static int open_activation(struct step *step, const struct tensor *tensors,
                           struct err *err) {
    (void)tensors;
    if (!graph_activation(step->node, &step->activation))
        return err_set(err, "is no activation");
    return 0;
}

static void run_activation(const struct step *step, struct tensor *tensors,
                           void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    vmath_activate(&step->activation, x->data, tensors[step->outputs[0]].data,
                   tensor_count(x));
    (void)scratch;
}

/* ---- two of the same shape ---------------------------------------------- */

static bool same_floats(const struct graph_node *node,
                        const struct tensor *values) {
    const struct tensor *a = input(node, 0, values),
                        *b = input(node, 1, values);
    return node->input_count == 2 && a && b && a->type == NN_FLOAT32 &&
           b->type == NN_FLOAT32 && tensor_same_shape(a, b);
}

static bool takes_add(const struct graph_node *node,
                      const struct tensor *values) {
    return (is(node, "Add") || is(node, "Sum")) && same_floats(node, values);
}

static bool takes_mul(const struct graph_node *node,
                      const struct tensor *values) {
    return is(node, "Mul") && same_floats(node, values);
}

static void run_pair(const struct step *step, struct tensor *tensors,
                     void *scratch) {
    const struct tensor *a = &tensors[step->inputs[0]];
    const struct tensor *b = &tensors[step->inputs[1]];
    (is(step->node, "Mul") ? vmath_mul : vmath_add)(
        a->data, b->data, tensors[step->outputs[0]].data, tensor_count(a),
        &step->activation);
    (void)scratch;
}

/* ---- by channel --------------------------------------------------------- */

static bool takes_scale_shift(const struct graph_node *node,
                              const struct tensor *values) {
    const struct tensor *x = input(node, 0, values);
    return is(node, "ScaleShift") && (x->rank == 2 || x->rank == 4);
}

static void run_scale_shift(const struct step *step, struct tensor *tensors,
                            void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    size_t channels = (size_t)x->dims[1];
    vmath_scale_shift(x->data, x->pitch ? (size_t)x->pitch : channels,
                      tensors[step->outputs[0]].data,
                      channels > 0 ? tensor_count(x) / channels : 0, channels,
                      step->node->inputs[1]->t.data,
                      step->node->inputs[2]->t.data, &step->activation);
    (void)scratch;
}

/* x (N, C, H, W) times a gate (N, C, 1, 1): squeeze and excitation. */
static bool is_gate(const struct tensor *x, const struct tensor *gate) {
    return x->rank == 4 && gate->rank == 4 && x->dims[0] == gate->dims[0] &&
           x->dims[1] == gate->dims[1] && gate->dims[2] == 1 &&
           gate->dims[3] == 1;
}

static bool takes_gate(const struct graph_node *node,
                       const struct tensor *values) {
    const struct tensor *a = input(node, 0, values),
                        *b = input(node, 1, values);
    return is(node, "Mul") && a->type == NN_FLOAT32 && b->type == NN_FLOAT32 &&
           (is_gate(a, b) || is_gate(b, a));
}

static void run_gate(const struct step *step, struct tensor *tensors,
                     void *scratch) {
    const struct tensor *x = &tensors[step->inputs[0]];
    const struct tensor *gate = &tensors[step->inputs[1]];
    if (!is_gate(x, gate)) {
        x = &tensors[step->inputs[1]];
        gate = &tensors[step->inputs[0]];
    }
    size_t channels = (size_t)x->dims[1];
    size_t pixels = (size_t)(x->dims[2] * x->dims[3]);
    float *y = tensors[step->outputs[0]].data;
    for (int64_t n = 0; n < x->dims[0]; n++) {
        size_t at = (size_t)n * pixels * channels;
        vmath_scale_shift((const float *)x->data + at, channels, y + at, pixels,
                          channels,
                          (const float *)gate->data + (size_t)n * channels,
                          NULL, &step->activation);
    }
    (void)scratch;
}

static const struct step_kind activation = {.name = "activation",
                                            .layout = WANTS_ANY,
                                            .inputs = 1,
                                            .in_place = true,
                                            .images_apart = true,
                                            .takes = takes_activation,
                                            .open = open_activation,
                                            .run = run_activation,
                                            .flops = step_output_flops};

static const struct step_kind add = {.name = "add",
                                     .layout = WANTS_ANY,
                                     .inputs = 2,
                                     .fuses_activation = true,
                                     .in_place = true,
                                     .images_apart = true,
                                     .takes = takes_add,
                                     .run = run_pair,
                                     .flops = step_output_flops};

static const struct step_kind mul = {.name = "mul",
                                     .layout = WANTS_ANY,
                                     .inputs = 2,
                                     .fuses_activation = true,
                                     .in_place = true,
                                     .images_apart = true,
                                     .takes = takes_mul,
                                     .run = run_pair,
                                     .flops = step_output_flops};

static const struct step_kind scale_shift = {.name = "scale-shift",
                                             .layout = WANTS_CHANNELS_LAST,
                                             .inputs = 1,
                                             .fuses_activation = true,
                                             .in_place = true,
                                             .images_apart = true,
                                             .pitched_input = true,
                                             .takes = takes_scale_shift,
                                             .run = run_scale_shift,
                                             .flops = step_output_flops};

static const struct step_kind gate = {.name = "gate",
                                      .layout = WANTS_CHANNELS_LAST,
                                      .inputs = 2,
                                      .fuses_activation = true,
                                      .in_place = true,
                                      .images_apart = true,
                                      .takes = takes_gate,
                                      .run = run_gate,
                                      .flops = step_output_flops};

const struct step_kind *const step_kinds_vector[] = {&activation,  &add,  &mul,
                                                     &scale_shift, &gate, NULL};
