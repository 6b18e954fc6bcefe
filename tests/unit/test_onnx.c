#include "models/nn/onnx.h"
#include "tests/unit/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* x (1, 2) -> Relu -> y, and whatever a test adds. */
static struct network simple(void) {
    struct network net = {.opset = 13};
    network_input(&net, "x", 2, DIMS(1, 2));
    network_node(&net, "Relu", "x", "y");
    network_output(&net, "y");
    return net;
}

static struct graph *parse(struct network *net, struct err *err) {
    struct wire file = network_file(net);
    struct graph *graph = onnx_parse(file.data, file.size, err);
    wire_free(&file);
    return graph;
}

/* The file is refused, and the sentence says `a` and `b`. */
static void refuse(struct network *net, const char *a, const char *b) {
    struct err err = {0};
    assert_null(parse(net, &err));
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("the error says: %s", err.text);
}

/* ---- tensors ------------------------------------------------------------ */

/* Adds `t` as an initialiser that x is added to, and returns its tensor. */
static void check_initialiser(struct wire *t, enum nn_type type,
                              const void *numbers, size_t bytes) {
    struct network net = {.opset = 13};
    struct err err = {0};
    network_input(&net, "x", 1, DIMS(2));
    wire_message(&net.rest, 5, t);
    network_node(&net, "Identity", "t", "y");
    network_output(&net, "y");
    struct graph *graph = parse(&net, &err);
    if (!graph)
        fail_msg("%s", err.text);
    const struct value *value = graph_find_value(graph, "t");
    assert_int_equal(value->t.type, type);
    assert_int_equal(tensor_bytes(&value->t), bytes);
    assert_memory_equal(value->t.data, numbers, bytes);
    graph_free(graph);
}

static void onnx_reads_raw_numbers(void **state) {
    (void)state;
    const float floats[] = {1.5f, -2.0f};
    const int64_t integers[] = {-3, 1LL << 40};
    const uint8_t bytes[] = {0, 255};
    const double doubles[] = {0.1, -1e300};
    struct {
        int data_type;
        enum nn_type type;
        const void *numbers;
        size_t size;
    } cases[] = {
        {1, NN_FLOAT32, floats, sizeof floats},
        {7, NN_INT64, integers, sizeof integers},
        {2, NN_UINT8, bytes, sizeof bytes},
        {11, NN_FLOAT64, doubles, sizeof doubles},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct wire t = network_tensor("t", cases[i].data_type, 1, DIMS(2));
        wire_bytes(&t, 9, cases[i].numbers, cases[i].size);
        check_initialiser(&t, cases[i].type, cases[i].numbers, cases[i].size);
    }
}

static void onnx_reads_typed_arrays(void **state) {
    (void)state;
    const float floats[] = {1.5f, -2.0f};
    struct wire t = network_tensor("t", 1, 1, DIMS(2));
    wire_bytes(&t, 4, floats, sizeof floats);
    check_initialiser(&t, NN_FLOAT32, floats, sizeof floats);

    const int8_t small[] = {-1, 100};
    t = network_tensor("t", 3, 1, DIMS(2));
    wire_varint(&t, 5, -1);
    wire_varint(&t, 5, 100);
    check_initialiser(&t, NN_INT8, small, sizeof small);

    const int64_t large[] = {-1, 1LL << 50};
    t = network_tensor("t", 7, 1, DIMS(2));
    wire_varint(&t, 7, -1);
    wire_varint(&t, 7, 1LL << 50);
    check_initialiser(&t, NN_INT64, large, sizeof large);
}

/* Bit patterns and values out of IEEE 754: the largest half, the smallest
 * subnormal half, one third rounded. */
