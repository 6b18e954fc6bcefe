#include "tests/unit/session_check.h"

#include <malloc.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define IMAGES DIMS(-1, 3, 9, 8)

/* ---- whoever allocates is counted --------------------------------------- */

#if !defined(__SANITIZE_ADDRESS__)
/* glibc's own, below the names that are replaced here. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_memalign(size_t align, size_t size);

static int allocations;

void *malloc(size_t size) {
    allocations++;
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    allocations++;
    return __libc_calloc(count, size);
}

void *aligned_alloc(size_t align, size_t size) {
    allocations++;
    return __libc_memalign(align, size);
}
#endif

static struct nn_model *load(struct network *net) {
    struct wire file = network_file(net);
    struct err err = {0};
    struct nn_model *model = nn_load_memory(file.data, file.size, &err);
    wire_free(&file);
    if (!model)
        fail_msg("%s", err.text);
    return model;
}

static struct nn_session *open_session(const struct nn_model *model,
                                       int batch_max) {
    struct err err = {0};
    struct nn_session *s = nn_session_open(
        model, &(struct nn_options){.batch_max = batch_max}, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void refuse_session(const struct nn_model *model,
                           const struct nn_options *options, const char *a,
                           const char *b) {
    struct err err = {0};
    assert_null(nn_session_open(model, options, &err));
    if (!strstr(err.text, a) || !strstr(err.text, b))
        fail_msg("the error says: %s", err.text);
}

static void fill(struct nn_session *s, size_t count, uint32_t seed) {
    float *x = nn_session_input(s, 0);
    for (size_t i = 0; i < count; i++)
        x[i] = network_noise(&seed);
}

/* conv -> relu -> global pool -> Gemm (5 classes) [-> Softmax] */
static struct network classifier(int64_t batch, bool softmax) {
    struct network net = {.opset = 13, .seed = 5};
    network_input(&net, "x", 4, DIMS(batch, 3, 9, 8));
    network_conv(&net, "x", "c", 3, 6, 3, true);
    network_node(&net, "Relu", "c", "r");
    network_node(&net, "GlobalAveragePool", "r", "p");
    network_node(&net, "Flatten", "p", "f");
    network_random(&net, "w", 2, DIMS(5, 6));
    network_random(&net, "b", 1, DIMS(5));
    struct wire *gemm =
        network_node(&net, "Gemm", "f,w,b", softmax ? "l" : "y");
    give_integer(gemm, "transB", 1);
    if (softmax)
        network_node(&net, "Softmax", "l", "y");
    network_output(&net, "y");
    return net;
}

/* ---- sizes -------------------------------------------------------------- */

static void session_runs_every_batch(void **state) {
    (void)state;
    struct network net = classifier(-1, true);
    check_network(&net, 5, 4, IMAGES, NULL);
}

/* Weights of half precision that the graph casts, as converters write them. */
static void session_runs_half_precision_weights(void **state) {
    (void)state;
    static const uint16_t halves[] = {0x3800, 0xb400, 0x2c00, 0xbc00, 0x3a00};
    static const float floats[] = {0.5f, -0.25f, 0.0625f, -1.0f, 0.75f};
    uint16_t weights[6 * 3 * 9];
    float wide[6 * 3 * 9], x[9 * 8 * 3], y[2][6 * 9 * 8];
    uint32_t seed = 4;
    for (size_t i = 0; i < 6 * 3 * 9; i++) {
        weights[i] = halves[i * i % 5];
        wide[i] = floats[i * i % 5];
    }
    for (size_t i = 0; i < sizeof x / sizeof *x; i++)
        x[i] = network_noise(&seed);
    for (int half = 0; half < 2; half++) {
        struct network net = {.opset = 13};
        network_input(&net, "x", 4, DIMS(1, 3, 9, 8));
        struct wire w = network_tensor("w", half ? 10 : 1, 4, DIMS(6, 3, 3, 3));
        wire_bytes(&w, 9, half ? (void *)weights : (void *)wide,
                   half ? sizeof weights : sizeof wide);
        wire_message(&net.rest, 5, &w);
        give_integer(network_node(&net, "Cast", "w", "wide"), "to", 1);
        give_ints(network_node(&net, "Conv", "x,wide", "y"), "pads", 4,
                  DIMS(1, 1, 1, 1));
        network_output(&net, "y");
        struct nn_model *model = load(&net);
        struct nn_session *s = open_session(model, 1);
        memcpy(nn_session_input(s, 0), x, sizeof x);
        assert_int_equal(nn_session_run(s, 1, NULL), 0);
        memcpy(y[half], nn_session_output(s, 0), sizeof y[half]);
        nn_session_close(s);
        nn_free(model);
    }
    assert_memory_equal(y[0], y[1], sizeof y[0]);
}

