/*
 * The checker of tests/hosts/run: clients submit and poll through the balancer
 * while a scenario's steps are done to the hosts; then all that was accepted
 * must have its answer, and the right one. Clients, their history and what is
 * right are those of tests/faults.
 */
#include "tests/faults/backlog.h"
#include "tests/faults/clients.h"
#include "tests/faults/http.h"
#include "tests/faults/verdict.h"
#include "tests/hosts/rolling.h"

#include "common/options.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLIENTS 4
#define SETTLE_S 30
#define READY_S 30
#define REDIS "10.77.0.10", 6379
#define AUTH "AUTH only-for-this-test"

/* A step is a word: load MS (clients go on), sees FRONT WORKERS (waits until it
 * has so many), else a command of tests/hosts/net. */
#define STEPS_MAX 10
struct scenario {
    const char *name;
    enum pace pace; /* strict: no request fails that is tried twice */
    int harm;       /* attempts that an image may lose */
    const char *steps[STEPS_MAX];
};

static const struct scenario scenarios[] = {
    {"as-usual", PACE_STRICT, 0, {"load 1500"}},
    /* For less time than it takes to be missed; then one for longer, while two
     * others do not see each other. */
    {"worker-away",
     PACE_USUAL,
     1,
     {"cut w1", "load 1000", "mend w1", "cut w2", "part f1 w3", "load 6500",
      "mend w2", "join f1 w3", "sees f1 3", "sees f2 3"}},
    {"front-away",
     PACE_USUAL,
     1,
     {"cut f2", "load 3000", "mend f2", "sees f2 3", "load 500"}},
    {"redis-away",
     PACE_USUAL,
     1,
     {"cut redis", "load 3500", "mend redis", "load 500"}},
    {"worker-dies",
     PACE_USUAL,
     1,
     {"load 500", "kill w2", "load 1500", "start w4", "sees f1 3", "sees f2 3",
      "load 500"}},
    {"front-dies",
     PACE_USUAL,
     1,
     {"load 500", "kill f2", "load 1500", "mend f2", "start f2", "sees f2 3",
      "load 500"}},
    /* For longer than it takes to ask again: what is known stays known. */
    {"dns-away",
     PACE_STRICT,
     0,
     {"cut dns", "load 6500", "mend dns", "load 500"}},
    {"members-change",
     PACE_STRICT,
     0,
     {"load 500", "start f3", "members f1 f2 f3", "sees f3 3", "load 1000",
      "members f2 f3", "load 500", "stop f1", "load 1500"}},
};

struct checker {
    const char *root, *model, *only;
    int seed;
    struct oracle *oracle;
    struct history *history;
};

/* ---- steps --------------------------------------------------------------- */

/* How many workers a front has for the default model; -1: it does not say. */
static int workers_of(const char *front) {
    struct reply reply;
    char socket[32];
    snprintf(socket, sizeof socket, "%s.sock", front);
    struct http *http = http_open(socket);
    http_get(http, "/api/v1/models", &reply);
    const json_t *model =
        json_array_get(json_object_get(reply.json, "models"), 0);
    int count =
        model ? (int)json_integer_value(json_object_get(model, "workers")) : -1;
    reply_free(&reply);
    http_close(http);
    return count;
}

static void await_workers(const char *front, int count) {
    int64_t end = now_us() + READY_S * INT64_C(1000000);
    int seen;
    while ((seen = workers_of(front)) != count && now_us() < end)
        usleep(50000);
    if (seen != count)
        verdict_against("%s has %d workers and not %d within %d s", front, seen,
                        count, READY_S);
}

static void command(const struct checker *checker, const char *step) {
    char line[600];
    snprintf(line, sizeof line, "'%s/tests/hosts/net' %s", checker->root, step);
    if (system(line) != 0)
        verdict_against("%s did not work", step);
}

static void do_step(const void *checker, const char *step) {
    char front[8];
    int number;
    if (sscanf(step, "load %d", &number) == 1)
        usleep((useconds_t)number * 1000);
    else if (sscanf(step, "sees %7s %d", front, &number) == 2)
        await_workers(front, number);
    else
        command(checker, step);
}

