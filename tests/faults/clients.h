/*
 * clients: load on the service: threads that submit new images, one or eight
 * at a time, submit some again, and poll; what they are told goes into the
 * history. An answer that no client may be given is a verdict.
 *
 *     struct clients *clients = clients_start(history, 1, 8, PACE_USUAL);
 *     ...
 *     clients_stop(clients);
 *     clients_settle(history, 30);      polls until all that is owed is there
 */
#ifndef CONVOY_TEST_CLIENTS_H
#define CONVOY_TEST_CLIENTS_H

#include "tests/faults/history.h"

#include <stdbool.h>
#include <stdint.h>

enum pace {
    PACE_USUAL,
    PACE_FLOOD, /* all they can, never polling */
    PACE_LARGE, /* the same, with images that take long */
    PACE_STRICT /* a request that fails is tried once more, and must not fail
                   again */
};

struct clients *clients_start(struct history *history, uint64_t seed, int count,
                              enum pace pace);
void clients_halt(struct clients *clients); /* no new requests */
void clients_stop(struct clients *clients); /* and the last is answered */

/* Eight images in one form, one of them of that nature. */
void clients_submit_among(struct history *history, uint64_t seed,
                          enum nature nature);

/* False where something is still owed after so many seconds: a verdict. */
bool clients_settle(struct history *history, int seconds);

/* Asks for all that was answered once more, not from nginx's cache; what Redis
 * has lost is submitted again. */
void clients_review(struct history *history);

struct clients_counts {
    long requests, refused, failed; /* refused: 429 or 503 */
    double longest_s;
};
/* Since the program's start. */
struct clients_counts clients_counts(void);

#endif
