/* metrics_private: the counters, for metrics.c and what prints them. */
#ifndef CONVOY_METRICS_PRIVATE_H
#define CONVOY_METRICS_PRIVATE_H

#include "fcgi/metrics.h"
#include "fcgi/problem.h"

#include <stdatomic.h>

#define METRICS_STATUSES 24 /* of one route; http.c knows fewer */
#define METRICS_BOUNDS 15

#define counter atomic_ullong

struct metrics_route {
    const char *_Atomic name;
    struct {
        atomic_int status; /* 0: the slot is free */
        counter count;
    } status[METRICS_STATUSES];
};

struct metrics_histogram {
    counter bucket[METRICS_BOUNDS + 1]; /* each alone; the last is beyond */
    counter sum_us;
};

struct metrics {
    struct metrics_route routes[METRICS_ROUTES_MAX + 1]; /* the last: none */
    counter cache[METRICS_CACHES];
    counter refusals[PROBLEMS_MAX], failures[PROBLEMS_MAX];
    counter retries[METRICS_RETRIES];
    counter succeeded;
    struct metrics_histogram times[METRICS_TIMES];
};

extern const double metrics_bounds_s[METRICS_BOUNDS];

#endif