static void onnx_widens_halves(void **state) {
    (void)state;
    const uint16_t halves[] = {0x7bff, 0x0001, 0x3555, 0xc000, 0xfc00, 0x8000};
    const float floats[] = {65504.0f,        5.9604644775390625e-08f,
                            0.333251953125f, -2.0f,
                            -INFINITY,       -0.0f};
    struct wire t = network_tensor("t", 10, 1, DIMS(6));
    wire_bytes(&t, 9, halves, sizeof halves);
    check_initialiser(&t, NN_FLOAT32, floats, sizeof floats);

    const uint16_t brains[] = {0x3f80, 0xc049};
    const float wide[] = {1.0f, -3.140625f};
    t = network_tensor("t", 16, 1, DIMS(2));
    wire_bytes(&t, 9, brains, sizeof brains);
    check_initialiser(&t, NN_FLOAT32, wide, sizeof wide);
}

static void refuse_tensor(struct wire *t, const char *why) {
    struct network net = simple();
    wire_message(&net.rest, 5, t);
    refuse(&net, "t", why);
}

static void onnx_refuses_bad_tensors(void **state) {
    (void)state;
    const float floats[2] = {0};
    struct wire t = network_tensor("t", 1, 1, DIMS(3));
    wire_bytes(&t, 9, floats, sizeof floats);
    refuse_tensor(&t, "12");

    t = network_tensor("t", 1, 2, DIMS(1LL << 40, 1LL << 40));
    wire_bytes(&t, 9, floats, sizeof floats);
    refuse_tensor(&t, "less than its shape");

    t = network_tensor("t", 1, 1, DIMS(-2));
    refuse_tensor(&t, "dimension -2");

    t = network_tensor("t", 1, 9, DIMS(1, 1, 1, 1, 1, 1, 1, 1, 1));
    wire_bytes(&t, 9, floats, sizeof *floats);
    refuse_tensor(&t, "9 dimensions");

    t = network_tensor("t", 8, 1, DIMS(2));
    refuse_tensor(&t, "type 8");

    t = network_tensor("t", 1, 1, DIMS(2));
    wire_varint(&t, 14, 1); /* data_location: EXTERNAL */
    refuse_tensor(&t, "another file");
}

/* What to do about it, too. */
static void onnx_refuses_external_data_by_name(void **state) {
    (void)state;
    const char *const words[] = {"layer.weight", "weights.bin",
                                 "(external_data)", "onnx.save()"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        struct wire t = network_tensor("layer.weight", 1, 1, DIMS(2));
        struct wire entry = {0};
        wire_text(&entry, 1, "location");
        wire_text(&entry, 2, "weights.bin");
        wire_message(&t, 13, &entry);
        wire_varint(&t, 14, 1); /* data_location: EXTERNAL */
        refuse_tensor(&t, words[i]);
    }
}

/* ---- the file ----------------------------------------------------------- */

static void onnx_reads_a_network(void **state) {
    (void)state;
    struct network net = simple();
    struct err err = {0};
    struct graph *graph = parse(&net, &err);
    assert_non_null(graph);
    assert_int_equal(graph->opset, 13);
    assert_int_equal(graph->node_count, 1);
    assert_string_equal(graph->nodes[0]->node.op_type, "Relu");
    assert_string_equal(graph->inputs[0].name, "x");
    assert_int_equal(graph->inputs[0].dims[1], 2);
    assert_string_equal(graph->producer, "test");
    graph_free(graph);
}

static void onnx_refuses_other_opsets(void **state) {
    (void)state;
    struct network net = simple();
    net.opset = 0;
    refuse(&net, "opset 0", "to 24");
    net = simple();
    net.opset = 25;
    refuse(&net, "opset 25", "to 24");
}

/* An output z as well, so that what writes it is needed. */
static struct network with_z(void) {
    struct network net = simple();
    network_output(&net, "z");
    return net;
}

