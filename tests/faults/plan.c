#include "tests/faults/plan.h"

#include "tests/faults/verdict.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_MS 200 /* clients have begun */
#define LAST_MS 1400
#define TAIL_MS 400     /* from the last step to the end of the load */
#define SILENCE_MS 5600 /* a worker or front is taken for gone, and more */
#define FLOOD_MS 1200
#define ADOPT_MS                                                               \
    (2 * SERVICE_LEASE_MS + 400) /* lease, sweep, and some more                \
                                  */
#define DEADLINE_MS 4000

static const char *const point_names[FAULT_POINT_COUNT] = {
    "received",     "accept.before", "accept.after",  "adopt.before",
    "adopt.after",  "claim.before",  "claim.after",   "renew.before",
    "renew.after",  "job-sent",      "job-received",  "hand-begun",
    "hand-decoded", "hand-inferred", "hand-answered", "finish.before",
    "finish.after", "finish.late",
};

const char *plan_point_name(int point) {
    return point_names[point];
}

/* ---- kinds of faults ----------------------------------------------------- */

static void put(struct plan *plan, int at_ms, step_act *act, enum part part,
                int number, int kind) {
    if (plan->step_count < PLAN_STEPS_MAX)
        plan->steps[plan->step_count++] =
            (struct step){at_ms, act, part, number, kind};
}

struct choice {
    struct rng *rng;
    int kind, at_ms;
    enum part worker, front;
};

static void plan_kill_hand(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_kill_hand, c->worker, rng_between(c->rng, 0, 7),
        c->kind);
}

static void plan_kill_nursery(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_kill_nursery, c->worker, 0, c->kind);
}

static void plan_kill_worker(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_kill_part, c->worker, rng_between(c->rng, 0, 800),
        c->kind);
}

static void plan_kill_front(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_kill_part, c->front, rng_between(c->rng, 0, 1500),
        c->kind);
}

static void plan_kill_redis(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_kill_part, PART_REDIS,
        rng_between(c->rng, 0, 1500), c->kind);
}

static void plan_cut_log(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_cut_log, PART_REDIS, rng_between(c->rng, 1, 60000),
        c->kind);
}

/* Jobs are adopted where a front has died, leases renewed while something
 * waits: both seldom, so the first to pass there is the one. */
static void plan_point(struct plan *plan, const struct choice *c) {
    int point = rng_between(c->rng, 0, FAULT_POINT_COUNT - 1);
    bool adopts = point == FAULT_ADOPT_BEFORE || point == FAULT_ADOPT_AFTER;
    bool renews = point == FAULT_RENEW_BEFORE || point == FAULT_RENEW_AFTER;
    int passes = adopts || renews ? 1 : rng_between(c->rng, 1, 20);
    if (adopts)
        put(plan, c->at_ms + 50, step_kill_part, c->front, 1500, -1);
    put(plan, c->at_ms, step_arm_point, PART_COUNT,
        point + FAULT_POINT_COUNT * (passes - 1), c->kind);
}

static void plan_poison(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_submit_poison, PART_COUNT,
        rng_between(c->rng, 1, 1 << 30), c->kind);
}

static void plan_end_worker(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_terminate_part, c->worker, 0, c->kind);
}

static void plan_end_front(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_terminate_part, c->front, 0, c->kind);
}

static void plan_end_redis(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_terminate_part, PART_REDIS,
        rng_between(c->rng, 0, 500), c->kind);
}

static void plan_reload_nginx(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_reload_part, PART_NGINX, 0, c->kind);
}

static void plan_stop(struct plan *plan, const struct choice *c, enum part part,
                      int ms) {
    put(plan, c->at_ms, step_stop_part, part, 0, c->kind);
    put(plan, c->at_ms + ms, step_continue_part, part, 0, -1);
}

static void plan_stop_redis(struct plan *plan, const struct choice *c) {
    plan_stop(plan, c, PART_REDIS, rng_between(c->rng, 500, 4000));
}

static void plan_stop_worker(struct plan *plan, const struct choice *c) {
    plan_stop(plan, c, c->worker,
              rng_chance(c->rng, 60) ? SILENCE_MS
                                     : rng_between(c->rng, 300, 3000));
}

static void plan_stop_front(struct plan *plan, const struct choice *c) {
    plan_stop(plan, c, c->front,
              rng_chance(c->rng, 30) ? SILENCE_MS
                                     : rng_between(c->rng, 1500, 3500));
}

static void plan_stop_hand(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_stop_hand, c->worker, rng_between(c->rng, 0, 7),
        c->kind);
}

static void plan_stuck(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, step_submit_stuck, PART_COUNT,
        rng_between(c->rng, 1, 1 << 30), c->kind);
}

static void plan_overload(struct plan *plan, const struct choice *c) {
    bool is_long = plan->flood_ms > FLOOD_MS;
    put(plan, c->at_ms, is_long ? step_begin_long_flood : step_begin_flood,
        PART_COUNT, rng_between(c->rng, 1, 1 << 30), c->kind);
    if (is_long)
        put(plan, c->at_ms + plan->flood_ms / 4, step_note_memory, PART_COUNT,
            0, -1);
    put(plan, c->at_ms + plan->flood_ms, step_end_flood, PART_COUNT, 0, -1);
}

