/*
 * again: something that is tried again, each time after a longer pause.
 *
 *     struct again again = {0};
 *     again_postpone(&again, now);              it has failed
 *     if (now >= again.at_ms) ...               the next try
 *     again.pause_ms = 0;                       it works: all is forgotten
 */
#ifndef CONVOY_WORKER_AGAIN_H
#define CONVOY_WORKER_AGAIN_H

#include <stdint.h>

#define AGAIN_LEAST_MS 100 /* doubled up to: */
#define AGAIN_MOST_MS 30000

struct again {
    int64_t at_ms; /* not before; monotonic */
    int64_t pause_ms;
};

static inline void again_postpone(struct again *again, int64_t now_ms) {
    again->pause_ms = again->pause_ms ? again->pause_ms * 2 : AGAIN_LEAST_MS;
    if (again->pause_ms > AGAIN_MOST_MS)
        again->pause_ms = AGAIN_MOST_MS;
    again->at_ms = now_ms + again->pause_ms;
}

/* Of two times at which something is due; the second may be -1: never. */
static inline int64_t again_earlier(int64_t a, int64_t b) {
    return b >= 0 && b < a ? b : a;
}

#endif
