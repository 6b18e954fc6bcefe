#include "fcgi/metrics.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct metrics *metrics;
static char *text;

static int open_metrics(void **state) {
    (void)state;
    metrics = metrics_open();
    return metrics ? 0 : -1;
}

static int close_metrics(void **state) {
    (void)state;
    metrics_close(metrics);
    free(text);
    text = NULL;
    return 0;
}

static void print(void) {
    const struct metrics_gauges gauges = {.queued = 2,
                                          .in_flight = 3,
                                          .pending = 6,
                                          .workers = 4,
                                          .refused = 2,
                                          .credits = 70000,
                                          .queue_age_s = 1.5,
                                          .store_up = true,
                                          .store_pending = 9};
    size_t len = 0;
    free(text);
    text = metrics_text(metrics, &gauges, &len);
    assert_non_null(text);
    assert_int_equal(strlen(text), len);
}

/* The value of a sample, by its name with labels as printed; -1: not there. */
static double sample(const char *name) {
    size_t len = strlen(name);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) == 0 && line[len] == ' ')
            return strtod(line + len, NULL);
    }
    return -1;
}

/* ---- the format, as its description has it -------------------------------
 * prometheus.io/docs/instrumenting/exposition_formats: HELP, then TYPE, then
 * all samples of that name, no name twice, counters end in _total, durations in
 * _seconds. */

static size_t name_length(const char *at) {
    size_t len = 0;
    while (isalnum((unsigned char)at[len]) || at[len] == '_' || at[len] == ':')
        len++;
    return isdigit((unsigned char)*at) ? 0 : len;
}

/* Behind the labels, or NULL. */
static const char *skip_labels(const char *at) {
    if (*at != '{')
        return at;
    do {
        size_t len = name_length(++at);
        if (!len || strncmp(at + len, "=\"", 2) != 0)
            return NULL;
        for (at += len + 2; *at && *at != '"'; at++)
            if (*at == '\\' && !at[1])
                return NULL;
        if (*at++ != '"')
            return NULL;
    } while (*at == ',');
    return *at == '}' ? at + 1 : NULL;
}

static int ends(const char *name, const char *with) {
    size_t len = strlen(name), tail = strlen(with);
    return len > tail && strcmp(name + len - tail, with) == 0;
}

static void check_sample(const char *line, const char *family,
                         const char *type) {
    char name[128], *end;
    size_t len = name_length(line);
    assert_in_range(len, 1, sizeof name - 1);
    snprintf(name, sizeof name, "%.*s", (int)len, line);
    if (strcmp(type, "histogram") == 0) {
        assert_true(ends(name, "_bucket") || ends(name, "_sum") ||
                    ends(name, "_count"));
        *strrchr(name, '_') = 0;
    }
    assert_string_equal(name, family);
    const char *value = skip_labels(line + len);
    assert_non_null(value);
    assert_int_equal(*value, ' ');
    assert_true(strtod(value + 1, &end) >= 0);
    assert_int_equal(*end, 0);
}

static void check_format(void) {
    char *copy = strdup(text), *rest = copy;
    char family[128] = "", type[32] = "", seen[8192] = " ";
    assert_int_equal(text[strlen(text) - 1], '\n');
    for (char *line; (line = strsep(&rest, "\n")) && (rest || *line);) {
        char name[130];
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line + 7, "%127s", family), 1);
            assert_true(strlen(line) > 8 + strlen(family));
            snprintf(name, sizeof name, " %s ", family);
            assert_null(strstr(seen, name));
            strcat(seen, name);
            *type = 0;
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_int_equal(sscanf(line + 7, "%127s %31s", name, type), 2);
            assert_string_equal(name, family);
            assert_int_equal(ends(name, "_total"),
                             strcmp(type, "counter") == 0);
            assert_true(strcmp(type, "histogram") || ends(name, "_seconds"));
        } else {
            assert_true(*type);
            check_sample(line, family, type);
        }
    }
    free(copy);
}

static void metrics_are_prometheus_text(void **state) {
    (void)state;
    print();
    check_format();
    metrics_request(metrics, "/api/v1/predictions/{}", 404);
    metrics_request(metrics, NULL, 413);
    metrics_submission(metrics, METRICS_MISS);
    metrics_refusal(metrics, "queue-full");
    metrics_retry(metrics, METRICS_WORKER_GONE);
    metrics_ended(metrics, "corrupt-image");
    metrics_time(metrics, METRICS_TOTAL, 12.5);
    print();
    check_format();
}

