/*
 * Quantised networks through the whole engine, against the operators' rows.
 * Scales are powers of two: then floats are exact, and what is computed in
 * bytes may differ by nothing from what the same graph is in floats.
 */
#include "tests/unit/session_check.h"

#include "models/nn/number.h"
#include "models/nn/quantised.h"
#include "models/nn/vmath.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define IMAGES DIMS(-1, 3, 9, 8)

/* Bytes of `type`, spread evenly from the seed; int32 of the same range. */
static void give_bytes(struct network *net, const char *name, enum nn_type type,
                       int rank, const int64_t *dims) {
    const size_t count = dims_count(dims, rank), each = type_size(type);
    uint8_t *bytes = calloc(count + 1, each);
    struct wire t = network_tensor(name, (int)type, rank, dims);
    for (size_t i = 0; i < count; i++) {
        const int64_t n = (int64_t)(127.0f * network_noise(&net->seed));
        number_put_ints(bytes + i * each, type, &n, 1);
    }
    wire_bytes(&t, 9, bytes, count * each);
    wire_message(&net->rest, 5, &t);
    free(bytes);
}

static void give_zero(struct network *net, const char *name, enum nn_type type,
                      int zero) {
    const uint8_t byte = (uint8_t)zero;
    struct wire t = network_tensor(name, (int)type, 0, NULL);
    wire_bytes(&t, 9, &byte, 1);
    wire_message(&net->rest, 5, &t);
}

/* x (float) -> xq, with scale xs and zero point xz; and the way back y. */
static struct network begin(enum nn_type type, int zero) {
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, IMAGES);
    network_scalar(&net, "xs", 1.0f / 32);
    give_zero(&net, "xz", type, zero);
    network_node(&net, "QuantizeLinear", "x,xs,xz", "xq");
    return net;
}

static void end(struct network *net, const char *bytes) {
    char inputs[64];
    snprintf(inputs, sizeof inputs, "%s,ys,yz", bytes);
    network_node(net, "DequantizeLinear", inputs, "y");
    network_output(net, "y");
}

static void give_weights(struct network *net, enum nn_type type, int zero,
                         int out, int in, int kernel) {
    give_bytes(net, "w", type, 4, DIMS(out, in, kernel, kernel));
    network_scalar(net, "ws", 1.0f / 64);
    give_zero(net, "wz", type, zero);
    give_bytes(net, "b", NN_INT32, 1, DIMS(out));
    network_scalar(net, "bs", 1.0f / 2048);
    network_scalar(net, "ys", 1.0f / 8);
}

static void quantised_convolutions_run_in_bytes(void **state) {
    (void)state;
    const enum nn_type types[] = {NN_UINT8, NN_INT8};
    for (int i = 0; i < 4; i++) {
        const enum nn_type x = types[i % 2], w = types[i / 2];
        struct network net = begin(x, 5);
        give_weights(&net, w, w == NN_UINT8 ? 128 : 0, 20, 3, 3);
        give_zero(&net, "yz", x, 7);
        give_ints(
            network_node(&net, "QLinearConv", "xq,xs,xz,w,ws,wz,ys,yz,b", "yq"),
            "pads", 4, DIMS(1, 1, 1, 1));
        end(&net, "yq");
        check_network(&net, 3, 4, IMAGES,
                      "QuantizeLinear, to NHWC, QLinearConv, DequantizeLinear, "
                      "to NCHW");
    }
}

/* The same written out in floats, with an activation that the bytes imply. */
static struct network written_out(const char *activation, int y_zero) {
    struct network net = begin(NN_UINT8, 128);
    give_weights(&net, NN_INT8, 0, 20, 3, 3);
    give_zero(&net, "yz", NN_UINT8, y_zero);
    network_node(&net, "DequantizeLinear", "xq,xs,xz", "xf");
    network_node(&net, "DequantizeLinear", "w,ws,wz", "wf");
    network_node(&net, "DequantizeLinear", "b,bs", "bf");
    give_ints(network_node(&net, "Conv", "xf,wf,bf", "c"), "pads", 4,
              DIMS(1, 1, 1, 1));
    if (activation)
        network_node(&net, activation, "c", "a");
    network_node(&net, "QuantizeLinear", activation ? "a,ys,yz" : "c,ys,yz",
                 "yq");
    end(&net, "yq");
    return net;
}