/* Twice: what the first has done to Redis's log the second must not turn into a
 * loss. */
static void plan_disk_full(struct plan *plan, const struct choice *c) {
    int at_ms = c->at_ms;
    for (int i = 0; i < 2; i++) {
        put(plan, at_ms, step_fill_disk, PART_COUNT, 0, i ? -1 : c->kind);
        at_ms += rng_between(c->rng, 500, 2500);
        put(plan, at_ms, step_free_disk, PART_COUNT, 0, -1);
        plan->least_ms = at_ms + TAIL_MS; /* the second needs writes, too */
        at_ms += 500;
    }
}

static void plan_few_files(struct plan *plan, const struct choice *c) {
    enum part part = rng_chance(c->rng, 50) ? c->front : c->worker;
    put(plan, c->at_ms, step_limit_files, part, rng_between(c->rng, 0, 2),
        c->kind);
    if (part == c->worker) /* which then cannot have another hand */
        put(plan, c->at_ms + 100, step_kill_hand, part, 0, -1);
    put(plan, c->at_ms + rng_between(c->rng, 500, 2500), step_limit_files, part,
        -1, -1);
}

static void plan_roll(struct plan *plan, const struct choice *c) {
    plan->strict = true;
    put(plan, FIRST_MS, step_roll, PART_COUNT, 0, c->kind);
}

/* Work comes in until nobody does it any more; then all but nginx are gone, and
 * no worker comes back before what was accepted has ended. */
static void plan_no_worker(struct plan *plan, const struct choice *c) {
    static const enum part workers[] = {PART_WORKER_1, PART_WORKER_2};
    static const enum part others[] = {PART_FRONT_1, PART_FRONT_2, PART_REDIS};
    for (int i = 0; i < 2; i++) {
        put(plan, FIRST_MS, step_stop_part, workers[i], 0, i ? -1 : c->kind);
        put(plan, FIRST_MS + 600, step_kill_part, workers[i], 60000, -1);
    }
    put(plan, FIRST_MS + 650, step_set_deadline, PART_COUNT, DEADLINE_MS, -1);
    for (int i = 0; i < 3; i++)
        put(plan, FIRST_MS + 700, step_kill_part, others[i], 200, -1);
    put(plan, FIRST_MS + 1000, step_await_deadline, PART_COUNT, DEADLINE_MS,
        -1);
}

/* In the order in which schedules begin with them. `harm`: attempts that it
 * can cost one image; `clear`: other recoveries can be measured beside it. */
static const struct kind {
    const char *name;
    void (*plan)(struct plan *, const struct choice *);
    int harm;
    bool clear, alone;
} kinds[] = {
    {"kill-hand", plan_kill_hand, 0, true, false},
    {"kill-worker", plan_kill_worker, 1, true, false},
    {"kill-front", plan_kill_front, 1, true, false},
    {"kill-redis", plan_kill_redis, 1, false, false},
    {"poison", plan_poison, 0, true, false},
    {"point", plan_point, 1, true, false},
    {"no-worker", plan_no_worker, 3, false, true},
    {"restart-worker", plan_end_worker, 1, true, false},
    {"restart-front", plan_end_front, 1, true, false},
    {"stop-worker", plan_stop_worker, 1, false, false},
    {"kill-nursery", plan_kill_nursery, 1, false, false},
    {"cut-log", plan_cut_log, 1, false, false},
    {"disk-full", plan_disk_full, 1, false, false},
    {"stop-redis", plan_stop_redis, 3, false, false},
    {"overload", plan_overload, 1, false, false},
    {"few-files", plan_few_files, 1, false, false},
    {"rolling-restart", plan_roll, 3, false, true},
    {"stop-front", plan_stop_front, 2, false, false},
    {"stop-hand", plan_stop_hand, 1, false, false},
    {"restart-redis", plan_end_redis, 1, false, false},
    {"reload-nginx", plan_reload_nginx, 0, true, false},
    {"stuck", plan_stuck, 2, false, false},
};
#define KINDS ((int)(sizeof kinds / sizeof *kinds))

int plan_kinds(void) {
    return KINDS;
}

const char *plan_kind_name(int kind) {
    return kinds[kind].name;
}

int plan_kind_find(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (strcmp(kinds[i].name, name) == 0)
            return i;
    return -1;
}

/* ---- a plan -------------------------------------------------------------- */

static void add_fault(struct plan *plan, struct rng *rng, int kind) {
    const struct choice choice = {
        .rng = rng,
        .kind = kind,
        .at_ms = rng_between(rng, FIRST_MS, LAST_MS),
        .worker = rng_chance(rng, 50) ? PART_WORKER_1 : PART_WORKER_2,
        .front = rng_chance(rng, 50) ? PART_FRONT_1 : PART_FRONT_2,
    };
    kinds[kind].plan(plan, &choice);
    plan->kinds[plan->kind_count++] = kind;
    plan->harm += kinds[kind].harm;
    plan->clear = plan->clear && kinds[kind].clear;
}

