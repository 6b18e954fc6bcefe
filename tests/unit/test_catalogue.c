#include "fcgi/catalogue.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define V1 "111111111111"
#define V2 "222222222222"

static struct catalogue *catalogue;
static struct catalogue_model found;
static char *labels[] = {"cat", "dog"};

static int open_catalogue(void **state) {
    (void)state;
    catalogue = catalogue_open();
    return catalogue ? 0 : -1;
}

static int close_catalogue(void **state) {
    (void)state;
    catalogue_close(catalogue);
    return 0;
}

/* An advert of one model. */
static struct job_advert *advert(const char *name, const char *version,
                                 int is_default) {
    static struct job_model model;
    static struct job_advert one = {.models = &model, .model_count = 1};
    model = (struct job_model){.labels = labels,
                               .label_count = 2,
                               .width = 8,
                               .height = 4,
                               .explainable = 1,
                               .is_default = is_default};
    snprintf(model.name, sizeof model.name, "%s", name);
    snprintf(model.version, sizeof model.version, "%s", version);
    return &one;
}

static void add_model(const char *name, const char *version, int64_t placed_ms,
                      int retiring) {
    struct job_advert *one = advert(name, version, 0);
    one->models[0].placed_ms = placed_ms;
    one->models[0].retiring = retiring;
    assert_int_equal(catalogue_add(catalogue, one, NULL), 0);
}

static void drop_retiring(const char *name, const char *version) {
    struct job_advert *one = advert(name, version, 0);
    one->models[0].retiring = 1;
    catalogue_drop(catalogue, one);
}

static void add(const char *name, const char *version, int is_default) {
    assert_int_equal(
        catalogue_add(catalogue, advert(name, version, is_default), NULL), 0);
}

static void drop(const char *name, const char *version) {
    catalogue_drop(catalogue, advert(name, version, 0));
}

static void assert_found(const char *asked, const char *name,
                         const char *version, int workers) {
    assert_int_equal(catalogue_find(catalogue, asked, &found), CATALOGUE_FOUND);
    assert_string_equal(found.name, name);
    assert_string_equal(found.version, version);
    assert_int_equal(found.workers, workers);
}

static void catalogue_empty_is_not_unknown(void **state) {
    (void)state;
    assert_int_equal(catalogue_find(catalogue, "", &found), CATALOGUE_EMPTY);
    assert_int_equal(catalogue_find(catalogue, "a", &found), CATALOGUE_EMPTY);
    add("a", V1, 0);
    assert_int_equal(catalogue_find(catalogue, "b", &found), CATALOGUE_UNKNOWN);
}

static void catalogue_counts_workers(void **state) {
    (void)state;
    add("a", V1, 0);
    add("a", V1, 0);
    assert_found("a", "a", V1, 2);
    drop("a", V1);
    drop("a", V1);
    assert_found("a", "a", V1, 0);
    drop("a", V1);
    assert_found("a", "a", V1, 0);
}

static void catalogue_default_is_what_a_worker_calls_so(void **state) {
    (void)state;
    add("a", V1, 0);
    add("b", V1, 0);
    assert_found("", "a", V1, 1);
    add("c", V1, 1);
    assert_found("", "c", V1, 1);
    drop("c", V1);
    assert_found("", "c", V1, 0); /* another model is no answer */
    add("b", V2, 1);
    add("d", V1, 1); /* by another worker, which has come later */
    assert_found("", "b", V2, 1);
}

static void catalogue_name_stands_for_the_newest_version(void **state) {
    (void)state;
    add("a", V1, 1);
    add("a", V2, 1);
    assert_found("a", "a", V2, 1);
    assert_found("", "a", V2, 1);
    drop("a", V2);
    assert_found("a", "a", V1, 1); /* the one that is served */
}

