/*
 * request: FastCGI in and out, on a pool of threads.
 *
 *     struct request_pool_options options = {
 *         .address = "front.sock", .threads = 32, .body_max = 64 << 20,
 *         .body_memory = 16 << 20, .handler = &handler};
 *     struct request_pool *pool = request_pool_open(&options, &err);
 *     ...
 *     request_pool_stop(pool);      no new ones; those that run are finished
 *     request_pool_close(pool);     waits for that
 *
 * nginx keeps its connections, and each holds a thread while it is kept: there
 * must be more threads than (nginx workers x upstream keepalive).
 */
#ifndef CONVOY_REQUEST_H
#define CONVOY_REQUEST_H

#include "common/err.h"
#include "fcgi/http.h"

#include <stddef.h>

/* What the requests are for. */
struct request_handler {
    void *context;
    void *(*begin)(void *context); /* a thread's own state; NULL: failed */
    void (*handle)(void *state, struct request *request,
                   struct response *response);
    void (*end)(void *state);
    /* Also of what was refused before it got to the handler; may be NULL. */
    void (*sent)(void *state, const struct request *request,
                 const struct response *response);
};

struct request_pool_options {
    const char *address; /* unix:PATH, a path, HOST:PORT or :PORT */
    int threads;
    size_t body_max;    /* bytes; larger ones are refused */
    size_t body_memory; /* of all bodies at once */
    struct request_handler handler;
};

struct request_pool;
struct request_pool *request_pool_open(const struct request_pool_options *,
                                       struct err *err);
void request_pool_stop(struct request_pool *pool);
void request_pool_close(struct request_pool *pool);

#endif