static int compare(const void *a, const void *b) {
    return ((const struct step *)a)->at_ms - ((const struct step *)b)->at_ms;
}

void plan_make(struct plan *plan, uint64_t seed, int first, int flood_ms) {
    struct rng rng = {seed};
    *plan = (struct plan){.seed = seed,
                          .clear = true,
                          .flood_ms = flood_ms ? flood_ms : FLOOD_MS};
    add_fault(plan, &rng, first);
    int more = kinds[first].alone ? 0 : rng_between(&rng, 0, 2);
    while (more-- > 0) {
        int kind = rng_between(&rng, 0, KINDS - 1);
        if (!kinds[kind].alone)
            add_fault(plan, &rng, kind);
    }
    qsort(plan->steps, (size_t)plan->step_count, sizeof *plan->steps, compare);
    plan->load_ms = plan->steps[plan->step_count - 1].at_ms + TAIL_MS;
    if (plan->load_ms > LAST_MS + TAIL_MS)
        plan->load_ms = LAST_MS + TAIL_MS;
    if (plan->load_ms < plan->least_ms)
        plan->load_ms = plan->least_ms;
}

/* Each point is passed for certain, and by whom it is to kill. */
void plan_make_point(struct plan *plan, uint64_t seed, int point) {
    struct rng rng = {seed};
    int passes = 1, until_ms = 0;
    *plan = (struct plan){.seed = seed, .clear = true, .harm = 2};
    switch (point) {
    case FAULT_RENEW_BEFORE:
    case FAULT_RENEW_AFTER: /* of what waits */
        put(plan, FIRST_MS, step_stop_part, PART_WORKER_1, 0, -1);
        put(plan, FIRST_MS, step_stop_part, PART_WORKER_2, 0, -1);
        until_ms = SERVICE_LEASE_MS;
        break;
    case FAULT_ADOPT_BEFORE:
    case FAULT_ADOPT_AFTER: /* of what waits, and its front has gone */
        put(plan, FIRST_MS, step_stop_part, PART_WORKER_1, 0, -1);
        put(plan, FIRST_MS, step_stop_part, PART_WORKER_2, 0, -1);
        put(plan, FIRST_MS + 200, step_kill_part, PART_FRONT_1, 1500, -1);
        until_ms = ADOPT_MS;
        break;
    case FAULT_FINISH_LATE: /* by the other worker it is answered meanwhile */
        put(plan, FIRST_MS, step_stop_part, PART_WORKER_1, 0, -1);
        until_ms = SILENCE_MS;
        break;
    default:
        passes = rng_between(&rng, 1, 5);
    }
    put(plan, FIRST_MS, step_arm_point, PART_COUNT,
        point + FAULT_POINT_COUNT * (passes - 1), -1);
    for (int part = PART_WORKER_1; until_ms && part <= PART_WORKER_2; part++)
        put(plan, FIRST_MS + until_ms, step_continue_part, (enum part)part, 0,
            -1);
    put(plan, FIRST_MS + until_ms + 2 * TAIL_MS, step_await_point, PART_COUNT,
        point, -1);
    qsort(plan->steps, (size_t)plan->step_count, sizeof *plan->steps, compare);
    plan->load_ms = FIRST_MS + 2 * TAIL_MS;
}

void plan_describe(const struct plan *plan, char *text, size_t size) {
    size_t len = 0;
    *text = 0;
    for (int i = 0; i < plan->kind_count && len < size; i++)
        len += (size_t)snprintf(text + len, size - len, "%s%s", i ? " " : "",
                                kinds[plan->kinds[i]].name);
}

static void sleep_until(int64_t us) {
    int64_t left = us - now_us();
    if (left > 0)
        usleep((useconds_t)left);
}

static void heal(struct stage *stage) {
    struct board *board = service_board(stage->service);
    for (int i = 0; i < FAULT_POINT_COUNT; i++)
        atomic_store(&board->armed[i], 0);
    for (int part = 0; part < PART_COUNT; part++) {
        service_continue(stage->service, (enum part)part);
        service_limit_files(stage->service, (enum part)part, -1);
    }
    step_free_disk(stage, NULL);
}

/* Clients are only told to end, and joined when all is healed: a part that is
 * stopped may hold their last answers. */
void plan_run(const struct plan *plan, struct stage *stage) {
    int64_t begun = now_us();
    struct clients *clients = clients_start(
        stage->history, plan->seed, 6, plan->strict ? PACE_STRICT : PACE_USUAL);
    for (int i = 0; i < plan->step_count; i++) {
        const struct step *step = &plan->steps[i];
        if (step->at_ms > plan->load_ms) {
            sleep_until(begun + plan->load_ms * INT64_C(1000));
            clients_halt(clients);
        }
        sleep_until(begun + step->at_ms * INT64_C(1000));
        step->act(stage, step);
        if (step->kind >= 0)
            stage->injected[step->kind]++;
    }
    sleep_until(begun + plan->load_ms * INT64_C(1000));
    heal(stage);
    clients_stop(clients);
    if (stage->flood)
        clients_stop(stage->flood);
    stage->flood = NULL;
}
