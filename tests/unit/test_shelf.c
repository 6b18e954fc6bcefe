/* A folder that cannot be served is refused alone. */
#include "worker/shelf.h"
#include "tests/unit/model_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* `count` labels of `length` bytes. */
static void write_model(const char *name, int count, int length) {
    char file[64];
    struct network net = model_folder_scores("y", count, NULL);
    network_output(&net, "y");
    snprintf(file, sizeof file, "%s/model.onnx", name);
    model_folder_network(file, &net);
    size_t size = (size_t)count * ((size_t)length + 1);
    char *labels = malloc(size);
    memset(labels, 'x', size);
    for (int i = 1; i <= count; i++)
        labels[(size_t)i * ((size_t)length + 1) - 1] = '\n';
    snprintf(file, sizeof file, "%s/labels.txt", name);
    model_folder_write(file, labels, size);
    free(labels);
}

/* What a front makes of it: "good" is served, `bad` is refused. */
static void assert_bad_alone(const char *bad, const char *says) {
    struct job_advert advert;
    struct err err = {0};
    struct shelf *shelf = shelf_open(model_folder_root, "", 2, &err);
    assert_non_null(shelf);
    char *json = shelf_advert(shelf, "host.1", 1, 2);
    assert_non_null(json);
    if (job_advert_decode(json, strlen(json), &advert, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(advert.model_count, 1);
    assert_string_equal(advert.models[0].name, "good");
    assert_int_equal(advert.refused_count, 1);
    assert_string_equal(advert.refused[0].folder, bad);
    if (!strstr(advert.refused[0].reason, says))
        fail_msg("\"%s\" should say %s", advert.refused[0].reason, says);
    job_advert_free(&advert);
    free(json);
    shelf_free(shelf);
}

static void shelf_refuses_a_label_that_cannot_be_advertised(void **state) {
    (void)state;
    write_model("good", 2, 255);
    write_model("bad", 2, 256);
    assert_bad_alone("bad", "has 256 bytes; a label may have 255");
}

static void shelf_refuses_more_labels_than_can_be_advertised(void **state) {
    (void)state;
    write_model("good", 2, 3);
    write_model("many", 100001, 1);
    assert_bad_alone("many", "at most 100000");
}

static void shelf_refuses_labels_that_are_too_long_in_all(void **state) {
    (void)state;
    write_model("good", 2, 3);
    write_model("large", 60000, 255);
    assert_bad_alone("large", "shorten the labels");
}

static void shelf_tells_of_a_folder_whose_name_is_no_utf8(void **state) {
    (void)state;
    write_model("good", 2, 3);
    write_model("caf\xe9", 2, 3);
    assert_bad_alone("caf?", "rename it");
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, model_folder_open, model_folder_close)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(shelf_refuses_a_label_that_cannot_be_advertised),
        TEST(shelf_refuses_more_labels_than_can_be_advertised),
        TEST(shelf_refuses_labels_that_are_too_long_in_all),
        TEST(shelf_tells_of_a_folder_whose_name_is_no_utf8),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
