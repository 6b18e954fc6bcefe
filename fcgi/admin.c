/* For whoever runs the service: metrics, and the data of the admin page. Who
 * gets here is nginx's business; that no other site's page does it in the name
 * of an admin's browser is route.c's. */
#include "common/clock.h"
#include "common/document.h"
#include "common/options.h"
#include "fcgi/answer.h"
#include "fcgi/problem.h"
#include "fcgi/query.h"
#include "fcgi/service.h"

#include <stdlib.h>
#include <string.h>

#define RECENT_DEFAULT 30

void show_metrics(struct call *call) {
    struct schedule_stats stats = dispatch_stats(call->service->dispatch);
    int64_t owed = store_pending_count(call->store, NULL);
    const struct metrics_gauges gauges = {
        .queued = stats.queued,
        .in_flight = stats.in_flight,
        .pending = stats.pending,
        .workers = stats.workers,
        .refused = stats.refused,
        .credits = stats.credits,
        .queue_age_s = stats.queue_age_ms / 1000.0,
        .store_up = owed >= 0,
        .store_pending = owed,
    };
    struct response *response = call->response;
    response->body =
        metrics_text(call->service->metrics, &gauges, &response->body_len);
    if (!response->body) {
        response_problem(response, call->request, "internal-error",
                         "There is no memory for the metrics.");
        return;
    }
    response->status = 200;
    response->content_type = METRICS_TYPE;
    response_header(response, "Cache-Control", "no-store");
}

/* ---- the state of this front --------------------------------------------- */

static json_t *queue_json(const struct schedule_stats *stats, int64_t owed) {
    json_t *queue =
        json_pack("{s:i, s:i, s:i, s:I}", "queued", stats->queued, "in_flight",
                  stats->in_flight, "pending", stats->pending, "oldest_ms",
                  (json_int_t)stats->queue_age_ms);
    if (owed >= 0) /* of all fronts */
        json_object_set_new(queue, "owed", json_integer(owed));
    return queue;
}

static json_t *totals_json(const struct metrics *metrics) {
    struct metrics_totals t = metrics_totals(metrics);
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "requests",
        (json_int_t)t.requests, "hits", (json_int_t)t.cache[METRICS_HIT],
        "misses", (json_int_t)t.cache[METRICS_MISS], "joins",
        (json_int_t)t.cache[METRICS_JOIN], "refused", (json_int_t)t.refusals,
        "succeeded", (json_int_t)t.succeeded, "failed", (json_int_t)t.failed,
        "retries", (json_int_t)t.retries);
}

/* To each worker what it announced of itself in Redis. */
static void add_reports(struct call *call, json_t *workers) {
    const char *names[STORE_WORKERS_MAX];
    char *reports[STORE_WORKERS_MAX] = {0};
    int count = 0;
    size_t i;
    json_t *worker;
    json_array_foreach(workers, i, worker) {
        if (count < STORE_WORKERS_MAX)
            names[count++] = json_string_value(json_object_get(worker, "name"));
    }
    count = store_worker_reports(call->store, names, count, reports, NULL);
    for (int k = 0; k < count; k++) {
        json_t *report = reports[k] ? json_loads(reports[k], 0, NULL) : NULL;
        if (report)
            json_object_set_new(json_array_get(workers, (size_t)k), "report",
                                report);
        free(reports[k]);
    }
}

void show_state(struct call *call) {
    const struct service *service = call->service;
    struct schedule_stats stats = dispatch_stats(service->dispatch);
    int64_t owed = store_pending_count(call->store, NULL);
    json_t *workers = dispatch_workers(service->dispatch);
    char now[CLOCK_TEXT_MAX], started[CLOCK_TEXT_MAX];
    clock_format(clock_wall_ms(), now);
    clock_format(service->started_ms, started);
    if (owed >= 0)
        add_reports(call, workers);
    response_json(call->response, 200,
                  json_pack("{s:s, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "now",
                            now, "started_at", started, "version",
                            CONVOY_VERSION, "redis", owed >= 0, "queue",
                            queue_json(&stats, owed), "totals",
                            totals_json(service->metrics), "workers", workers,
                            "models", catalogue_versions(service->catalogue)));
    response_header(call->response, "Cache-Control", "no-store");
}

/* ---- recent predictions -------------------------------------------------- */

/* Takes the texts. What is unreadable is left out. */
static json_t *recent_json(const struct call *call, char **results, int count) {
    json_t *predictions = json_array();
    for (int i = 0; i < count; i++) {
        struct answer answer;
        if (answer_ended(results[i], strlen(results[i]), ANSWER_TOP_K, &answer,
                         NULL) == 0) {
            if (call->service->id_secret)
                answer_hide_hash(answer.doc);
            document_add(&predictions, answer.doc);
        }
        free(results[i]);
    }
    return predictions;
}

void list_recent(struct call *call) {
    char *results[STORE_RECENT_MAX];
    struct err err = {0};
    int most = RECENT_DEFAULT, count = -1;
    if (query_number(call->request->query, "limit", 1, STORE_RECENT_MAX, &most,
                     &err) >= 0)
        count = store_recent(call->store, results, most, &err);
    if (count < 0) {
        response_error(call->response, call->request, &err);
        return;
    }
    response_json(
        call->response, 200,
        json_pack("{s:o}", "predictions", recent_json(call, results, count)));
    response_header(call->response, "Cache-Control", "no-store");
}
