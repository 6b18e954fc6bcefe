#include "fcgi/wait.h"

#include "common/clock.h"
#include "fcgi/prefer.h"

#include <inttypes.h>
#include <string.h>

/* What another front dispatches wakes nobody here, so it is looked for: soon
 * at first, then less and less often. */
#define LOOK_FIRST_MS 50
#define LOOK_MOST_MS 1000

#define POLL_LEAST_MS 100
#define POLL_MOST_MS 5000

void wait_begin(struct wait *wait, struct call *call) {
    const struct service *service = call->service;
    int64_t most = service->limits.wait_ms / 1000;
    memset(wait, 0, sizeof *wait);
    wait->call = call;
    wait->seconds = prefer_wait(call->request->prefer);
    if (wait->seconds > most)
        wait->seconds = most;
    wait->entered = wait->seconds > 0 && waiters_enter(service->waiters);
    wait->until_ms = clock_ms() + 1000 * wait->seconds;
}

void wait_end(struct wait *wait) {
    if (!wait->entered)
        return;
    waiters_leave(wait->call->service->waiters);
    response_header(wait->call->response, "Preference-Applied", "wait=%" PRId64,
                    wait->seconds);
}

static int look(struct wait *wait, const struct id *id,
                struct store_state *state, struct err *err) {
    if (store_lookup(wait->call->store, id, state, err) < 0)
        return -1;
    if (state->kind == STORE_PENDING && !state->leased)
        dispatch_orphan(wait->call->service->dispatch, id);
    return 0;
}

/* Sleeps until the waiter is woken, a slice or all of the time is over. */
static void sleep_a_slice(struct wait *wait, struct waiter *waiter,
                          int64_t *slice) {
    int64_t now = clock_ms(), end = now + *slice;
    waiters_wait(wait->call->service->waiters, waiter,
                 end < wait->until_ms ? end : wait->until_ms);
    if (*slice < LOOK_MOST_MS)
        *slice *= 2;
}

/* Its result came with the wake-up. */
static bool was_told(struct wait *wait, struct waiter *waiter,
                     struct store_state *state) {
    *state = (struct store_state){.kind = STORE_RESULT};
    state->json =
        waiters_take(wait->call->service->waiters, waiter, &state->json_len);
    return state->json != NULL;
}

/* Looks and sleeps in turn; takes the waiter off the list. */
static int look_until_ended(struct wait *wait, struct waiter *waiter,
                            int64_t slice, struct store_state *state,
                            struct err *err) {
    struct waiters *waiters = wait->call->service->waiters;
    int status = 0;
    while (!was_told(wait, waiter, state) &&
           (status = look(wait, &waiter->id, state, err)) == 0 &&
           state->kind == STORE_PENDING && clock_ms() < wait->until_ms &&
           !waiters_stopped(waiters)) {
        store_state_free(state);
        sleep_a_slice(wait, waiter, &slice);
    }
    waiters_remove(waiters, waiter);
    return status;
}

int wait_for(struct wait *wait, const struct id *id, struct store_state *state,
             struct err *err) {
    struct waiter waiter;
    if (!wait->entered)
        return look(wait, id, state, err);
    waiters_add(wait->call->service->waiters, &waiter, id);
    return look_until_ended(wait, &waiter, LOOK_FIRST_MS, state, err);
}

bool wait_expect(struct wait *wait, struct waiter *waiter,
                 const struct id *id) {
    if (wait->entered)
        waiters_add(wait->call->service->waiters, waiter, id);
    return wait->entered;
}

void wait_expect_no_more(struct wait *wait, struct waiter *waiter) {
    waiters_remove(wait->call->service->waiters, waiter);
}

int wait_for_expected(struct wait *wait, struct waiter *waiter,
                      struct store_state *state, struct err *err) {
    int64_t slice = LOOK_MOST_MS;
    sleep_a_slice(wait, waiter, &slice);
    return look_until_ended(wait, waiter, slice, state, err);
}

int wait_poll_ms(const struct service *service) {
    struct schedule_stats stats = dispatch_stats(service->dispatch);
    double ms = stats.ms_a_job * (stats.pending + 1);
    return ms < POLL_LEAST_MS  ? POLL_LEAST_MS
           : ms > POLL_MOST_MS ? POLL_MOST_MS
                               : (int)ms;
}

void wait_retry_after(struct response *response, int poll_ms) {
    response_header(response, "Retry-After", "%d", (poll_ms + 999) / 1000);
}