/* Attention as PyTorch has it: the batch is not the first axis, or is part of
 * one, so that smaller batches have other shapes everywhere. */
static void session_follows_the_batch_to_other_axes(void **state) {
    (void)state;
    struct network net = {.opset = 13, .seed = 5};
    network_input(&net, "x", 3, DIMS(-1, 5, 6));
    network_random(&net, "w", 2, DIMS(6, 6));
    network_random(&net, "b", 1, DIMS(6));
    network_integers(&net, "heads", 3, DIMS(5, -1, 3));
    network_node(&net, "Transpose", "x", "t"); /* (6, 5, N) */
    give_ints(network_node(&net, "Transpose", "x", "q"), "perm", 3,
              DIMS(1, 0, 2)); /* (5, N, 6) */
    network_node(&net, "MatMul", "q,w", "m");
    network_node(&net, "Add", "m,b", "a");
    network_node(&net, "Relu", "a", "r");
    network_node(&net, "Add", "r,q", "s");
    network_node(&net, "Reshape", "s,heads", "h"); /* (5, 2 N, 3) */
    network_node(&net, "Mul", "h,h", "hh");
    network_node(&net, "Sigmoid", "hh", "y");
    network_node(&net, "Tanh", "t", "z");
    network_output(&net, "y");
    network_output(&net, "z");
    check_network(&net, 4, 3, DIMS(-1, 5, 6), NULL);
}

static void session_refuses_other_batches(void **state) {
    (void)state;
    struct network net = classifier(-1, false);
    struct nn_model *model = load(&net);
    struct nn_session *s = open_session(model, 3);
    struct err err = {0};
    assert_int_equal(nn_session_run(s, 4, &err), -1);
    assert_non_null(strstr(err.text, "1 to 3"));
    assert_int_equal(nn_session_run(s, 0, &err), -1);
    assert_int_equal(nn_session_run(s, 3, &err), 0);
    nn_session_close(s);
    refuse_session(model, &(struct nn_options){.batch_max = 1 << 20}, "batch",
                   "1048576");
    nn_free(model);
}

static void session_keeps_a_fixed_batch(void **state) {
    (void)state;
    struct network net = classifier(2, false);
    struct nn_model *model = load(&net);
    struct err err = {0};
    refuse_session(model, &(struct nn_options){.batch_max = 8}, "fixes", "8");
    struct nn_session *s = open_session(model, 0);
    assert_int_equal(nn_session_output_port(s, 0)->dims[0], 2);
    assert_int_equal(nn_session_run(s, 1, &err), -1);
    assert_int_equal(nn_session_run(s, 2, &err), 0);
    nn_session_close(s);
    nn_free(model);
}

static void session_asks_for_open_sizes(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, DIMS(-1, 3, -1, -1));
    network_conv(&net, "x", "c", 3, 4, 3, true);
    network_node(&net, "GlobalAveragePool", "c", "y");
    network_output(&net, "y");
    struct nn_model *model = load(&net);
    refuse_session(model, &(struct nn_options){.batch_max = 2}, "dimension 2",
                   "x");
    struct nn_port shape = {.rank = 4, .dims = {-1, 3, 20, 10}};
    struct nn_options options = {.batch_max = 2, .shapes = &shape};
    struct err err = {0};
    struct nn_session *s = nn_session_open(model, &options, &err);
    assert_non_null(s);
    assert_int_equal(nn_session_run(s, 2, &err), 0);
    nn_session_close(s);
    shape.dims[1] = 4;
    refuse_session(model, &options, "dimension 1", "4");
    nn_free(model);
}

static void session_says_where_shapes_clash(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    struct err err = {0};
    network_input(&net, "x", 2, DIMS(-1, 4));
    network_random(&net, "w", 2, DIMS(5, 6));
    wire_text(network_node(&net, "MatMul", "x,w", "y"), 3, "/head/matmul");
    network_output(&net, "y");
    struct wire file = network_file(&net);
    assert_null(nn_load_memory(file.data, file.size, &err));
    assert_non_null(strstr(err.text, "/head/matmul (MatMul, opset 13)"));
    wire_free(&file);
}

