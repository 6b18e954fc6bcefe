/*
 * Random schedules of faults against the real service, and the check that what
 * was promised is kept; README.md says how. tests/faults/run starts it in a
 * run folder of its own.
 */
#include "tests/faults/backlog.h"
#include "tests/faults/clients.h"
#include "tests/faults/http.h"
#include "tests/faults/plan.h"
#include "tests/faults/recovery.h"
#include "tests/faults/verdict.h"

#include "common/options.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SETTLE_S 30 /* all that is owed is there by then; usually in 1 */
#define READY_S 30
#define POINT_TRIES 5 /* until somebody passes it */

/* The promise on memory that the service makes (front); loosely, for a worker
 * shares its model with its hands. */
#define FRONT_RSS_MAX_KIB (64 * 1024)

struct settings {
    const char *root, *model, *only;
    int seed, first, schedules, seconds, has_disk, points;
    int64_t flood_ms;
};

struct totals {
    int schedules, broken, accepted, submitted, answered, given_up, failed,
        lost, images, fired[FAULT_POINT_COUNT];
    const char *killed[FAULT_POINT_COUNT]; /* the part that passed last */
    int *injected;                         /* (plan_kinds()) */
};

struct point_row {
    int accepted, answered;
    bool kept;
};

struct checker {
    struct settings settings;
    struct service *service;
    struct oracle *oracle;
    struct recovery *recovery;
    struct totals totals;
    struct point_row points[FAULT_POINT_COUNT];
};

/* ---- after a schedule ---------------------------------------------------- */

/* Images whose clients were told 503 may be in there, too, and end as well. */
static void check_nothing_pending(void) {
    redisContext *redis = redisConnectUnix(SERVICE_REDIS);
    if (backlog_await_end(redis, SETTLE_S)) {
        long long jobs = backlog_number(redis, "KEYS convoy:job:*");
        if (jobs != 0)
            verdict_against("%lld jobs are left without being pending", jobs);
    }
    redisFree(redis);
}

/* Those that died at a point: what the point is in says what they were. */
static int add_deaths_at_points(struct checker *checker, struct death *deaths,
                                int count, int max) {
    const struct board *board = service_board(checker->service);
    for (unsigned i = 0; i < board->count && i < BOARD_TRACE_MAX; i++) {
        const struct board_event *event = &board->events[i];
        if (!event->killed || count == max)
            continue;
        int part = service_part_of(checker->service, event->pid);
        enum loss loss =
            part == PART_FRONT_1 || part == PART_FRONT_2     ? LOSS_FRONT
            : part == PART_WORKER_1 || part == PART_WORKER_2 ? LOSS_WORKER
                                                             : LOSS_HAND;
        checker->totals.fired[event->point]++;
        checker->totals.killed[event->point] =
            part < 0 ? "hand" : part_name((enum part)part);
        deaths[count++] = (struct death){loss, event->pid, event->us};
    }
    return count;
}

static void clear_board(struct board *board) {
    unsigned count = board->count;
    if (count > BOARD_TRACE_MAX)
        count = BOARD_TRACE_MAX;
    memset(board->events, 0, count * sizeof *board->events);
    atomic_store(&board->count, 0);
}

static void measure(struct checker *checker, const struct plan *plan) {
    struct death deaths[128];
    int count = service_take_deaths(checker->service, deaths, 64);
    int workers = 0;
    count = add_deaths_at_points(checker, deaths, count, 128);
    for (int i = 0; i < count; i++)
        workers += deaths[i].loss != LOSS_HAND;
    /* Two at a time may be both fronts or both workers: nobody is left. */
    recovery_measure(checker->recovery, service_board(checker->service), deaths,
                     count, plan->clear && workers <= 1,
                     service_take_late_us(checker->service));
    clear_board(service_board(checker->service));
}