static void quantised_convolutions_are_recognised(void **state) {
    (void)state;
    struct network net = written_out(NULL, 100);
    check_network(&net, 3, 4, IMAGES,
                  "QuantizeLinear, to NHWC, QLinearConv, DequantizeLinear, "
                  "to NCHW");
    net = written_out("Relu", 0);
    check_network(&net, 3, 4, IMAGES,
                  "QuantizeLinear, to NHWC, QLinearConv, DequantizeLinear, "
                  "to NCHW");
    /* Below zero there are bytes, which Relu has to keep from being used; sums
     * by Winograd may be rounded to the byte beside. */
    net = written_out("Relu", 100);
    struct wire file = network_file(&net);
    check_file(&file, 2, 4, IMAGES,
               "QuantizeLinear, DequantizeLinear, to NHWC, Conv+Relu, "
               "QuantizeLinear, DequantizeLinear, to NCHW",
               0.01);
    wire_free(&file);
}

static void quantised_sums_are_recognised(void **state) {
    (void)state;
    struct network net = begin(NN_UINT8, 128);
    network_scalar(&net, "ys", 1.0f / 16);
    give_zero(&net, "yz", NN_UINT8, 0);
    network_node(&net, "DequantizeLinear", "xq,xs,xz", "xf");
    network_node(&net, "DequantizeLinear", "xq,ys,xz", "zf");
    network_node(&net, "Add", "xf,zf", "a");
    network_node(&net, "Relu", "a", "r");
    network_node(&net, "QuantizeLinear", "r,ys,yz", "yq");
    end(&net, "yq");
    check_network(&net, 3, 4, IMAGES,
                  "QuantizeLinear, QLinearAdd, DequantizeLinear");
}

/* MaxPool of bytes, and what it gives quantised to another scale. */
static void quantised_maxima_are_of_bytes(void **state) {
    (void)state;
    const enum nn_type types[] = {NN_UINT8, NN_INT8};
    for (int i = 0; i < 2; i++) {
        struct network net = begin(types[i], 7);
        network_scalar(&net, "ys", 1.0f / 8);
        give_zero(&net, "yz", types[i], 3);
        network_node(&net, "DequantizeLinear", "xq,xs,xz", "xf");
        struct wire *pool = network_node(&net, "MaxPool", "xf", "m");
        give_ints(pool, "kernel_shape", 2, DIMS(3, 2));
        give_ints(pool, "strides", 2, DIMS(2, 2));
        give_ints(pool, "pads", 4, DIMS(1, 1, 1, 0));
        network_node(&net, "QuantizeLinear", "m,ys,yz", "yq");
        end(&net, "yq");
        check_network(&net, 3, 4, IMAGES,
                      "QuantizeLinear, to NHWC, MaxPool, QLinearRescale, "
                      "DequantizeLinear, to NCHW");
    }
}

/* What is read as floats as well stays; the same scale again is no step. */
static void quantised_maxima_need_bytes_alone(void **state) {
    (void)state;
    struct network net = begin(NN_UINT8, 7);
    network_scalar(&net, "ys", 1.0f / 8);
    give_zero(&net, "yz", NN_UINT8, 3);
    network_node(&net, "DequantizeLinear", "xq,xs,xz", "xf");
    give_ints(network_node(&net, "MaxPool", "xf", "m"), "kernel_shape", 2,
              DIMS(1, 1));
    network_node(&net, "Sub", "m,xf", "d");
    network_node(&net, "QuantizeLinear", "d,ys,yz", "yq");
    end(&net, "yq");
    check_network(&net, 2, 4, IMAGES, NULL);

    net = begin(NN_UINT8, 7);
    network_node(&net, "DequantizeLinear", "xq,xs,xz", "xf");
    network_node(&net, "QuantizeLinear", "xf,xs,xz", "again");
    network_node(&net, "DequantizeLinear", "again,xs,xz", "y");
    network_output(&net, "y");
    check_network(&net, 2, 4, IMAGES, "QuantizeLinear, DequantizeLinear");
}

/* A convolution's bytes, of the scale of the whole, and others, of another. */
static void quantised_parts_are_concatenated(void **state) {
    (void)state;
    struct network net = begin(NN_UINT8, 128);
    give_weights(&net, NN_INT8, 0, 20, 3, 3);
    give_zero(&net, "yz", NN_UINT8, 100);
    network_node(&net, "DequantizeLinear", "xq,xs,xz", "xf");
    network_node(&net, "DequantizeLinear", "w,ws,wz", "wf");
    network_node(&net, "DequantizeLinear", "b,bs", "bf");
    give_ints(network_node(&net, "Conv", "xf,wf,bf", "c"), "pads", 4,
              DIMS(1, 1, 1, 1));
    network_node(&net, "QuantizeLinear", "c,ys,yz", "cq");
    network_node(&net, "DequantizeLinear", "cq,ys,yz", "cf");
    network_node(&net, "DequantizeLinear", "xq,xs,xz", "again");
    give_integer(network_node(&net, "Concat", "cf,again", "k"), "axis", 1);
    network_node(&net, "QuantizeLinear", "k,ys,yz", "yq");
    end(&net, "yq");
    check_network(&net, 3, 4, IMAGES,
                  "QuantizeLinear, to NHWC, QLinearConv, QLinearRescale, "
                  "Concat, DequantizeLinear, to NCHW");
}

