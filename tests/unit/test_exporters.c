/* Networks in the words of exporters other than PyTorch's for plain CNNs. */
#include "tests/unit/session_check.h"

#define DIMS(...) ((int64_t[]){__VA_ARGS__})

/* ---- tf2onnx: images (N, H, W, C), padding SAME, affine by hand ---------- */

#define PICTURES DIMS(-1, 17, 14, 3)

static void transpose(struct network *net, const char *in, const char *out,
                      const int64_t *perm) {
    give_ints(network_node(net, "Transpose", in, out), "perm", 4, perm);
}

static void to_nchw(struct network *net, const char *in, const char *out) {
    transpose(net, in, out, DIMS(0, 3, 1, 2));
}

static void to_nhwc(struct network *net, const char *in, const char *out) {
    transpose(net, in, out, DIMS(0, 2, 3, 1));
}

/* SAME at stride 2 pads one side more than the other. */
static struct wire *same(struct wire *node, const char *which) {
    give_text(node, "auto_pad", which);
    give_ints(node, "strides", 2, DIMS(2, 2));
    return node;
}

static struct network tensorflow(const char *padding) {
    struct network net = {.opset = 13, .seed = 3};
    network_input(&net, "x", 4, PICTURES);
    to_nchw(&net, "x", "t");
    network_random(&net, "w", 4, DIMS(8, 3, 3, 3));
    same(network_node(&net, "Conv", "t,w", "c"), padding);
    network_between(&net, "scale", 0.5f, 1.5f, 4, DIMS(1, 8, 1, 1));
    network_random(&net, "shift", 4, DIMS(1, 8, 1, 1));
    network_node(&net, "Mul", "c,scale", "m");
    network_node(&net, "Add", "m,shift", "a");
    network_scalar(&net, "low", 0.0f);
    network_scalar(&net, "high", 6.0f);
    network_node(&net, "Clip", "a,low,high", "r");
    return net;
}

/* Scores of the features "f". */
static void classify(struct network *net, int channels) {
    network_random(net, "classes.w", 2, DIMS(channels, 5));
    network_random(net, "classes.b", 1, DIMS(5));
    network_node(net, "MatMul", "f,classes.w", "scores");
    network_node(net, "Add", "scores,classes.b", "logits");
    network_node(net, "Softmax", "logits", "y");
    network_output(net, "y");
}

static void exporters_tensorflow_keeps_pixels_together(void **state) {
    (void)state;
    static const char *const paddings[] = {"SAME_UPPER", "SAME_LOWER"};
    for (int i = 0; i < 2; i++) {
        struct network net = tensorflow(paddings[i]);
        network_random(&net, "dw", 4, DIMS(8, 1, 3, 3));
        give_integer(same(network_node(&net, "Conv", "r,dw", "d"), paddings[i]),
                     "group", 8);
        network_node(&net, "Relu", "d", "dr");
        give_ints(same(network_node(&net, "MaxPool", "dr", "p"), paddings[i]),
                  "kernel_shape", 2, DIMS(2, 2));
        to_nhwc(&net, "p", "n");
        struct wire *mean = network_node(&net, "ReduceMean", "n", "f");
        give_ints(mean, "axes", 2, DIMS(1, 2));
        give_integer(mean, "keepdims", 0);
        classify(&net, 8);
        check_network(&net, 3, 4, PICTURES,
                      "Conv+Clip, Conv+Relu, MaxPool, ReduceMean, MatMul, "
                      "Softmax");
    }
}

/* Every layer between a pair of transpositions, a residual behind them. */
static void exporters_tensorflow_cancels_transpositions(void **state) {
    (void)state;
    struct network net = tensorflow("SAME_UPPER");
    to_nhwc(&net, "r", "r.last");
    to_nchw(&net, "r.last", "r.first");
    network_conv(&net, "r.first", "e", 8, 8, 3, true);
    to_nhwc(&net, "e", "e.last");
    network_node(&net, "Add", "e.last,r.last", "s");
    network_node(&net, "Relu", "s", "s.relu");
    network_integers(&net, "rows", 2, DIMS(-1, 9 * 7 * 8));
    network_node(&net, "Reshape", "s.relu,rows", "f");
    classify(&net, 9 * 7 * 8);
    check_network(&net, 3, 4, PICTURES, NULL);
}

