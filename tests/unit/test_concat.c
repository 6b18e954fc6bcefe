#include "tests/unit/session_check.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define IMAGES DIMS(-1, 3, 9, 8)

static struct network begin(void) {
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, IMAGES);
    return net;
}

static void concat(struct network *net, const char *in, const char *out) {
    give_integer(network_node(net, "Concat", in, out), "axis", 1);
}

/* The algorithms of the concatenations in turn, "in place, copied", and every
 * number of three batches. */
static void finish(struct network *net, const char *output, const char *want) {
    network_output(net, output);
    struct wire file = network_file(net);
    struct err err = {0};
    struct nn_model *model = nn_load_memory(file.data, file.size, &err);
    struct nn_session *s = model ? nn_session_open(model, NULL, &err) : NULL;
    if (!s)
        fail_msg("%s", err.text);
    char got[256] = "";
    for (int i = 0; i < nn_session_step_count(s); i++) {
        struct nn_step_report report;
        nn_session_step(s, i, &report);
        if (strcmp(report.op, "Concat") == 0)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s",
                     got[0] ? ", " : "", report.algorithm);
    }
    assert_string_equal(got, want);
    nn_session_close(s);
    nn_free(model);
    check_file(&file, 3, 4, IMAGES, NULL, CHECK_TOLERANCE);
    wire_free(&file);
}

static void concat_is_written_by_its_convolutions(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 5, 1, true);
    network_conv(&net, "x", "b", 3, 16, 3, true);
    network_node(&net, "Relu", "b", "c");
    network_conv(&net, "x", "d", 3, 4, 3, false);
    concat(&net, "a,c,d", "e");
    network_conv(&net, "e", "y", 25, 6, 3, true);
    finish(&net, "y", "in place");
}

static void concat_copies_what_others_read(void **state) {
    (void)state;
    struct network net = begin(); /* a is read by a convolution, too */
    network_conv(&net, "x", "a", 3, 4, 1, true);
    network_conv(&net, "a", "b", 4, 4, 3, true);
    concat(&net, "a,b", "c");
    network_conv(&net, "c", "y", 8, 6, 1, true);
    finish(&net, "y", "copied");

    net = begin(); /* twice in the same one, and given out */
    network_conv(&net, "x", "a", 3, 4, 1, true);
    network_conv(&net, "x", "b", 3, 4, 1, true);
    concat(&net, "a,a,b", "y");
    network_output(&net, "b");
    finish(&net, "y", "copied");

    net = begin(); /* with a residual, which has no gaps */
    network_conv(&net, "x", "a", 3, 4, 1, true);
    network_node(&net, "Relu", "a", "r");
    network_conv(&net, "r", "b", 4, 4, 1, true);
    network_node(&net, "Add", "b,r", "c");
    network_conv(&net, "x", "d", 3, 4, 1, true);
    concat(&net, "c,d", "e");
    network_conv(&net, "e", "y", 8, 6, 1, true);
    finish(&net, "y", "copied");
}

static void concat_takes_its_own_input(void **state) {
    (void)state;
    struct network net = begin(); /* plain, as the network's input is */
    network_node(&net, "Relu", "x", "r");
    concat(&net, "x,r", "y");
    finish(&net, "y", "copied");

    net = begin();
    network_conv(&net, "x", "a", 3, 4, 3, true);
    concat(&net, "x,a", "b");
    network_conv(&net, "b", "y", 7, 6, 3, true);
    finish(&net, "y", "copied");
}

static void concat_nests(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 5, 1, true);
    network_conv(&net, "x", "b", 3, 6, 3, true);
    concat(&net, "a,b", "c");
    network_conv(&net, "x", "d", 3, 7, 3, true);
    concat(&net, "d,c", "e");
    network_conv(&net, "e", "y", 18, 6, 3, true);
    finish(&net, "y", "in place, in place");
}

/* One layer of a dense block: normalise what is there, add 4 channels. */
static void dense_layer(struct network *net, const char *in, int channels,
                        const char *out) {
    char norm[32], relu[32];
    snprintf(norm, sizeof norm, "%s.n", out);
    snprintf(relu, sizeof relu, "%s.r", out);
    network_batch_norm(net, in, norm, channels);
    network_node(net, "Relu", norm, relu);
    network_conv(net, relu, out, channels, 4, 3, false);
}

static void concat_grows_in_dense_blocks(void **state) {
    (void)state;
    for (int pooled = 0; pooled < 2; pooled++) {
        struct network net = begin();
        network_conv(&net, "x", "p", 3, 8, 3, true);
        if (pooled) { /* what cannot write into a wider tensor */
            struct wire *pool = network_node(&net, "MaxPool", "p", "a");
            give_ints(pool, "kernel_shape", 2, DIMS(2, 2));
        } else {
            network_node(&net, "Relu", "p", "a");
        }
        concat(&net, "a", "c0");
        dense_layer(&net, "c0", 8, "b");
        concat(&net, "a,b", "c1");
        dense_layer(&net, "c1", 12, "c");
        concat(&net, "a,b,c", "c2");
        dense_layer(&net, "c2", 16, "d");
        concat(&net, "a,b,c,d", "c3");
        network_batch_norm(&net, "c3", "n", 20);
        network_node(&net, "Relu", "n", "y");
        finish(&net, "y",
               pooled ? "copied, in place, in place, in place"
                      : "in place, in place, in place, in place");
    }
}

/* The way of Keras: what was joined is joined again. */
static void concat_grows_step_by_step(void **state) {
    (void)state;
    struct network net = begin();
    network_conv(&net, "x", "a", 3, 8, 3, true);
    dense_layer(&net, "a", 8, "b");
    concat(&net, "a,b", "c1");
    dense_layer(&net, "c1", 12, "c");
    concat(&net, "c1,c", "c2");
    dense_layer(&net, "c2", 16, "d");
    concat(&net, "c2,d", "c3");
    network_conv(&net, "c3", "y", 20, 5, 1, true);
    finish(&net, "y", "in place, in place, in place");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(concat_is_written_by_its_convolutions),
        cmocka_unit_test(concat_copies_what_others_read),
        cmocka_unit_test(concat_takes_its_own_input),
        cmocka_unit_test(concat_nests),
        cmocka_unit_test(concat_grows_in_dense_blocks),
        cmocka_unit_test(concat_grows_step_by_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
