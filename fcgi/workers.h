/*
 * workers: who can be given jobs. Belongs to the dispatch thread alone.
 *
 *     struct worker *worker = workers_find(workers, identity, size);
 *     worker = workers_add(workers, identity, size, &advert);
 *     worker = workers_pick(workers, version);   with a credit, or NULL
 *     workers_remove(workers, worker);
 *
 * A worker is known by the identity that the ROUTER gave its connection. A
 * credit is a job that it is ready to take.
 */
#ifndef CONVOY_WORKERS_H
#define CONVOY_WORKERS_H

#include "common/job.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#define WORKERS_IDENTITY_MAX 255 /* ZeroMQ's bound */
#define WORKERS_MAX 1024         /* each is looked at for every job */

struct worker {
    uint8_t identity[WORKERS_IDENTITY_MAX];
    size_t identity_len;
    struct job_advert advert; /* owned, without labels */
    int64_t credits;
    int in_flight;    /* jobs sent and not answered */
    bool draining;    /* takes no more */
    int64_t heard_ms; /* clock_ms() of its last message */
    struct worker *next;
};

struct workers;
struct workers *workers_open(void); /* NULL: out of memory */
void workers_close(struct workers *workers);

/* Moves the advert in; NULL: there are WORKERS_MAX, or out of memory; the
 * advert is then as it was. */
struct worker *workers_add(struct workers *workers, const void *identity,
                           size_t len, struct job_advert *advert);
void workers_renew(struct worker *worker, struct job_advert *advert);
struct worker *workers_find(const struct workers *workers, const void *identity,
                            size_t len);
struct worker *workers_named(const struct workers *workers, const char *name);
void workers_remove(struct workers *workers, struct worker *worker);
struct worker *workers_first(const struct workers *workers);

/* As the admin page lists them; `now_ms` is of clock_ms(). */
json_t *workers_describe(const struct workers *workers, int64_t now_ms);

bool workers_serves(const struct worker *worker, const char *version);

/* Of those that serve the version and have a credit, the one with the most;
 * *served (may be NULL): does anybody serve it at all? */
struct worker *workers_pick(const struct workers *workers, const char *version,
                            bool *served);

#endif
