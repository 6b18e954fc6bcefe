/*
 * history: every image of a schedule and what became of it, by what clients
 * were told: submitted, accepted, answered. Here the promises about images are
 * checked; whatever breaks one goes to verdict.h.
 *
 *     struct history *history = history_open(oracle);
 *     struct shot *shot = history_new(history, &rng, NATURE_PLAIN);
 *     ... POST shot->bytes ...
 *     history_told(history, shot, entry);      each prediction in an answer
 *     history_unknown(history, shot);          a poll was answered 404
 *     history_counts(history);
 *     history_close(history);
 *
 * Safe from any thread. A shot lives as long as its history.
 */
#ifndef CONVOY_TEST_HISTORY_H
#define CONVOY_TEST_HISTORY_H

#include "tests/faults/oracle.h"
#include "tests/faults/rng.h"

#include <stdint.h>

enum nature {
    NATURE_PLAIN,
    NATURE_LARGE,  /* takes a hand ten times as long */
    NATURE_BROKEN, /* cut off: fails for what it is */
    NATURE_POISON, /* a hand aborts on it */
    NATURE_STUCK,  /* a hand never comes back */
    NATURE_COUNT
};

struct shot {
    uint8_t *bytes;
    size_t size;
    enum nature nature;
    char sha256[65];
    /* Below: under the history's mutex. */
    char id[128];    /* "" until accepted */
    int submissions; /* POSTs that had it */
    bool accepted;   /* a client was told that it will be answered */
    bool ended;      /* and was shown the answer */
    bool given_up;   /* which is that the service has failed it */
    bool excused;    /* submitted before Redis lost the end of its log */
    bool lost;       /* and gone with it */
    bool was_lost;   /* or was, until submitted again */
    char completed[40];
};

struct history_counts {
    int images, submitted, accepted, answered, given_up, failed, lost;
};

struct history *history_open(struct oracle *oracle);
void history_close(struct history *history);

struct shot *history_new(struct history *history, struct rng *rng,
                         enum nature nature);
struct shot *history_any(struct history *history,
                         struct rng *rng); /* or NULL */

/* Accepted and neither ended nor lost. */
bool history_is_open(struct history *history, const struct shot *shot);

struct shot *history_first_open(struct history *history); /* or NULL */

/* The `index`-th of all; NULL: there are not so many. */
struct shot *history_shot(struct history *history, int index);

void history_submitted(struct history *history, struct shot *shot);

/* How many attempts at an image faults can have cost so far: with three of
 * them, a sound image may fail. */
void history_harm(struct history *history, int attempts);

/* Redis loses the end of its log: what was accepted so far may be gone, and
 * what was answered be answered anew. */
void history_excuse(struct history *history);

void history_told(struct history *history, struct shot *shot,
                  const json_t *prediction);
void history_unknown(struct history *history, struct shot *shot);

struct history_counts history_counts(struct history *history);

#endif
