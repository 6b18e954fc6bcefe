/*
 * parts: what the parts under test are started as.
 *
 *     pid_t pid = fork();
 *     if (pid == 0)
 *         part_become(&programs, PART_REDIS);
 */
#ifndef CONVOY_TEST_PARTS_H
#define CONVOY_TEST_PARTS_H

enum part {
    PART_REDIS,
    PART_NGINX,
    PART_FRONT_1,
    PART_FRONT_2,
    PART_WORKER_1,
    PART_WORKER_2,
    PART_COUNT
};

#define SERVICE_LEASE_MS 1000
#define SERVICE_STOP_LIMIT_MS 10000 /* as deploy/supervise allows */

/* Relative to the run folder, which is the working directory. */
#define SERVICE_HTTP "http.sock"
#define SERVICE_REDIS "redis/redis.sock"

#define PART_DEADLINE_MS 3600000

const char *part_name(enum part part);

struct part_programs {
    const char *root, *model; /* the repository, and what workers serve */
    int deadline_ms;          /* of fronts */
};

/* In a process of its own, in the run folder; logs to log/NAME.log. */
_Noreturn void part_become(const struct part_programs *programs,
                           enum part part);

#endif