static void onnx_names_what_it_lacks(void **state) {
    (void)state;
    struct network net = with_z();
    wire_text(network_node(&net, "Conjure", "x", "z"), 3, "/head/conjure");
    refuse(&net, "Conjure", "node /head/conjure (Conjure, opset 13)");

    net = with_z(); /* without a name: that of its output */
    network_node(&net, "Conjure", "x", "z");
    refuse(&net, "Conjure", "node z");

    net = with_z();
    wire_text(network_node(&net, "Relu", "x", "z"), 7, "com.example");
    refuse(&net, "domain com.example", "node z");

    net = with_z();
    wire_text(network_node(&net, "Conv", "x", "z"), 7, "com.microsoft.nchwc");
    refuse(&net, "optimised at the level", "node z");

    net = with_z();
    give_integer(network_node(&net, "Relu", "x", "z"), "magic", 1);
    refuse(&net, "magic", "node z");

    net = with_z();
    network_node(&net, "Relu", "x,x", "z");
    refuse(&net, "2", "node z");

    net = with_z(); /* the first input is left out */
    network_node(&net, "Add", ",x", "z");
    refuse(&net, "needs its input 0", "node z");

    net = with_z();
    network_node(&net, "Sum", "x,,x", "z");
    refuse(&net, "needs its input 1", "node z");
}

/* Conv of float64 images by float64 weights, and a Cast to float64. */
static void onnx_computes_networks_of_float64_in_float32(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    const double weights[] = {0.5, -0.25, 1e-300};
    struct err err = {0};
    network_port(&net, 11, "x", 11, 4, DIMS(1, 3, 2, 2));
    struct wire t = network_tensor("w", 11, 4, DIMS(1, 3, 1, 1));
    wire_bytes(&t, 9, weights, sizeof weights);
    wire_message(&net.rest, 5, &t);
    network_node(&net, "Conv", "x,w", "c");
    give_integer(network_node(&net, "Cast", "c", "y"), "to", 11);
    network_output(&net, "y");
    struct wire file = network_file(&net);
    struct nn_model *model = nn_load_memory(file.data, file.size, &err);
    if (!model)
        fail_msg("%s", err.text);
    wire_free(&file);
    assert_int_equal(nn_input(model, 0)->type, NN_FLOAT32);
    struct nn_session *s =
        nn_session_open(model, &(struct nn_options){0}, &err);
    assert_non_null(s);
    float *x = nn_session_input(s, 0);
    for (int i = 0; i < 12; i++)
        x[i] = (float)i;
    assert_int_equal(nn_session_run(s, 1, &err), 0);
    assert_int_equal(nn_session_output_port(s, 0)->type, NN_FLOAT32);
    const float *y = nn_session_output(s, 0);
    for (int i = 0; i < 4; i++)
        assert_true(y[i] == 0.5f * (float)i - 0.25f * (float)(4 + i));
    nn_session_close(s);
    nn_free(model);

    net = (struct network){.opset = 13};
    network_port(&net, 11, "x", 11, 4, DIMS(1, 3, 2, 2));
    network_node(&net, "GlobalAveragePool", "x", "y");
    network_output(&net, "y");
    file = network_file(&net);
    assert_null(nn_load_memory(file.data, file.size, &err));
    assert_non_null(strstr(err.text, "model.float()"));
    wire_free(&file);
}

static void refuse_model(struct network *net, const char *why) {
    struct err err = {0};
    struct wire file = network_file(net);
    assert_null(nn_load_memory(file.data, file.size, &err));
    if (!strstr(err.text, why))
        fail_msg("the error says: %s", err.text);
    wire_free(&file);
}

static void onnx_says_what_to_do_about_training(void **state) {
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct network net = {.opset = i == 2 ? 8 : 14};
        network_input(&net, "x", 4, DIMS(1, 3, 2, 2));
        network_random(&net, "n", 1, DIMS(3));
        struct wire *norm = network_node(&net, "BatchNormalization",
                                         "x,n,n,n,n", i ? "y" : "y,m,v");
        if (i > 0)
            give_integer(norm, i == 2 ? "spatial" : "training_mode", i == 1);
        network_output(&net, "y");
        refuse_model(&net, i == 2 ? "BatchNormalization of single features"
                                  : "call model.eval() before exporting");
    }
}

