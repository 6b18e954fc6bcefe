#include "fcgi/pending.h"

#include <stdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pending *pending;

static int open_pending(void **state) {
    (void)state;
    pending = pending_open();
    return pending ? 0 : -1;
}

static int close_pending(void **state) {
    (void)state;
    pending_close(pending);
    return 0;
}

static struct id an_id(unsigned image, unsigned version) {
    char sha256[ID_IMAGE_LEN + 1], hex[ID_VERSION_LEN + 1];
    struct id id;
    snprintf(sha256, sizeof sha256, "%064x", image);
    snprintf(hex, sizeof hex, "%012x", version);
    assert_int_equal(id_make(sha256, hex, &id), 0);
    return id;
}

static struct pending_job *add(unsigned image, unsigned version) {
    struct store_job job = {
        .id = an_id(image, version), .bytes = malloc(4), .size = 4};
    struct pending_job *added = pending_add(pending, &job);
    assert_non_null(added);
    assert_null(job.bytes); /* they have changed hands */
    return added;
}

static struct pending_job *queue(unsigned image, unsigned version) {
    struct pending_job *job = add(image, version);
    assert_int_equal(pending_queue(pending, job), 0);
    return job;
}

static void pending_knows_its_jobs_once(void **state) {
    (void)state;
    struct pending_job *job = add(1, 1);
    struct store_job again = {.id = an_id(1, 1)};
    struct id other = an_id(2, 1);
    assert_ptr_equal(pending_find(pending, &again.id), job);
    assert_null(pending_add(pending, &again));
    assert_null(pending_find(pending, &other));
    assert_int_equal(pending_count(pending), 1);
    pending_remove(pending, job);
    assert_null(pending_find(pending, &again.id));
    assert_int_equal(pending_count(pending), 0);
}

static void pending_lane_is_first_in_first_out(void **state) {
    (void)state;
    struct pending_job *one = queue(1, 1), *two = queue(2, 1);
    struct pending_lane *lane = pending_lanes(pending);
    assert_ptr_equal(lane->first, one);
    pending_take(pending, one);
    assert_int_equal(one->state, PENDING_IDLE);
    assert_ptr_equal(lane->first, two);
    assert_int_equal(pending_queued(pending), 1);
    assert_int_equal(pending_count(pending), 2);
}

static void pending_job_comes_back_to_its_old_place(void **state) {
    (void)state;
    struct pending_job *one = queue(1, 1), *two = queue(2, 1),
                       *three = queue(3, 1);
    pending_take(pending, one);
    pending_take(pending, two);
    pending_queue(pending, two);
    pending_queue(pending, one);
    struct pending_lane *lane = pending_lanes(pending);
    assert_ptr_equal(lane->first, one);
    assert_ptr_equal(one->next, two);
    assert_ptr_equal(two->next, three);
    assert_ptr_equal(lane->last, three);
}

static void pending_has_a_lane_a_model_version(void **state) {
    (void)state;
    struct pending_job *one = queue(1, 0xa);
    queue(1, 0xb);
    queue(2, 0xb);
    int lanes = 0;
    for (struct pending_lane *l = pending_lanes(pending); l; l = l->next)
        lanes++;
    assert_int_equal(lanes, 2);
    pending_take(pending, one);
    assert_string_equal(pending_lanes(pending)->version, "00000000000b");
    assert_null(pending_lanes(pending)->next);
}

static void pending_removal_takes_out_of_the_queue(void **state) {
    (void)state;
    struct pending_job *one = queue(1, 1), *two = queue(2, 1),
                       *three = queue(3, 1);
    pending_remove(pending, two);
    assert_ptr_equal(one->next, three);
    assert_ptr_equal(one->newer, three);
    pending_remove(pending, one);
    assert_ptr_equal(pending_oldest(pending), three);
    pending_remove(pending, three);
    assert_null(pending_lanes(pending));
    assert_null(pending_oldest(pending));
    assert_int_equal(pending_queued(pending), 0);
}

static void pending_lists_its_ids(void **state) {
    (void)state;
    int count = -1;
    assert_null(pending_ids(pending, &count));
    assert_int_equal(count, 0);
    for (unsigned i = 0; i < 3000; i++)
        queue(i * 7919, 1);
    struct id *ids = pending_ids(pending, &count), last = an_id(2999 * 7919, 1);
    assert_int_equal(count, 3000);
    assert_string_equal(ids[2999].text, last.text);
    assert_non_null(pending_find(pending, &last));
    free(ids);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_pending, close_pending)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(pending_knows_its_jobs_once),
        TEST(pending_lane_is_first_in_first_out),
        TEST(pending_job_comes_back_to_its_old_place),
        TEST(pending_has_a_lane_a_model_version),
        TEST(pending_removal_takes_out_of_the_queue),
        TEST(pending_lists_its_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
