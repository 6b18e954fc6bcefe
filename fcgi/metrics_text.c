/* Metrics as Prometheus reads them (exposition format, text, 0.0.4). */
#include "common/options.h"
#include "fcgi/metrics_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void head(FILE *out, const char *name, const char *type,
                 const char *help) {
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void gauge(FILE *out, const char *name, const char *help, double value) {
    head(out, name, "gauge", help);
    fprintf(out, "%s %.9g\n", name, value);
}

/* ---- counters with labels ------------------------------------------------ */

static void requests(FILE *out, const struct metrics *metrics) {
    const char *name = "convoy_http_requests_total";
    head(out, name, "counter", "Requests that were answered.");
    for (int i = 0; i <= METRICS_ROUTES_MAX; i++) {
        const struct metrics_route *row = &metrics->routes[i];
        const char *route = atomic_load(&row->name);
        for (int k = 0; k < METRICS_STATUSES; k++) {
            int status = atomic_load(&row->status[k].status);
            if (status)
                fprintf(out, "%s{route=\"%s\",status=\"%d\"} %llu\n", name,
                        route ? route : "none", status,
                        atomic_load(&row->status[k].count));
        }
    }
}

static void submissions(FILE *out, const struct metrics *metrics) {
    static const char *const names[METRICS_CACHES] = {[METRICS_HIT] = "hit",
                                                      [METRICS_MISS] = "miss",
                                                      [METRICS_JOIN] = "join"};
    head(out, "convoy_submissions_total", "counter",
         "Images that were taken in: known before (hit), new (miss), or "
         "pending already (join).");
    for (int i = 0; i < METRICS_CACHES; i++)
        fprintf(out, "convoy_submissions_total{cache=\"%s\"} %llu\n", names[i],
                atomic_load(&metrics->cache[i]));
}

static void by_problem(FILE *out, const char *name, const char *help,
                       const counter *counters) {
    head(out, name, "counter", help);
    for (int i = 0; problem_row(i); i++) {
        unsigned long long count = atomic_load(&counters[i]);
        if (count)
            fprintf(out, "%s{problem=\"%s\"} %llu\n", name,
                    problem_row(i)->slug, count);
    }
}

static void retries(FILE *out, const struct metrics *metrics) {
    static const char *const names[METRICS_RETRIES] = {
        [METRICS_WORKER_GONE] = "worker-gone",
        [METRICS_WORKER_LATE] = "worker-late",
        [METRICS_WORKER_REFUSED] = "worker-refused"};
    head(out, "convoy_retries_total", "counter",
         "Attempts that came to nothing, so that a job was queued again or "
         "given up.");
    for (int i = 0; i < METRICS_RETRIES; i++)
        fprintf(out, "convoy_retries_total{reason=\"%s\"} %llu\n", names[i],
                atomic_load(&metrics->retries[i]));
}

static void succeeded(FILE *out, const struct metrics *metrics) {
    head(out, "convoy_predictions_total", "counter",
         "Predictions that succeeded here.");
    fprintf(out, "convoy_predictions_total %llu\n",
            atomic_load(&metrics->succeeded));
}

/* ---- histograms ---------------------------------------------------------- */

static void histogram(FILE *out, const char *name, const char *help,
                      const struct metrics_histogram *times) {
    unsigned long long below = 0;
    head(out, name, "histogram", help);
    for (int i = 0; i < METRICS_BOUNDS; i++) {
        below += atomic_load(&times->bucket[i]);
        fprintf(out, "%s_bucket{le=\"%g\"} %llu\n", name, metrics_bounds_s[i],
                below);
    }
    below += atomic_load(&times->bucket[METRICS_BOUNDS]);
    fprintf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, below);
    fprintf(out, "%s_sum %.6f\n", name,
            (double)atomic_load(&times->sum_us) / 1e6);
    fprintf(out, "%s_count %llu\n", name, below);
}

static void histograms(FILE *out, const struct metrics *metrics) {
    static const struct {
        const char *name, *help;
    } rows[METRICS_TIMES] = {
        [METRICS_QUEUE] = {"convoy_queue_duration_seconds",
                           "From acceptance to a worker's hand."},
        [METRICS_DECODE] = {"convoy_decode_duration_seconds",
                            "Decoding and scaling of an image."},
        [METRICS_INFER] = {"convoy_inference_duration_seconds",
                           "The network's share of a batch for an image."},
        [METRICS_TOTAL] = {"convoy_prediction_duration_seconds",
                           "From acceptance to the answer."},
    };
    for (int i = 0; i < METRICS_TIMES; i++)
        histogram(out, rows[i].name, rows[i].help, &metrics->times[i]);
}

/* ---- all of it ----------------------------------------------------------- */

static void gauges_text(FILE *out, const struct metrics_gauges *g) {
    gauge(out, "convoy_queue_jobs", "Jobs of this front that wait.", g->queued);
    gauge(out, "convoy_queue_age_seconds",
          "How long the one that has waited longest has waited.",
          g->queue_age_s);
    gauge(out, "convoy_in_flight_jobs", "Jobs that a worker has.",
          g->in_flight);
    gauge(out, "convoy_pending_jobs",
          "Jobs that this front sees to: these and all between.", g->pending);
    gauge(out, "convoy_worker_credits", "Jobs that workers are ready to take.",
          (double)g->credits);
    gauge(out, "convoy_workers", "Workers that are connected and do not drain.",
          g->workers);
    gauge(out, "convoy_models_refused",
          "Model folders that workers could not load, each counted.",
          g->refused);
    gauge(out, "convoy_store_up", "Whether Redis answers.", g->store_up);
    if (g->store_up)
        gauge(out, "convoy_store_pending_jobs",
              "Jobs of all fronts that are owed an answer.",
              (double)g->store_pending);
}

char *metrics_text(const struct metrics *metrics,
                   const struct metrics_gauges *gauges, size_t *len) {
    char *text = NULL;
    FILE *out = open_memstream(&text, len);
    if (!out)
        return NULL;
    head(out, "convoy_build_info", "gauge", "The version that runs.");
    fprintf(out, "convoy_build_info{version=\"%s\"} 1\n", CONVOY_VERSION);
    requests(out, metrics);
    submissions(out, metrics);
    by_problem(out, "convoy_refusals_total",
               "Images that were not taken in, by reason.", metrics->refusals);
    gauges_text(out, gauges);
    retries(out, metrics);
    succeeded(out, metrics);
    by_problem(out, "convoy_failures_total",
               "Predictions that failed here, by reason.", metrics->failures);
    histograms(out, metrics);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