static void quantised_dynamically(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 9};
    network_input(&net, "x", 4, IMAGES);
    give_weights(&net, NN_UINT8, 120, 20, 3, 3);
    network_node(&net, "DynamicQuantizeLinear", "x", "q,s,z");
    network_node(&net, "ConvInteger", "q,w,z,wz", "i");
    give_integer(network_node(&net, "Cast", "i", "f"), "to", 1);
    network_node(&net, "Mul", "f,s", "y");
    network_output(&net, "y");
    check_network(&net, 3, 4, IMAGES, NULL);

    net = (struct network){.opset = 13, .seed = 9};
    network_input(&net, "x", 2, DIMS(-1, 30));
    give_bytes(&net, "w", NN_INT8, 2, DIMS(30, 17));
    network_node(&net, "DynamicQuantizeLinear", "x", "q,s,z");
    network_node(&net, "MatMulInteger", "q,w,z", "i");
    give_integer(network_node(&net, "Cast", "i", "f"), "to", 1);
    network_node(&net, "Mul", "f,s", "y");
    network_output(&net, "y");
    check_network(&net, 3, 2, DIMS(-1, 30), NULL);
}

/* ---- bytes, number by number --------------------------------------------- */

static void quantised_numbers_round_to_even(void **state) {
    (void)state;
    const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, 1e9f, -1e9f, NAN};
    const uint8_t want[] = {10, 12, 12, 10, 255, 0, 0};
    const struct byte_range range = byte_range(NN_UINT8, 10);
    uint8_t y[sizeof want];
    vmath_quantise(x, 1.0f, &range, y, sizeof want);
    assert_memory_equal(y, want, sizeof want);
}

/* Every byte at another scale, as the two ways make it one after the other. */
static void quantised_numbers_change_scale(void **state) {
    (void)state;
    uint8_t bytes[256], want[256], got[256];
    float floats[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    for (int k = 0; k < 512; k++) {
        const size_t count = (size_t)k / 2;
        const struct byte_rescale by = {
            .from = byte_range(k % 2 ? NN_INT8 : NN_UINT8, k % 2 ? -9 : 77),
            .to = byte_range(k % 3 ? NN_INT8 : NN_UINT8, k % 3 ? 12 : 130),
            .from_scale = 0.3f,
            .to_scale = 0.017f * (float)(k % 50 + 1)};
        vmath_dequantise(bytes, &by.from, by.from_scale, floats, count);
        vmath_quantise(floats, by.to_scale, &by.to, want, count);
        vmath_rescale(&by, bytes, got, count);
        assert_memory_equal(got, want, count);
    }
}

/* Every byte there and back, also where it is no whole vector. */
static void quantised_numbers_come_back(void **state) {
    (void)state;
    uint8_t bytes[256], again[256];
    float floats[256];
    for (int i = 0; i < 256; i++)
        bytes[i] = (uint8_t)i;
    for (int k = 0; k < 512; k++) {
        const size_t count = (size_t)k / 2;
        const struct byte_range range =
            byte_range(k % 2 ? NN_INT8 : NN_UINT8, k % 2 ? -9 : 77);
        vmath_dequantise(bytes, &range, 0.3f, floats, count);
        for (size_t i = 0; i < count; i++) {
            const int n = k % 2 ? (int8_t)i + 9 : (int)i - 77;
            assert_true(floats[i] == 0.3f * (float)n);
        }
        vmath_quantise(floats, 0.3f, &range, again, count);
        assert_memory_equal(again, bytes, count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantised_convolutions_run_in_bytes),
        cmocka_unit_test(quantised_convolutions_are_recognised),
        cmocka_unit_test(quantised_sums_are_recognised),
        cmocka_unit_test(quantised_maxima_are_of_bytes),
        cmocka_unit_test(quantised_maxima_need_bytes_alone),
        cmocka_unit_test(quantised_parts_are_concatenated),
        cmocka_unit_test(quantised_dynamically),
        cmocka_unit_test(quantised_numbers_round_to_even),
        cmocka_unit_test(quantised_numbers_change_scale),
        cmocka_unit_test(quantised_numbers_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
