/* A model folder read back into a network: the same function, then adapted. */
#include "tests/unit/train_tiny.h"

#include "common/file.h"
#include "models/train/architecture.h"
#include "models/train/export.h"
#include "models/train/probe.h"
#include "models/train/transfer.h"

#include <math.h>
#include <sys/stat.h>

enum { BATCH = 24, CLASSES = 10, OTHER_CLASSES = 3 };
#define WIDTH 0.2
static const struct shape input = {32, 32, 3};

static const char config[] = "{\"model_type\": \"airbench\", "
                             "\"training\": {\"width\": 0.2}}";
static const char preprocessor[] =
    "{\"do_resize\": true, \"size\": {\"height\": 32, \"width\": 32}, "
    "\"image_mean\": [0.4914, 0.4822, 0.4465], "
    "\"image_std\": [0.247, 0.2435, 0.2616]}";

struct fixture {
    struct tiny tiny;
    char folder[96];
    struct team *team;
    struct network *from, *to;
    struct transfer model;
};

static struct network *open_net(struct fixture *f, int classes, int seed) {
    struct architecture a;
    struct err err = {0};
    assert_int_equal(architecture_make(&a, "airbench", WIDTH, classes, &err),
                     0);
    struct network *net =
        network_open(a.table, a.rows, input, BATCH, f->team, &err);
    if (!net)
        fail_msg("%s", err.text);
    network_init(net, (uint64_t)seed);
    return net;
}

static void fill(struct network *net, uint64_t seed) {
    struct rng rng;
    rng_seed(&rng, seed, 1);
    for (size_t i = 0; i < BATCH * shape_size(input); i++)
        network_input(net)[i] = rng_uniform(&rng, -2, 2);
}

static void put(struct fixture *f, const char *name, const void *bytes,
                size_t size) {
    struct err err = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/%s", f->folder, name);
    assert_int_equal(file_write(path, bytes, size, &err), 0);
}

/* A network with statistics that are not those of its beginning. */
static void make_model(struct fixture *f) {
    struct err err = {0};
    size_t size;
    f->from = open_net(f, CLASSES, 1);
    fill(f->from, 2);
    struct param *bias = layer_param(&f->from->layers[0], "bias");
    for (size_t i = 0; i < bias->count; i++)
        bias->value[i] = 0.01f * (float)i;
    for (int i = 0; i < 4; i++)
        network_measure(f->from, BATCH);
    void *onnx = export_onnx(f->from, "test", 1, &size, &err);
    assert_non_null(onnx);
    put(f, "model.onnx", onnx, size);
    free(onnx);
    put(f, "config.json", config, sizeof config - 1);
    put(f, "preprocessor_config.json", preprocessor, sizeof preprocessor - 1);
}

static int open_model(void **state) {
    static struct fixture f;
    struct err err = {0};
    f = (struct fixture){0};
    tiny_open(&f.tiny, 1);
    snprintf(f.folder, sizeof f.folder, "%s/source", f.tiny.folder);
    assert_int_equal(mkdir(f.folder, 0700), 0);
    f.team = team_open(2, &err);
    make_model(&f);
    f.to = open_net(&f, OTHER_CLASSES, 9);
    *state = &f;
    return 0;
}

static int close_model(void **state) {
    struct fixture *f = *state;
    transfer_close(&f->model);
    network_free(f->from);
    network_free(f->to);
    team_close(f->team);
    tiny_close(&f->tiny);
    return 0;
}

static void load(struct fixture *f) {
    struct err err = {0};
    if (transfer_open(&f->model, f->folder, &err) < 0 ||
        transfer_load(&f->model, f->to, &err) < 0)
        fail_msg("%s", err.text);
}

static void train_transfer_brings_the_features_along(void **state) {
    struct fixture *f = *state;
    load(f);
    assert_string_equal(f->model.name, "source");
    assert_string_equal(f->model.architecture, "airbench");
    assert_float_equal((float)f->model.width, 0.2f, 1e-6f);
    fill(f->from, 3);
    fill(f->to, 3);
    network_infer(f->from, BATCH);
    network_infer(f->to, BATCH);
    struct shape shape;
    const float *expected = network_features(f->from, &shape);
    const float *got = network_features(f->to, &shape);
    float largest = 0;
    for (size_t i = 0; i < BATCH * shape_size(shape); i++)
        largest = fmaxf(largest, fabsf(expected[i]));
    for (size_t i = 0; i < BATCH * shape_size(shape); i++)
        assert_float_equal(got[i], expected[i], 2e-5f * largest);
}

/* The first normalisation's output has, on the new images, the mean that it
 * had before: its shift has taken up the mean that is now subtracted. */
static void train_transfer_adapts_to_the_new_images(void **state) {
    struct fixture *f = *state;
    load(f);
    int norm = 0;
    while (f->to->layers[norm].kind != &layer_batchnorm)
        norm++;
    struct layer *l = &f->to->layers[norm];
    float before = layer_param(l, "bias")->value[0];
    fill(f->to, 4);
    transfer_adapt(f->to, BATCH);
    float mean = layer_param(l, "mean")->value[0];
    assert_true(fabsf(mean) > 1e-3f);
    assert_float_equal(layer_param(l, "bias")->value[0], before + mean, 1e-5f);
    assert_true(l->spec.momentum > 0); /* as it was */
}

