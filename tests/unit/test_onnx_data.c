/* Numbers in a file beside the model, and where they may not be. */
#include "tests/unit/network.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#define DIMS(...) ((int64_t[]){__VA_ARGS__})
#define WEIGHTS (32 * 32) /* not so few that they would be copied */

static struct place {
    char root[64], folder[128];
    float weights[WEIGHTS];
} place;

static void write_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    fclose(f);
}

/* ROOT/secret and ROOT/model/w.data: one number in front, then the weights. */
static int set_up(void **state) {
    char path[256];
    (void)state;
    strcpy(place.root, "/tmp/convoy-test-XXXXXX");
    if (!mkdtemp(place.root))
        return -1;
    snprintf(place.folder, sizeof place.folder, "%s/model", place.root);
    snprintf(path, sizeof path, "mkdir %s", place.folder);
    if (system(path) != 0)
        return -1;
    for (int i = 0; i < WEIGHTS; i++)
        place.weights[i] = (float)(i % 17) / 8 - 1;
    static float bytes[1 + WEIGHTS];
    memcpy(bytes + 1, place.weights, sizeof place.weights);
    snprintf(path, sizeof path, "%s/w.data", place.folder);
    write_file(path, bytes, sizeof bytes);
    snprintf(path, sizeof path, "%s/secret", place.root);
    write_file(path, bytes, sizeof bytes);
    snprintf(path, sizeof path, "%s/link", place.folder);
    return symlink("../secret", path);
}

static int tear_down(void **state) {
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -r %s", place.root);
    return system(command);
}

static void add_entry(struct wire *t, const char *key, const char *text) {
    struct wire entry = {0};
    if (!text)
        return;
    wire_text(&entry, 1, key);
    wire_text(&entry, 2, text);
    wire_message(t, 13, &entry);
}

/* y = x (., 32) times the weights (32, 32). */
static struct wire model_with(const char *location, const char *offset,
                              const char *length) {
    struct network net = {.opset = 13};
    network_input(&net, "x", 2, DIMS(-1, 32));
    network_output(&net, "y");
    network_node(&net, "MatMul", "x,w", "y");
    struct wire t = network_tensor("w", 1, 2, DIMS(32, 32));
    add_entry(&t, "location", location);
    add_entry(&t, "offset", offset);
    add_entry(&t, "length", length);
    wire_varint(&t, 14, 1); /* data_location: EXTERNAL */
    wire_message(&net.rest, 5, &t);
    return network_file(&net);
}

static void check_model(struct nn_model *model, struct err *err) {
    struct nn_data data;
    if (!model)
        fail_msg("%s", err->text);
    assert_true(nn_data(model, 0, &data));
    assert_string_equal(data.name, "w.data");
    assert_int_equal(data.size, sizeof place.weights + 4);
    assert_memory_equal((const char *)data.bytes + 4, place.weights,
                        sizeof place.weights);
    assert_false(nn_data(model, 1, &data));

    struct nn_session *s =
        nn_session_open(model, &(struct nn_options){.batch_max = 1}, err);
    assert_non_null(s);
    float *x = nn_session_input(s, 0);
    memset(x, 0, 32 * sizeof *x);
    x[3] = 1;
    assert_int_equal(nn_session_run(s, 1, err), 0);
    assert_memory_equal(nn_session_output(s, 0), place.weights + 3 * 32,
                        32 * sizeof *x);
    nn_session_close(s);
    nn_free(model);
}

static void data_are_read_beside_a_model_in_memory(void **state) {
    (void)state;
    static const char *const lengths[] = {"4096", NULL};
    for (int i = 0; i < 2; i++) {
        struct err err = {0};
        struct wire file = model_with("w.data", "4", lengths[i]);
        struct nn_model *model =
            nn_load_beside(file.data, file.size, place.folder, &err);
        wire_free(&file);
        check_model(model, &err);
    }
}

static void data_are_read_beside_a_model_in_a_file(void **state) {
    (void)state;
    struct err err = {0};
    char path[256];
    struct wire file = model_with("w.data", "4", "4096");
    snprintf(path, sizeof path, "%s/model.onnx", place.folder);
    write_file(path, file.data, file.size);
    wire_free(&file);
    check_model(nn_load(path, &err), &err);
}

static void data_elsewhere_are_refused(void **state) {
    (void)state;
    char absolute[128];
    snprintf(absolute, sizeof absolute, "%s/w.data", place.folder);
    const struct {
        const char *location, *offset, *length, *why;
    } cases[] = {
        {"../secret", "4", "4096", "outside of the model's folder"},
        {"../model/w.data", "4", "4096", "outside of the model's folder"},
        {"./..", "4", "4096", "outside of the model's folder"},
        {absolute, "4", "4096", "outside of the model's folder"},
        {"link", "4", "4096", "leads out of the model's folder"},
        {"nowhere", "4", "4096", "is not beside the model"},
        {".", "0", "4096", "leads out of the model's folder"},
        {"", "0", "4096", "leads out of the model's folder"},
        {NULL, "0", "4096", "whose name is not given"},
        {"w.data", "8", "4096", "which has 4100"},
        {"w.data", "18446744073709551615", "4096", "no number"},
        {"w.data", "9223372036854775807", "4096", "which has 4100"},
        {"w.data", "-4", "4096", "no number"},
        {"w.data", "4", "0x1000", "no number"},
        {"w.data", "4", "4092", "4096"},
        {"w.data", "8", NULL, "holds 4092 bytes"},
        {"w.data", "4100", NULL, "less than its shape"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct wire file =
            model_with(cases[i].location, cases[i].offset, cases[i].length);
        assert_null(nn_load_beside(file.data, file.size, place.folder, &err));
        if (!strstr(err.text, cases[i].why))
            fail_msg("case %zu: %s", i, err.text);
        wire_free(&file);
    }
}

static void data_need_a_folder(void **state) {
    (void)state;
    struct err err = {0};
    struct wire file = model_with("w.data", "4", "4096");
    assert_null(nn_load_memory(file.data, file.size, &err));
    assert_non_null(strstr(err.text, "w.data (external_data)"));
    assert_null(nn_load_beside(file.data, file.size, "/nowhere", &err));
    wire_free(&file);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_are_read_beside_a_model_in_memory),
        cmocka_unit_test(data_are_read_beside_a_model_in_a_file),
        cmocka_unit_test(data_elsewhere_are_refused),
        cmocka_unit_test(data_need_a_folder),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
