/* What of a folder and of its network's output is believed. */
#include "models/classifier/classifier.h"
#include "tests/unit/model_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { CLASSES = 5, SIDE = MODEL_FOLDER_SIDE };
static const float logits[CLASSES] = {0.5f, -1, 2, 0, 1};

static struct classifier *load(const char *name) {
    struct err err = {0};
    struct classifier *c = classifier_load(model_folder_path(name), &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void assert_refused(const char *name, const char *says) {
    struct err err = {0};
    struct classifier *c = classifier_load(model_folder_path(name), &err);
    if (c || !strstr(err.text, says))
        fail_msg("%s: \"%s\" should say %s", name, c ? "loaded" : err.text,
                 says);
}

/* Scores of a black picture by class, in place. */
static void classify(const struct classifier *c, float *scores) {
    static const uint8_t black[SIDE * SIDE * 3];
    static struct classification out;
    const uint8_t *picture = black;
    struct err err = {0};
    struct classifier_run *run = classifier_run_open(c, 1, &err);
    if (!run)
        fail_msg("%s", err.text);
    classifier_run_pixels(run, &picture, SIDE, SIDE, 1, CLASSIFIER_TOP_MAX,
                          &out);
    if (out.failed)
        fail_msg("%s", out.err.text);
    for (int i = 0; i < out.top_count; i++)
        scores[out.top[i].index] = out.top[i].score;
    classifier_run_close(run);
}

static void assert_scores(const float *expected, int count) {
    float scores[CLASSES] = {0};
    struct classifier *c = load("m");
    assert_int_equal(classifier_classes(c), count);
    classify(c, scores);
    for (int i = 0; i < count; i++)
        assert_float_equal(scores[i], expected[i], 0.004);
    classifier_free(c);
}

/* ---- the output's shape -------------------------------------------------- */

static void classifier_does_not_believe_the_declared_shape(void **state) {
    static const struct {
        int64_t classes;
        const char *says;
    } rows[] = {
        {3, "output \"y\" is declared as (N, 3), but the network gives (N, 5)"},
        {7, "declared as (N, 7)"},
        {1000, "declared as (N, 1000)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct network net = model_folder_scores("y", CLASSES, logits);
        network_port(&net, 12, "y", 1, 2, (int64_t[]){-1, rows[i].classes});
        model_folder_network("m/model.onnx", &net);
        assert_refused("m", rows[i].says);
    }
}

static void classifier_refuses_what_is_no_row_of_scores(void **state) {
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, (int64_t[]){-1, 3, SIDE, SIDE});
    network_node(&net, "Relu", "x", "y");
    network_output(&net, "y");
    model_folder_network("m/model.onnx", &net);
    assert_refused("m", "should be float32 (images, classes)");
    net = model_folder_scores("y", 100001, NULL);
    network_output(&net, "y");
    model_folder_network("m/model.onnx", &net);
    assert_refused("m", "at most 100000 classes");
}

/* Reshape to (1, -1) makes one row of several pictures. */
static void classifier_takes_one_at_a_time_where_that_is_baked_in(void **s) {
    static const uint8_t black[SIDE * SIDE * 3];
    const uint8_t *pictures[] = {black, black, black};
    static struct classification out[3];
    struct err err = {0};
    (void)s;
    struct network net = model_folder_scores("z", CLASSES, logits);
    network_integers(&net, "shape", 2, (int64_t[]){1, -1});
    network_node(&net, "Reshape", "z,shape", "y");
    network_port(&net, 12, "y", 1, 2, (int64_t[]){-1, CLASSES});
    model_folder_network("m/model.onnx", &net);
    struct classifier *c = load("m");
    struct classifier_run *run = classifier_run_open(c, 3, &err);
    if (!run)
        fail_msg("%s", err.text);
    assert_non_null(classifier_run_single(run));
    assert_non_null(strstr(classifier_run_single(run), "m, in batches of 3"));
    classifier_run_pixels(run, pictures, SIDE, SIDE, 3, 1, out);
    for (int i = 0; i < 3; i++)
        assert_true(!out[i].failed && out[i].top[0].index == 2);
    classifier_run_close(run);
    run = classifier_run_open(c, 1, &err);
    assert_null(classifier_run_single(run));
    classifier_run_close(run);
    assert_null(classifier_run_open_views(c, 1, 2, &err));
    assert_non_null(strstr(err.text, "m, in batches of 2"));
    classifier_free(c);
}

/* ---- what its numbers are ------------------------------------------------ */

static void tail_plain(struct network *net) {
    network_node(net, "Identity", "z", "y");
}

static void tail_softmax(struct network *net) {
    network_node(net, "Softmax", "z", "y");
}

static void tail_log_softmax(struct network *net) {
    network_node(net, "LogSoftmax", "z", "y");
}

static void tail_clip(struct network *net) {
    network_scalar(net, "low", 0);
    network_scalar(net, "high", 1);
    network_node(net, "Softmax", "z", "p");
    network_node(net, "Clip", "p,low,high", "y");
}

static void tail_concat(struct network *net) {
    network_node(net, "Softmax", "z", "p");
    give_integer(network_node(net, "Concat", "p", "y"), "axis", 1);
}

static void tail_quantised(struct network *net) {
    network_scalar(net, "scale", 1 / 256.0f);
    struct wire zero = network_tensor("zero", 2, 0, NULL);
    wire_bytes(&zero, 9, "", 1);
    wire_message(&net->rest, 5, &zero);
    network_node(net, "Softmax", "z", "p");
    network_node(net, "QuantizeLinear", "p,scale,zero", "q");
    network_node(net, "DequantizeLinear", "q,scale,zero", "y");
}

static void tail_mean_of_two(struct network *net) {
    network_scalar(net, "half", 0.5f);
    network_node(net, "Softmax", "z", "p");
    network_node(net, "Softmax", "z", "q");
    network_node(net, "Add", "p,q", "sum");
    network_node(net, "Mul", "sum,half", "y");
}

static void tail_written_out(struct network *net) {
    network_integers(net, "axes", 1, (int64_t[]){1});
    network_node(net, "Exp", "z", "e");
    network_node(net, "ReduceSum", "e,axes", "sum");
    network_node(net, "Div", "e,sum", "y");
}

static void tail_sigmoid(struct network *net) {
    network_node(net, "Sigmoid", "z", "y");
}

/* exp(logit) / sum, and 1 / (1 + exp(-logit)), by Python's math */
static const float softmax_of[] = {0.125627f, 0.028031f, 0.563021f, 0.076197f,
                                   0.207124f};
static const float sigmoid_of[] = {0.622459f, 0.268941f, 0.880797f, 0.5f,
                                   0.731059f};

static const struct tail {
    void (*add)(struct network *net);
    const char *config, *says;
    const float *scores;
} tails[] = {
    {tail_plain, "{}", "softmax makes probabilities", softmax_of},
    {tail_softmax, "{}", "ends in Softmax", softmax_of},
    {tail_log_softmax, "{}", "softmax makes probabilities", softmax_of},
    {tail_clip, "{}", "ends in Softmax", softmax_of},
    {tail_concat, "{}", "ends in Softmax", softmax_of},
    {tail_quantised, "{}", "ends in Softmax", softmax_of},
    {tail_mean_of_two, "{}", "add up to 1", softmax_of},
    {tail_written_out, "{}", "add up to 1", softmax_of},
    {tail_sigmoid, "{}", "ends in Sigmoid", sigmoid_of},
    {tail_plain, "{\"problem_type\": \"multi_label_classification\"}",
     "sigmoid makes independent scores", sigmoid_of},
    {tail_sigmoid, "{\"problem_type\": \"multi_label_classification\"}",
     "ends in Sigmoid", sigmoid_of},
};

static void classifier_knows_probabilities_from_logits(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
        struct network net = model_folder_scores("z", CLASSES, logits);
        tails[i].add(&net);
        network_output(&net, "y");
        model_folder_network("m/model.onnx", &net);
        model_folder_text("m/config.json", tails[i].config);
        struct classifier *c = load("m");
        char *text = classifier_describe_scores(c);
        if (!text || !strstr(text, tails[i].says))
            fail_msg("tail %zu: \"%s\" should say %s", i, text, tails[i].says);
        free(text);
        classifier_free(c);
        assert_scores(tails[i].scores, CLASSES);
    }
}

static void classifier_makes_two_classes_of_one_score(void **state) {
    static void (*const add[])(struct network *) = {tail_plain, tail_sigmoid};
    const float expected[] = {1 - 0.880797f, 0.880797f};
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct network net = model_folder_scores("z", 1, &logits[2]);
        add[i](&net);
        network_port(&net, 12, "y", 1, 2, (int64_t[]){-1, 1});
        model_folder_network("m/model.onnx", &net);
        model_folder_text("m/labels.txt", "cat\ndog\n");
        assert_scores(expected, 2);
        struct classifier *c = load("m");
        assert_string_equal(classifier_label(c, 1), "dog");
        classifier_free(c);
    }
    model_folder_text("m/labels.txt", "cat\ndog\ncow\n");
    assert_refused("m", "gives one score, which stands for two classes");
}

