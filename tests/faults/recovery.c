#include "tests/faults/recovery.h"

#include "tests/faults/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 9
#define TABLE (1u << 16) /* images of a schedule; far fewer are met */
#define BUSY_US 5000000  /* what other work on the machine may cost */

static const int bucket_ms[BUCKETS] = {10,   30,   100,   300, 1000,
                                       2000, 5000, 10000, 0};
static const char *const loss_names[LOSS_COUNT] = {"hand", "worker", "front"};
static const int promise_ms[LOSS_COUNT] = {100, SERVICE_LEASE_MS + 1000,
                                           SERVICE_LEASE_MS + 1000};

/* Is the job now with the process that is to die? */
enum hold { ELSEWHERE, HELD, SINCE_RUN };

/* What is a broken promise: more than promised and this. Several processes have
 * their part in that a worker's jobs run again, each as late as the checker. */
static int64_t excused_us(enum loss loss, int64_t late_us) {
    return loss == LOSS_WORKER ? 3 * late_us : BUSY_US;
}

struct recovery {
    int64_t late_us; /* in this schedule */
    struct recovery_counts counts;
    struct {
        int deaths, jobs, clear, kept; /* jobs: that had to run again */
        double longest_s, longest_clear_s;
        int bucket[BUCKETS];
    } loss[LOSS_COUNT];
    struct {
        uint64_t image;
        enum hold hold;
        int runs;
    } table[TABLE];
};

struct recovery *recovery_open(void) {
    struct recovery *recovery = calloc(1, sizeof *recovery);
    if (!recovery)
        abort();
    return recovery;
}

void recovery_close(struct recovery *recovery) {
    free(recovery);
}

static unsigned place_of(struct recovery *recovery, uint64_t image) {
    unsigned place = (unsigned)(image >> 40) % TABLE;
    while (recovery->table[place].image &&
           recovery->table[place].image != image)
        place = (place + 1) % TABLE;
    recovery->table[place].image = image;
    return place;
}

/* What a point says about who has a job, for each kind of process. */
static bool takes(enum loss loss, int point) {
    return loss == LOSS_HAND ? point == FAULT_HAND_BEGUN
           : loss == LOSS_WORKER
               ? point == FAULT_JOB_RECEIVED
               : point == FAULT_ACCEPT_AFTER || point == FAULT_ADOPT_AFTER;
}

static bool runs_again(enum loss loss, int point) {
    return point == (loss == LOSS_HAND ? FAULT_HAND_BEGUN : FAULT_JOB_RECEIVED);
}

static bool settles(enum loss loss, int point) {
    return point == FAULT_FINISH_AFTER || point == FAULT_FINISH_LATE ||
           (loss == LOSS_HAND && point == FAULT_HAND_ANSWERED) ||
           (loss == LOSS_FRONT && point == FAULT_JOB_RECEIVED);
}

static void note(struct recovery *recovery, enum loss loss, int64_t us,
                 bool clear) {
    double seconds = (double)us / 1e6;
    int bucket = 0;
    while (bucket_ms[bucket] && us > bucket_ms[bucket] * INT64_C(1000))
        bucket++;
    recovery->loss[loss].jobs++;
    recovery->loss[loss].bucket[bucket]++;
    if (seconds > recovery->loss[loss].longest_s)
        recovery->loss[loss].longest_s = seconds;
    if (seconds > recovery->counts.longest_s)
        recovery->counts.longest_s = seconds;
    if (!clear)
        return;
    recovery->loss[loss].clear++;
    recovery->loss[loss].kept += us <= promise_ms[loss] * INT64_C(1000);
    if (seconds > recovery->loss[loss].longest_clear_s)
        recovery->loss[loss].longest_clear_s = seconds;
    if (us >
        promise_ms[loss] * INT64_C(1000) + excused_us(loss, recovery->late_us))
        verdict_against("a job of a dead %s ran again only after %.2f s",
                        loss_names[loss], seconds);
}

static void forget(struct recovery *recovery) {
    memset(recovery->table, 0, sizeof recovery->table);
}

static void follow(struct recovery *recovery, const struct board *board,
                   unsigned count, const struct death *death, bool clear) {
    forget(recovery);
    recovery->loss[death->loss].deaths++;
    for (unsigned i = 0; i < count; i++) {
        const struct board_event *event = &board->events[i];
        if (!event->us || !event->image)
            continue;
        enum hold *hold =
            &recovery->table[place_of(recovery, event->image)].hold;
        bool after = event->us > death->us;
        bool same = event->pid == death->pid;
        if (!after && same && takes(death->loss, event->point))
            *hold = HELD;
        else if (!after && settles(death->loss, event->point))
            *hold = ELSEWHERE;
        else if (after && !same && *hold == HELD &&
                 runs_again(death->loss, event->point)) {
            note(recovery, death->loss, event->us - death->us, clear);
            *hold = SINCE_RUN;
        } else if (after && *hold == HELD &&
                   settles(death->loss, event->point)) {
            *hold = SINCE_RUN; /* its answer was on its way already */
        }
    }
}

static void count_runs(struct recovery *recovery, const struct board *board,
                       unsigned count) {
    forget(recovery);
    for (unsigned i = 0; i < count; i++) {
        const struct board_event *event = &board->events[i];
        recovery->counts.late += event->point == FAULT_FINISH_LATE;
        if (!event->image || event->point != FAULT_HAND_BEGUN)
            continue;
        int *runs = &recovery->table[place_of(recovery, event->image)].runs;
        recovery->counts.jobs += ++*runs == 1;
        recovery->counts.again += *runs == 2;
    }
}

void recovery_measure(struct recovery *recovery, const struct board *board,
                      const struct death *deaths, int count, bool clear,
                      int64_t late_us) {
    recovery->late_us = late_us;
    unsigned events = board->count;
    if (events > BOARD_TRACE_MAX)
        events = BOARD_TRACE_MAX;
    for (int i = 0; i < count; i++)
        follow(recovery, board, events, &deaths[i], clear);
    count_runs(recovery, board, events);
}

struct recovery_counts recovery_counts(const struct recovery *recovery) {
    return recovery->counts;
}

void recovery_print(const struct recovery *recovery) {
    printf("recovery, jobs of a dead process until they run again:\n"
           "  %-7s %7s %6s",
           "of a", "deaths", "jobs");
    for (int i = 0; i < BUCKETS; i++)
        if (bucket_ms[i] && bucket_ms[i] < 1000)
            printf(" %4d ms", bucket_ms[i]);
        else if (bucket_ms[i])
            printf(" %5d s", bucket_ms[i] / 1000);
        else
            printf("  longer");
    printf("  longest  promise  kept, of those with no other fault\n");
    for (int loss = 0; loss < LOSS_COUNT; loss++) {
        printf("  %-7s %7d %6d", loss_names[loss], recovery->loss[loss].deaths,
               recovery->loss[loss].jobs);
        for (int i = 0; i < BUCKETS; i++)
            printf(" %7d", recovery->loss[loss].bucket[i]);
        printf(" %6.2f s %6.1f s  %d of %d (longest %.3f s)\n",
               recovery->loss[loss].longest_s, promise_ms[loss] / 1000.0,
               recovery->loss[loss].kept, recovery->loss[loss].clear,
               recovery->loss[loss].longest_clear_s);
    }
}