/* Sizes that multiply beyond any memory. */
static void session_refuses_giants(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    struct err err = {0};
    network_input(&net, "x", 4, DIMS(-1, 1 << 30, 1 << 30, 1 << 30));
    network_node(&net, "Relu", "x", "y");
    network_output(&net, "y");
    struct wire file = network_file(&net);
    assert_null(nn_load_memory(file.data, file.size, &err));
    assert_non_null(strstr(err.text, "too large"));
    wire_free(&file);
}

/* ---- memory ------------------------------------------------------------- */

static void session_allocates_nothing_while_running(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__)
    skip();
#else
    struct network net = classifier(-1, true);
    struct nn_model *model = load(&net);
    struct nn_session *s = open_session(model, 4);
    struct err err = {0};
    nn_session_run(s, 4, &err); /* OpenBLAS takes its buffer once */
    int before = allocations;
    for (int batch = 1; batch <= 4; batch++)
        assert_int_equal(nn_session_run(s, batch, &err), 0);
    assert_int_equal(allocations, before);
    nn_session_close(s);
    nn_free(model);
#endif
}

static size_t memory_of_chain(int length) {
    struct network net = {.opset = 13, .seed = 5};
    network_input(&net, "x", 4, DIMS(-1, 4, 64, 64));
    char from[16] = "x", to[16];
    for (int i = 0; i < length; i++) {
        snprintf(to, sizeof to, "%d", i);
        network_conv(&net, from, to, 4, 4, 1, true);
        strcpy(from, to);
    }
    network_output(&net, from);
    struct nn_model *model = load(&net);
    struct nn_session *s = open_session(model, 4);
    size_t memory = nn_session_memory(s);
    nn_session_close(s);
    nn_free(model);
    return memory;
}

/* Ten layers more take weights, not buffers. */
static void session_reuses_buffers(void **state) {
    (void)state;
    size_t map = 4 * 4 * 64 * 64 * sizeof(float);
    assert_true(memory_of_chain(14) - memory_of_chain(4) < map);
}

static void session_leaves_its_input_as_it_was(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 2, DIMS(-1, 4));
    network_node(&net, "Relu", "x", "a");
    network_node(&net, "Exp", "a", "b");
    network_node(&net, "Neg", "b", "y");
    network_output(&net, "y");
    struct nn_model *model = load(&net);
    struct nn_session *s = open_session(model, 2);
    struct err err = {0};
    fill(s, 8, 3);
    float before[8];
    memcpy(before, nn_session_input(s, 0), sizeof before);
    nn_session_run(s, 2, &err);
    assert_memory_equal(nn_session_input(s, 0), before, sizeof before);
    nn_session_close(s);
    nn_free(model);
}

static void session_gives_inputs_and_constants_out(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 2, DIMS(-1, 4));
    network_floats(&net, "c", 1, DIMS(2), (float[]){7.0f, 8.0f});
    network_node(&net, "Identity", "x", "same");
    network_node(&net, "Shape", "x", "shape");
    network_node(&net, "Reshape", "x,shape", "again");
    network_output(&net, "same");
    network_output(&net, "c");
    network_output(&net, "shape");
    network_output(&net, "again");
    check_network(&net, 3, 2, DIMS(-1, 4), "");
}

/* ---- activation maps ---------------------------------------------------- */

/* Where the map is right, its mean over the image and the bias are the logit
 * (Zhou et al. 2016, equation 2). */
static void check_cam(struct network *net, int classes, const float *bias) {
    struct nn_model *model = load(net);
    assert_true(nn_explainable(model));
    struct nn_session *s = open_session(model, 3);
    struct err err = {0};
    struct nn_cam cam;
    fill(s, 3 * 3 * 9 * 8, 11);
    assert_int_equal(nn_session_run(s, 3, &err), 0);
    assert_true(nn_session_cam(s, &cam));
    assert_int_equal(cam.classes, classes);
    assert_int_equal(cam.channels, 6);
    assert_int_equal(cam.height, 9);
    assert_int_equal(cam.width, 8);
    const float *logits = nn_session_output(s, 0);
    for (int n = 0; n < 3; n++)
        for (int k = 0; k < classes; k++) {
            double sum = 0;
            for (int c = 0; c < 6; c++)
                for (int i = 0; i < 9 * 8; i++)
                    sum +=
                        (double)cam.weights[k * 6 + c] *
                        (double)
                            cam.features[n * cam.stride_n + c * cam.stride_c +
                                         i / 8 * cam.stride_h +
                                         i % 8 * cam.stride_w];
            double logit = sum / 72 + (bias ? (double)bias[k] : 0.0);
            assert_float_equal(logits[n * classes + k], logit, 1e-5);
        }
    nn_session_close(s);
    nn_free(model);
}

