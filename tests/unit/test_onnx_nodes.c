/*
 * Nodes that stand for others: calls of functions, operators of com.microsoft,
 * and If. Each network is compared with one that has the others themselves.
 */
#include "tests/unit/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define NUMBERS 1024

/* ---- files -------------------------------------------------------------- */

static struct network start(int64_t opset) {
    struct network net = {.opset = opset, .seed = 5};
    network_input(&net, "x", 4, DIMS(-1, 3, 4, 5));
    network_output(&net, "y");
    return net;
}

static struct wire *microsoft(struct network *net, const char *op_type,
                              const char *inputs, const char *outputs) {
    struct wire *node = network_node(net, op_type, inputs, outputs);
    wire_text(node, 7, "com.microsoft");
    return node;
}

static void give_numbers(struct wire *node, const char *name, int count,
                         const float *numbers) {
    struct wire a = {0};
    wire_text(&a, 1, name);
    for (int i = 0; i < count; i++)
        wire_float(&a, 7, numbers[i]);
    wire_varint(&a, 20, 6);
    wire_message(node, 5, &a);
}

/* The node's attribute is the call's of that name. */
static void give_reference(struct wire *node, const char *name) {
    struct wire a = {0};
    wire_text(&a, 1, name);
    wire_text(&a, 21, name);
    wire_varint(&a, 20, 1);
    wire_message(node, 5, &a);
}

/* A function "mine.NAME" of `net`'s nodes (which are taken out of it) with the
 * input "a", the output "b" and the attribute "alpha". */
static struct wire function_of(struct network *net, const char *name) {
    struct wire f = {0}, opset = {0};
    wire_text(&f, 1, name);
    wire_text(&f, 4, "a");
    wire_text(&f, 5, "b");
    wire_text(&f, 6, "alpha");
    for (int i = 0; i < net->node_count; i++)
        wire_message(&f, 7, &net->nodes[i]);
    net->node_count = 0;
    wire_varint(&opset, 2, net->opset);
    wire_message(&f, 9, &opset);
    wire_text(&f, 10, "mine");
    return f;
}

static struct wire *call(struct network *net, const char *name,
                         const char *inputs, const char *outputs) {
    struct wire *node = network_node(net, name, inputs, outputs);
    wire_text(node, 7, "mine");
    return node;
}

/* ---- what they compute -------------------------------------------------- */

static size_t run(const struct wire *file, int batch, float *out) {
    struct err err = {0};
    struct nn_model *model = nn_load_memory(file->data, file->size, &err);
    if (!model)
        fail_msg("%s", err.text);
    struct nn_session *s =
        nn_session_open(model, &(struct nn_options){.batch_max = batch}, &err);
    if (!s)
        fail_msg("%s", err.text);
    uint32_t seed = 9;
    float *x = nn_session_input(s, 0);
    for (int i = 0; i < batch * 60; i++)
        x[i] = 3 * network_noise(&seed);
    assert_int_equal(nn_session_run(s, batch, &err), 0);
    const struct nn_port *port = nn_session_output_port(s, 0);
    const size_t count = dims_count(port->dims, port->rank);
    assert_int_equal(port->type, NN_FLOAT32);
    assert_true(count <= NUMBERS);
    memcpy(out, nn_session_output(s, 0), count * sizeof *out);
    nn_session_close(s);
    nn_free(model);
    return count;
}

static void same_files(struct wire *a, struct wire *b) {
    float of_a[NUMBERS], of_b[NUMBERS];
    const size_t count = run(a, 2, of_a);
    assert_int_equal(run(b, 2, of_b), count);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(of_a[i] - of_b[i]) <= 1e-5f))
            fail_msg("number %zu is %g, not %g", i, (double)of_a[i],
                     (double)of_b[i]);
    wire_free(a);
    wire_free(b);
}

static void same(struct network *a, struct network *b) {
    struct wire file = network_file(a), other = network_file(b);
    same_files(&file, &other);
}

static void refuse_file(struct wire *file, const char *why) {
    struct err err = {0};
    assert_null(nn_load_memory(file->data, file->size, &err));
    if (!strstr(err.text, why))
        fail_msg("the error says: %s", err.text);
    wire_free(file);
}

static void refuse(struct network *net, const char *why) {
    struct wire file = network_file(net);
    refuse_file(&file, why);
}

/* ---- functions ---------------------------------------------------------- */

