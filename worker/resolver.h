/*
 * resolver: from the list of fronts to the endpoints to connect to, kept up to
 * date. A name (tcp://fronts.default.svc:5555, a headless service) is resolved
 * again every few seconds, to as many endpoints as it has addresses; addresses
 * and ipc:// stand for themselves.
 *
 *     struct resolver *r = resolver_open("tcp://fronts:5555,ipc://a", &err);
 *     struct endpoints endpoints;
 *     if (resolver_take(r, &endpoints)) ...            it has changed
 *
 * Names are resolved in a thread, as that can take seconds; without a name
 * there is no thread. A name that cannot be resolved keeps the addresses that
 * it had.
 */
#ifndef CONVOY_WORKER_RESOLVER_H
#define CONVOY_WORKER_RESOLVER_H

#include "common/err.h"

#include <stdbool.h>

#define ENDPOINTS_MAX 64
#define ENDPOINT_LEN 128

struct endpoints {
    int count;
    char text[ENDPOINTS_MAX][ENDPOINT_LEN];
};

/* Entries are between commas. */
struct resolver *resolver_open(const char *fronts, struct err *err);
void resolver_close(struct resolver *resolver);

/* True, and all endpoints, where they are others than at the last call. */
bool resolver_take(struct resolver *resolver, struct endpoints *endpoints);

#endif