static void add_up(struct checker *checker, struct history *history) {
    struct history_counts counts = history_counts(history);
    struct totals *t = &checker->totals;
    t->schedules++;
    t->images += counts.images;
    t->submitted += counts.submitted;
    t->accepted += counts.accepted;
    t->answered += counts.answered;
    t->given_up += counts.given_up;
    t->failed += counts.failed;
    t->lost += counts.lost;
}

static void check_memory(struct checker *checker) {
    struct service_counts counts = service_counts(checker->service);
    if (counts.front_rss_kib > FRONT_RSS_MAX_KIB)
        verdict_against("a front took %ld KiB", counts.front_rss_kib);
}

/* See README.md, "One defect is Redis's own". */
static void restart_redis(struct checker *checker) {
    pid_t pid = service_pid(checker->service, PART_REDIS);
    service_terminate(checker->service, PART_REDIS);
    if (!service_await_other(checker->service, PART_REDIS, pid) ||
        !service_await_ready(checker->service, READY_S))
        verdict_against("Redis does not come back");
}

static void check_schedule(struct checker *checker, const struct plan *plan,
                           const struct stage *stage) {
    struct history *history = stage->history;
    if (!service_await_ready(checker->service, READY_S))
        verdict_against("the service is not ready %d s after all is healed",
                        READY_S);
    if (stage->cut || stage->filled)
        restart_redis(checker);
    clients_settle(history, SETTLE_S);
    clients_review(history);
    clients_settle(history, SETTLE_S);
    check_nothing_pending();
    check_memory(checker);
    measure(checker, plan);
    add_up(checker, history);
}

/* ---- schedules ----------------------------------------------------------- */

/* Runs the plan and checks what came of it. */
static struct history_counts run_plan(struct checker *checker, int number,
                                      const char *what,
                                      const struct plan *plan) {
    char name[64];
    struct history *history = history_open(checker->oracle);
    struct stage stage = {.service = checker->service,
                          .history = history,
                          .has_disk = checker->settings.has_disk != 0,
                          .injected = checker->totals.injected};
    int64_t begun = now_us();
    verdict_begin(number, what);
    service_clear_logs(checker->service);
    history_harm(history, plan->harm);
    plan_run(plan, &stage);
    double load_s = (double)(now_us() - begun) / 1e6;
    check_schedule(checker, plan, &stage);
    struct history_counts counts = history_counts(history);
    history_close(history);
    printf("schedule %d: %s: %d submitted, %d accepted, %d answered, "
           "%.1f + %.1f s%s\n",
           number, what, counts.submitted, counts.accepted, counts.answered,
           load_s, (double)(now_us() - begun) / 1e6 - load_s,
           verdict_schedule() ? ": BROKEN" : "");
    if (verdict_schedule()) {
        checker->totals.broken++;
        snprintf(name, sizeof name, "seed-%d-schedule-%d",
                 checker->settings.seed, number);
        service_keep_logs(checker->service, name);
    }
    return counts;
}

static void run_schedule(struct checker *checker, int number) {
    const struct settings *s = &checker->settings;
    int first = s->only ? plan_kind_find(s->only) : number % plan_kinds();
    char kinds[200];
    struct plan plan;
    plan_make(&plan, rng_derive((uint64_t)s->seed, (uint64_t)number), first,
              (int)s->flood_ms);
    plan_describe(&plan, kinds, sizeof kinds);
    run_plan(checker, number, kinds, &plan);
}

/* ---- every point --------------------------------------------------------- */

/* Numbered before the first schedule, which is 0. */
static void run_point(struct checker *checker, int point) {
    char what[64];
    struct plan plan;
    struct history_counts counts = {0};
    int *fired = &checker->totals.fired[point], before = *fired, tries = 0;
    int broken = checker->totals.broken;
    snprintf(what, sizeof what, "point %s", plan_point_name(point));
    for (; tries < POINT_TRIES && *fired == before; tries++) {
        plan_make_point(&plan,
                        rng_derive((uint64_t)checker->settings.seed,
                                   (uint64_t)(1000 * point + tries)),
                        point);
        counts = run_plan(checker, point - FAULT_POINT_COUNT, what, &plan);
    }
    if (*fired == before)
        verdict_against("nobody passed it in %d schedules", tries);
    checker->totals.broken += *fired == before;
    checker->points[point] = (struct point_row){
        .accepted = counts.accepted,
        .answered = counts.answered,
        .kept = checker->totals.broken == broken,
    };
}

