#include "models/train/team.h"

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
    struct team *team = team_open(threads, &err);
    assert_non_null(team);
    assert_int_equal(team_threads(team), threads);
    for (int round = 1; round <= 3; round++) {
        team_run(team, items, count_item, &tally);
        for (int i = 0; i < ITEMS; i++)
            assert_int_equal(tally.done[i], i < items ? round : 0);
    }
    assert_int_equal(tally.strangers, 0);
    team_close(team);
}

static void train_team_does_each_item_once(void **state) {
    (void)state;
    run(1, ITEMS);
    run(4, ITEMS);
    run(8, 3); /* more threads than items */
    run(2, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(train_team_does_each_item_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