/* b = LeakyRelu(a) + a, and one of two calls of that. */
static void function_is_inlined(void **state) {
    (void)state;
    struct network net = start(15);
    give_reference(network_node(&net, "LeakyRelu", "a", "t"), "alpha");
    network_node(&net, "Add", "t,a", "b");
    struct wire one = function_of(&net, "One");
    call(&net, "One", "a", "t"); /* without the attribute */
    give_number(call(&net, "One", "t", "b"), "alpha", 0.5f);
    struct wire two = function_of(&net, "Two");
    call(&net, "Two", "x", "u");
    give_number(call(&net, "One", "u", "y"), "alpha", 0.25f);
    struct wire file = network_file(&net);
    wire_message(&file, 25, &one);
    wire_message(&file, 25, &two);

    struct network plain = start(15);
    network_node(&plain, "LeakyRelu", "x", "a");
    network_node(&plain, "Add", "a,x", "b");
    give_number(network_node(&plain, "LeakyRelu", "b", "c"), "alpha", 0.5f);
    network_node(&plain, "Add", "c,b", "d");
    give_number(network_node(&plain, "LeakyRelu", "d", "e"), "alpha", 0.25f);
    network_node(&plain, "Add", "e,d", "y");
    struct wire other = network_file(&plain);
    same_files(&file, &other);
}

static void function_that_calls_itself_is_refused(void **state) {
    (void)state;
    struct network net = start(15);
    call(&net, "Again", "a", "b");
    struct wire again = function_of(&net, "Again");
    call(&net, "Again", "x", "y");
    struct wire file = network_file(&net);
    wire_message(&file, 25, &again);
    refuse_file(&file, "deep");
}

/* 30 calls of 30 calls of 30 calls ..., which end in nothing. */
static void function_that_grows_without_end_is_refused(void **state) {
    (void)state;
    struct network net = start(15);
    struct wire functions[10];
    char name[32], callee[32];
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof name, "F%d", i);
        snprintf(callee, sizeof callee, "F%d", i + 1);
        for (int k = 0; k < 30; k++)
            call(&net, callee, "a", "b");
        functions[i] = function_of(&net, name);
    }
    struct wire last = function_of(&net, "F10");
    call(&net, "F0", "x", "y");
    struct wire file = network_file(&net);
    for (int i = 0; i < 10; i++)
        wire_message(&file, 25, &functions[i]);
    wire_message(&file, 25, &last);
    refuse_file(&file, "more than 32768 nodes");
}

static void function_with_a_default_is_refused(void **state) {
    (void)state;
    struct network net = start(15);
    give_reference(network_node(&net, "LeakyRelu", "a", "b"), "beta");
    struct wire f = function_of(&net, "F");
    call(&net, "F", "x", "y");
    struct wire file = network_file(&net);
    wire_message(&file, 25, &f);
    refuse_file(&file, "default for its attribute beta");
}

/* Constants without a name, and an input that the call leaves out. */
static void function_may_write_what_nobody_reads(void **state) {
    (void)state;
    struct network net = start(15), plain = start(15);
    for (int i = 0; i < 2; i++) {
        struct wire t = network_tensor("", 1, 0, NULL), a = {0};
        wire_float(&t, 4, 1);
        wire_text(&a, 1, "value");
        wire_message(&a, 5, &t);
        wire_varint(&a, 20, 4);
        wire_message(network_node(&net, "Constant", "", i ? "a" : ","), 5, &a);
    }
    network_node(&net, "Relu", "c", "b");
    network_node(&net, "Identity", "b", "a");
    struct wire f = function_of(&net, "F");
    wire_text(&f, 4, "c");
    call(&net, "F", ",x", "y");
    struct wire file = network_file(&net);
    wire_message(&file, 25, &f);
    network_node(&plain, "Relu", "x", "y");
    struct wire other = network_file(&plain);
    same_files(&file, &other);
}

/* ---- com.microsoft ------------------------------------------------------ */

static void microsoft_conv_has_an_activation(void **state) {
    (void)state;
    struct network nets[2] = {start(13), start(13)};
    for (int i = 0; i < 2; i++) {
        network_random(&nets[i], "w", 4, DIMS(4, 3, 3, 3));
        network_random(&nets[i], "z", 4, DIMS(1, 4, 2, 3));
    }
    struct wire *fused = microsoft(&nets[0], "FusedConv", "x,w,,z", "y");
    give_text(fused, "activation", "HardSigmoid");
    give_numbers(fused, "activation_params", 2, (float[]){0.25f, 0.5f});
    network_node(&nets[1], "Conv", "x,w", "c");
    network_node(&nets[1], "Add", "c,z", "s");
    struct wire *sigmoid = network_node(&nets[1], "HardSigmoid", "s", "y");
    give_number(sigmoid, "alpha", 0.25f);
    give_number(sigmoid, "beta", 0.5f);
    same(&nets[0], &nets[1]);

    struct network net = start(13), plain = start(13); /* without the rest */
    network_random(&net, "w", 4, DIMS(4, 3, 3, 3));
    network_random(&plain, "w", 4, DIMS(4, 3, 3, 3));
    give_text(microsoft(&net, "FusedConv", "x,w", "y"), "activation", "Relu");
    network_node(&plain, "Conv", "x,w", "c");
    network_node(&plain, "Relu", "c", "y");
    same(&net, &plain);
}

