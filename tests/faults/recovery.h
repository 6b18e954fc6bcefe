/*
 * recovery: how long the jobs of a process that died waited until they ran
 * again, from what passed the fault points (board.h); a histogram over all
 * schedules.
 *
 *     recovery_measure(recovery, board, deaths, count, clear);   a schedule
 *     recovery_print(recovery);
 *
 * The promise: a dead hand's jobs run again within 100 ms, those of a worker
 * or a front within the lease and 1 s. It is kept or broken where nothing else
 * went wrong at the same time (`clear`). For a worker that is a verdict, with
 * as much more as the checker itself came late (`late_us`), for the machine has
 * other work to do; for the others a figure, and a verdict only by seconds.
 */
#ifndef CONVOY_TEST_RECOVERY_H
#define CONVOY_TEST_RECOVERY_H

#include "tests/faults/service.h"

struct recovery;
struct recovery *recovery_open(void);
void recovery_close(struct recovery *recovery);

void recovery_measure(struct recovery *recovery, const struct board *board,
                      const struct death *deaths, int count, bool clear,
                      int64_t late_us);

/* Jobs that ran more than once, and results that came when there was one. */
struct recovery_counts {
    int jobs, again, late;
    double longest_s;
};
struct recovery_counts recovery_counts(const struct recovery *recovery);
void recovery_print(const struct recovery *recovery);

#endif