static struct network features(void) {
    struct network net = {.opset = 13, .seed = 6};
    network_input(&net, "x", 4, IMAGES);
    network_conv(&net, "x", "c", 3, 6, 3, true);
    network_node(&net, "Relu", "c", "r");
    return net;
}

static void session_explains_usual_tails(void **state) {
    (void)state;
    const float bias[5] = {1, 2, 3, 4, 5};

    struct network net = features();
    network_node(&net, "GlobalAveragePool", "r", "p");
    network_node(&net, "Flatten", "p", "f");
    network_random(&net, "w", 2, DIMS(6, 5)); /* (channels, classes) */
    network_floats(&net, "b", 1, DIMS(5), bias);
    network_node(&net, "Gemm", "f,w,b", "y");
    network_output(&net, "y");
    check_cam(&net, 5, bias);

    net = features();
    struct wire *mean = network_node(&net, "ReduceMean", "r", "p");
    give_ints(mean, "axes", 2, DIMS(-1, -2));
    give_integer(mean, "keepdims", 0);
    network_random(&net, "w", 2, DIMS(6, 5));
    network_floats(&net, "b", 1, DIMS(5), bias);
    network_node(&net, "MatMul", "p,w", "m");
    network_node(&net, "Add", "m,b", "y");
    network_output(&net, "y");
    check_cam(&net, 5, bias);

    net = features();
    struct wire *pool = network_node(&net, "AveragePool", "r", "p");
    give_ints(pool, "kernel_shape", 2, DIMS(9, 8));
    network_random(&net, "w", 4, DIMS(5, 6, 1, 1));
    network_floats(&net, "b", 1, DIMS(5), bias);
    network_node(&net, "Conv", "p,w,b", "l");
    network_node(&net, "Flatten", "l", "y");
    network_output(&net, "y");
    check_cam(&net, 5, bias);
}

static void session_knows_probabilities(void **state) {
    (void)state;
    struct network net = classifier(-1, true);
    struct nn_model *model = load(&net);
    assert_int_equal(nn_output_ending(model, 0), NN_ENDS_IN_SOFTMAX);
    assert_true(nn_explainable(model));
    nn_free(model);
    net = classifier(-1, false);
    model = load(&net);
    assert_int_equal(nn_output_ending(model, 0), NN_ENDS_OTHERWISE);
    nn_free(model);
}

static void session_knows_what_each_output_ends_in(void **state) {
    (void)state;
    struct network net = features();
    network_node(&net, "GlobalAveragePool", "r", "p");
    network_node(&net, "Flatten", "p", "f");
    network_random(&net, "w", 2, DIMS(6, 5));
    network_node(&net, "Gemm", "f,w", "z");
    network_node(&net, "Sigmoid", "z", "s");
    give_integer(network_node(&net, "Concat", "s", "y"), "axis", 1);
    network_output(&net, "f");
    network_output(&net, "y");
    struct nn_model *model = load(&net);
    assert_int_equal(nn_output_ending(model, 0), NN_ENDS_OTHERWISE);
    assert_int_equal(nn_output_ending(model, 1), NN_ENDS_IN_SIGMOID);
    struct nn_session *s = open_session(model, 1);
    struct nn_cam cam;
    assert_true(nn_session_cam(s, &cam));
    assert_int_equal(cam.output, 1);
    assert_int_equal(cam.classes, 5);
    nn_session_close(s);
    nn_free(model);
}