static void metrics_count_by_route_and_status(void **state) {
    (void)state;
    metrics_request(metrics, "/healthz", 200);
    metrics_request(metrics, "/healthz", 200);
    metrics_request(metrics, "/healthz", 405);
    metrics_request(metrics, NULL, 404);
    print();
    assert_float_equal(
        sample("convoy_http_requests_total{route=\"/healthz\",status=\"200\"}"),
        2, 0);
    assert_float_equal(
        sample("convoy_http_requests_total{route=\"/healthz\",status=\"405\"}"),
        1, 0);
    assert_float_equal(
        sample("convoy_http_requests_total{route=\"none\",status=\"404\"}"), 1,
        0);
    assert_int_equal(metrics_totals(metrics).requests, 4);
}

static void metrics_of_routes_without_end_are_counted(void **state) {
    (void)state;
    static char names[2 * METRICS_ROUTES_MAX][8];
    for (int i = 0; i < 2 * METRICS_ROUTES_MAX; i++) {
        snprintf(names[i], sizeof names[i], "/%d", i);
        metrics_request(metrics, names[i], 200);
    }
    assert_int_equal(metrics_totals(metrics).requests, 2 * METRICS_ROUTES_MAX);
}

static void metrics_name_problems_that_are_known(void **state) {
    (void)state;
    metrics_ended(metrics, "corrupt-image");
    metrics_ended(metrics, "from-the-future");
    metrics_ended(metrics, NULL);
    print();
    assert_float_equal(
        sample("convoy_failures_total{problem=\"corrupt-image\"}"), 1, 0);
    assert_float_equal(
        sample("convoy_failures_total{problem=\"internal-error\"}"), 1, 0);
    assert_float_equal(sample("convoy_predictions_total"), 1, 0);
    assert_int_equal(metrics_totals(metrics).failed, 2);
}

#define INFERENCE(rest) sample("convoy_inference_duration_seconds" rest)

static void metrics_histograms_are_cumulative(void **state) {
    (void)state;
    metrics_time(metrics, METRICS_INFER, 1);     /* on a bound: within it */
    metrics_time(metrics, METRICS_INFER, 3);     /* 2.5 ms .. 5 ms */
    metrics_time(metrics, METRICS_INFER, 60000); /* beyond */
    metrics_time(metrics, METRICS_INFER, -1);    /* clocks differ: left out */
    print();
    assert_float_equal(INFERENCE("_bucket{le=\"0.0005\"}"), 0, 0);
    assert_float_equal(INFERENCE("_bucket{le=\"0.001\"}"), 1, 0);
    assert_float_equal(INFERENCE("_bucket{le=\"0.0025\"}"), 1, 0);
    assert_float_equal(INFERENCE("_bucket{le=\"0.005\"}"), 2, 0);
    assert_float_equal(INFERENCE("_bucket{le=\"30\"}"), 2, 0);
    assert_float_equal(INFERENCE("_bucket{le=\"+Inf\"}"), 3, 0);
    assert_float_equal(INFERENCE("_count"), 3, 0);
    assert_float_equal(INFERENCE("_sum"), 60.004, 1e-9);
}

static void metrics_show_gauges(void **state) {
    (void)state;
    print();
    assert_float_equal(sample("convoy_queue_jobs"), 2, 0);
    assert_float_equal(sample("convoy_queue_age_seconds"), 1.5, 0);
    assert_float_equal(sample("convoy_in_flight_jobs"), 3, 0);
    assert_float_equal(sample("convoy_pending_jobs"), 6, 0);
    assert_float_equal(sample("convoy_workers"), 4, 0);
    assert_float_equal(sample("convoy_models_refused"), 2, 0);
    assert_float_equal(sample("convoy_worker_credits"), 70000, 0);
    assert_float_equal(sample("convoy_store_up"), 1, 0);
    assert_float_equal(sample("convoy_store_pending_jobs"), 9, 0);
}

static void metrics_that_nobody_wants_are_no_trouble(void **state) {
    (void)state;
    metrics_request(NULL, "/", 200);
    metrics_submission(NULL, METRICS_HIT);
    metrics_refusal(NULL, "queue-full");
    metrics_retry(NULL, METRICS_WORKER_LATE);
    metrics_ended(NULL, NULL);
    metrics_time(NULL, METRICS_QUEUE, 1);
    assert_int_equal(metrics_totals(NULL).requests, 0);
}

#define TEST(name)                                                             \
    cmocka_unit_test_setup_teardown(name, open_metrics, close_metrics)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(metrics_are_prometheus_text),
        TEST(metrics_count_by_route_and_status),
        TEST(metrics_of_routes_without_end_are_counted),
        TEST(metrics_name_problems_that_are_known),
        TEST(metrics_histograms_are_cumulative),
        TEST(metrics_show_gauges),
        TEST(metrics_that_nobody_wants_are_no_trouble),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