static void classifier_chooses_the_output_that_fits(void **state) {
    (void)state;
    struct network net = model_folder_scores("z", CLASSES, logits);
    network_node(&net, "Identity", "z", "logits");
    network_output(&net, "flat");
    network_output(&net, "logits");
    model_folder_network("m/model.onnx", &net);
    assert_scores(softmax_of, CLASSES); /* by its name */
    net = model_folder_scores("z", CLASSES, logits);
    network_output(&net, "flat");
    network_output(&net, "z");
    model_folder_network("m/model.onnx", &net);
    model_folder_text("m/labels.txt", "a\nb\nc\nd\ne\n");
    assert_scores(softmax_of, CLASSES); /* by the labels */
    model_folder_text("m/labels.txt", "a\nb\nc\nd\n");
    assert_refused("m", "gives 3 scores (output \"flat\")");
}

/* ---- grey ---------------------------------------------------------------- */

/* The pixels of a picture of 2 x 2, as the network sees them. */
static void classifier_makes_pictures_grey_for_one_channel(void **state) {
    static const uint8_t pixels[] = {255, 0, 0,   0,  255, 0,
                                     0,   0, 255, 10, 20,  30};
    static const float luma[] = {76, 150, 29, 18}; /* of Pillow's convert */
    static struct classification out;
    const uint8_t *picture = pixels;
    struct err err = {0};
    (void)state;
    struct network net = {.opset = 13};
    network_input(&net, "x", 4, (int64_t[]){-1, 1, 2, 2});
    network_node(&net, "Flatten", "x", "flat");
    network_node(&net, "Sigmoid", "flat", "y");
    network_output(&net, "y");
    model_folder_network("m/model.onnx", &net);
    model_folder_text("m/preprocessor_config.json",
                      "{\"image_mean\": [0.25], \"image_std\": [0.5]}");
    struct classifier *c = load("m");
    struct classifier_run *run = classifier_run_open(c, 1, &err);
    classifier_run_pixels(run, &picture, 2, 2, 1, 4, &out);
    assert_false(out.failed);
    for (int i = 0; i < 4; i++) {
        float x = (luma[out.top[i].index] / 255 - 0.25f) / 0.5f;
        assert_float_equal(out.top[i].score, 1 / (1 + expf(-x)), 1e-6);
    }
    classifier_run_close(run);
    classifier_free(c);
    model_folder_text("m/preprocessor_config.json",
                      "{\"image_mean\": [0, 0, 1], \"image_std\": [1, 1, 1]}");
    assert_refused("m", "differs by channel");
}