/* ---- after a scenario ---------------------------------------------------- */

static void check_nothing_pending(void) {
    redisContext *redis = redisConnect(REDIS);
    backlog_number(redis, AUTH);
    backlog_await_end(redis, SETTLE_S);
    redisFree(redis);
}

/* ---- scenarios ----------------------------------------------------------- */

static void run_scenario(struct checker *checker, int index) {
    const struct scenario *s = &scenarios[index];
    int64_t begun = now_us();
    verdict_begin(index, s->name);
    checker->history = history_open(checker->oracle);
    history_harm(checker->history, s->harm);
    struct clients *clients = clients_start(
        checker->history, rng_derive((uint64_t)checker->seed, (uint64_t)index),
        CLIENTS, s->pace);
    for (int i = 0; i < STEPS_MAX && s->steps[i]; i++)
        do_step(checker, s->steps[i]);
    clients_stop(clients);
    int64_t healed = now_us();
    clients_settle(checker->history, SETTLE_S);
    double settled_s = (double)(now_us() - healed) / 1e6;
    clients_review(checker->history);
    clients_settle(checker->history, SETTLE_S);
    check_nothing_pending();
    struct history_counts counts = history_counts(checker->history);
    if (counts.answered == 0)
        verdict_against("nothing at all was answered");
    printf("%-14s %s: %d submitted, %d accepted, %d answered; all of them "
           "%.1f s after the last step; took %.1f s\n",
           s->name, verdict_schedule() ? "BROKEN" : "kept", counts.submitted,
           counts.accepted, counts.answered, settled_s,
           (double)(now_us() - begun) / 1e6);
    history_close(checker->history);
}

static bool is_asked_for(const struct checker *checker, const char *name) {
    return !checker->only || strcmp(checker->only, name) == 0;
}

static int check(struct checker *checker, struct err *err) {
    int passed = 0, failed = 0;
    checker->oracle = oracle_open(checker->model, err);
    if (!checker->oracle)
        return -1;
    verdict_begin(-1, "start");
    await_workers("f1", 3);
    await_workers("f2", 3);
    failed += verdict_schedule() > 0;
    if (!failed && is_asked_for(checker, "versions-roll")) {
        verdict_begin(-1, "versions-roll");
        rolling_run(checker->oracle, do_step, checker);
        failed += verdict_schedule() > 0;
        passed += verdict_schedule() == 0;
    }
    /* What follows a broken one would stand on it. */
    for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios && !failed;
         i++) {
        if (!is_asked_for(checker, scenarios[i].name))
            continue;
        run_scenario(checker, (int)i);
        failed += verdict_schedule() > 0;
        passed += verdict_schedule() == 0;
    }
    struct clients_counts clients = clients_counts();
    printf("requests: %ld, %ld refused, %ld unanswered, longest %.2f s\n",
           clients.requests, clients.refused, clients.failed,
           clients.longest_s);
    printf("%d passed, %d failed, 0 skipped\n", passed, failed);
    oracle_close(checker->oracle);
    return 0;
}

int main(int argc, char **argv) {
    struct checker checker = {.root = ".", .model = "model", .seed = 1};
    struct err err = {0};
    const struct option_row rows[] = {
        {"seed", "N", OPTION_INT, &checker.seed, 0, INT32_MAX,
         "of what clients do"},
        {"only", "NAME", OPTION_TEXT, &checker.only, 0, 0, "that scenario"},
        {"root", "DIR", OPTION_TEXT, &checker.root, 0, 0, "the repository"},
        {"model", "DIR", OPTION_TEXT, &checker.model, 0, 0,
         "the model that is served"},
    };
    const struct options options = {
        .program = "tests/hosts/run",
        .summary = "the service on many hosts, and whether its promises are "
                   "kept",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
        .flags_only = true,
    };
    int status = (int)options_read(&options, argc, argv, &err);
    if (status == OPTIONS_DONE)
        return 0;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (status == OPTIONS_BAD || check(&checker, &err) < 0) {
        fprintf(stderr, "hosts: %s\n", err.text);
        return 2;
    }
    return verdict_count() > 0;
}