static void onnx_ignores_what_no_output_needs(void **state) {
    (void)state;
    struct network net = simple();
    struct err err = {0};
    network_node(&net, "Conjure", "x", "z");
    wire_text(network_node(&net, "Relu", "z", "u"), 7, "com.example");
    give_integer(network_node(&net, "Relu", "u", "v"), "magic", 1);
    struct graph *graph = parse(&net, &err);
    if (!graph)
        fail_msg("%s", err.text);
    assert_int_equal(graph->node_count, 1);
    graph_free(graph);
}

static void onnx_sorts_nodes(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    struct err err = {0};
    network_input(&net, "x", 2, DIMS(1, 2));
    network_node(&net, "Relu", "b", "y");
    network_node(&net, "Tanh", "a", "b");
    network_node(&net, "Exp", "x", "a");
    network_output(&net, "y");
    struct graph *graph = parse(&net, &err);
    assert_non_null(graph);
    assert_string_equal(graph->nodes[0]->node.op_type, "Exp");
    assert_string_equal(graph->nodes[2]->node.op_type, "Relu");
    graph_free(graph);
}

static void onnx_refuses_cycles(void **state) {
    (void)state;
    struct network net = simple();
    network_node(&net, "Add", "x,b", "a");
    network_node(&net, "Tanh", "a", "b");
    refuse(&net, "cycle", "node a");
}

static void onnx_refuses_loose_ends(void **state) {
    (void)state;
    struct network net = simple();
    network_node(&net, "Relu", "nowhere", "z");
    refuse(&net, "nowhere", "node z");

    net = simple();
    network_output(&net, "z");
    refuse(&net, "output", "z");

    net = simple();
    network_node(&net, "Tanh", "x", "y");
    refuse(&net, "y", "written already");

    net = simple();
    network_input(&net, "x", 1, DIMS(1));
    refuse(&net, "x", "twice");

    net = (struct network){.opset = 13};
    network_scalar(&net, "x", 1.0f);
    network_node(&net, "Relu", "x", "y");
    network_output(&net, "y");
    refuse(&net, "no input", "");
}

/* Files of IR 3 declare every initialiser as an input, too. */
static void onnx_takes_declared_initialisers_for_constants(void **state) {
    (void)state;
    struct network net = simple();
    struct err err = {0};
    network_scalar(&net, "c", 2.0f);
    network_input(&net, "c", 0, NULL);
    struct graph *graph = parse(&net, &err);
    assert_non_null(graph);
    assert_int_equal(graph->input_count, 1);
    graph_free(graph);
}

static void onnx_refuses_what_is_no_onnx(void **state) {
    (void)state;
    struct err err = {0};
    assert_null(onnx_parse("GIF89a not a model", 18, &err));
    assert_non_null(strstr(err.text, "not an ONNX file"));
    assert_null(onnx_parse("", 0, &err));
    assert_non_null(strstr(err.text, "not an ONNX file"));
}

/* Attributes hold graphs, which hold nodes, which hold attributes ...: a
 * reader that recurses runs out of stack. */
/* A million nodes of two bytes each, which would become structs. */
static void onnx_takes_no_more_memory_than_the_file_explains(void **state) {
    (void)state;
    enum { NODES = 1 << 20 };
    static uint8_t nodes[2 * NODES]; /* field 1, a message of no bytes */
    struct wire model = {0};
    struct err err = {0};
    for (int i = 0; i < NODES; i++)
        nodes[2 * i] = 1 << 3 | 2;
    wire_bytes(&model, 7, nodes, sizeof nodes);
    assert_null(onnx_parse(model.data, model.size, &err));
    assert_non_null(strstr(err.text, "too many small parts"));
    wire_free(&model);
}