/* ---- the files ----------------------------------------------------------- */

#define FIVE "{\"id2label\": [\"a\", \"b\", \"c\", \"d\", \"e\"]}"

static void write_scores(const char *name) {
    struct network net = model_folder_scores("y", CLASSES, logits);
    network_output(&net, "y");
    model_folder_network(name, &net);
}

static void classifier_looks_one_up_from_a_folder_called_onnx(void **state) {
    static const struct {
        const char *path, *name;
    } rows[] = {{"hub", "hub"},
                {"hub/onnx", "hub"},
                {"hub/onnx/model.onnx", "hub"},
                {"hub/onnx/model_int8.onnx", "model_int8"}};
    (void)state;
    write_scores("hub/onnx/model.onnx");
    write_scores("hub/onnx/model_int8.onnx");
    model_folder_text("hub/config.json", FIVE);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct classifier *c = load(rows[i].path);
        assert_string_equal(classifier_label(c, 4), "e");
        assert_string_equal(classifier_name(c), rows[i].name);
        classifier_free(c);
    }
}

static void classifier_takes_the_only_network_or_names_them(void **state) {
    (void)state;
    write_scores("hub/onnx/model_int8.onnx");
    model_folder_text("hub/config.json", FIVE);
    struct classifier *c = load("hub");
    assert_string_equal(classifier_name(c), "hub");
    assert_string_equal(classifier_label(c, 4), "e");
    classifier_free(c);
    write_scores("hub/onnx/model_fp16.onnx");
    assert_refused("hub", "model_fp16.onnx, model_int8.onnx");
    model_folder_text("empty/config.json", FIVE);
    assert_refused("empty", "has no model.onnx");
}

