#include "models/nn/onnx.h"
#include "models/nn/plan.h"
#include "tests/unit/session_check.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define BATCH 5
#define SIDE 120 /* 16 channels of it are 0.9 MB: two leave the cache */

/* A convolution of stride 4, to maps that are small again. */
static void shrink(struct network *net, const char *in, const char *out,
                   int from, int to) {
    struct wire *node = network_conv(net, in, out, from, to, 3, true);
    give_ints(node, "strides", 2, DIMS(4, 4));
}

/* Large maps with a residual addition, a concatenation and a gate; then small
 * ones, and classes. */
static struct network classifier(void) {
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, DIMS(-1, 3, SIDE, SIDE));
    network_conv(&net, "x", "a", 3, 16, 3, true);
    network_node(&net, "Relu", "a", "b");
    network_conv(&net, "b", "c", 16, 16, 1, false);
    network_node(&net, "Add", "c,b", "d");
    give_integer(network_node(&net, "Concat", "d,b", "e"), "axis", 1);
    network_node(&net, "GlobalAveragePool", "e", "g");
    network_node(&net, "Sigmoid", "g", "h");
    network_node(&net, "Mul", "e,h", "i");
    shrink(&net, "i", "j", 32, 8);
    shrink(&net, "j", "k", 8, 8);
    network_node(&net, "GlobalAveragePool", "k", "l");
    network_node(&net, "Flatten", "l", "m");
    network_random(&net, "w", 2, DIMS(8, 4));
    network_random(&net, "v", 1, DIMS(4));
    network_node(&net, "Gemm", "m,w,v", "y");
    network_output(&net, "y");
    return net;
}

/* Images at a time of the steps that begin with node a and node z. */
static void check_images(struct network *net, int of_a, int of_z) {
    struct wire file = network_file(net);
    struct err err = {0};
    struct graph *graph = onnx_parse(file.data, file.size, &err);
    struct plan *plan = NULL;
    int step = 0;
    if (graph) {
        struct nn_port port = graph->inputs[0];
        port.dims[0] = BATCH;
        plan = plan_build(graph, &port, BATCH, NULL, &err);
    }
    if (!plan)
        fail_msg("%s", err.text);
    for (int i = 0; i < plan->stretch_count; i++) {
        const struct stretch *stretch = &plan->stretches[i];
        assert_int_equal(stretch->first, step);
        for (; step < stretch->end; step++) {
            const char *output = plan->steps[step].output->name;
            if (strcmp(output, "a") == 0)
                assert_int_equal(stretch->images, of_a);
            if (strcmp(output, "z") == 0)
                assert_int_equal(stretch->images, of_z);
        }
    }
    assert_int_equal(step, plan->step_count);
    plan_free(plan);
    graph_free(graph);
    wire_free(&file);
}

static void stretch_gives_the_same_numbers(void **state) {
    (void)state;
    struct network net = classifier();
    check_network(&net, BATCH, 4, DIMS(-1, 3, SIDE, SIDE), NULL);
}

static void stretch_divides_large_maps_alone(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, DIMS(-1, 3, SIDE, SIDE));
    network_conv(&net, "x", "a", 3, 32, 3, true);
    network_conv(&net, "a", "b", 32, 32, 3, true);
    shrink(&net, "b", "c", 32, 64);
    shrink(&net, "c", "d", 64, 64);
    network_conv(&net, "d", "e", 64, 512, 3, true);
    network_conv(&net, "e", "z", 512, 64, 3, true);
    network_output(&net, "z");
    check_images(&net, 1, BATCH);
}

static void stretch_keeps_small_maps_together(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, DIMS(-1, 3, 8, 8));
    network_conv(&net, "x", "a", 3, 32, 3, true);
    network_conv(&net, "a", "z", 32, 32, 3, true);
    network_output(&net, "z");
    check_images(&net, BATCH, BATCH);
}

/* A mean over images needs all of them. */
static void stretch_leaves_whole_what_mixes_images(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, DIMS(-1, 3, SIDE, SIDE));
    network_conv(&net, "x", "a", 3, 32, 3, true);
    give_ints(network_node(&net, "ReduceMean", "a", "b"), "axes", 1, DIMS(0));
    network_node(&net, "Sub", "a,b", "c");
    network_conv(&net, "c", "d", 32, 32, 3, true);
    shrink(&net, "d", "y", 32, 8);
    network_output(&net, "y");
    check_network(&net, BATCH, 4, DIMS(-1, 3, SIDE, SIDE), NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stretch_gives_the_same_numbers),
        cmocka_unit_test(stretch_divides_large_maps_alone),
        cmocka_unit_test(stretch_keeps_small_maps_together),
        cmocka_unit_test(stretch_leaves_whole_what_mixes_images),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