/* Keras pads one pixel right and below, then convolves without padding. */
static void exporters_tensorflow_pads_before_convolving(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 4};
    network_input(&net, "x", 4, PICTURES);
    network_integers(&net, "pads", 8, DIMS(0, 0, 0, 0, 0, 1, 1, 0));
    network_node(&net, "Pad", "x,pads", "padded");
    to_nchw(&net, "padded", "t");
    network_random(&net, "w", 4, DIMS(6, 3, 3, 3));
    struct wire *conv = network_node(&net, "Conv", "t,w", "c");
    give_text(conv, "auto_pad", "VALID");
    give_ints(conv, "strides", 2, DIMS(2, 2));
    to_nhwc(&net, "c", "n");
    struct wire *mean = network_node(&net, "ReduceMean", "n", "m");
    give_ints(mean, "axes", 2, DIMS(1, 2));
    network_integers(&net, "ones", 2, DIMS(1, 2));
    network_node(&net, "Squeeze", "m,ones", "f");
    classify(&net, 6);
    check_network(&net, 3, 4, PICTURES, NULL);
}

/* The maps of what was pooled pixel by pixel can be shown. */
static void exporters_tensorflow_can_be_explained(void **state) {
    (void)state;
    struct network net = tensorflow("SAME_UPPER");
    to_nhwc(&net, "r", "n");
    struct wire *mean = network_node(&net, "ReduceMean", "n", "f");
    give_ints(mean, "axes", 2, DIMS(1, 2));
    give_integer(mean, "keepdims", 0);
    classify(&net, 8);
    struct wire file = network_file(&net);
    struct err err = {0};
    struct nn_model *model = nn_load_memory(file.data, file.size, &err);
    if (!model)
        fail_msg("%s", err.text);
    assert_true(nn_explainable(model));
    nn_free(model);
    wire_free(&file);
}

/* ---- Hugging Face: a block of ViT, shapes computed as it runs ------------ */

enum { WIDTH = 12, HEADS = 3, HEAD = WIDTH / HEADS, TOKENS = 5 };

static void layer_norm_by_hand(struct network *net) {
    give_ints(network_node(net, "ReduceMean", "tokens", "mean"), "axes", 1,
              DIMS(-1));
    network_scalar(net, "two", 2.0f);
    network_scalar(net, "epsilon", 1e-5f);
    network_node(net, "Sub", "tokens,mean", "centred");
    network_node(net, "Pow", "centred,two", "squares");
    give_ints(network_node(net, "ReduceMean", "squares", "variance"), "axes", 1,
              DIMS(-1));
    network_node(net, "Add", "variance,epsilon", "shifted");
    network_node(net, "Sqrt", "shifted", "deviation");
    network_node(net, "Div", "centred,deviation", "unit");
    network_node(net, "Mul", "unit,gamma", "scaled");
    network_node(net, "Add", "scaled,beta", "normal");
}

static void linear(struct network *net, const char *in, const char *out,
                   int from, int to) {
    char names[3][64], inputs[160];
    snprintf(names[0], sizeof names[0], "%s.w", out);
    snprintf(names[1], sizeof names[1], "%s.b", out);
    snprintf(names[2], sizeof names[2], "%s.m", out);
    network_random(net, names[0], 2, DIMS(from, to));
    network_random(net, names[1], 1, DIMS(to));
    snprintf(inputs, sizeof inputs, "%s,%s", in, names[0]);
    network_node(net, "MatMul", inputs, names[2]);
    snprintf(inputs, sizeof inputs, "%s,%s", names[1], names[2]);
    network_node(net, "Add", inputs, out);
}

/* (N, tokens, width) as (N, heads, tokens, head), N taken from the shape. */
static void heads(struct network *net, const char *in, const char *out,
                  const int64_t *perm) {
    char inputs[160], seen[64];
    snprintf(inputs, sizeof inputs, "%s,heads", in);
    snprintf(seen, sizeof seen, "%s.heads", in);
    network_node(net, "Reshape", inputs, seen);
    transpose(net, seen, out, perm);
}

