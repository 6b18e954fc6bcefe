/*
 * writer: the thread that brings results to Redis, so that the foreman never
 * waits for it.
 *
 *     struct writer *w = writer_open(redis, ttl_s, patience_ms, &err);
 *     writer_put(w, task);                      takes it over
 *     poll() on writer_fd(w) for reading, then
 *     while ((task = writer_take(w))) ...       written; or task->answer.failed
 *
 * Where Redis is away a result is tried again until `patience_ms` have passed
 * since it came in; then its task comes back as failed. Work that comes in
 * meanwhile waits its turn.
 */
#ifndef CONVOY_WORKER_WRITER_H
#define CONVOY_WORKER_WRITER_H

#include "common/err.h"
#include "worker/task.h"

#include <stdbool.h>
#include <stdint.h>

struct writer *writer_open(const char *redis, int ttl_s, int64_t patience_ms,
                           struct err *err);

/* Ends after the attempt that runs; what was not written is dropped. */
void writer_close(struct writer *writer);

void writer_put(struct writer *writer, struct task *task);
struct task *writer_take(struct writer *writer); /* NULL: none is ready */
int writer_fd(const struct writer *writer);

/* Whether results get to Redis: false until it has let this worker in for the
 * first time, and again where it has been away for a second. A change wakes
 * who polls. */
bool writer_works(struct writer *writer);

int writer_count(struct writer *writer); /* put and not yet taken */

/* Shows the worker in Redis when there is time; takes over `json`. */
void writer_announce(struct writer *writer, const char *name, char *json,
                     int ttl_s);

#endif
