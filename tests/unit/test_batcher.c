#include "worker/batcher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct batcher batcher;
static struct task tasks[32];
static struct task *batch[32];

/* Free hands by model. */
static const int one[] = {1, 1}, two[] = {2, 2};

static int fresh(void **state) {
    (void)state;
    batcher = (struct batcher){.batch_max = 4};
    for (int i = 0; i < 32; i++)
        tasks[i] = (struct task){.size = 1000, .received_ms = 100};
    return 0;
}

static void put(int first, int count) {
    for (int i = first; i < first + count; i++)
        batcher_put(&batcher, &tasks[i]);
}

static void batcher_of_nothing_is_no_batch(void **state) {
    (void)state;
    assert_int_equal(batcher_take(&batcher, one, batch), 0);
}

static void batcher_takes_in_order_up_to_the_maximum(void **state) {
    (void)state;
    put(0, 6);
    assert_int_equal(batcher_take(&batcher, one, batch), 4);
    for (int i = 0; i < 4; i++)
        assert_ptr_equal(batch[i], &tasks[i]);
    assert_int_equal(batcher_take(&batcher, one, batch), 2);
    assert_ptr_equal(batch[0], &tasks[4]);
    assert_int_equal(batcher.waiting.count, 0);
}

static void batcher_shares_among_free_hands(void **state) {
    (void)state;
    put(0, 5);
    assert_int_equal(batcher_take(&batcher, two, batch), 3);
    assert_int_equal(batcher_take(&batcher, one, batch), 2);
}

static void batcher_keeps_models_apart_and_the_oldest_first(void **state) {
    (void)state;
    tasks[1].model = tasks[2].model = 1;
    put(0, 4);
    assert_int_equal(batcher_take(&batcher, one, batch), 2);
    assert_ptr_equal(batch[0], &tasks[0]);
    assert_ptr_equal(batch[1], &tasks[3]);
    assert_int_equal(batcher_take(&batcher, one, batch), 2);
    assert_ptr_equal(batch[0], &tasks[1]);
    assert_ptr_equal(batch[1], &tasks[2]);
}

static void batcher_passes_over_models_without_a_hand(void **state) {
    (void)state;
    static const int idle[] = {0, 1};
    tasks[1].model = tasks[3].model = 1;
    put(0, 4);
    assert_int_equal(batcher_take(&batcher, idle, batch), 2);
    assert_ptr_equal(batch[0], &tasks[1]);
    assert_ptr_equal(batch[1], &tasks[3]);
    assert_int_equal(batcher_take(&batcher, idle, batch), 0);
    assert_ptr_equal(batcher.waiting.first, &tasks[0]);
    assert_ptr_equal(batcher.waiting.last, &tasks[2]);
}

static void batcher_leaves_a_task_alone_that_is_to_be(void **state) {
    (void)state;
    tasks[0].alone = tasks[2].alone = true;
    put(0, 4);
    assert_int_equal(batcher_take(&batcher, one, batch), 1);
    assert_ptr_equal(batch[0], &tasks[0]);
    assert_int_equal(batcher_take(&batcher, one, batch), 2);
    assert_ptr_equal(batch[1], &tasks[3]);
    assert_int_equal(batcher_take(&batcher, one, batch), 1);
    assert_ptr_equal(batch[0], &tasks[2]);
}

static void batcher_bounds_the_bytes_of_a_batch(void **state) {
    (void)state;
    tasks[1].size = BATCHER_BYTES_MAX; /* does not fit beside the first */
    tasks[3].size = BATCHER_BYTES_MAX + 1;
    put(0, 4);
    assert_int_equal(batcher_take(&batcher, one, batch), 2);
    assert_ptr_equal(batch[1], &tasks[2]);
    assert_int_equal(batcher_take(&batcher, one, batch), 1);
    assert_ptr_equal(batch[0], &tasks[1]);
    assert_int_equal(batcher_take(&batcher, one, batch), 1);
    assert_ptr_equal(batch[0], &tasks[3]);
}

static void batcher_puts_back_to_the_front(void **state) {
    (void)state;
    put(1, 2);
    batcher_put_back(&batcher, &tasks[0]);
    assert_int_equal(batcher_take(&batcher, one, batch), 3);
    assert_ptr_equal(batch[0], &tasks[0]);
}

static void batcher_gives_up_what_nobody_waits_for(void **state) {
    (void)state;
    struct task_list late = {0};
    tasks[1].header.number = 50; /* ms from when it came, at 100 */
    tasks[2].header.number = 500;
    put(0, 3);
    batcher_expire(&batcher, 150, -1, &late);
    assert_int_equal(late.count, 0);
    batcher_expire(&batcher, 151, -1, &late);
    assert_int_equal(late.count, 1);
    assert_ptr_equal(late.first, &tasks[1]);
    batcher_expire(&batcher, 400, 200, &late);
    assert_int_equal(late.count, 3);
    assert_null(batcher.waiting.first);
    assert_null(batcher.waiting.last);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(batcher_of_nothing_is_no_batch, fresh),
        cmocka_unit_test_setup(batcher_takes_in_order_up_to_the_maximum, fresh),
        cmocka_unit_test_setup(batcher_shares_among_free_hands, fresh),
        cmocka_unit_test_setup(batcher_keeps_models_apart_and_the_oldest_first,
                               fresh),
        cmocka_unit_test_setup(batcher_passes_over_models_without_a_hand,
                               fresh),
        cmocka_unit_test_setup(batcher_leaves_a_task_alone_that_is_to_be,
                               fresh),
        cmocka_unit_test_setup(batcher_bounds_the_bytes_of_a_batch, fresh),
        cmocka_unit_test_setup(batcher_puts_back_to_the_front, fresh),
        cmocka_unit_test_setup(batcher_gives_up_what_nobody_waits_for, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
