/*
 * service: what the handlers of requests work with, and the handlers.
 *
 * One struct service for the process; a struct call for each request, with the
 * thread's own connection to Redis. A handler fills the response and returns;
 * what goes wrong becomes a problem there.
 */
#ifndef CONVOY_SERVICE_H
#define CONVOY_SERVICE_H

#include "common/secret.h"
#include "common/store.h"
#include "fcgi/catalogue.h"
#include "fcgi/dispatch.h"
#include "fcgi/http.h"
#include "fcgi/metrics.h"
#include "fcgi/waiters.h"

#include <stdint.h>

struct limits {
    int64_t image_bytes;
    int images;      /* a request */
    int pending;     /* jobs of this front */
    int64_t wait_ms; /* of Prefer: wait */
    int64_t lease_ms;
};

struct service {
    struct limits limits;
    struct catalogue *catalogue;
    struct waiters *waiters;
    struct dispatch *dispatch;
    struct metrics *metrics;
    const struct secret *id_secret; /* or NULL: ids are plain hashes */
    int64_t started_ms;             /* wall clock */
};

struct call {
    const struct service *service;
    struct store *store; /* this thread's */
    struct request *request;
    struct response *response;
};

/* ---- handlers, as the table in route.c names them ---------------------- */

void submit_predictions(struct call *call); /* submission.c */
void show_prediction(struct call *call);    /* retrieval.c */
void show_heatmap(struct call *call);
void forget_prediction(struct call *call);
void list_models(struct call *call); /* models.c */
void show_model(struct call *call);
void show_health(struct call *call); /* health.c */
void show_readiness(struct call *call);
void show_metrics(struct call *call); /* admin.c */
void show_state(struct call *call);
void list_recent(struct call *call);

#endif
