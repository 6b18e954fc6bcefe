#include "tests/faults/plan.h"

#include "tests/faults/verdict.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_MS 200 /* clients have begun */
#define LAST_MS 1400
#define TAIL_MS 400     /* from the last step to the end of the load */
#define SILENCE_MS 5600 /* a worker or front is taken for gone, and more */
#define FLOOD_MS 1200
#define FILLER "redis/filler"

/* What waits and is on its way, see fcgi/jobs.h. */
#define FLOOD_MORE_KIB (16 << 10)

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

/* ---- steps --------------------------------------------------------------- */

/* Redis answers the writes in the course of which its disk fills up, and has
 * them in memory alone until there is room: with both faults they are gone. */
static void excuse(struct stage *stage, enum part part) {
    if (part == PART_REDIS && stage->full)
        history_excuse(stage->history);
}

static void kill_part(struct stage *stage, const struct step *step) {
    service_hold(stage->service, step->part, step->number);
    service_kill(stage->service, step->part);
    excuse(stage, step->part);
}

static void terminate_part(struct stage *stage, const struct step *step) {
    service_hold(stage->service, step->part, step->number);
    service_terminate(stage->service, step->part);
    excuse(stage, step->part);
}

static void stop_part(struct stage *stage, const struct step *step) {
    service_stop(stage->service, step->part);
}

static void continue_part(struct stage *stage, const struct step *step) {
    service_continue(stage->service, step->part);
}

static void reload_part(struct stage *stage, const struct step *step) {
    service_reload(stage->service, step->part);
}

/* It stands still for a moment first, so that it has work when it dies: a batch
 * takes it a millisecond or two. */
static void kill_hand(struct stage *stage, const struct step *step) {
    pid_t hand = service_hand(stage->service, step->part, step->number);
    if (!hand)
        return;
    kill(hand, SIGSTOP);
    usleep(100000);
    service_note_death(stage->service, LOSS_HAND, hand);
    kill(hand, SIGKILL);
}

/* It stands still until its time is over and the foreman has it killed. */
static void stop_hand(struct stage *stage, const struct step *step) {
    pid_t hand = service_hand(stage->service, step->part, step->number);
    if (hand)
        kill(hand, SIGSTOP);
}

static void kill_nursery(struct stage *stage, const struct step *step) {
    pid_t nursery = service_nursery(stage->service, step->part);
    if (nursery)
        kill(nursery, SIGKILL);
}

/* The newest part of Redis's log, where it has one. */
static bool find_log(char path[600]) {
    DIR *folder = opendir("redis/appendonlydir");
    long newest = -1;
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        long number;
        char kind[8] = "";
        if (sscanf(entry->d_name, "appendonly.aof.%ld.%7[a-z]", &number,
                   kind) == 2 &&
            strcmp(kind, "incr") == 0 && number > newest) {
            newest = number;
            snprintf(path, 600, "redis/appendonlydir/%.200s", entry->d_name);
        }
    }
    if (folder)
        closedir(folder);
    return newest >= 0;
}

/* What was written last is gone, as after a power cut. What was accepted
 * between the kill and now cannot be: Redis was away. */
static void cut_log(struct stage *stage, const struct step *step) {
    char path[600];
    pid_t pid = service_pid(stage->service, PART_REDIS);
    service_hold(stage->service, PART_REDIS, 60000);
    service_kill(stage->service, PART_REDIS);
    while (pid && service_pid(stage->service, PART_REDIS) == pid)
        usleep(2000);
    history_excuse(stage->history);
    stage->cut = true;
    int fd = find_log(path) ? open(path, O_RDWR | O_CLOEXEC) : -1;
    off_t size = fd >= 0 ? lseek(fd, 0, SEEK_END) : 0;
    if (fd >= 0 &&
        ftruncate(fd, size > step->number ? size - step->number : 0) < 0)
        perror(path);
    if (fd >= 0)
        close(fd);
    service_hold(stage->service, PART_REDIS, 0);
}

static void arm_point(struct stage *stage, const struct step *step) {
    int point = step->number % FAULT_POINT_COUNT;
    atomic_store(&service_board(stage->service)->armed[point],
                 1 + step->number / FAULT_POINT_COUNT);
}

static void submit_poison(struct stage *stage, const struct step *step) {
    clients_submit_among(stage->history, (uint64_t)step->number, NATURE_POISON);
}

static void submit_stuck(struct stage *stage, const struct step *step) {
    clients_submit_among(stage->history, (uint64_t)step->number, NATURE_STUCK);
}

static void flood(struct stage *stage, const struct step *step,
                  enum pace pace) {
    if (!stage->flood)
        stage->flood =
            clients_start(stage->history, (uint64_t)step->number, 12, pace);
}

static void begin_flood(struct stage *stage, const struct step *step) {
    flood(stage, step, PACE_FLOOD);
}

static void begin_long_flood(struct stage *stage, const struct step *step) {
    flood(stage, step, PACE_LARGE);
}

static void note_memory(struct stage *stage, const struct step *step) {
    (void)step;
    stage->flood_kib = service_front_rss_kib(stage->service);
}

/* Overload is refused: however long it lasts, it takes no more memory. */
static void end_flood(struct stage *stage, const struct step *step) {
    long kib = service_front_rss_kib(stage->service);
    (void)step;
    if (stage->flood_kib && kib > stage->flood_kib + FLOOD_MORE_KIB)
        verdict_against("overload: a front took %ld KiB, and later %ld KiB",
                        stage->flood_kib, kib);
    if (stage->flood)
        clients_halt(stage->flood);
}

