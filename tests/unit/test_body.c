#include "fcgi/body.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct body_gate *gate;
static atomic_bool through;

static void *take_600(void *arg) {
    struct body *body = arg;
    assert_int_equal(body_take(gate, 600, body), 0);
    atomic_store(&through, true);
    return NULL;
}

static void body_waits_for_memory_that_others_hold(void **state) {
    (void)state;
    struct body first, second;
    struct timespec moment = {.tv_nsec = 20000000};
    pthread_t thread;
    gate = body_gate_open(1000);
    assert_int_equal(body_take(gate, 500, &first), 0);
    pthread_create(&thread, NULL, take_600, &second);
    nanosleep(&moment, NULL);
    assert_false(atomic_load(&through));
    body_free(&first);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&through));
    assert_int_equal(second.size, 600);
    body_free(&second);
    body_gate_close(gate);
}

static void body_larger_than_all_goes_through_alone(void **state) {
    (void)state;
    struct body body;
    gate = body_gate_open(1000);
    assert_int_equal(body_take(gate, 5000, &body), 0);
    assert_int_equal(body.size, 5000);
    body_free(&body);
    body_free(&body); /* twice is harmless */
    assert_int_equal(body_take(gate, 1000, &body), 0);
    body_free(&body);
    body_gate_close(gate);
}

static void body_may_be_empty(void **state) {
    (void)state;
    struct body body;
    gate = body_gate_open(0);
    assert_int_equal(body_take(gate, 0, &body), 0);
    assert_null(body.bytes);
    body_free(&body);
    body_gate_close(gate);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_waits_for_memory_that_others_hold),
        cmocka_unit_test(body_larger_than_all_goes_through_alone),
        cmocka_unit_test(body_may_be_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