static void run_points(struct checker *checker) {
    for (int point = 0; point < FAULT_POINT_COUNT; point++)
        run_point(checker, point);
}

static void report_points(const struct checker *checker) {
    printf("\nkilled at          who     accepted  answered  nothing lost\n");
    for (int i = 0; i < FAULT_POINT_COUNT; i++)
        printf("  %-15s  %-7s %8d  %8d  %s\n", plan_point_name(i),
               checker->totals.fired[i] ? checker->totals.killed[i] : "nobody",
               checker->points[i].accepted, checker->points[i].answered,
               checker->points[i].kept ? "kept" : "BROKEN");
}

/* ---- the report ---------------------------------------------------------- */

static void print_named(const char *what, const int *numbers, int count,
                        const char *(*name)(int)) {
    printf("%s:", what);
    for (int i = 0; i < count; i++)
        if (numbers[i])
            printf(" %s %d", name(i), numbers[i]);
    printf("\n");
}

static void report(struct checker *checker, double seconds) {
    const struct totals *t = &checker->totals;
    struct recovery_counts jobs = recovery_counts(checker->recovery);
    struct clients_counts clients = clients_counts();
    struct service_counts service = service_counts(checker->service);
    int faults = 0;
    for (int i = 0; i < plan_kinds(); i++)
        faults += t->injected[i];
    printf("\nseed %d: %d schedules in %.0f s, %d faults, %d processes started "
           "again\n",
           checker->settings.seed, t->schedules, seconds, faults,
           service.restarts);
    print_named("faults injected", t->injected, plan_kinds(), plan_kind_name);
    print_named("killed at points", t->fired, FAULT_POINT_COUNT,
                plan_point_name);
    printf("images: %d, submitted %d times, %d accepted, %d answered, "
           "%d lost with a cut log\n",
           t->images, t->submitted, t->accepted, t->answered, t->lost);
    printf("jobs: %d ran, %d of them more than once, %d results came late and "
           "changed nothing\n",
           jobs.jobs, jobs.again, jobs.late);
    printf("given up after three attempts: %d sound images, %d that cannot be "
           "answered\n",
           t->given_up, t->failed);
    printf("requests: %ld, %ld refused, %ld unanswered, longest %.2f s\n",
           clients.requests, clients.refused, clients.failed,
           clients.longest_s);
    printf("memory, most seen: front %.1f MiB, foreman %.1f MiB; longest from "
           "SIGTERM to the end %.2f s\n",
           (double)service.front_rss_kib / 1024,
           (double)service.worker_rss_kib / 1024, service.longest_stop_s);
    if (checker->settings.points)
        report_points(checker);
    recovery_print(checker->recovery);
    printf("longest recovery: %.2f s\npromises broken: %d\n", jobs.longest_s,
           verdict_count());
    printf("%d passed, %d failed, %d skipped\n", t->schedules - t->broken,
           t->broken, !checker->settings.has_disk);
}

