/*
 * service: the parts under test as processes: Redis, nginx, two fronts, two
 * workers, in the run folder that tests/faults/run has laid. A part that ends
 * is started again, unless it is held; one that ends in a way that nothing
 * here has caused is a verdict.
 *
 *     struct service *service = service_open("models/zoo/...", &err);
 *     service_await_ready(service, 30);
 *     service_hold(service, PART_REDIS, 500);        stays away so long, ms
 *     service_kill(service, PART_REDIS);
 *     service_stop(service, PART_WORKER_1);          SIGSTOP, with its children
 *     service_continue(service, PART_WORKER_1);
 *     service_close(service);
 *
 * Safe from any thread.
 */
#ifndef CONVOY_TEST_SERVICE_H
#define CONVOY_TEST_SERVICE_H

#include "common/err.h"
#include "tests/faults/board.h"
#include "tests/faults/parts.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a death takes with it, and so how its jobs come back. */
enum loss { LOSS_HAND, LOSS_WORKER, LOSS_FRONT, LOSS_COUNT };

struct service;
/* root and model are borrowed. */
struct service *service_open(const char *root, const char *model,
                             struct err *err);
void service_close(struct service *service);

/* The first half of closing: for who is told to stop in the middle of it. */
void service_kill_all(struct service *service);

struct board *service_board(struct service *service);
pid_t service_pid(struct service *service, enum part part); /* 0: away */

/* Where `pid` is or was the process of a front or worker: -1 where not. */
int service_part_of(struct service *service, pid_t pid);

void service_kill(struct service *service, enum part part);      /* -9 */
void service_terminate(struct service *service, enum part part); /* SIGTERM */
void service_reload(struct service *service, enum part part);    /* SIGHUP */
void service_stop(struct service *service, enum part part);
void service_continue(struct service *service, enum part part);
void service_hold(struct service *service, enum part part, int ms);

/* Waits until the process that was `pid` has been replaced; false after 15 s.
 */
bool service_await_other(struct service *service, enum part part, pid_t pid);

/* The nursery of a worker and its `pick`-th hand; 0: there is none just now. */
pid_t service_nursery(struct service *service, enum part worker);
pid_t service_hand(struct service *service, enum part worker, int pick);

/* A part may have so many open files more than it has now; -1: as before. */
void service_limit_files(struct service *service, enum part part, int more);

/* Of fronts that are started from now on; usually PART_DEADLINE_MS. */
void service_set_deadline(struct service *service, int deadline_ms);

/* All parts run, and each front answers and has both workers. */
bool service_ready(struct service *service);
bool service_await_ready(struct service *service, int seconds);

/* Deaths by service_kill() since the last call, for the recovery. */
struct death {
    enum loss loss;
    pid_t pid;
    int64_t us;
};
void service_note_death(struct service *service, enum loss loss, pid_t pid);
int service_take_deaths(struct service *service, struct death *deaths, int max);

long service_front_rss_kib(struct service *service); /* now, the larger */

/* By how much the checker itself came late since the last call, in all: the
 * machine had other work to do. */
int64_t service_take_late_us(struct service *service);

struct service_counts {
    long front_rss_kib, worker_rss_kib; /* greatest seen; worker: all of it */
    int restarts;
    double longest_stop_s; /* from SIGTERM to the end */
};
struct service_counts service_counts(struct service *service);

/* Empties the logs, or keeps copies of them under that name. */
void service_clear_logs(struct service *service);
void service_keep_logs(struct service *service, const char *name);

#endif
