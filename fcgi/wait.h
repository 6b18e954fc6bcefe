/*
 * wait: from an id to its result, for clients that prefer to wait.
 *
 *     struct wait wait;
 *     wait_begin(&wait, call);                  reads Prefer
 *     if (wait_for(&wait, &id, &state, &err) < 0) ... 503
 *     if (state.kind == STORE_RESULT) ...       or still pending, or gone
 *     wait_end(&wait);                          says Preference-Applied
 *
 * wait_for() looks into the store first and again whenever it is worth it; a
 * job that is pending but that no front sees to is taken over on the way. One
 * deadline stands for all ids of a request.
 *
 * A job that is about to be dispatched here is expected first, and then waited
 * for without a look: its end cannot be missed.
 *
 *     struct waiter waiter;
 *     bool expected = wait_expect(&wait, &waiter, &id);
 *     dispatch_submit(...);
 *     wait_for_expected(&wait, &waiter, &state, &err);     if expected
 */
#ifndef CONVOY_WAIT_H
#define CONVOY_WAIT_H

#include "fcgi/service.h"
#include "fcgi/waiters.h"

struct wait {
    struct call *call;
    bool entered; /* holds a place among the waiters */
    int64_t seconds, until_ms;
};

void wait_begin(struct wait *wait, struct call *call);
int wait_for(struct wait *wait, const struct id *id, struct store_state *state,
             struct err *err);

/* False where there is no waiting. True: one of the two that are next must
 * follow. */
bool wait_expect(struct wait *wait, struct waiter *waiter, const struct id *id);
int wait_for_expected(struct wait *wait, struct waiter *waiter,
                      struct store_state *state, struct err *err);
void wait_expect_no_more(struct wait *wait, struct waiter *waiter);

void wait_end(struct wait *wait);

/* How long a client had better wait before it asks again, ms. */
int wait_poll_ms(const struct service *service);

/* Retry-After (seconds, at least 1) of that. */
void wait_retry_after(struct response *response, int poll_ms);

#endif