/* Into a network of the same classes: the same logits, before a temperature. */
static void train_transfer_brings_the_last_layer_along(void **state) {
    static const char named[] =
        "{\"model_type\": \"airbench\", \"training\": {\"width\": 0.2, "
        "\"temperature\": 0.5}, \"id2label\": {\"0\": \"a\", \"1\": \"b\", "
        "\"2\": \"c\", \"3\": \"d\", \"4\": \"e\", \"5\": \"f\", \"6\": "
        "\"g\", \"7\": \"h\", \"8\": \"i\", \"9\": \"j\"}}";
    static const char *const same[] = {"a", "b", "c", "d", "e",
                                       "f", "g", "h", "i", "j"};
    static const char *const others[] = {"a", "b", "c", "d", "e",
                                         "f", "g", "h", "j", "i"};
    struct fixture *f = *state;
    struct err err = {0};
    size_t size;
    void *onnx = export_onnx(f->from, "test", 0.5, &size, &err);
    put(f, "model.onnx", onnx, size);
    free(onnx);
    put(f, "config.json", named, sizeof named - 1);
    network_free(f->to);
    f->to = open_net(f, CLASSES, 9);
    load(f);
    assert_true(transfer_has_classes(&f->model, same, CLASSES));
    assert_false(transfer_has_classes(&f->model, others, CLASSES));
    assert_false(transfer_has_classes(&f->model, same, CLASSES - 1));
    assert_false(transfer_has_classes(&f->model, NULL, CLASSES));
    assert_int_equal(transfer_load_head(&f->model, f->to, &err), 0);
    fill(f->from, 3);
    fill(f->to, 3);
    network_infer(f->from, BATCH);
    network_infer(f->to, BATCH);
    for (int i = 0; i < BATCH * CLASSES; i++)
        assert_float_equal(network_logits(f->to)[i], network_logits(f->from)[i],
                           1e-4f);
    network_free(f->to);
    f->to = open_net(f, OTHER_CLASSES, 9);
    assert_int_equal(transfer_load_head(&f->model, f->to, &err), -1);
    assert_non_null(strstr(err.text, "last layer does not fit"));
}

static void refuse(struct fixture *f, const char *why) {
    struct err err = {0};
    int rc = transfer_open(&f->model, f->folder, &err);
    if (rc == 0)
        rc = transfer_load(&f->model, f->to, &err);
    assert_int_equal(rc, -1);
    if (!strstr(err.text, why))
        fail_msg("\"%s\" does not say \"%s\"", err.text, why);
}

static void train_transfer_refuses_what_does_not_fit(void **state) {
    static const char other[] = "{\"model_type\": \"resnet\"}";
    static const char plain[] = "{\"do_normalize\": true, "
                                "\"size\": {\"height\": 32, \"width\": 32}, "
                                "\"image_mean\": [0.5, 0.5, 0.5], "
                                "\"image_std\": [0.5, 0.5, 0.5]}";
    struct fixture *f = *state;
    put(f, "preprocessor_config.json", plain, sizeof plain - 1);
    refuse(f, "normalised in another way");
    put(f, "config.json", other, sizeof other - 1);
    refuse(f, "does not tell of a training");
    put(f, "config.json", config, sizeof config - 1);
    put(f, "preprocessor_config.json", preprocessor, sizeof preprocessor - 1);
    put(f, "model.onnx", "not ONNX", 8);
    refuse(f, "");
    snprintf(f->folder, sizeof f->folder, "/nowhere");
    refuse(f, "cannot start from /nowhere");
}

static void train_transfer_refuses_another_shape(void **state) {
    struct fixture *f = *state;
    struct architecture a;
    struct err err = {0};
    network_free(f->to);
    assert_int_equal(architecture_make(&a, "airbench", 0.3, 3, &err), 0);
    f->to = network_open(a.table, a.rows, input, BATCH, f->team, &err);
    refuse(f, "does not fit layer 2");
}

/* Features that tell the classes apart by one number each. */
static void train_probe_fits_a_last_layer(void **state) {
    enum { IMAGES = 90 };
    struct fixture *f = *state;
    struct err err = {0};
    struct layer *head = &f->to->layers[f->to->layers_count - 1];
    int c = (int)shape_size(head->in), right = 0;
    float *pooled = calloc((size_t)(IMAGES * c), sizeof *pooled);
    uint16_t labels[IMAGES];
    struct rng rng;
    rng_seed(&rng, 1, 2);
    for (int i = 0; i < IMAGES; i++) {
        labels[i] = (uint16_t)(i % OTHER_CLASSES);
        for (int k = 0; k < c; k++)
            pooled[i * c + k] = rng_uniform(&rng, 0, 1) + (k == labels[i]);
    }
    assert_int_equal(probe_fit(f->to, pooled, labels, IMAGES, 0.1f, &err), 0);
    for (int i = 0; i < IMAGES; i++) {
        float best = -INFINITY;
        int named = 0;
        for (int o = 0; o < OTHER_CLASSES; o++) {
            float sum = 0;
            for (int k = 0; k < c; k++)
                sum += pooled[i * c + k] *
                       head->params[0].value[k * OTHER_CLASSES + o];
            named = sum > best ? o : named;
            best = fmaxf(best, sum);
        }
        right += named == labels[i];
    }
    assert_true(right > IMAGES * 9 / 10);
    free(pooled);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TRANSFER_TEST(name)                                                    \
    cmocka_unit_test_setup_teardown(name, open_model, close_model)
        TRANSFER_TEST(train_transfer_brings_the_features_along),
        TRANSFER_TEST(train_transfer_adapts_to_the_new_images),
        TRANSFER_TEST(train_transfer_brings_the_last_layer_along),
        TRANSFER_TEST(train_transfer_refuses_what_does_not_fit),
        TRANSFER_TEST(train_transfer_refuses_another_shape),
        TRANSFER_TEST(train_probe_fits_a_last_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
