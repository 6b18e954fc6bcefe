#include "models/nn/graph.h"
#include "tests/unit/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

static struct graph *parse(struct network *net) {
    struct wire file = network_file(net);
    struct err err = {0};
    struct graph *graph = onnx_parse(file.data, file.size, &err);
    wire_free(&file);
    if (!graph)
        fail_msg("%s", err.text);
    return graph;
}

static struct network begin(void) {
    struct network net = {.opset = 13};
    network_input(&net, "x", 2, DIMS(-1, 4));
    return net;
}

static void graph_finds_values_by_name(void **state) {
    (void)state;
    struct err err = {0};
    struct graph *graph = graph_new(&err);
    char name[16];
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "value%d", i);
        assert_non_null(graph_value(graph, name, &err));
    }
    assert_int_equal(graph->value_count, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "value%d", i);
        const struct value *value = graph_find_value(graph, name);
        assert_non_null(value);
        assert_int_equal(value->index, i);
        assert_ptr_equal(graph_value(graph, name, &err), value);
    }
    assert_null(graph_find_value(graph, "value1000"));
    /* Nameless values are never the same. */
    const struct value *first = graph_value(graph, "", &err);
    assert_ptr_not_equal(graph_value(graph, "", &err), first);
    graph_free(graph);
}

static void graph_drops_what_nobody_needs(void **state) {
    (void)state;
    struct network net = begin();
    network_random(&net, "w", 2, DIMS(100, 100));
    network_node(&net, "Relu", "x", "y");
    network_node(&net, "Tanh", "x", "a");
    network_node(&net, "Exp", "a", "b");
    network_output(&net, "y");
    struct graph *graph = parse(&net);
    assert_int_equal(graph->node_count, 1);
    assert_null(graph_find_value(graph, "w")->t.data);
    assert_int_equal(graph->constant_bytes, 0);
    assert_int_equal(graph_find_value(graph, "x")->uses, 1);
    assert_int_equal(graph_find_value(graph, "a")->uses, 0);
    graph_free(graph);
}

static void graph_forwards_chains(void **state) {
    (void)state;
    struct network net = begin();
    network_node(&net, "Identity", "x", "a");
    network_node(&net, "Identity", "a", "b");
    network_node(&net, "Relu", "b", "y");
    network_node(&net, "Identity", "b", "z");
    network_output(&net, "y");
    network_output(&net, "z");
    struct graph *graph = parse(&net);
    struct err err = {0};
    assert_int_equal(graph_simplify(graph, &err), 0);
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->nodes[0]->inputs[0]->name, "x");
    assert_string_equal(graph->output_values[1]->name, "x");
    assert_string_equal(graph->outputs[1].name, "z");
    assert_int_equal(graph_find_value(graph, "x")->uses, 2);
    graph_free(graph);
}

static void graph_folds_constants(void **state) {
    (void)state;
    struct network net = begin();
    network_floats(&net, "a", 1, DIMS(2), (float[]){1.0f, 4.0f});
    network_scalar(&net, "b", 9.0f);
    network_node(&net, "Sqrt", "a", "r");
    network_node(&net, "Mul", "r,b", "m");
    network_node(&net, "Unsqueeze", "m,axes", "u");
    network_integers(&net, "axes", 1, DIMS(1));
    network_node(&net, "Add", "x,m", "y");
    network_node(&net, "Add", "u,u", "z");
    network_output(&net, "y");
    network_output(&net, "z");
    struct graph *graph = parse(&net);
    struct err err = {0};
    assert_int_equal(graph_fold(graph, &err), 0);
    assert_int_equal(graph->node_count, 1);
    const float *m = graph_find_value(graph, "m")->t.data;
    assert_float_equal(m[0], 9.0f, 0);
    assert_float_equal(m[1], 18.0f, 0);
    const struct tensor *z = &graph->output_values[1]->t;
    assert_int_equal(z->rank, 2);
    assert_float_equal(((const float *)z->data)[1], 36.0f, 0);
    assert_null(graph_find_value(graph, "a")->t.data); /* not needed any more */
    graph_free(graph);
}

static void refuse_fold(struct network *net, const char *why) {
    struct graph *graph = parse(net);
    struct err err = {0};
    assert_int_equal(graph_fold(graph, &err), -1);
    if (!strstr(err.text, why))
        fail_msg("the error says: %s", err.text);
    graph_free(graph);
}

/* A few bytes that ask for a terabyte. */
static void graph_bounds_what_it_folds(void **state) {
    (void)state;
    struct network net = begin();
    network_integers(&net, "s", 2, DIMS(1 << 18, 1 << 18));
    network_node(&net, "ConstantOfShape", "s", "c");
    network_node(&net, "Add", "x,c", "y");
    network_output(&net, "y");
    refuse_fold(&net, "node c");

    net = begin();
    network_integers(&net, "s", 1, DIMS(400 << 20));
    network_node(&net, "ConstantOfShape", "s", "c");
    network_node(&net, "ConstantOfShape", "s", "d");
    network_node(&net, "Add", "c,d", "y");
    network_output(&net, "y");
    refuse_fold(&net, "2048 MiB");
}

static void graph_names_the_node_that_cannot_be_folded(void **state) {
    (void)state;
    struct network net = begin();
    network_random(&net, "a", 1, DIMS(2));
    network_random(&net, "b", 1, DIMS(3));
    wire_text(network_node(&net, "Add", "a,b", "c"), 3, "/bad/add");
    network_node(&net, "Add", "x,c", "y");
    network_output(&net, "y");
    refuse_fold(&net, "node /bad/add (Add, opset 13)");
}

static void graph_guesses_ranks(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, DIMS(-1, 3, -1, -1));
    network_conv(&net, "x", "c", 3, 4, 3, true);
    network_node(&net, "GlobalAveragePool", "c", "g");
    network_node(&net, "Flatten", "g", "y");
    network_output(&net, "y");
    struct graph *graph = parse(&net);
    struct err err = {0};
    assert_int_equal(graph_guess_shapes(graph, &err), 0);
    assert_int_equal(graph_find_value(graph, "c")->t.rank, 4);
    assert_int_equal(graph_find_value(graph, "c")->t.dims[1], 4);
    assert_int_equal(graph_find_value(graph, "y")->t.rank, 2);
    assert_null(graph_find_value(graph, "y")->t.data);
    graph_free(graph);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(graph_finds_values_by_name),
        cmocka_unit_test(graph_drops_what_nobody_needs),
        cmocka_unit_test(graph_forwards_chains),
        cmocka_unit_test(graph_folds_constants),
        cmocka_unit_test(graph_bounds_what_it_folds),
        cmocka_unit_test(graph_names_the_node_that_cannot_be_folded),
        cmocka_unit_test(graph_guesses_ranks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
