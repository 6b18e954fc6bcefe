/*
 * waiters: requests that hold their thread until a prediction has ended
 * (Prefer: wait), and the wake-up.
 *
 *     if (waiters_enter(waiters)) {            else: answered 202 at once
 *         struct waiter waiter;
 *         waiters_add(waiters, &waiter, &id);  first, so that no wake is missed
 *         ... look into the store: not there yet ...
 *         waiters_wait(waiters, &waiter, clock_ms() + 500);
 *         ... look again ...
 *         waiters_remove(waiters, &waiter);
 *         waiters_leave(waiters);
 *     }
 *
 * A wake-up says that it is worth looking; with a result it saves the look.
 * What another front dispatches wakes nobody here, so wait in slices. Only so
 * many may wait at a time (a quarter of the threads), so that the rest goes on
 * answering. Safe from any thread.
 */
#ifndef CONVOY_WAITERS_H
#define CONVOY_WAITERS_H

#include "common/id.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct waiters;
struct waiter { /* on the stack of its thread */
    struct id id;
    bool woken;
    char *result; /* owned, NUL-terminated: what it was woken with, or NULL */
    size_t result_len;
    pthread_cond_t wake;
    struct waiter *prev, *next;
};

struct waiters *waiters_open(int places); /* NULL: out of memory */
void waiters_close(struct waiters *waiters);

bool waiters_enter(struct waiters *waiters); /* false: no place is left */
void waiters_leave(struct waiters *waiters);

void waiters_add(struct waiters *waiters, struct waiter *waiter,
                 const struct id *id);
void waiters_remove(struct waiters *waiters, struct waiter *waiter);

/* Until it is woken, or until a time of clock_ms(). True: woken. */
bool waiters_wait(struct waiters *waiters, struct waiter *waiter,
                  int64_t until_ms);
void waiters_wake(struct waiters *waiters, const struct id *id);

/* The same with the result, which is copied for each; `len` 0: with none. */
void waiters_tell(struct waiters *waiters, const struct id *id,
                  const char *result, size_t len);

/* What it was told, owned by the caller then, or NULL. */
char *waiters_take(struct waiters *waiters, struct waiter *waiter, size_t *len);

/* The program ends: all are woken, and nobody enters any more. */
void waiters_stop(struct waiters *waiters);
bool waiters_stopped(struct waiters *waiters);

#endif
