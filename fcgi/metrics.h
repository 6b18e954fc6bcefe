/*
 * metrics: what this front has counted since it started, for Prometheus and the
 * admin page. Several fronts count for themselves; whoever asks adds up.
 *
 *     struct metrics *metrics = metrics_open();
 *     metrics_request(metrics, "/api/v1/models", 200);
 *     metrics_submission(metrics, METRICS_HIT);
 *     char *text = metrics_text(metrics, &gauges, &len);    free(text)
 *
 * Counting takes no lock and is safe from any thread. NULL stands for metrics
 * that nobody wants, so that tests need none.
 */
#ifndef CONVOY_METRICS_H
#define CONVOY_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What became of an image that was taken in; each is one of these. */
enum metrics_cache { METRICS_HIT, METRICS_MISS, METRICS_JOIN, METRICS_CACHES };

/* Why a job is given to a worker again. */
enum metrics_retry {
    METRICS_WORKER_GONE,
    METRICS_WORKER_LATE,
    METRICS_WORKER_REFUSED, /* it said that it could not */
    METRICS_RETRIES
};

/* Where the time of a prediction went. */
enum metrics_time {
    METRICS_QUEUE,
    METRICS_DECODE,
    METRICS_INFER,
    METRICS_TOTAL,
    METRICS_TIMES
};

struct metrics;
struct metrics *metrics_open(void); /* NULL: out of memory */
void metrics_close(struct metrics *metrics);

/* `route` has static lifetime; NULL: none was met. Up to METRICS_ROUTES_MAX of
 * them, then they count as none. */
#define METRICS_ROUTES_MAX 48
void metrics_request(struct metrics *metrics, const char *route, int status);
void metrics_submission(struct metrics *metrics, enum metrics_cache cache);
void metrics_refusal(struct metrics *metrics, const char *problem);
void metrics_retry(struct metrics *metrics, enum metrics_retry why);

/* A prediction that ended: NULL where it succeeded, else the problem. */
void metrics_ended(struct metrics *metrics, const char *problem);
void metrics_time(struct metrics *metrics, enum metrics_time which, double ms);

struct metrics_totals {
    uint64_t requests, refusals, retries, succeeded, failed;
    uint64_t cache[METRICS_CACHES];
};
struct metrics_totals metrics_totals(const struct metrics *metrics);

/* What is so at the moment, as others know it. */
struct metrics_gauges {
    int queued, in_flight, pending, workers;
    int refused; /* model folders that a worker would not load, of each */
    int64_t credits;
    double queue_age_s; /* of what waits longest; 0: nothing does */
    bool store_up;
    int64_t store_pending; /* of all fronts; where store_up */
};

/* The Prometheus text format, version 0.0.4; NULL: out of memory. */
char *metrics_text(const struct metrics *metrics,
                   const struct metrics_gauges *gauges, size_t *len);
#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

#endif
