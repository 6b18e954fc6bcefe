/*
 * pool: threads that share the items of one job.
 *
 *     struct pool *pool = pool_open(2, &err);
 *     pool_run(pool, slices, forward_slice, &job);    returns when all are done
 *     pool_close(pool);
 *
 * The caller is one of the threads. Whoever is free takes the next item, so a
 * thread that the machine holds up delays the others by one item at most; an
 * item must therefore not care which thread runs it or in which order, only
 * use the scratch memory of the thread number that it is given.
 */
#ifndef CONVOY_TRAIN_POOL_H
#define CONVOY_TRAIN_POOL_H

#include "common/err.h"

typedef void pool_fn(void *arg, int item, int thread);

struct pool *pool_open(int threads, struct err *err);
void pool_close(struct pool *pool);
int pool_threads(const struct pool *pool);
void pool_run(struct pool *pool, int items, pool_fn *fn, void *arg);

#endif