static void microsoft_gelu_is_that_of_opset_20(void **state) {
    (void)state;
    struct network nets[2] = {start(13), start(20)};
    for (int i = 0; i < 2; i++)
        network_random(&nets[i], "bias", 1, DIMS(5));
    microsoft(&nets[0], "BiasGelu", "x,bias", "a");
    microsoft(&nets[0], "FastGelu", "a", "y");
    network_node(&nets[1], "Add", "x,bias", "s");
    network_node(&nets[1], "Gelu", "s", "a");
    give_text(network_node(&nets[1], "Gelu", "a", "y"), "approximate", "tanh");
    same(&nets[0], &nets[1]);
}

static void give_bytes(struct network *net) {
    static const char *const names[] = {"z1", "z2", "z3"};
    static const uint8_t zeros[] = {120, 100, 60};
    network_scalar(net, "s1", 0.03f);
    network_scalar(net, "s2", 0.02f);
    network_scalar(net, "s3", 0.05f);
    for (int i = 0; i < 3; i++) {
        struct wire t = network_tensor(names[i], 2, 0, NULL);
        wire_bytes(&t, 9, &zeros[i], 1);
        wire_message(&net->rest, 5, &t);
    }
    network_node(net, "QuantizeLinear", "x,s1,z1", "a");
    network_node(net, "QuantizeLinear", "x,s2,z2", "b");
    network_node(net, "DequantizeLinear", "c,s3,z3", "y");
}

static void microsoft_bytes_are_spelled_out(void **state) {
    (void)state;
    static const struct {
        const char *op_type, *inputs, *plain;
    } cases[] = {
        {"QLinearAdd", "a,s1,z1,b,s2,z2,s3,z3", "Add"},
        {"QLinearMul", "a,s1,z1,b,s2,z2,s3,z3", "Mul"},
        {"QLinearConcat", "s3,z3,a,s1,z1,b,s2,z2", "Concat"},
    };
    for (int i = 0; i < 3; i++) {
        struct network nets[2] = {start(13), start(13)};
        give_bytes(&nets[0]);
        give_bytes(&nets[1]);
        struct wire *node =
            microsoft(&nets[0], cases[i].op_type, cases[i].inputs, "c");
        network_node(&nets[1], "DequantizeLinear", "a,s1,z1", "da");
        network_node(&nets[1], "DequantizeLinear", "b,s2,z2", "db");
        struct wire *plain =
            network_node(&nets[1], cases[i].plain, "da,db", "dc");
        network_node(&nets[1], "QuantizeLinear", "dc,s3,z3", "c");
        if (i == 2) {
            give_integer(node, "axis", 1);
            give_integer(plain, "axis", 1);
        }
        same(&nets[0], &nets[1]);
    }
}

/* As many as DenseNet has. */
static void microsoft_concat_has_many_inputs(void **state) {
    (void)state;
    enum { PARTS = 32 };
    struct network nets[2] = {start(13), start(13)};
    char byte_names[512] = "s3,z3", names[512] = "";
    for (int i = 0; i < PARTS; i++) {
        strcat(byte_names, ",a,s1,z1");
        strcat(names, i ? ",d" : "d");
    }
    const int64_t first[] = {0}, last[] = {6}, axis[] = {1};
    for (int i = 0; i < 2; i++) {
        give_bytes(&nets[i]);
        network_integers(&nets[i], "first", 1, first);
        network_integers(&nets[i], "last", 1, last);
        network_integers(&nets[i], "axis", 1, axis);
        network_node(&nets[i], "Slice", "long,first,last,axis", "c");
    }
    give_integer(microsoft(&nets[0], "QLinearConcat", byte_names, "long"),
                 "axis", 1);
    network_node(&nets[1], "DequantizeLinear", "a,s1,z1", "d");
    give_integer(network_node(&nets[1], "Concat", names, "e"), "axis", 1);
    network_node(&nets[1], "QuantizeLinear", "e,s3,z3", "long");
    same(&nets[0], &nets[1]);
}

