#include "models/train/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>

#define ITEMS 500

struct tally {
    atomic_int done[ITEMS];
    atomic_int strangers; /* thread numbers out of range */
    int threads;
};

static void count_item(void *arg, int item, int thread) {
    struct tally *tally = arg;
    tally->done[item]++;
    if (thread < 0 || thread >= tally->threads)
        tally->strangers++;
}

static void run(int threads, int items) {
    struct err err = {0};
    struct tally tally = {.threads = threads};
    struct pool *pool = pool_open(threads, &err);
    assert_non_null(pool);
    assert_int_equal(pool_threads(pool), threads);
    for (int round = 1; round <= 3; round++) {
        pool_run(pool, items, count_item, &tally);
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(tally.done[i], i < items ? round : 0);
    }
    assert_int_equal(tally.strangers, 0);
    pool_close(pool);
}

static void train_pool_does_each_item_once(void **state) {
    (void)state;
    run(1, ITEMS);
    run(4, ITEMS);
    run(8, 3); /* more threads than items */
    run(2, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_pool_does_each_item_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