static int read_settings(struct settings *s, int argc, char **argv,
                         struct err *err) {
    const struct option_row rows[] = {
        {"seed", "N", OPTION_INT, &s->seed, 0, INT32_MAX,
         "of all that is random"},
        {"from", "N", OPTION_INT, &s->first, 0, INT32_MAX,
         "the first schedule's number: to see one again"},
        {"schedules", "N", OPTION_INT, &s->schedules, 1, INT32_MAX,
         "how many schedules"},
        {"seconds", "N", OPTION_INT, &s->seconds, 1, INT32_MAX,
         "no new schedule after so long"},
        {"points", NULL, OPTION_FLAG, &s->points, 0, 0,
         "first a schedule for each fault point"},
        {"only", "KIND", OPTION_TEXT, &s->only, 0, 0,
         "every schedule has that fault"},
        {"flood", "TIME", OPTION_TIME, &s->flood_ms, 0, 3600000,
         "how long an overload lasts (1.2 s)"},
        {"root", "DIR", OPTION_TEXT, &s->root, 0, 0, "the repository"},
        {"model", "DIR", OPTION_TEXT, &s->model, 0, 0, "the model to serve"},
        {"disk", NULL, OPTION_FLAG, &s->has_disk, 0, 0,
         "redis/ is a small disk of its own"},
    };
    const struct options options = {
        .program = "tests/faults/run",
        .summary = "random faults, and whether the promises are kept",
        .rows = rows,
        .row_count = sizeof rows / sizeof *rows,
        .flags_only = true,
    };
    int status = (int)options_read(&options, argc, argv, err);
    if (status == OPTIONS_RUN && s->only && plan_kind_find(s->only) < 0) {
        err_set(err, "--only: there is no fault %s", s->only);
        status = OPTIONS_BAD;
    }
    return status;
}

/* ---- told to stop -------------------------------------------------------- */

static void stop_signals(sigset_t *signals) {
    sigemptyset(signals);
    sigaddset(signals, SIGTERM);
    sigaddset(signals, SIGINT);
    sigaddset(signals, SIGHUP);
}

/* Whatever the other threads are at, no part is left behind. */
static void *await_stop(void *argument) {
    struct checker *checker = argument;
    sigset_t signals;
    int signal = 0;
    stop_signals(&signals);
    sigwait(&signals, &signal);
    service_kill_all(checker->service);
    _exit(128 + signal);
}

static int watch_for_stop(struct checker *checker, struct err *err) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, await_stop, checker))
        return err_set(err, "cannot start a thread");
    pthread_detach(thread);
    return 0;
}

static int check(struct checker *checker, struct err *err) {
    const struct settings *s = &checker->settings;
    checker->oracle = oracle_open(s->model, err);
    if (!checker->oracle)
        return -1;
    checker->service = service_open(s->root, s->model, err);
    if (!checker->service || watch_for_stop(checker, err) < 0)
        return -1;
    if (!service_await_ready(checker->service, READY_S)) {
        service_keep_logs(checker->service, "start");
        return err_set(err, "the service does not start");
    }
    int64_t begun = now_us();
    if (s->points)
        run_points(checker);
    int64_t random = now_us();
    for (int i = 0;
         i < s->schedules && now_us() - random < s->seconds * INT64_C(1000000);
         i++)
        run_schedule(checker, s->first + i);
    report(checker, (double)(now_us() - begun) / 1e6);
    return 0;
}

int main(int argc, char **argv) {
    struct checker checker = {
        .settings = {.root = ".",
                     .model = "models/zoo/cifar10-airbench",
                     .seed = 1,
                     .schedules = 1000000,
                     .seconds = 1000000}};
    struct err err = {0};
    int status = read_settings(&checker.settings, argc, argv, &err);
    if (status == OPTIONS_DONE)
        return 0;
    sigset_t stop;
    signal(SIGPIPE, SIG_IGN);
    stop_signals(&stop);
    pthread_sigmask(SIG_BLOCK, &stop, NULL); /* await_stop() takes them */
    setvbuf(stdout, NULL, _IOLBF, 0);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    checker.recovery = recovery_open();
    checker.totals.injected = calloc((size_t)plan_kinds(), sizeof(int));
    if (!checker.totals.injected)
        abort();
    if (status == OPTIONS_BAD || check(&checker, &err) < 0) {
        fprintf(stderr, "faults: %s\n", err.text);
        status = 2;
    }
    if (checker.service)
        service_close(checker.service);
    oracle_close(checker.oracle);
    recovery_close(checker.recovery);
    free(checker.totals.injected);
    return status ? status : verdict_count() > 0;
}