static void microsoft_names_what_is_not_known(void **state) {
    (void)state;
    struct network net = start(13);
    microsoft(&net, "QAttention", "x", "y");
    refuse(&net, "the file from before that");

    net = start(13);
    give_integer(microsoft(&net, "Gelu", "x", "y"), "magic", 1);
    refuse(&net, "Gelu's attribute magic");

    net = start(13); /* a default is none */
    give_integer(microsoft(&net, "Gelu", "x", "y"), "magic", 0);
    struct wire file = network_file(&net);
    float out[NUMBERS];
    assert_int_equal(run(&file, 1, out), 60);
    wire_free(&file);

    net = start(13);
    give_text(microsoft(&net, "FusedConv", "x,x", "y"), "activation", "Magic");
    refuse(&net, "activation");

    net = start(13);
    microsoft(&net, "QLinearConcat", "x,x,x", "y");
    refuse(&net, "QLinearConcat has 3 inputs");
}

/* ---- If ----------------------------------------------------------------- */

static void give_branches(struct network *net, const char *condition) {
    struct wire *node = network_node(net, "If", condition, "y");
    network_branch(node, "then_branch", "Relu", "x", "of_then");
    network_branch(node, "else_branch", "Neg", "x", "of_else");
}

static void give_bool(struct network *net, const char *name, uint8_t value) {
    struct wire t = network_tensor(name, 9, 0, NULL);
    wire_bytes(&t, 9, &value, 1);
    wire_message(&net->rest, 5, &t);
}

static void branch_of_a_constant(void **state) {
    (void)state;
    for (uint8_t taken = 0; taken < 2; taken++) {
        struct network net = start(13), plain = start(13);
        give_bool(&net, "c", taken);
        give_branches(&net, "c");
        network_node(&plain, taken ? "Relu" : "Neg", "x", "y");
        same(&net, &plain);
    }
}

static void give_integer_scalar(struct network *net, const char *name,
                                int64_t n) {
    struct wire t = network_tensor(name, 7, 0, NULL);
    wire_bytes(&t, 9, &n, sizeof n);
    wire_message(&net->rest, 5, &t);
}

/* As PyTorch asks for the rank. */
static void branch_of_a_rank(void **state) {
    (void)state;
    struct network net = start(13), plain = start(13);
    give_integer_scalar(&net, "three", 3);
    network_node(&net, "Shape", "x", "shape");
    network_node(&net, "Size", "shape", "rank");
    network_node(&net, "Equal", "rank,three", "c");
    give_branches(&net, "c");
    network_node(&plain, "Neg", "x", "y");
    same(&net, &plain);
}

/* Of one image the branch is known; another batch is no wrong answer. */
static void branch_is_checked_for_every_size(void **state) {
    (void)state;
    struct network net = start(13);
    struct err err = {0};
    float out[NUMBERS];
    give_integer_scalar(&net, "one", 1);
    give_integer_scalar(&net, "zero", 0);
    network_node(&net, "Shape", "x", "shape");
    network_node(&net, "Gather", "shape,zero", "batch");
    network_node(&net, "Equal", "batch,one", "c");
    give_branches(&net, "c");
    struct wire file = network_file(&net);
    assert_int_equal(run(&file, 1, out), 60);
    for (int i = 0; i < 60; i++)
        assert_true(out[i] >= 0);
    struct nn_model *model = nn_load_memory(file.data, file.size, &err);
    assert_non_null(model);
    assert_null(
        nn_session_open(model, &(struct nn_options){.batch_max = 2}, &err));
    assert_non_null(strstr(err.text, "another branch"));
    nn_free(model);
    wire_free(&file);
}

static void branch_of_numbers_is_refused(void **state) {
    (void)state;
    struct network net = start(13);
    give_integer(network_node(&net, "ReduceMax", "x", "m"), "keepdims", 0);
    network_scalar(&net, "zero", 0);
    network_node(&net, "Greater", "m,zero", "c");
    give_branches(&net, "c");
    refuse(&net, "onnxsim");

    net = start(13); /* and one that is not there */
    give_bool(&net, "c", 1);
    network_node(&net, "If", "c", "y");
    refuse(&net, "no such branch");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(function_is_inlined),
        cmocka_unit_test(function_that_calls_itself_is_refused),
        cmocka_unit_test(function_that_grows_without_end_is_refused),
        cmocka_unit_test(function_with_a_default_is_refused),
        cmocka_unit_test(function_may_write_what_nobody_reads),
        cmocka_unit_test(microsoft_conv_has_an_activation),
        cmocka_unit_test(microsoft_gelu_is_that_of_opset_20),
        cmocka_unit_test(microsoft_bytes_are_spelled_out),
        cmocka_unit_test(microsoft_concat_has_many_inputs),
        cmocka_unit_test(microsoft_names_what_is_not_known),
        cmocka_unit_test(branch_of_a_constant),
        cmocka_unit_test(branch_of_a_rank),
        cmocka_unit_test(branch_is_checked_for_every_size),
        cmocka_unit_test(branch_of_numbers_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