/* What comes between pooling and the scores makes the map something else. */
static void session_refuses_to_explain_other_tails(void **state) {
    (void)state;
    struct network net = features();
    network_node(&net, "GlobalAveragePool", "r", "y");
    network_output(&net, "y");
    struct nn_model *model = load(&net);
    assert_false(nn_explainable(model));
    nn_free(model);

    net = features();
    network_node(&net, "GlobalAveragePool", "r", "p");
    network_node(&net, "Relu", "p", "q");
    network_node(&net, "Flatten", "q", "f");
    network_random(&net, "w", 2, DIMS(6, 5));
    network_node(&net, "Gemm", "f,w", "y");
    network_output(&net, "y");
    model = load(&net);
    assert_false(nn_explainable(model));
    struct nn_session *s = open_session(model, 1);
    struct nn_cam cam;
    assert_false(nn_session_cam(s, &cam));
    nn_session_close(s);
    nn_free(model);

    net = features(); /* the sum of two branches: half a map */
    network_node(&net, "GlobalAveragePool", "r", "p");
    network_node(&net, "Flatten", "p", "f");
    network_random(&net, "w", 2, DIMS(6, 5));
    network_node(&net, "Gemm", "f,w", "a");
    network_node(&net, "GlobalMaxPool", "r", "q");
    network_node(&net, "Flatten", "q", "g");
    network_node(&net, "Gemm", "g,w", "b");
    network_node(&net, "Add", "a,b", "y");
    network_output(&net, "y");
    model = load(&net);
    assert_false(nn_explainable(model));
    nn_free(model);
}

/* ---- reports ------------------------------------------------------------ */

static void session_reports_steps(void **state) {
    (void)state;
    struct network net = classifier(-1, false);
    struct nn_model *model = load(&net);
    struct nn_summary summary;
    nn_summarise(model, &summary);
    assert_int_equal(summary.nodes, 5);
    assert_int_equal(summary.parameters, 6 * 27 + 6 + 5 * 6 + 5);
    assert_int_equal(summary.opset, 13);
    /* 9x8 pixels of 6 x 27 products, 5 x 6 products, 72 x 6 sums */
    assert_float_equal(summary.flops, 2 * 72 * 6 * 27 + 2 * 30 + 72 * 6, 0.5);

    struct nn_session *s = open_session(model, 2);
    struct err err = {0};
    assert_int_equal(nn_session_step_count(s), summary.steps);
    nn_session_run(s, 2, &err);
    struct nn_step_report report;
    nn_session_step(s, 1, &report);
    assert_string_equal(report.op, "Conv+Relu");
    assert_string_equal(report.name, "c");
    assert_string_equal(report.shape, "[2, 6, 9, 8]");
    assert_float_equal(report.flops, 2 * 2 * 72 * 6 * 27, 0.5);
    assert_true(report.algorithm[0] != 0);
    assert_float_equal(report.seconds, 0, 0);
    nn_session_profile(s, true);
    nn_session_run(s, 2, &err);
    nn_session_step(s, 1, &report);
    assert_true(report.seconds > 0);
    nn_session_close(s);
    nn_free(model);
}

/* A window of 3 x 2 over 5 x 4: 3 x 3 of them, in two channels. */
static void session_counts_what_windows_cover(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, DIMS(1, 2, 5, 4));
    give_ints(network_node(&net, "LpPool", "x", "y"), "kernel_shape", 2,
              DIMS(3, 2));
    network_output(&net, "y");
    struct nn_model *model = load(&net);
    struct nn_summary summary;
    nn_summarise(model, &summary);
    assert_float_equal(summary.flops, 2 * 3 * 3 * 6, 0.5);
    nn_free(model);
}

/* ---- anything ----------------------------------------------------------- */

/* Twenty layers, products among them, make rounding larger; a number of the
 * wrong place is off by far more. */
#define DEEP_TOLERANCE 3e-3

/* A network drawn by lot out of layers that keep maps of 9x8 or make them
 * smaller; each reads one of the last few results. */
struct lot {
    struct network net;
    struct {
        char name[16];
        int channels, rows, columns;
    } maps[64];
    int count;
    uint32_t seed;
};

static int draw(struct lot *lot, int n) {
    lot->seed = lot->seed * 1664525u + 1013904223u;
    return (int)((lot->seed >> 16) % (uint32_t)n);
}

static int recent(struct lot *lot) {
    int back = draw(lot, 4);
    return back < lot->count ? lot->count - 1 - back : 0;
}

/* A result of the shape of map i, perhaps itself. */
static int same_shape(struct lot *lot, int i) {
    for (int k = lot->count - 1; k >= 0; k--)
        if (k != i && lot->maps[k].channels == lot->maps[i].channels &&
            lot->maps[k].rows == lot->maps[i].rows &&
            lot->maps[k].columns == lot->maps[i].columns)
            return k;
    return i;
}