/* Patches, a class token in front of them, positions. */
static void tokens(struct network *net) {
    network_random(net, "w", 4, DIMS(WIDTH, 3, 4, 4));
    give_ints(network_node(net, "Conv", "x,w", "patches"), "strides", 2,
              DIMS(4, 4));
    network_node(net, "Shape", "patches", "shape");
    network_integers(net, "first", 1, DIMS(0));
    network_integers(net, "second", 1, DIMS(1));
    network_integers(net, "rest", 1, DIMS(-1));
    network_node(net, "Gather", "shape,first", "n");
    network_node(net, "Gather", "shape,second", "width");
    give_integer(network_node(net, "Concat", "n,width,rest", "flat"), "axis",
                 0);
    network_node(net, "Reshape", "patches,flat", "rows");
    give_ints(network_node(net, "Transpose", "rows", "columns"), "perm", 3,
              DIMS(0, 2, 1));
    network_random(net, "class", 3, DIMS(1, 1, WIDTH));
    network_integers(net, "one", 1, DIMS(1));
    give_integer(network_node(net, "Concat", "n,one,width", "class.shape"),
                 "axis", 0);
    network_node(net, "Expand", "class,class.shape", "class.all");
    give_integer(network_node(net, "Concat", "class.all,columns", "both"),
                 "axis", 1);
    network_random(net, "positions", 3, DIMS(1, TOKENS, WIDTH));
    network_node(net, "Add", "both,positions", "tokens");
}

static void attention(struct network *net) {
    network_integers(net, "count", 1, DIMS(TOKENS));
    network_integers(net, "heads.count", 1, DIMS(HEADS));
    network_integers(net, "head", 1, DIMS(HEAD));
    give_integer(
        network_node(net, "Concat", "n,count,heads.count,head", "heads"),
        "axis", 0);
    linear(net, "normal", "qkv", WIDTH, 3 * WIDTH);
    network_integers(net, "thirds", 3, DIMS(WIDTH, WIDTH, WIDTH));
    give_integer(network_node(net, "Split", "qkv,thirds", "q,k,v"), "axis", -1);
    heads(net, "q", "qh", DIMS(0, 2, 1, 3));
    heads(net, "k", "kh", DIMS(0, 2, 3, 1));
    heads(net, "v", "vh", DIMS(0, 2, 1, 3));
    network_node(net, "MatMul", "qh,kh", "products");
    network_scalar(net, "root", 2.0f);
    network_node(net, "Div", "products,root", "scaled.products");
    network_scalar(net, "far", 0.5f);
    network_scalar(net, "none", -1e9f);
    network_node(net, "Less", "scaled.products,far", "near");
    network_node(net, "Where", "near,scaled.products,none", "masked");
    give_integer(network_node(net, "Softmax", "masked", "weights"), "axis", -1);
    network_node(net, "MatMul", "weights,vh", "mixed");
    transpose(net, "mixed", "turned", DIMS(0, 2, 1, 3));
    give_integer(network_node(net, "Concat", "n,count,width", "merged.shape"),
                 "axis", 0);
    network_node(net, "Reshape", "turned,merged.shape", "merged");
    linear(net, "merged", "out", WIDTH, WIDTH);
    network_node(net, "Add", "out,tokens", "attended");
}

/* 0.5 * x * (1 + erf(x / sqrt(2))) in the order of PyTorch's decomposition. */
static void perceptron(struct network *net) {
    linear(net, "attended", "hidden", WIDTH, 4 * WIDTH);
    network_scalar(net, "sqrt2", 1.41421356f);
    network_scalar(net, "unity", 1.0f);
    network_scalar(net, "half", 0.5f);
    network_node(net, "Div", "hidden,sqrt2", "g1");
    network_node(net, "Erf", "g1", "g2");
    network_node(net, "Add", "g2,unity", "g3");
    network_node(net, "Mul", "hidden,g3", "g4");
    network_node(net, "Mul", "g4,half", "gelu");
    linear(net, "gelu", "back", 4 * WIDTH, WIDTH);
    network_node(net, "Add", "back,attended", "block");
    network_integers(net, "zero", 1, DIMS(0));
    network_integers(net, "middle", 1, DIMS(1));
    network_node(net, "Slice", "block,zero,middle,middle", "picked");
    network_node(net, "Squeeze", "picked,middle", "f");
}

static void exporters_hugging_face_transforms(void **state) {
    (void)state;
    for (int64_t opset = 13; opset <= 17; opset += 4) {
        struct network net = {.opset = opset, .seed = 7};
        network_input(&net, "x", 4, DIMS(-1, 3, 8, 8));
        tokens(&net);
        network_between(&net, "gamma", 0.5f, 1.5f, 1, DIMS(WIDTH));
        network_random(&net, "beta", 1, DIMS(WIDTH));
        if (opset < 17)
            layer_norm_by_hand(&net);
        else
            network_node(&net, "LayerNormalization", "tokens,gamma,beta",
                         "normal");
        attention(&net);
        perceptron(&net);
        classify(&net, WIDTH);
        check_network(&net, 4, 4, DIMS(-1, 3, 8, 8), NULL);
    }
}

/* ---- opset 18 and later: axes as inputs, activations by name ------------- */

