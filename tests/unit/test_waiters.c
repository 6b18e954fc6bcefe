#include "fcgi/waiters.h"

#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define A                                                                      \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad-"        \
    "aaaaaaaaaaaa"
#define B                                                                      \
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad-"        \
    "bbbbbbbbbbbb"
#define LONG_MS 20000 /* never waited for: what should come comes at once */

static const struct id a = {A}, b = {B};

static void waiters_have_so_many_places(void **state) {
    (void)state;
    struct waiters *waiters = waiters_open(2);
    assert_true(waiters_enter(waiters));
    assert_true(waiters_enter(waiters));
    assert_false(waiters_enter(waiters));
    waiters_leave(waiters);
    assert_true(waiters_enter(waiters));
    waiters_close(waiters);
}

static void waiters_wake_before_the_wait_counts(void **state) {
    (void)state;
    struct waiters *waiters = waiters_open(2);
    struct waiter waiter;
    waiters_add(waiters, &waiter, &a);
    waiters_wake(waiters, &a);
    assert_true(waiters_wait(waiters, &waiter, clock_ms() + LONG_MS));
    assert_false(waiters_wait(waiters, &waiter, clock_ms() + 1)); /* once */
    waiters_remove(waiters, &waiter);
    waiters_close(waiters);
}

static void waiters_sleep_through_what_is_not_theirs(void **state) {
    (void)state;
    struct waiters *waiters = waiters_open(2);
    struct waiter first, second;
    waiters_add(waiters, &first, &a);
    waiters_add(waiters, &second, &b);
    waiters_wake(waiters, &a);
    int64_t start = clock_ms();
    assert_false(waiters_wait(waiters, &second, start + 20));
    assert_true(clock_ms() >= start + 20);
    assert_true(waiters_wait(waiters, &first, clock_ms() + LONG_MS));
    waiters_remove(waiters, &first);
    waiters_remove(waiters, &second);
    waiters_wake(waiters, &a);
    waiters_close(waiters);
}

static void waiters_are_told_the_result(void **state) {
    (void)state;
    struct waiters *waiters = waiters_open(2);
    struct waiter first, second, other;
    size_t len;
    waiters_add(waiters, &first, &a);
    waiters_add(waiters, &second, &a);
    waiters_add(waiters, &other, &b);
    waiters_tell(waiters, &a, "{}garbage", 2);
    waiters_tell(waiters, &a, "{\"late\":1}", 10); /* the first one stays */
    assert_true(waiters_wait(waiters, &first, clock_ms() + LONG_MS));
    char *result = waiters_take(waiters, &first, &len);
    assert_string_equal(result, "{}");
    assert_int_equal(len, 2);
    free(result);
    assert_null(waiters_take(waiters, &first, &len)); /* once */
    assert_null(waiters_take(waiters, &other, &len));
    waiters_remove(waiters, &first);
    waiters_remove(waiters, &second); /* what nobody took goes with it */
    waiters_remove(waiters, &other);
    waiters_close(waiters);
}

static void *wake_soon(void *waiters) {
    struct timespec soon = {.tv_nsec = 10000000};
    nanosleep(&soon, NULL);
    waiters_wake(waiters, &a);
    return NULL;
}

static void waiters_are_woken_by_another_thread(void **state) {
    (void)state;
    struct waiters *waiters = waiters_open(2);
    struct waiter waiter;
    pthread_t thread;
    waiters_add(waiters, &waiter, &a);
    pthread_create(&thread, NULL, wake_soon, waiters);
    assert_true(waiters_wait(waiters, &waiter, clock_ms() + LONG_MS));
    pthread_join(thread, NULL);
    waiters_remove(waiters, &waiter);
    waiters_close(waiters);
}

static void waiters_stop_wakes_all_and_lets_nobody_in(void **state) {
    (void)state;
    struct waiters *waiters = waiters_open(2);
    struct waiter before, after;
    waiters_add(waiters, &before, &a);
    waiters_stop(waiters);
    assert_true(waiters_stopped(waiters));
    assert_false(waiters_enter(waiters));
    waiters_add(waiters, &after, &b);
    assert_true(waiters_wait(waiters, &before, clock_ms() + LONG_MS));
    assert_true(waiters_wait(waiters, &after, clock_ms() + LONG_MS));
    waiters_remove(waiters, &before);
    waiters_remove(waiters, &after);
    waiters_close(waiters);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiters_have_so_many_places),
        cmocka_unit_test(waiters_wake_before_the_wait_counts),
        cmocka_unit_test(waiters_sleep_through_what_is_not_theirs),
        cmocka_unit_test(waiters_are_told_the_result),
        cmocka_unit_test(waiters_are_woken_by_another_thread),
        cmocka_unit_test(waiters_stop_wakes_all_and_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
