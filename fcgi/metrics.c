/*
 * Counters are plain atomics in tables. A label whose values are not known
 * beforehand (route, status, problem) has slots that fill as values are met: a
 * slot's key is written once, by compare and exchange, and never changes.
 */
#include "fcgi/metrics.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fcgi/metrics_private.h"

struct metrics *metrics_open(void) {
    return calloc(1, sizeof(struct metrics));
}

void metrics_close(struct metrics *metrics) {
    free(metrics);
}

static void add(counter *at) {
    atomic_fetch_add_explicit(at, 1, memory_order_relaxed);
}

/* ---- slots --------------------------------------------------------------- */

/* The row of a route; the last one where all are taken. */
static struct metrics_route *route_row(struct metrics *metrics,
                                       const char *route) {
    for (int i = 0; route && i < METRICS_ROUTES_MAX; i++) {
        struct metrics_route *row = &metrics->routes[i];
        const char *known = atomic_load(&row->name);
        if (!known && atomic_compare_exchange_strong(&row->name, &known, route))
            return row;
        if (strcmp(known, route) == 0)
            return row;
    }
    return &metrics->routes[METRICS_ROUTES_MAX];
}

void metrics_request(struct metrics *metrics, const char *route, int status) {
    if (!metrics)
        return;
    struct metrics_route *row = route_row(metrics, route);
    for (int i = 0; i < METRICS_STATUSES; i++) {
        int known = atomic_load(&row->status[i].status);
        if (known == 0 && atomic_compare_exchange_strong(&row->status[i].status,
                                                         &known, status))
            known = status;
        if (known == status) {
            add(&row->status[i].count);
            return;
        }
    }
}

/* ---- counting ------------------------------------------------------------ */

void metrics_submission(struct metrics *metrics, enum metrics_cache cache) {
    if (metrics)
        add(&metrics->cache[cache]);
}

void metrics_refusal(struct metrics *metrics, const char *problem) {
    if (metrics)
        add(&metrics->refusals[problem_index(problem)]);
}

void metrics_retry(struct metrics *metrics, enum metrics_retry why) {
    if (metrics)
        add(&metrics->retries[why]);
}

void metrics_ended(struct metrics *metrics, const char *problem) {
    if (!metrics)
        return;
    if (problem)
        add(&metrics->failures[problem_index(problem)]);
    else
        add(&metrics->succeeded);
}

const double metrics_bounds_s[METRICS_BOUNDS] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
    0.25,   0.5,   1,      2.5,   5,    10,    30,
};

void metrics_time(struct metrics *metrics, enum metrics_time which, double ms) {
    if (!metrics || !(ms >= 0)) /* clocks of two hosts may differ */
        return;
    struct metrics_histogram *times = &metrics->times[which];
    int at = 0;
    while (at < METRICS_BOUNDS && ms > 1000 * metrics_bounds_s[at])
        at++;
    add(&times->bucket[at]);
    atomic_fetch_add_explicit(&times->sum_us, (unsigned long long)(1000 * ms),
                              memory_order_relaxed);
}

/* ---- sums ---------------------------------------------------------------- */

static uint64_t sum(const counter *counters, int count) {
    uint64_t total = 0;
    for (int i = 0; i < count; i++)
        total += atomic_load(&counters[i]);
    return total;
}

struct metrics_totals metrics_totals(const struct metrics *metrics) {
    struct metrics_totals totals = {0};
    if (!metrics)
        return totals;
    for (int i = 0; i <= METRICS_ROUTES_MAX; i++)
        for (int k = 0; k < METRICS_STATUSES; k++)
            totals.requests += atomic_load(&metrics->routes[i].status[k].count);
    for (int i = 0; i < METRICS_CACHES; i++)
        totals.cache[i] = atomic_load(&metrics->cache[i]);
    totals.refusals = sum(metrics->refusals, PROBLEMS_MAX);
    totals.retries = sum(metrics->retries, METRICS_RETRIES);
    totals.failed = sum(metrics->failures, PROBLEMS_MAX);
    totals.succeeded = atomic_load(&metrics->succeeded);
    return totals;
}
