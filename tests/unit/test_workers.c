#include "fcgi/workers.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct workers *workers;

static int open_workers(void **state) {
    (void)state;
    workers = workers_open();
    return workers ? 0 : -1;
}

static int close_workers(void **state) {
    (void)state;
    workers_close(workers);
    return 0;
}

static struct job_advert advert(const char *name, const char *version) {
    struct job_advert advert = {.model_count = 1};
    advert.models = calloc(1, sizeof *advert.models);
    advert.models[0].labels = calloc(1, sizeof(char *));
    advert.models[0].labels[0] = strdup("cat");
    advert.models[0].label_count = 1;
    snprintf(advert.name, sizeof advert.name, "%s", name);
    snprintf(advert.models[0].version, ID_VERSION_LEN + 1, "%s", version);
    return advert;
}

static struct worker *add(const char *name, const char *version, int credits) {
    struct job_advert a = advert(name, version);
    struct worker *worker = workers_add(workers, name, strlen(name), &a);
    assert_non_null(worker);
    assert_null(a.models); /* the worker's now */
    worker->credits = credits;
    return worker;
}

static void workers_are_found_by_identity_and_name(void **state) {
    (void)state;
    struct worker *one = add("one", "a", 1);
    add("two", "a", 1);
    assert_ptr_equal(workers_find(workers, "one", 3), one);
    assert_null(workers_find(workers, "one", 2));
    assert_ptr_equal(workers_named(workers, "one"), one);
    workers_remove(workers, one);
    assert_null(workers_find(workers, "one", 3));
    assert_null(workers_named(workers, "one"));
}

static void workers_are_bounded(void **state) {
    (void)state;
    char name[16];
    for (int i = 0; i < WORKERS_MAX; i++) {
        snprintf(name, sizeof name, "w%d", i);
        add(name, "a", 1);
    }
    struct job_advert a = advert("more", "a");
    assert_null(workers_add(workers, "more", 4, &a));
    assert_non_null(a.models); /* still ours */
    workers_remove(workers, workers_find(workers, "w7", 2));
    assert_non_null(workers_add(workers, "more", 4, &a));
}

static void workers_drop_labels(void **state) {
    (void)state;
    assert_int_equal(add("one", "a", 1)->advert.models[0].label_count, 0);
}

static void workers_pick_who_has_most_credits(void **state) {
    (void)state;
    bool served = false;
    add("one", "a", 1);
    struct worker *two = add("two", "a", 3);
    add("three", "b", 9);
    assert_ptr_equal(workers_pick(workers, "a", &served), two);
    assert_true(served);
    two->draining = true;
    assert_string_equal(workers_pick(workers, "a", NULL)->advert.name, "one");
}

static void workers_serve_without_credit_all_the_same(void **state) {
    (void)state;
    bool served = false;
    struct worker *one = add("one", "a", 0);
    assert_null(workers_pick(workers, "a", &served));
    assert_true(served);
    one->draining = true;
    workers_pick(workers, "a", &served);
    assert_false(served);
}

static void workers_renewal_changes_the_models(void **state) {
    (void)state;
    struct worker *one = add("one", "a", 1);
    struct job_advert next = advert("one", "b");
    one->draining = true;
    workers_renew(one, &next);
    assert_false(workers_serves(one, "a"));
    assert_true(workers_serves(one, "b"));
    assert_false(one->draining);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_workers, close_workers)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(workers_are_found_by_identity_and_name),
        TEST(workers_drop_labels),
        TEST(workers_are_bounded),
        TEST(workers_pick_who_has_most_credits),
        TEST(workers_serve_without_credit_all_the_same),
        TEST(workers_renewal_changes_the_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