static void draw_layer(struct lot *lot) {
    static const char *const plain[] = {"Relu", "Sigmoid",  "Tanh",     "Neg",
                                        "Abs",  "Softplus", "LeakyRelu"};
    int i = recent(lot), k = same_shape(lot, i);
    const char *in = lot->maps[i].name;
    char out[16], pair[40];
    int channels = lot->maps[i].channels;
    struct wire *node;
    lot->maps[lot->count] = lot->maps[i];
    snprintf(out, sizeof out, "m%d", lot->count);
    snprintf(pair, sizeof pair, "%s,%s", in, lot->maps[k].name);
    switch (draw(lot, 12)) {
    case 0:
    case 1:
    case 2:
        channels = draw(lot, 2) ? channels : 1 + draw(lot, 9);
        network_conv(&lot->net, in, out, lot->maps[i].channels, channels,
                     draw(lot, 2) ? 3 : 1, draw(lot, 2));
        break;
    case 3:
        network_batch_norm(&lot->net, in, out, channels);
        break;
    case 4:
    case 5:
        network_node(&lot->net, "Add", pair, out);
        break;
    case 6:
        network_node(&lot->net, "Mul", pair, out);
        break;
    case 7:
        node = network_node(&lot->net, "Concat", pair, out);
        give_integer(node, "axis", 1);
        channels *= 2;
        break;
    case 8:
        node = network_node(&lot->net, "MaxPool", in, out);
        give_ints(node, "kernel_shape", 2, DIMS(3, 3));
        give_ints(node, "pads", 4, DIMS(1, 1, 1, 1));
        give_ints(node, "strides", 2, DIMS(2, 1));
        lot->maps[lot->count].rows = (lot->maps[i].rows - 1) / 2 + 1;
        break;
    case 9:
        node = network_node(&lot->net, "Transpose", in, out);
        give_ints(node, "perm", 4, DIMS(0, 1, 3, 2));
        lot->maps[lot->count].rows = lot->maps[i].columns;
        lot->maps[lot->count].columns = lot->maps[i].rows;
        break;
    case 10: { /* squeeze and excitation */
        char gate[24];
        snprintf(gate, sizeof gate, "%s.g", out);
        snprintf(pair, sizeof pair, "%s,%s", in, gate);
        network_node(&lot->net, "GlobalAveragePool", in, gate);
        network_node(&lot->net, "Mul", pair, out);
        break;
    }
    default:
        network_node(&lot->net, plain[draw(lot, 7)], in, out);
    }
    strcpy(lot->maps[lot->count].name, out);
    lot->maps[lot->count++].channels = channels;
}

static void session_computes_any_network(void **state) {
    (void)state;
    for (uint32_t seed = 0; seed < 150; seed++) {
        struct lot lot = {.net = {.opset = 13, .seed = seed}, .seed = seed};
        network_input(&lot.net, "x", 4, IMAGES);
        strcpy(lot.maps[0].name, "x");
        lot.maps[0].channels = 3;
        lot.maps[0].rows = 9;
        lot.maps[0].columns = 8;
        lot.count = 1;
        int layers = 3 + draw(&lot, 20);
        for (int i = 0; i < layers; i++)
            draw_layer(&lot);
        network_node(&lot.net, "Tanh", lot.maps[lot.count - 1].name, "y");
        network_output(&lot.net, "y");
        network_output(&lot.net, lot.maps[recent(&lot)].name);
        struct wire file = network_file(&lot.net);
        check_file(&file, 2, 4, IMAGES, NULL, DEEP_TOLERANCE);
        wire_free(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(session_runs_every_batch),
        cmocka_unit_test(session_runs_half_precision_weights),
        cmocka_unit_test(session_follows_the_batch_to_other_axes),
        cmocka_unit_test(session_refuses_other_batches),
        cmocka_unit_test(session_keeps_a_fixed_batch),
        cmocka_unit_test(session_asks_for_open_sizes),
        cmocka_unit_test(session_says_where_shapes_clash),
        cmocka_unit_test(session_refuses_giants),
        cmocka_unit_test(session_allocates_nothing_while_running),
        cmocka_unit_test(session_reuses_buffers),
        cmocka_unit_test(session_leaves_its_input_as_it_was),
        cmocka_unit_test(session_gives_inputs_and_constants_out),
        cmocka_unit_test(session_explains_usual_tails),
        cmocka_unit_test(session_knows_probabilities),
        cmocka_unit_test(session_knows_what_each_output_ends_in),
        cmocka_unit_test(session_refuses_to_explain_other_tails),
        cmocka_unit_test(session_reports_steps),
        cmocka_unit_test(session_counts_what_windows_cover),
        cmocka_unit_test(session_computes_any_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