static void padded_layer(struct network *net, int64_t opset) {
    net->opset = opset;
    network_input(net, "x", 4, DIMS(-1, 3, 9, 8));
    network_integers(net, "pads", 4, DIMS(1, 0, 0, 1));
    network_integers(net, "sides", 2, DIMS(-1, 2));
    network_node(net, "Pad", "x,pads,,sides", "padded");
    network_conv(net, "padded", "c", 3, 8, 3, true);
}

static void exporters_new_opsets_pool_over_input_axes(void **state) {
    (void)state;
    for (int64_t opset = 18; opset <= 21; opset++) {
        struct network net = {.seed = 9};
        padded_layer(&net, opset);
        network_node(&net, "Mish", "c", "m");
        network_integers(&net, "pixels", 2, DIMS(-1, -2));
        give_integer(network_node(&net, "ReduceMean", "m,pixels", "f"),
                     "keepdims", 0);
        classify(&net, 8);
        check_network(&net, 3, 4, DIMS(-1, 3, 9, 8),
                      "Pad, to NHWC, Conv+Mish, ReduceMean, MatMul, Softmax");
    }
}

static void load(struct network *net, struct nn_model **model,
                 struct nn_session **session) {
    struct wire file = network_file(net);
    struct err err = {0};
    *model = nn_load_memory(file.data, file.size, &err);
    *session = *model ? nn_session_open(*model, NULL, &err) : NULL;
    wire_free(&file);
    if (!*session)
        fail_msg("%s", err.text);
}

static void exporters_new_opsets_split_unevenly(void **state) {
    (void)state;
    struct network net = {.opset = 18};
    network_input(&net, "x", 2, DIMS(-1, 8));
    struct wire *split = network_node(&net, "Split", "x", "a,b,c");
    give_integer(split, "axis", 1);
    give_integer(split, "num_outputs", 3);
    network_output(&net, "a");
    network_output(&net, "b");
    network_output(&net, "c");
    static const float want[][3] = {{1, 2, 3}, {4, 5, 6}, {7, 8}};
    struct nn_model *model;
    struct nn_session *s;
    load(&net, &model, &s);
    memcpy(nn_session_input(s, 0), (float[]){1, 2, 3, 4, 5, 6, 7, 8},
           8 * sizeof(float));
    assert_int_equal(nn_session_run(s, 1, NULL), 0);
    for (int i = 0; i < 3; i++) {
        const int64_t length = i < 2 ? 3 : 2;
        assert_int_equal(nn_session_output_port(s, i)->dims[1], length);
        assert_memory_equal(nn_session_output(s, i), want[i],
                            (size_t)length * sizeof(float));
    }
    nn_session_close(s);
    nn_free(model);
}

/* 1 / 2 * (1 + erf(1 / sqrt(2))), and by tanh(sqrt(2 / pi) * 1.044715). */
static void exporters_new_opsets_name_gelu(void **state) {
    (void)state;
    static const char *const names[] = {"none", "tanh"};
    static const float expected[] = {0.8413447f, 0.8411920f};
    for (int i = 0; i < 2; i++) {
        struct network net = {.opset = 20};
        network_input(&net, "x", 2, DIMS(-1, 4));
        give_text(network_node(&net, "Gelu", "x", "y"), "approximate",
                  names[i]);
        network_output(&net, "y");
        struct nn_model *model;
        struct nn_session *s;
        load(&net, &model, &s);
        memcpy(nn_session_input(s, 0), (float[]){0, 1, -1, 30},
               4 * sizeof(float));
        assert_int_equal(nn_session_run(s, 1, NULL), 0);
        const float *y = nn_session_output(s, 0);
        assert_float_equal(y[0], 0, 0);
        assert_float_equal(y[1], expected[i], 1e-6);
        assert_float_equal(y[2], expected[i] - 1, 1e-6);
        assert_float_equal(y[3], 30, 1e-5);
        nn_session_close(s);
        nn_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exporters_tensorflow_keeps_pixels_together),
        cmocka_unit_test(exporters_tensorflow_cancels_transpositions),
        cmocka_unit_test(exporters_tensorflow_pads_before_convolving),
        cmocka_unit_test(exporters_tensorflow_can_be_explained),
        cmocka_unit_test(exporters_hugging_face_transforms),
        cmocka_unit_test(exporters_new_opsets_pool_over_input_axes),
        cmocka_unit_test(exporters_new_opsets_split_unevenly),
        cmocka_unit_test(exporters_new_opsets_name_gelu),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