static void classifier_says_what_is_no_onnx(void **state) {
    static const struct {
        const char *bytes, *says;
    } rows[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
         "git lfs pull"},
        {"<!doctype html><html>", "is a web page"},
        {"PK\x03\x04....", "torch.onnx.export()"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        model_folder_text("m/model.onnx", rows[i].bytes);
        assert_refused("m", rows[i].says);
    }
}

static void classifier_reads_what_timm_writes(void **state) {
    (void)state;
    write_scores("m/model.onnx");
    model_folder_text(
        "m/config.json",
        "{\"label_names\": [\"a\", \"b\", \"c\", \"d\", \"e\"], "
        "\"pretrained_cfg\": {\"input_size\": [3, 8, 8], \"crop_pct\": 0.5, "
        "\"interpolation\": \"bicubic\", \"mean\": [0.5, 0.5, 0.5], "
        "\"std\": [0.25, 0.25, 0.25]}}");
    struct classifier *c = load("m");
    char *text = classifier_describe_preprocessing(c);
    assert_string_equal(classifier_label(c, 0), "a");
    assert_string_equal(text, "resize the shorter side to 16, bicubic\n"
                              "cut out 8 x 8 in the centre\n"
                              "multiply by 0.00392157\n"
                              "subtract (0.5, 0.5, 0.5) and divide by (0.25, "
                              "0.25, 0.25)\n"
                              "feed as float32 (N, 3, height, width)\n");
    free(text);
    classifier_free(c);
}

/* ---- numbers in a file of their own -------------------------------------- */

/* dogs/model.onnx, whose logits have dogs/w.data added. */
static void write_split_network(const float *data) {
    struct network net = model_folder_scores("s", CLASSES, NULL);
    struct wire t = network_tensor("w2", 1, 1, (int64_t[]){CLASSES});
    struct wire entry = {0};
    network_node(&net, "Add", "s,w2", "y");
    network_output(&net, "y");
    wire_text(&entry, 1, "location");
    wire_text(&entry, 2, "w.data");
    wire_message(&t, 13, &entry);
    wire_varint(&t, 14, 1); /* data_location: EXTERNAL */
    wire_message(&net.rest, 5, &t);
    model_folder_network("dogs/model.onnx", &net);
    model_folder_write("dogs/w.data", data, CLASSES * sizeof *data);
}

static void classifier_reads_and_counts_the_data_beside_it(void **state) {
    (void)state;
    static const float other[CLASSES] = {0, 0, 0, 9, 0};
    char version[CLASSIFIER_VERSION_LEN + 1];
    float scores[CLASSES];
    write_split_network(logits);
    struct classifier *c = load("dogs");
    strcpy(version, classifier_version(c));
    classify(c, scores);
    assert_true(scores[2] > scores[4] && scores[4] > scores[0]);
    classifier_free(c);
    write_split_network(other);
    c = load("dogs");
    assert_string_not_equal(classifier_version(c), version);
    classify(c, scores);
    assert_true(scores[3] > 0.99f);
    classifier_free(c);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, model_folder_open, model_folder_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(classifier_reads_and_counts_the_data_beside_it),
        TEST(classifier_does_not_believe_the_declared_shape),
        TEST(classifier_refuses_what_is_no_row_of_scores),
        TEST(classifier_takes_one_at_a_time_where_that_is_baked_in),
        TEST(classifier_knows_probabilities_from_logits),
        TEST(classifier_makes_two_classes_of_one_score),
        TEST(classifier_chooses_the_output_that_fits),
        TEST(classifier_makes_pictures_grey_for_one_channel),
        TEST(classifier_looks_one_up_from_a_folder_called_onnx),
        TEST(classifier_takes_the_only_network_or_names_them),
        TEST(classifier_says_what_is_no_onnx),
        TEST(classifier_reads_what_timm_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