static void fill_disk(struct stage *stage, const struct step *step) {
    static const char block[1 << 16];
    (void)step;
    if (!stage->has_disk || stage->filled)
        return;
    stage->full = stage->filled = true;
    int fd = open(FILLER, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (size_t size = sizeof block; fd >= 0 && size > 0;)
        if (write(fd, block, size) < (ssize_t)size)
            size /= 2;
    if (fd >= 0)
        close(fd);
}

static void free_disk(struct stage *stage, const struct step *step) {
    (void)step;
    stage->full = false;
    unlink(FILLER);
}

static void limit_files(struct stage *stage, const struct step *step) {
    service_limit_files(stage->service, step->part, step->number);
}

/* All parts in turn, each when the one before is back. */
static void roll(struct stage *stage, const struct step *step) {
    static const enum part order[] = {PART_FRONT_1, PART_WORKER_1, PART_NGINX,
                                      PART_FRONT_2, PART_WORKER_2};
    (void)step;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        pid_t pid = service_pid(stage->service, order[i]);
        if (order[i] == PART_NGINX) {
            service_reload(stage->service, PART_NGINX);
            usleep(200000);
            continue;
        }
        service_terminate(stage->service, order[i]);
        if (!service_await_other(stage->service, order[i], pid) ||
            !service_await_ready(stage->service, 15))
            verdict_against("%s is not back after its restart",
                            service_name(order[i]));
        usleep(300000); /* the other front has learnt of the worker, too */
    }
}

/* ---- kinds of faults ----------------------------------------------------- */

typedef void step_act(struct stage *, const struct step *);

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
    put(plan, c->at_ms, kill_hand, c->worker, rng_between(c->rng, 0, 7),
        c->kind);
}

static void plan_kill_nursery(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, kill_nursery, c->worker, 0, c->kind);
}

static void plan_kill_worker(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, kill_part, c->worker, rng_between(c->rng, 0, 800),
        c->kind);
}

static void plan_kill_front(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, kill_part, c->front, rng_between(c->rng, 0, 1500),
        c->kind);
}

static void plan_kill_redis(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, kill_part, PART_REDIS, rng_between(c->rng, 0, 1500),
        c->kind);
}

static void plan_cut_log(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, cut_log, PART_REDIS, rng_between(c->rng, 1, 60000),
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
        put(plan, c->at_ms + 50, kill_part, c->front, 1500, -1);
    put(plan, c->at_ms, arm_point, PART_COUNT,
        point + FAULT_POINT_COUNT * (passes - 1), c->kind);
}

static void plan_poison(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, submit_poison, PART_COUNT,
        rng_between(c->rng, 1, 1 << 30), c->kind);
}

static void plan_end_worker(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, terminate_part, c->worker, 0, c->kind);
}

static void plan_end_front(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, terminate_part, c->front, 0, c->kind);
}

static void plan_end_redis(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, terminate_part, PART_REDIS, rng_between(c->rng, 0, 500),
        c->kind);
}

static void plan_reload_nginx(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, reload_part, PART_NGINX, 0, c->kind);
}

static void plan_stop(struct plan *plan, const struct choice *c, enum part part,
                      int ms) {
    put(plan, c->at_ms, stop_part, part, 0, c->kind);
    put(plan, c->at_ms + ms, continue_part, part, 0, -1);
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
    put(plan, c->at_ms, stop_hand, c->worker, rng_between(c->rng, 0, 7),
        c->kind);
}

static void plan_stuck(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, submit_stuck, PART_COUNT,
        rng_between(c->rng, 1, 1 << 30), c->kind);
}

static void plan_overload(struct plan *plan, const struct choice *c) {
    bool is_long = plan->flood_ms > FLOOD_MS;
    put(plan, c->at_ms, is_long ? begin_long_flood : begin_flood, PART_COUNT,
        rng_between(c->rng, 1, 1 << 30), c->kind);
    if (is_long)
        put(plan, c->at_ms + plan->flood_ms / 4, note_memory, PART_COUNT, 0,
            -1);
    put(plan, c->at_ms + plan->flood_ms, end_flood, PART_COUNT, 0, -1);
}

static void plan_disk_full(struct plan *plan, const struct choice *c) {
    put(plan, c->at_ms, fill_disk, PART_COUNT, 0, c->kind);
    put(plan, c->at_ms + rng_between(c->rng, 500, 2500), free_disk, PART_COUNT,
        0, -1);
}

static void plan_few_files(struct plan *plan, const struct choice *c) {
    enum part part = rng_chance(c->rng, 50) ? c->front : c->worker;
    put(plan, c->at_ms, limit_files, part, rng_between(c->rng, 0, 2), c->kind);
    if (part == c->worker) /* which then cannot have another hand */
        put(plan, c->at_ms + 100, kill_hand, part, 0, -1);
    put(plan, c->at_ms + rng_between(c->rng, 500, 2500), limit_files, part, -1,
        -1);
}

static void plan_roll(struct plan *plan, const struct choice *c) {
    plan->strict = true;
    put(plan, FIRST_MS, roll, PART_COUNT, 0, c->kind);
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
    free_disk(stage, NULL);
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