static void catalogue_prefers_what_was_put_in_place_last(void **state) {
    (void)state;
    add_model("a", V1, 2000, 0);
    add_model("a", V2, 1000, 0); /* whichever came last */
    assert_found("a", "a", V1, 1);
    add_model("a", V2, 3000, 0); /* another worker's */
    assert_found("a", "a", V2, 2);
    drop("a", V2);
    drop("a", V2);
    assert_found("a", "a", V1, 1); /* nobody holds the newer one */
}

static void catalogue_has_retiring_versions_finished_alone(void **state) {
    (void)state;
    char name[128];
    add_model("a", V1, 1000, 0);
    add_model("a", V2, 500, 0); /* upgraded: an older file, say */
    add_model("a", V1, 1000, 1);
    drop("a", V1);
    assert_found("a", "a", V2, 1);
    assert_true(catalogue_name(catalogue, V1, name)); /* jobs are under way */
    drop_retiring("a", V1);
    add("b", V1, 0);
    assert_found("a", "a", V2, 1);
}

static void catalogue_unserved_versions_go_when_another_comes(void **state) {
    (void)state;
    char name[128];
    add("a", V1, 1);
    drop("a", V1);
    assert_true(catalogue_name(catalogue, V1, name));
    assert_string_equal(name, "a");
    add("a", V2, 1);
    assert_false(catalogue_name(catalogue, V1, name));
    assert_string_equal(name, "");
}

static void catalogue_forgets_what_is_taken_away(void **state) {
    (void)state;
    assert_int_equal(catalogue_add(catalogue, advert("kept", V1, 1), NULL), 0);
    add_model("gone", V2, 0, 0);
    catalogue_forget(catalogue, advert("gone", V2, 0)); /* another has it */
    assert_int_equal(catalogue_find(catalogue, "gone", &found),
                     CATALOGUE_FOUND);
    catalogue_drop(catalogue, advert("gone", V2, 0));
    assert_int_equal(catalogue_find(catalogue, "gone", &found),
                     CATALOGUE_FOUND);
    catalogue_forget(catalogue, advert("gone", V2, 0));
    assert_int_equal(catalogue_find(catalogue, "gone", &found),
                     CATALOGUE_UNKNOWN);
    assert_int_equal(catalogue_find(catalogue, "", &found), CATALOGUE_FOUND);
    assert_string_equal(found.name, "kept");
}

static void catalogue_lists_current_versions(void **state) {
    (void)state;
    add("a", V1, 1);
    add("a", V2, 1);
    add("b", V1, 0);
    json_t *doc = catalogue_list(catalogue);
    json_t *expected = json_loads(
        "{\"models\":[{\"name\":\"b\",\"version\":\"" V1 "\",\"default\":false,"
        "\"labels\":[\"cat\",\"dog\"],\"input\":{\"width\":8,\"height\":4},"
        "\"explainable\":true,\"workers\":1},"
        "{\"name\":\"a\",\"version\":\"" V2 "\",\"default\":true,"
        "\"labels\":[\"cat\",\"dog\"],\"input\":{\"width\":8,\"height\":4},"
        "\"explainable\":true,\"workers\":1}]}",
        0, NULL);
    assert_true(json_equal(doc, expected));
    json_decref(expected);
    json_decref(doc);
    doc = catalogue_describe(catalogue, "b");
    assert_string_equal(json_string_value(json_object_get(doc, "name")), "b");
    json_decref(doc);
    assert_null(catalogue_describe(catalogue, ""));
    assert_null(catalogue_describe(catalogue, "c"));
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_catalogue, close_catalogue)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(catalogue_empty_is_not_unknown),
        TEST(catalogue_counts_workers),
        TEST(catalogue_default_is_what_a_worker_calls_so),
        TEST(catalogue_name_stands_for_the_newest_version),
        TEST(catalogue_prefers_what_was_put_in_place_last),
        TEST(catalogue_has_retiring_versions_finished_alone),
        TEST(catalogue_unserved_versions_go_when_another_comes),
        TEST(catalogue_forgets_what_is_taken_away),
        TEST(catalogue_lists_current_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