static void onnx_refuses_deep_nesting(void **state) {
    (void)state;
    struct wire inner = {0};
    struct err err = {0};
    for (int i = 0; i < 2000; i++) {
        struct wire outer = {0};
        static const int fields[] = {5, 1, 6}; /* node, graph, attribute */
        wire_message(&outer, fields[i % 3], &inner);
        inner = outer;
    }
    struct wire file = {0};
    wire_message(&file, 7, &inner);
    assert_null(onnx_parse(file.data, file.size, &err));
    assert_non_null(strstr(err.text, "deep"));
    wire_free(&file);
}

/* ---- damage ------------------------------------------------------------- */

static struct wire small_network(void) {
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, DIMS(-1, 3, 8, 8));
    network_conv(&net, "x", "c", 3, 4, 3, true);
    network_batch_norm(&net, "c", "n", 4);
    network_node(&net, "Relu", "n", "r");
    network_node(&net, "GlobalAveragePool", "r", "g");
    network_node(&net, "Flatten", "g", "f");
    network_random(&net, "w", 2, DIMS(4, 5));
    network_node(&net, "MatMul", "f,w", "y");
    network_output(&net, "y");
    return network_file(&net);
}

/* Loads, runs where that loads, and looks at nothing but that it ends. */
static void try_file(const void *data, size_t size) {
    struct err err = {0};
    struct nn_model *model = nn_load_memory(data, size, &err);
    if (!model) {
        assert_true(strlen(err.text) > 0);
        return;
    }
    struct nn_session *s =
        nn_session_open(model, &(struct nn_options){.batch_max = 2}, &err);
    if (s)
        nn_session_run(s, 2, &err);
    nn_session_close(s);
    nn_free(model);
}

static void onnx_survives_truncation(void **state) {
    (void)state;
    struct wire file = small_network();
    for (size_t size = 0; size < file.size; size++) {
        /* A copy of just that size, so that a sanitizer sees the end. */
        unsigned char *cut = malloc(size + !size);
        memcpy(cut, file.data, size);
        try_file(cut, size);
        free(cut);
    }
    wire_free(&file);
}

static void onnx_survives_changed_bytes(void **state) {
    (void)state;
    struct wire file = small_network();
    uint32_t seed = 7;
    for (size_t at = 0; at < file.size; at++) {
        unsigned char was = file.data[at];
        file.data[at] = (unsigned char)(network_noise(&seed) * 128.0f + 128.0f);
        try_file(file.data, file.size);
        file.data[at] = was;
    }
    wire_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(onnx_reads_raw_numbers),
        cmocka_unit_test(onnx_reads_typed_arrays),
        cmocka_unit_test(onnx_widens_halves),
        cmocka_unit_test(onnx_refuses_bad_tensors),
        cmocka_unit_test(onnx_refuses_external_data_by_name),
        cmocka_unit_test(onnx_reads_a_network),
        cmocka_unit_test(onnx_refuses_other_opsets),
        cmocka_unit_test(onnx_names_what_it_lacks),
        cmocka_unit_test(onnx_computes_networks_of_float64_in_float32),
        cmocka_unit_test(onnx_says_what_to_do_about_training),
        cmocka_unit_test(onnx_ignores_what_no_output_needs),
        cmocka_unit_test(onnx_sorts_nodes),
        cmocka_unit_test(onnx_refuses_cycles),
        cmocka_unit_test(onnx_refuses_loose_ends),
        cmocka_unit_test(onnx_takes_declared_initialisers_for_constants),
        cmocka_unit_test(onnx_refuses_what_is_no_onnx),
        cmocka_unit_test(onnx_takes_no_more_memory_than_the_file_explains),
        cmocka_unit_test(onnx_refuses_deep_nesting),
        cmocka_unit_test(onnx_survives_truncation),
        cmocka_unit_test(onnx_survives_changed_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
