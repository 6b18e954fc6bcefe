#include "tests/faults/steps.h"

#include "tests/faults/backlog.h"
#include "tests/faults/verdict.h"
#include "tests/integration/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILLER "redis/filler"

/* What waits and is on its way, see fcgi/jobs.h. */
#define FLOOD_MORE_KIB (16 << 10)

/* Redis answers the writes in the course of which its disk fills up, and has
 * them in memory alone until there is room: with both faults they are gone. */
static void excuse(struct stage *stage, enum part part) {
    if (part == PART_REDIS && stage->full)
        history_excuse(stage->history);
}

void step_kill_part(struct stage *stage, const struct step *step) {
    service_hold(stage->service, step->part, step->number);
    service_kill(stage->service, step->part);
    excuse(stage, step->part);
}

void step_terminate_part(struct stage *stage, const struct step *step) {
    service_hold(stage->service, step->part, step->number);
    service_terminate(stage->service, step->part);
    excuse(stage, step->part);
}

void step_stop_part(struct stage *stage, const struct step *step) {
    service_stop(stage->service, step->part);
}

void step_continue_part(struct stage *stage, const struct step *step) {
    service_continue(stage->service, step->part);
}

void step_reload_part(struct stage *stage, const struct step *step) {
    service_reload(stage->service, step->part);
}

/* It stands still for a moment first, so that it has work when it dies: a batch
 * takes it a millisecond or two. */
void step_kill_hand(struct stage *stage, const struct step *step) {
    pid_t hand = service_hand(stage->service, step->part, step->number);
    if (!hand)
        return;
    kill(hand, SIGSTOP);
    usleep(100000);
    service_note_death(stage->service, LOSS_HAND, hand);
    kill(hand, SIGKILL);
}

/* It stands still until its time is over and the foreman has it killed. */
void step_stop_hand(struct stage *stage, const struct step *step) {
    pid_t hand = service_hand(stage->service, step->part, step->number);
    if (hand)
        kill(hand, SIGSTOP);
}

void step_kill_nursery(struct stage *stage, const struct step *step) {
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
void step_cut_log(struct stage *stage, const struct step *step) {
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

void step_arm_point(struct stage *stage, const struct step *step) {
    int point = step->number % FAULT_POINT_COUNT;
    atomic_store(&service_board(stage->service)->armed[point],
                 1 + step->number / FAULT_POINT_COUNT);
}

void step_await_point(struct stage *stage, const struct step *step) {
    atomic_int *armed = &service_board(stage->service)->armed[step->number];
    for (int i = 0; i < 500 && atomic_load(armed) > 0; i++)
        usleep(10000);
}

void step_submit_poison(struct stage *stage, const struct step *step) {
    clients_submit_among(stage->history, (uint64_t)step->number, NATURE_POISON);
}

void step_submit_stuck(struct stage *stage, const struct step *step) {
    clients_submit_among(stage->history, (uint64_t)step->number, NATURE_STUCK);
}

static void flood(struct stage *stage, const struct step *step,
                  enum pace pace) {
    if (!stage->flood)
        stage->flood =
            clients_start(stage->history, (uint64_t)step->number, 12, pace);
}

void step_begin_flood(struct stage *stage, const struct step *step) {
    flood(stage, step, PACE_FLOOD);
}

void step_begin_long_flood(struct stage *stage, const struct step *step) {
    flood(stage, step, PACE_LARGE);
}

void step_note_memory(struct stage *stage, const struct step *step) {
    (void)step;
    stage->flood_kib = service_front_rss_kib(stage->service);
}

/* Overload is refused: however long it lasts, it takes no more memory. */
void step_end_flood(struct stage *stage, const struct step *step) {
    long kib = service_front_rss_kib(stage->service);
    (void)step;
    if (stage->flood_kib && kib > stage->flood_kib + FLOOD_MORE_KIB)
        verdict_against("overload: a front took %ld KiB, and later %ld KiB",
                        stage->flood_kib, kib);
    if (stage->flood)
        clients_halt(stage->flood);
}

void step_fill_disk(struct stage *stage, const struct step *step) {
    static const char block[1 << 16];
    (void)step;
    if (!stage->has_disk || stage->full)
        return;
    stage->full = stage->filled = true;
    int fd = open(FILLER, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    for (size_t size = sizeof block; fd >= 0 && size > 0;)
        if (write(fd, block, size) < (ssize_t)size)
            size /= 2;
    if (fd >= 0)
        close(fd);
}

void step_free_disk(struct stage *stage, const struct step *step) {
    (void)step;
    stage->full = false;
    unlink(FILLER);
}

void step_limit_files(struct stage *stage, const struct step *step) {
    service_limit_files(stage->service, step->part, step->number);
}

/* All parts in turn, each when the one before is back. */
void step_roll(struct stage *stage, const struct step *step) {
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
                            part_name(order[i]));
        usleep(300000); /* the other front has learnt of the worker, too */
    }
}

/* ---- deadlines ----------------------------------------------------------- */

void step_set_deadline(struct stage *stage, const struct step *step) {
    service_set_deadline(stage->service, step->number);
}

static redisContext *connect_to_redis(void) {
    redisContext *redis = redisConnectUnix(SERVICE_REDIS);
    for (int i = 0; i < 500 && redis && redis->err; i++) {
        usleep(10000);
        redisFree(redis);
        redis = redisConnectUnix(SERVICE_REDIS);
    }
    return redis;
}

/* They were started just now, take up what was left once its lease and as much
 * again is over, and the machine has other work to do. */
void step_await_deadline(struct stage *stage, const struct step *step) {
    redisContext *redis = connect_to_redis();
    backlog_await_end(redis, (step->number + 3 * SERVICE_LEASE_MS) / 1000 + 5);
    redisFree(redis);
    clients_settle(stage->history, 5);
    if (history_counts(stage->history).given_up == 0)
        verdict_against("nothing was left to fail at its deadline");
    service_set_deadline(stage->service, PART_DEADLINE_MS);
    service_hold(stage->service, PART_WORKER_1, 0);
    service_hold(stage->service, PART_WORKER_2, 0);
    service_terminate(stage->service, PART_FRONT_1);
    service_terminate(stage->service, PART_FRONT_2);
}
